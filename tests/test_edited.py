"""An instance that was edited flattens to what it holds now (rule 7)."""

import copy
import functools
import pickle

import autofit as af
import autolens as al
import jax
import numpy as np
import pytest
from conftest import VECTOR, lens_model_from
from jax.tree_util import keystr, tree_flatten_with_path, tree_leaves, tree_structure

GRID = al.Grid2D.uniform(shape_native=(5, 5), pixel_scales=0.7)


def named_leaves_of(tree) -> dict:
    return {keystr(path): leaf for path, leaf in tree_flatten_with_path(tree)[0]}


def rebuilt_from(tree):
    return jax.tree.map(lambda leaf: leaf, tree)


def edited_after(flattened: bool, model=None):
    """An instance, before or after JAX has looked at it (and remembered what it saw)."""
    instance = (model or lens_model_from()).instance_from_vector(VECTOR)
    if flattened:
        for _ in range(3):
            tree_leaves(instance)
    return instance


@pytest.fixture(params=[False, True], ids=["new", "flattened before"])
def edited(request):
    return edited_after(request.param)


def test_value(edited):
    structure = tree_structure(lens_model_from().instance_from_vector(VECTOR))
    edited.galaxies.lens.mass.einstein_radius = 1.7
    leaves = named_leaves_of(edited)
    assert leaves[".galaxies.lens.mass.einstein_radius"] == 1.7
    assert tree_structure(edited) == structure
    assert rebuilt_from(edited).galaxies.lens.mass.einstein_radius == 1.7


def test_value_in_a_tuple(edited):
    edited.galaxies.lens.mass.centre = (0.3, 0.01)
    leaves = named_leaves_of(edited)
    assert leaves[".galaxies.lens.mass.centre.centre_0"] == 0.3
    assert len(leaves) == 15


def test_value_back_and_forth(edited):
    for radius in (1.7, 1.8, 1.6, 1.7):
        edited.galaxies.lens.mass.einstein_radius = radius
        assert tree_leaves(edited)[8] == radius


def test_every_copy_of_a_shared_value(edited):
    for gaussian in edited.galaxies.lens.bulge.profile_list:
        gaussian.centre = (0.2, -0.02)
    leaves = tree_leaves(edited)
    assert (len(leaves), leaves[0]) == (15, 0.2)
    assert rebuilt_from(edited).galaxies.lens.bulge.centre == (0.2, -0.02)


def test_one_copy_of_a_shared_value_is_a_leaf_of_its_own(edited):
    edited.galaxies.lens.bulge.profile_list[1].centre = (0.2, -0.02)
    rebuilt = rebuilt_from(edited)
    centres = [g.centre[0] for g in rebuilt.galaxies.lens.bulge.profile_list]
    assert centres == [VECTOR[0], 0.2, VECTOR[0]]

    def function(instance):
        return sum(g.centre[0] for g in instance.galaxies.lens.bulge.profile_list)

    gradient = jax.grad(function)(edited)
    slopes = [g.centre[0] for g in gradient.galaxies.lens.bulge.profile_list]
    assert slopes == [1.0, 1.0, 1.0]


def test_constant(edited):
    before = tree_structure(edited)
    edited.galaxies.lens.redshift = 0.7
    assert tree_structure(edited) != before
    assert rebuilt_from(edited).galaxies.lens.redshift == 0.7
    out = jax.jit(lambda instance: instance)(edited)
    assert out.galaxies.lens.redshift == 0.7


def test_constant_of_a_profile(edited):
    edited.galaxies.source.bulge.profile_list[0].sigma = 0.123
    rebuilt = rebuilt_from(edited)
    assert rebuilt.galaxies.source.bulge.profile_list[0].sigma == 0.123


def test_added_component(edited):
    edited.galaxies.lens.sheet = al.mp.MassSheet(kappa=0.05)
    leaves = named_leaves_of(edited)
    assert leaves[".galaxies.lens.sheet.kappa"] == 0.05
    deflections = [
        np.array(galaxies.lens.deflections_yx_2d_from(grid=GRID))
        for galaxies in (edited.galaxies, rebuilt_from(edited).galaxies)
    ]
    np.testing.assert_array_equal(*deflections)


def test_added_galaxy(edited):
    edited.galaxies.satellite = al.Galaxy(
        redshift=0.5, mass=al.mp.IsothermalSph(einstein_radius=0.1)
    )
    assert rebuilt_from(edited).galaxies.satellite.mass.einstein_radius == 0.1
    name = ".galaxies.satellite.mass.einstein_radius"
    assert named_leaves_of(edited)[name] == 0.1


def test_removed_component(edited):
    del edited.galaxies.lens.shear
    rebuilt = rebuilt_from(edited)
    assert not hasattr(rebuilt.galaxies.lens, "shear")
    assert not any("shear" in name for name in named_leaves_of(edited))


def test_replaced_component_and_then_the_new_one_edited(edited):
    old = edited.galaxies.lens.mass
    new = al.mp.Isothermal(old.centre, old.ell_comps, old.einstein_radius)
    edited.galaxies.lens.mass = new
    assert tree_leaves(edited)[8] == 1.6
    tree_leaves(edited)
    new.einstein_radius = 1.9
    assert tree_leaves(edited)[8] == 1.9


def test_component_replaced_by_an_equal_one_that_is_edited_later():
    instance = edited_after(flattened=True)
    instance.galaxies.lens.mass = copy.copy(instance.galaxies.lens.mass)
    for _ in range(3):
        tree_leaves(instance)
    instance.galaxies.lens.mass.einstein_radius = 1.9
    assert tree_leaves(instance)[8] == 1.9


def test_component_replaced_by_another_that_only_says_it_is_equal():
    class Tied:
        def __init__(self, value=1.0):
            self.value = value

        def __eq__(self, other):
            return True

    model = af.Collection(tied=af.Model(Tied, value=af.UniformPrior(0.0, 1.0)))
    instance = model.instance_from_vector([0.5])
    for _ in range(3):
        tree_leaves(instance)
    instance.tied = Tied(0.75)
    assert tree_leaves(instance) == [0.75]


def test_component_of_another_class(edited):
    edited.galaxies.lens.mass = al.mp.IsothermalSph(einstein_radius=1.5)
    rebuilt = rebuilt_from(edited)
    assert type(rebuilt.galaxies.lens.mass) is al.mp.IsothermalSph
    assert rebuilt.galaxies.lens.mass.einstein_radius == 1.5


def test_jitted_function_sees_an_edit(edited):
    function = jax.jit(lambda i: i.galaxies.lens.mass.einstein_radius)
    assert function(edited) == 1.6
    edited.galaxies.lens.mass.einstein_radius = 1.7
    assert function(edited) == 1.7


@pytest.mark.parametrize(
    "copy_of",
    [copy.deepcopy, lambda instance: pickle.loads(pickle.dumps(instance))],
    ids=["deep copy", "pickle"],
)
def test_copy_is_a_point_in_the_same_model_and_can_be_edited(edited, copy_of):
    twin = copy_of(edited)
    assert tree_structure(twin) == tree_structure(edited)
    assert tree_leaves(twin) == list(VECTOR)
    twin.galaxies.lens.mass.einstein_radius = 1.7
    assert tree_leaves(twin)[8] == 1.7
    assert tree_leaves(edited)[8] == 1.6
    twin.galaxies.lens.redshift = 0.7
    assert rebuilt_from(twin).galaxies.lens.redshift == 0.7


def test_copy_that_was_edited_before_jax_saw_it(edited):
    twin = copy.deepcopy(edited)
    twin.galaxies.lens.redshift = 0.7
    twin.galaxies.lens.mass.einstein_radius = 1.7
    rebuilt = rebuilt_from(twin)
    assert rebuilt.galaxies.lens.redshift == 0.7
    assert rebuilt.galaxies.lens.mass.einstein_radius == 1.7


def test_array_changed_in_place():
    model = af.Collection(array=af.Array(shape=(3,), prior=af.UniformPrior(0.0, 1.0)))
    instance = model.instance_from_vector([0.1, 0.2, 0.3])
    for _ in range(3):
        tree_leaves(instance)
    instance.array[1] = 0.9
    assert tree_leaves(instance) == [0.1, 0.9, 0.3]


@pytest.mark.parametrize("by_model", [True, False], ids=["model", "by hand"])
def test_derived_attribute_that_was_set_is_an_error_naming_it(by_model):
    arguments = {"redshift_object": 0.5, "redshift_source": 1.0}
    if by_model:
        prior = af.LogUniformPrior(1e8, 1e13)
        model = af.Model(
            al.mp.NFWMCRLudlowSph, centre=(0.0, 0.0), mass_at_200=prior, **arguments
        )
        halo = model.instance_from_vector([1e11])
    else:
        halo = al.mp.NFWMCRLudlowSph(mass_at_200=1e11, **arguments)
    halo.scale_radius = 3.0
    with pytest.raises(
        ValueError, match=r"(?s)NFWMCRLudlowSph.*scale_radius = 3\.0.*derives"
    ):
        tree_leaves(halo)


def test_parameter_that_was_set_takes_what_is_derived_with_it():
    model = af.Model(
        al.mp.NFWMCRLudlowSph,
        centre=(0.0, 0.0),
        mass_at_200=af.LogUniformPrior(1e8, 1e13),
        redshift_object=0.5,
        redshift_source=1.0,
    )
    halo = model.instance_from_vector([1e11])
    halo.mass_at_200 = 2e11
    expected = model.instance_from_vector([2e11]).scale_radius
    assert tree_leaves(halo) == [2e11]
    assert rebuilt_from(halo).scale_radius == pytest.approx(expected, rel=1e-12)


class TestInstancesThatDeriveSomethingElseEach:
    """What constructors derive is looked at, not derived again, once JAX saw that."""

    made = []

    class Disc:
        def __init__(self, radius=1.0):
            TestInstancesThatDeriveSomethingElseEach.made.append(radius)
            self.radius = radius
            self.area = 3.0 * radius**2

    @pytest.fixture(params=["made after others", "looked at before"])
    def instance(self, request):
        model = af.Collection(
            disc=af.Model(self.Disc, radius=af.UniformPrior(0.0, 9.0)), other=2.0
        )
        instance = model.instance_from_vector([4.0])
        if request.param == "looked at before":
            tree_leaves(instance)
            return instance
        for radius in (1.0, 2.0, 3.0):
            tree_leaves(model.instance_from_vector([radius]))
        return model.instance_from_vector([4.0])

    def test_flattening_calls_no_constructor(self, instance):
        self.made.clear()
        assert tree_leaves(instance) == [4.0]
        assert self.made == []

    def test_derived_attribute_that_was_set_is_an_error(self, instance):
        instance.disc.area = 5.0
        with pytest.raises(ValueError, match=r"(?s)Disc holds area = 5\.0.*area = 48\.0"):
            tree_leaves(instance)

    def test_parameter_that_was_set_is_the_leaf(self, instance):
        instance.disc.radius = 5.0
        assert tree_leaves(instance) == [5.0]
        assert jax.tree.map(lambda leaf: leaf, instance).disc.area == 75.0

    def test_parameter_and_derived_attribute_that_were_set_together(self, instance):
        instance.disc.radius, instance.disc.area = 5.0, 75.0
        assert tree_leaves(instance) == [5.0]

    def test_parameter_that_was_set_back_without_what_is_derived_is_an_error(
        self, instance
    ):
        instance.disc.radius, instance.disc.area = 5.0, 75.0
        tree_leaves(instance)
        instance.disc.radius = 4.0
        with pytest.raises(ValueError, match=r"Disc holds area = 75\.0"):
            tree_leaves(instance)

    def test_flattening_a_part_in_a_trace_calls_no_constructor(self, instance):
        def area(instance):
            tree_leaves(instance.disc)  # what a disc derives is known from here on
            self.made.clear()
            tree_leaves(instance.disc)
            return instance.disc.area, len(self.made)

        assert jax.jit(area)(instance) == (48.0, 0)

    @pytest.mark.parametrize("held", [list, functools.partial])
    @pytest.mark.parametrize("looked_at", [False, True])
    def test_derived_list_that_was_edited_in_place_is_an_error(self, held, looked_at):
        class Parts:
            def __init__(self, radius=1.0):
                self.radius = radius
                self.area = radius**2
                parts = [radius, 2.0 * radius]
                self.parts = parts if held is list else functools.partial(sum, parts)
                if radius < 5.0:
                    self.parts = None

        model = af.Collection(disc=af.Model(Parts, radius=af.UniformPrior(0.0, 9.0)))
        for radius in (1.0, 2.0, 3.0):
            tree_leaves(model.instance_from_vector([radius]))
        instance = model.instance_from_vector([7.0])
        if looked_at:
            tree_leaves(instance)
        parts = instance.disc.parts
        (parts if held is list else parts.args[0]).append(100.0)
        with pytest.raises(ValueError, match=r"(?s)Parts holds parts = .*7\.0.*100\.0"):
            tree_leaves(instance)


def test_constants_that_differ_in_a_private_attribute_are_not_the_same_constant():
    class Scaled:
        def __init__(self, value=1.0):
            self.value = value
            self._cache_factor = 2.0

    other = Scaled(3.0)
    other._cache_factor = 7.0
    structures = [
        tree_structure(af.Collection(scaled=scaled).instance_from_vector([]))
        for scaled in (Scaled(3.0), other)
    ]
    assert structures[0] != structures[1]
