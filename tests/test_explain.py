"""Why an object is flattened as it is, in words; and nothing falls back in silence."""

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import VECTOR, lens_model_from
from jax.tree_util import tree_leaves

import autofit_patch


@pytest.fixture
def explained(capsys):
    def explanation_of(obj) -> str:
        autofit_patch.explain(obj)
        return capsys.readouterr().out

    return explanation_of


def test_point_in_a_model(instance, explained):
    text = explained(instance)
    assert "made by a model, and is a point in it" in text
    assert "15 leaves, one for each free parameter" in text
    assert ".galaxies.lens.mass.einstein_radius = 1.6" in text


EDITS = {
    "galaxies.lens.redshift: 0.7, the model has 0.5": lambda i: setattr(
        i.galaxies.lens, "redshift", 0.7
    ),
    "galaxies.lens.shear: is missing, the model has a ExternalShear": lambda i: delattr(
        i.galaxies.lens, "shear"
    ),
    "galaxies.lens.new: 3.0, the model has nothing": lambda i: setattr(
        i.galaxies.lens, "new", 3.0
    ),
    "galaxies.lens.mass: a PointMass, the model has a Isothermal": lambda i: setattr(
        i.galaxies.lens, "mass", al.mp.PointMass()
    ),
    "galaxies.lens.bulge.profile_list.0.centre.centre_0 has several values": (
        lambda i: setattr(i.galaxies.lens.bulge.profile_list[1], "centre", (0.3, -0.02))
    ),
}


@pytest.mark.parametrize("line, edit", EDITS.items(), ids=range(len(EDITS)))
def test_edit_is_named_with_where_it_is(instance, explained, line, edit):
    edit(instance)
    text = explained(instance)
    assert "made by a model and edited since" in text
    assert line in text or line.split(".")[-1] in text
    assert f"{len(tree_leaves(instance))} leaves, one for each number" in text


def test_value_that_was_set_is_no_difference(instance, explained):
    instance.galaxies.lens.mass.einstein_radius = 1.7
    text = explained(instance)
    assert "is a point in it" in text
    assert ".einstein_radius = 1.7" in text


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda i: al.mp.Isothermal(), "no model made it alone"),
        (lambda i: i.galaxies.lens.mass, "no model made it alone"),
        (lambda i: jax.tree.map(lambda leaf: jnp.ones(3), i), "not single numbers"),
        (lambda i: jax.tree.map(lambda leaf: None, al.mp.Isothermal()), "is an outline"),
        (lambda i: lens_model_from(), "the numbers of its priors"),
        (lambda i: object(), "It has 1 leaf"),
        (lambda i: {"a": 1.0}, "a pytree of JAX's own"),
    ],
    ids=["by hand", "part", "batch", "outline by hand", "model", "no pytree", "dict"],
)
def test_anything_else(instance, explained, make, words):
    assert words in explained(make(instance))


def test_derived_attribute_that_was_set_is_explained_by_the_error(explained):
    halo = al.mp.NFWMCRLudlowSph(mass_at_200=1e11)
    halo.scale_radius = 3.0
    assert "scale_radius = 3.0, but its constructor derives" in explained(halo)


def test_instance_that_cannot_be_taken_apart_is_called_no_point(explained):
    model = af.Model(al.mp.NFWMCRLudlowSph)
    instance = model.instance_from_prior_medians()
    instance.scale_radius = 3.0
    text = explained(instance)
    assert "is a point in it" not in text
    assert "scale_radius = 3.0, but its constructor derives" in text


def test_leaves_that_are_nothing_are_not_counted_as_parameters(instance, explained):
    text = explained(jax.tree.map(lambda leaf: None, instance))
    assert "0 leaves: what JAX finds in the place of each of its 15" in text


class TestInstanceThatNobodyEdited:
    def test_of_a_class_that_is_another_each_time_is_an_error_that_says_so(self):
        counter = iter(range(100))

        class Part:
            def __init__(self, slope=1.0):
                self.slope = slope
                setattr(self, f"serial_{next(counter)}", 1.0)

        model = af.Collection(part=af.Model(Part, slope=af.UniformPrior(0.0, 5.0)))
        with pytest.raises(ValueError, match=r"(?s)nobody edited.*part.*something else"):
            for slope in (1.0, 2.0, 3.0):
                tree_leaves(model.instance_from_vector([slope]))

    def test_of_a_model_that_cannot_be_copied_is_an_error_that_says_so(self, explained):
        class Uncopyable:
            def __deepcopy__(self, memo):
                raise RuntimeError("not this one")

        model = af.Collection(x=af.UniformPrior(0.0, 1.0))
        model.constant = Uncopyable()
        instance = model.instance_from_vector([0.5])
        assert instance.x == 0.5
        with pytest.raises(ValueError, match=r"(?s)model cannot be copied.*not this one"):
            tree_leaves(instance)
        assert "not known any more" in explained(instance)


def test_free_parameter_that_cannot_be_traced_is_named_with_what_to_fix():
    model = af.Collection(mass=af.Model(al.mp.dPIEMassSph))
    instance = model.instance_from_prior_medians()
    with pytest.raises(jax.errors.JAXTypeError) as raised:
        jax.jit(lambda i: i.mass.b0)(instance)
    message = str(raised.value)
    for name, default in {"H0": 67.66, "Om0": 0.30966, "redshift_object": 0.5}.items():
        assert f"model.mass.{name} = {default}" in message
    assert "sigma" not in message.split("Fix this")[1].split("The constructor")[0]
    for name, value in (("H0", 67.66), ("Om0", 0.30966)):
        setattr(model.mass, name, value)
    model.mass.redshift_object, model.mass.redshift_source = 0.5, 1.0
    fixed = model.instance_from_prior_medians()
    assert jax.jit(lambda i: i.mass.b0)(fixed) == pytest.approx(fixed.mass.b0)


def test_explaining_changes_nothing(instance, explained):
    before = [np.array(leaf) for leaf in tree_leaves(instance)]
    instance.galaxies.lens.redshift = 0.7
    explained(instance)
    instance.galaxies.lens.redshift = 0.5
    assert tree_leaves(instance) == before == list(VECTOR)
