"""A component can have any name, also one that PyAutoFit keeps something else under."""

import copy
import pickle

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import keystr, tree_leaves, tree_leaves_with_path, tree_structure

from autofit_patch import batch

GRID = al.Grid2D.uniform(shape_native=(5, 5), pixel_scales=0.7)

#: Bookkeeping of some kinds of models.
OF_SOME_MODELS = ["shape", "indices", "parent_class", "true_argument_name", "item_number"]


def prior():
    return af.UniformPrior(0.0, 10.0)


def class_with(*names):
    """A class whose constructor keeps arguments with the given names."""

    code = f"def __init__(self, {', '.join(f'{name}=1.0' for name in names)}):\n"
    code += "".join(f"    self.{name} = {name}\n" for name in names)
    variables = {}
    exec(code, variables)
    return type("Odd", (), {"__init__": variables["__init__"]})


def names_of(tree):
    return [keystr(path) for path, _ in tree_leaves_with_path(tree)]


@pytest.mark.parametrize("name", OF_SOME_MODELS)
class TestModelWithAComponentNamed:
    def test_in_an_object_is_a_leaf_that_is_shared(self, name):
        cls, shared = class_with(name, "other"), prior()
        model = af.Model(cls, **{name: shared, "other": shared})
        instance = model.instance_from_vector([2.0])
        assert len(names_of(instance)) == 1
        gradient = jax.grad(lambda i: 3.0 * getattr(i, name) + 5.0 * i.other)(instance)
        assert gradient.other == 8.0

    def test_in_a_collection_is_a_leaf_that_is_shared(self, name):
        shared = prior()
        model = af.Collection(**{name: shared, "other": shared})
        instance = model.instance_from_vector([2.0])
        gradient = jax.grad(lambda i: 3.0 * getattr(i, name) + 5.0 * i.other)(instance)
        assert tree_leaves(gradient) == [8.0]

    def test_as_a_constant_tells_models_apart(self, name):
        cls = class_with(name, "free")

        def batch_of(constant):
            model = af.Model(cls, **{name: constant, "free": prior()})
            return batch.instances_from(model, [[1.0], [2.0]])

        assert tree_structure(batch_of(5.0)) != tree_structure(batch_of(7.0))
        for constant in (5.0, 7.0):
            values = batch.map(lambda i: jnp.asarray(getattr(i, name)))(
                batch_of(constant)
            )
            assert list(values) == [constant, constant]
            instance = batch.take(batch_of(constant), 0)
            gradient = jax.grad(lambda i: getattr(i, name) * i.free)(instance)
            assert gradient.free == constant

    def test_with_more_parameters_than_another_model(self, name):
        cls = class_with(name, "free")
        counts = []
        for component in (3.0, prior()):
            model = af.Model(cls, **{name: component, "free": prior()})
            instance = model.instance_from_prior_medians()
            counts.append(len(tree_leaves(instance)))
            assert tree_leaves(jax.jit(lambda i: i)(instance)) == tree_leaves(instance)
        assert counts == [1, 2]


@pytest.mark.parametrize("in_trace", [False, True])
def test_shapes_of_meshes_tell_models_apart(in_trace):
    found = []

    def size_of(instance):
        return instance.source.mesh.shape[0] * instance.source.regularization.coefficient

    for shape in ((5, 5), (7, 7)):
        model = af.Collection(
            source=af.Model(
                al.Pixelization,
                mesh=af.Model(al.mesh.RectangularUniform, shape=shape),
                regularization=al.reg.Constant,
            )
        )
        if in_trace:

            def figure(coefficient, model=model):
                instance = model.instance_from_vector([coefficient], xp=jnp)
                return size_of(jax.tree.map(lambda leaf: leaf, instance))

            found.append(float(jax.jit(jax.grad(figure))(2.0)))
        else:
            instance = model.instance_from_vector([2.0])
            found.append(
                float(jax.grad(size_of)(instance).source.regularization.coefficient)
            )
    assert found == [5.0, 7.0]


ODD_KEYWORDS = ["label", "id", "_disk", "__disk", "item_number", "_label", "cls", "dict"]

WAYS = {
    "jit": jax.jit(lambda galaxy: galaxy),
    "map": lambda galaxy: jax.tree.map(lambda leaf: leaf, galaxy),
    "copy": copy.copy,
    "deep copy and jit": lambda galaxy: jax.jit(lambda g: g)(copy.deepcopy(galaxy)),
    "pickle and jit": lambda galaxy: jax.jit(lambda g: g)(
        pickle.loads(pickle.dumps(galaxy))
    ),
}


@pytest.mark.parametrize("name", ODD_KEYWORDS)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_galaxy_made_by_hand_keeps_a_profile_with_an_odd_name(name, way):
    galaxy = al.Galaxy(redshift=0.5, **{name: al.mp.IsothermalSph(einstein_radius=1.2)})
    expected = np.array(galaxy.deflections_yx_2d_from(grid=GRID))
    assert np.abs(expected).max() > 1.0
    found = np.array(way(galaxy).deflections_yx_2d_from(grid=GRID))
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert len(tree_leaves(galaxy)) == 3


def test_reference_back_to_a_galaxy_is_no_part_of_a_profile():
    galaxy = al.Galaxy(redshift=0.5, mass=al.mp.IsothermalSph())
    galaxy.mass._galaxy = galaxy
    assert len(tree_leaves(galaxy)) == 3
    assert jax.jit(lambda g: g.mass.einstein_radius)(galaxy) == 1.0
