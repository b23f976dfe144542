"""Nothing that the patch knows of an object keeps it alive."""

import copy
import gc
import pickle
import sys
import weakref

import autofit as af
import autogalaxy as ag
import autolens as al
import jax
import jax.numpy as jnp
import pytest
from conftest import json_from_python
from jax.tree_util import tree_leaves

#: Garbage is collected in each test.
pytestmark = pytest.mark.usefixtures("nothing_before")


class Line:
    def __init__(self, slope=1.0, intercept=0.0):
        self.slope = slope
        self.intercept = intercept

    def at(self, x):
        return self.slope * x + self.intercept


def prior():
    return af.UniformPrior(0.0, 5.0)


def line_model_from():
    return af.Collection(line=af.Model(Line, slope=prior(), intercept=prior()))


def flattened_instance(model=None):
    """An instance that JAX saw often enough to watch it for changes."""
    instance = (model or line_model_from()).instance_from_vector([1.0, 2.0])
    for _ in range(4):
        tree_leaves(instance)
    return instance


def frozen_model():
    model = line_model_from()
    model.freeze()
    assert model.paths and model.prior_count and model.unique_prior_paths
    instance = flattened_instance(model)
    tree_leaves(model.instance_from_vector([1.0, 3.0]))
    return model, instance, instance.line


def model_that_was_frozen_later():
    model = line_model_from()
    instance = flattened_instance(model)
    model.freeze()
    assert model.info and model.paths and model.prior_count
    return model, flattened_instance(model), instance


def model_without_a_prior():
    class Unconfigured:
        def __init__(self, unknown=1.0):
            self.unknown = unknown

    model = af.Collection(line=line_model_from().line, other=af.Model(Unconfigured))
    values = dict.fromkeys(model.priors, 1.0)
    instance = model.instance_for_arguments(values)
    return model, model.other, instance


def bound_method():
    instance = flattened_instance()
    instance.line.shortcut = instance.line.at
    instance._values = instance.values
    for _ in range(4):
        tree_leaves(instance)
    return instance, instance.line


def back_reference():
    instance = line_model_from().instance_from_vector([1.0, 2.0])
    instance.line._parent = instance
    for _ in range(4):
        tree_leaves(instance)
    return instance, instance.line


def back_reference_that_came_later():
    instance = flattened_instance()
    instance.line._parent = instance
    return instance, instance.line


def galaxy_of_a_model():
    model = af.Model(al.Galaxy, redshift=0.5, mass=al.mp.Isothermal)
    galaxy = model.instance_from_prior_medians()
    galaxy._shortcut = galaxy.deflections_yx_2d_from
    galaxy.mass._galaxy = galaxy
    for _ in range(4):
        tree_leaves(galaxy)
    return model, galaxy, galaxy.mass


def galaxies_and_what_jax_makes_of_them():
    galaxies = ag.Galaxies([al.Galaxy(redshift=0.5, mass=al.mp.Isothermal())])
    batch = jax.tree.map(lambda leaf: jnp.full(3, leaf), galaxies)
    nothing = jax.tree.map(lambda leaf: None, galaxies)
    out = jax.jit(lambda tree: tree)(galaxies)
    for tree in (galaxies, batch, nothing, out):
        tree_leaves(tree)
    return galaxies, galaxies[0], batch, nothing, out


def tracer_and_its_copies():
    galaxies = [al.Galaxy(redshift=0.5, mass=al.mp.Isothermal()), al.Galaxy(redshift=1.0)]
    tracer = al.Tracer(galaxies=galaxies)
    out = jax.jit(lambda tree: tree)(tracer)
    twins = [copy.copy(tracer), copy.deepcopy(tracer), pickle.loads(pickle.dumps(tracer))]
    for tree in (tracer, out, *twins):
        tree_leaves(tree)
    return tracer, tracer.galaxies[0], out, *twins


def mesh_that_does_not_keep_an_option():
    mesh = al.mesh.RectangularUniform(shape=(3, 3))
    mesh._self = mesh
    tree_leaves(mesh)
    return mesh, copy.copy(mesh)


def copies_of_an_instance():
    instance = flattened_instance()
    twins = [
        copy.copy(instance),
        copy.deepcopy(instance),
        pickle.loads(pickle.dumps(instance)),
    ]
    for twin in twins:
        tree_leaves(twin)
    return instance, *twins


def what_is_made_in_a_trace():
    model, made = line_model_from(), []

    @jax.jit
    def function(vector):
        instance = model.instance_from_vector(vector, xp=jnp)
        instance.line._parent = instance
        again = jax.tree.map(lambda leaf: leaf, instance)
        halo = al.mp.dPIEMassSph(sigma=100.0 * vector[0])
        made.extend([instance, again, copy.deepcopy(again), halo])
        return jax.tree.map(lambda leaf: leaf, halo).b0 + again.line.slope

    function(jnp.array([1.0, 2.0]))
    return model, *made


class Curve:
    """It derives what leads back to it."""

    def __init__(self, slope=1.0):
        self.slope = slope
        self.half = 0.5 * slope
        self.shortcut = self.at

    def at(self, x):
        return self.slope * x


def root_that_derives_a_bound_method():
    model = af.Model(Curve, slope=prior())
    curves = [model.instance_from_vector([slope]) for slope in (1.0, 2.0)]
    for curve in curves:
        for _ in range(4):
            tree_leaves(curve)
    return model, *curves


def edited_instance_and_its_batch():
    instance = flattened_instance()
    instance.line.new = Line()
    batch = jax.tree.map(lambda leaf: jnp.full(3, leaf), instance)
    for tree in (instance, batch, instance, batch):
        tree_leaves(tree)
    return instance, instance.line, batch


def model_as_a_pytree():
    model = line_model_from()
    return model, jax.tree.map(lambda leaf: leaf, model), jax.tree.map(str, model)


MAKERS = [
    frozen_model,
    model_that_was_frozen_later,
    model_without_a_prior,
    bound_method,
    back_reference,
    back_reference_that_came_later,
    galaxy_of_a_model,
    galaxies_and_what_jax_makes_of_them,
    tracer_and_its_copies,
    mesh_that_does_not_keep_an_option,
    copies_of_an_instance,
    what_is_made_in_a_trace,
    root_that_derives_a_bound_method,
    edited_instance_and_its_batch,
    model_as_a_pytree,
]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_weak_references_die(make):
    references = []
    for _ in range(20):
        references += [weakref.ref(obj) for obj in make()]
    gc.collect()
    alive = [reference() for reference in references if reference() is not None]
    assert alive == []


#: A program that prints how many bytes it grows by over 1,000 small fits.
FITS = """
    {first}
    import gc, json, os, resource
    import autofit as af, jax, psutil

    class Line:
        def __init__(self, slope=1.0, intercept=0.0):
            self.slope = slope
            self.intercept = intercept

    def fit():
        model = af.Collection(line=af.Model(
            Line, slope=af.UniformPrior(0.0, 5.0), intercept=af.UniformPrior(0.0, 5.0)))
        model.freeze()
        model.paths, model.unique_prior_paths, model.prior_count
        for index in range(3):
            instance = model.instance_from_vector([1.0 + index, 2.0])
            if {flattens}:
                jax.tree.leaves(instance), jax.tree.leaves(instance)

    def size():
        gc.collect()
        return psutil.Process().memory_info().rss

    for _ in range(300):
        fit()
    before = size()
    for _ in range(1000):
        fit()
    print(json.dumps(size() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="resident sizes are those of Linux")
def test_resident_size_is_flat_over_a_thousand_fits():
    grown = json_from_python(FITS.format(first="import autofit_patch", flattens=True))
    assert grown < 4e6  # 74e6 when frozen models were kept
