"""Leaves that are no point of the model make an outline (rule 3)."""

import base64
import pickle

import autofit as af
import autolens as al
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import VECTOR, run_python
from jax.tree_util import tree_leaves, tree_map, tree_structure, tree_unflatten


@pytest.fixture
def batch(model):
    instances = [model.instance_from_vector(VECTOR * (1.0 + 0.01 * k)) for k in range(3)]
    return tree_map(lambda *leaves: jnp.stack(leaves), *instances)


def test_batch_is_navigated_by_name(batch):
    radii = batch.galaxies.lens.mass.einstein_radius
    assert radii.shape == (3,)
    np.testing.assert_allclose(radii, 1.6 * (1.0 + 0.01 * np.arange(3)))
    assert batch.galaxies.lens.mass.centre[1].shape == (3,)
    assert batch.galaxies.lens.bulge.profile_list[1].ell_comps[0].shape == (3,)


def test_outline_has_the_classes_and_constants_of_the_model(batch, instance):
    assert type(batch) is af.ModelInstance
    assert type(batch.galaxies.lens) is al.Galaxy
    assert type(batch.galaxies.lens.mass) is al.mp.Isothermal
    assert batch.galaxies.lens.redshift == 0.5
    sigmas = [g.sigma for g in batch.galaxies.source.bulge.profile_list]
    assert sigmas == [g.sigma for g in instance.galaxies.source.bulge.profile_list]


@pytest.mark.parametrize(
    "leaf",
    [
        None,
        object(),
        0,
        True,
        "name",
        jax.ShapeDtypeStruct((), jnp.float64),
        np.zeros(4),
        np.nan * 1j,
    ],
    ids=lambda leaf: type(leaf).__name__,
)
def test_any_leaf_makes_an_outline_and_comes_back_as_it_is(instance, leaf):
    structure = tree_structure(instance)
    outline = tree_unflatten(structure, [leaf] * 15)
    assert outline.galaxies.lens.mass.einstein_radius is leaf
    assert outline.galaxies.source.bulge.profile_list[2].centre[0] is leaf
    found, again = jax.tree_util.tree_flatten(outline, is_leaf=lambda x: x is leaf)
    assert all(item is leaf for item in found)
    assert len(found) == 15
    assert again == structure


def test_structure_that_was_unpickled_elsewhere_makes_outlines():
    code = """
        import base64, pickle, sys
        import autolens_patch
        structure = pickle.loads(base64.b64decode("{structure}"))
        outline = structure.instance_from([None] * len(structure.names))
        assert outline.mass.einstein_radius is None
    """
    model = af.Collection(mass=al.mp.IsothermalSph)
    instance = model.instance_from_vector([0.0, 0.0, 1.0])
    _, structure = tree_structure(instance).node_data()
    text = base64.b64encode(pickle.dumps(structure)).decode()
    process = run_python(code.format(structure=text))
    assert process.returncode == 0, process.stderr


def test_outline_is_made_without_any_constructor():
    class Strict:
        calls = 0

        def __init__(self, value=1.0):
            type(self).calls += 1
            self.value = value + 0.0

    model = af.Model(Strict, value=af.UniformPrior(0.0, 1.0))
    structure = tree_structure(model.instance_from_vector([0.5]))
    calls = Strict.calls
    outline = tree_unflatten(structure, [object()])
    assert type(outline) is Strict
    assert Strict.calls == calls


@pytest.mark.parametrize("name", ["slope", "core_radius"])
def test_reading_what_only_the_constructor_derives_says_so(batch, instance, name):
    with pytest.raises(AttributeError, match=f"no {name}: it is an outline"):
        getattr(batch.galaxies.lens.mass, name)
    assert not hasattr(batch.galaxies.lens.mass, name)
    assert getattr(instance.galaxies.lens.mass, name) is not None
    assert not hasattr(al.mp.Isothermal, name)


def test_a_default_of_the_class_does_not_stand_in_for_what_is_derived():
    class Scaled:
        scale = 1.0

        def __init__(self, value=1.0):
            self.value = value
            self.scale = 10.0 * value

    model = af.Model(Scaled, value=af.UniformPrior(0.0, 1.0))
    instance = model.instance_from_vector([0.5])
    outline = tree_map(lambda leaf: None, instance)
    with pytest.raises(AttributeError, match="outline"):
        outline.scale  # noqa: B018
    assert (instance.scale, Scaled.scale) == (5.0, 1.0)
    assert object.__new__(Scaled).scale == 1.0


def test_values_that_a_constructor_rejects_make_an_outline(model, instance):
    gradient = tree_map(lambda leaf: 100.0 * leaf, instance)
    mass = gradient.galaxies.lens.mass
    assert mass.ell_comps == (10.0, -5.0)  # beyond 1, no ellipse
    assert mass.einstein_radius == 160.0
    with pytest.raises(AttributeError, match="rejected its values"):
        mass.slope  # noqa: B018
    step = tree_map(lambda leaf, slope: leaf - 0.01 * slope, instance, gradient)
    np.testing.assert_allclose(tree_leaves(step), 0.0, atol=1e-12)
    assert step.galaxies.lens.mass.slope == 2.0


def test_values_that_a_constructor_changes_make_an_outline():
    class Clipped:
        def __init__(self, value=1.0):
            self.value = max(value, 1e-3)

    model = af.Model(Clipped, value=af.UniformPrior(0.0, 1.0))
    instance = model.instance_from_vector([0.5])
    negative = tree_map(lambda leaf: -leaf, instance)
    assert negative.value == -0.5
    assert tree_leaves(negative) == [-0.5]


def test_tree_at_replaces_a_parameter_by_name(batch, instance):
    def where(tree):
        return tree.galaxies.lens.mass.einstein_radius

    replaced = eqx.tree_at(where, instance, 1.7)
    assert where(replaced) == 1.7
    assert tree_leaves(replaced)[:8] == tree_leaves(instance)[:8]
    replaced = eqx.tree_at(where, batch, jnp.array([1.0, 2.0, 3.0]))
    assert list(where(replaced)) == [1.0, 2.0, 3.0]
    assert tree_structure(replaced) == tree_structure(batch)


def test_tree_at_finds_a_shared_parameter_at_any_of_its_places(instance):
    replaced = eqx.tree_at(
        lambda tree: tree.galaxies.lens.bulge.profile_list[1].centre[0], instance, 0.3
    )
    for gaussian in replaced.galaxies.lens.bulge.profile_list:
        assert gaussian.centre[0] == 0.3
    assert replaced.galaxies.lens.bulge.centre[0] == 0.3


def test_attribute_of_a_batch_can_be_set(batch):
    batch.galaxies.lens.mass.einstein_radius = jnp.array([1.0, 2.0, 3.0])
    assert list(tree_leaves(batch)[8]) == [1.0, 2.0, 3.0]


def test_vmap_over_a_batch_equals_the_instances_one_by_one(model, batch):
    def function(instance):
        mass = instance.galaxies.lens.mass
        return mass.einstein_radius * mass.axis_ratio(xp=jnp) * mass.slope

    expected = [
        function(model.instance_from_vector(VECTOR * (1.0 + 0.01 * k))) for k in range(3)
    ]
    np.testing.assert_allclose(jax.vmap(function)(batch), expected, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(batch), expected, rtol=1e-12)


def test_vmap_over_some_of_the_parameters(batch, instance):
    axes = tree_map(lambda leaf: None, instance, is_leaf=lambda leaf: leaf is None)
    axes.galaxies.lens.mass.einstein_radius = 0
    mixed = eqx.tree_at(
        lambda tree: tree.galaxies.lens.mass.einstein_radius,
        instance,
        jnp.array([1.0, 2.0]),
    )
    radii = jax.vmap(
        lambda tree: tree.galaxies.lens.mass.einstein_radius * 2.0, in_axes=(axes,)
    )(mixed)
    assert list(radii) == [2.0, 4.0]


def test_eval_shape_gives_an_outline(instance):
    outline = jax.eval_shape(lambda tree: tree, instance)
    assert outline.galaxies.lens.mass.einstein_radius.dtype == jnp.float64


@pytest.mark.parametrize("default", [None, 0.0, "kind"])
def test_default_of_a_class_is_still_there_after_a_batch(default):
    class Kind:
        kind = default

        def __init__(self, slope=1.0):
            self.slope = slope
            if slope > 0.0:
                self.kind = f"kind of {slope}"

    model = af.Model(Kind, slope=af.UniformPrior(0.0, 5.0))
    made = jax.tree.map(lambda leaf: jnp.ones(3), model.instance_from_vector([1.0]))
    with pytest.raises(AttributeError, match="Kind has no kind: it is an outline"):
        _ = made.kind
    assert (Kind(0.0).kind, Kind.kind, Kind(2.0).kind) == (
        default,
        default,
        "kind of 2.0",
    )


def test_integer_beside_numbers_is_a_number(instance):
    radius = eqx.tree_at(lambda i: i.galaxies.lens.mass.einstein_radius, instance, 2)
    assert radius.galaxies.lens.mass.slope == 2.0
    assert tree_leaves(radius)[8] == 2.0
    assert type(tree_leaves(radius)[8]) is np.float64
    assert jax.grad(lambda i: i.galaxies.lens.mass.einstein_radius**2)(
        radius
    ).galaxies.lens.mass.einstein_radius == pytest.approx(4.0)


def test_edit_of_an_outline_in_place_is_of_that_outline_only():
    model = af.Collection(x=af.UniformPrior(0.0, 1.0))
    model.table = np.ones(2)
    batches = [
        jax.tree.map(lambda leaf: jnp.ones(3), model.instance_from_vector([0.5]))
        for _ in range(2)
    ]
    batches[0].table[0] = 5.0
    assert list(batches[1].table) == [1.0, 1.0]
    assert list(model.instance_from_vector([0.5]).table) == [1.0, 1.0]


@pytest.mark.parametrize("by_model", [True, False], ids=["model", "by hand"])
def test_derived_attribute_set_on_a_batch_is_an_error_naming_it(by_model):
    arguments = {"redshift_object": 0.5, "redshift_source": 1.0}
    halo = al.mp.NFWMCRLudlowSph(mass_at_200=1e11, **arguments)
    if by_model:
        halo = af.Model(
            al.mp.NFWMCRLudlowSph,
            centre=(0.0, 0.0),
            mass_at_200=af.LogUniformPrior(1e8, 1e13),
            **arguments,
        ).instance_from_vector([1e11])
    made = jax.tree.map(lambda leaf: jnp.full(2, leaf), halo)
    made.scale_radius = jnp.array([2.0, 3.0])
    with pytest.raises(ValueError, match=r"(?s)NFWMCRLudlowSph holds scale_radius"):
        tree_leaves(made)
