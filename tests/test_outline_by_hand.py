"""An outline of an object made by hand has the structure of the object (rules 3, 6)."""

import autofit as af
import autolens as al
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import tree_leaves, tree_map, tree_structure

MASS = al.mp.Isothermal(centre=(0.1, 0), ell_comps=(0.1, -0.1), einstein_radius=1.5)
GALAXY = al.Galaxy(redshift=0.5, mass=MASS, sheet=al.mp.MassSheet(kappa=0.1))
SOURCE = al.Galaxy(redshift=1.0, light=al.lp.Sersic())
TRACER = al.Tracer(galaxies=[GALAXY, SOURCE])


def edited_instance():
    """An instance that is an object made by hand: it was given one more number."""
    model = af.Collection(galaxies=af.Collection(lens=GALAXY))
    instance = model.instance_from_vector([])
    instance.offset = 0.25
    return instance


OBJECTS = {
    "profile": (MASS, lambda tree: tree),
    "galaxy": (GALAXY, lambda tree: tree.mass),
    "tracer": (TRACER, lambda tree: tree.galaxies[0].mass),
    "instance": (edited_instance(), lambda tree: tree.galaxies.lens.mass),
}
over_all_objects = pytest.mark.parametrize("obj, mass_of", OBJECTS.values(), ids=OBJECTS)


@over_all_objects
@pytest.mark.parametrize(
    "leaf",
    [object(), 0, True, "name", jax.ShapeDtypeStruct((), float), np.zeros(4)],
    ids=lambda leaf: type(leaf).__name__,
)
def test_any_leaf_comes_back_as_it_is(obj, mass_of, leaf):
    outline = tree_map(lambda _: leaf, obj)
    assert mass_of(outline).einstein_radius is leaf
    assert mass_of(outline).centre[0] is leaf
    assert mass_of(outline).centre[1] == 0
    assert all(item is leaf for item in tree_leaves(outline))
    assert tree_structure(outline) == tree_structure(obj)


@over_all_objects
def test_axes_of_a_batch_can_be_given_by_leaf(obj, mass_of):
    batch = tree_map(lambda leaf: jnp.stack([leaf, 2.0 * leaf]), obj)
    axes = tree_map(lambda _: 0, obj)
    radii = jax.vmap(lambda tree: mass_of(tree).einstein_radius, in_axes=(axes,))(batch)
    assert list(radii) == [1.5, 3.0]


@over_all_objects
def test_shapes_can_be_lowered(obj, mass_of):
    shapes = jax.eval_shape(lambda tree: tree, obj)
    function = jax.jit(lambda tree: mass_of(tree).einstein_radius ** 2)
    assert function.lower(shapes).compile()(obj) == 2.25


@over_all_objects
def test_leaves_can_be_set_apart_and_combined(obj, mass_of):
    parts = eqx.partition(obj, lambda leaf: leaf == 1.5)
    assert tree_leaves(parts[0]) == [1.5]
    combined = eqx.combine(*parts)
    assert tree_leaves(combined) == tree_leaves(obj)
    assert mass_of(combined).slope == 2.0  # derived by the constructor


@over_all_objects
def test_gradient_by_the_filtered_leaves(obj, mass_of):
    arrays = tree_map(jnp.asarray, obj)
    gradient = eqx.filter_grad(lambda tree: mass_of(tree).einstein_radius ** 2)(arrays)
    assert mass_of(gradient).einstein_radius == 3.0


def test_outline_that_was_edited_flattens_to_what_it_holds():
    batch = tree_map(lambda leaf: jnp.stack([leaf, leaf]), GALAXY)
    structure = tree_structure(batch)
    batch.mass.einstein_radius = jnp.ones(3)
    assert tree_structure(batch) == structure
    assert any(leaf.shape == (3,) for leaf in tree_leaves(batch))
    batch.redshift = 0.7
    assert tree_structure(batch) != structure
    assert tree_structure(tree_map(lambda leaf: leaf[0], batch)) != tree_structure(GALAXY)
    assert tree_map(lambda leaf: leaf[0], batch).redshift == 0.7
    other = tree_map(lambda leaf: jnp.stack([leaf, leaf]), GALAXY)
    other.extra = jnp.arange(2.0)
    assert len(tree_leaves(other)) == len(tree_leaves(GALAXY)) + 1
