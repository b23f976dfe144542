"""Likelihoods of instances: under JAX the same as with NumPy."""

import threading

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import VECTOR, lens_model_from
from jax.tree_util import keystr, tree_flatten_with_path, tree_leaves, tree_map

#: Central differences of a likelihood of about -6e4 with this step are good to 1e-5.
STEP = 1e-6


@pytest.fixture(scope="module")
def analysis(dataset):
    return al.AnalysisImaging(dataset=dataset, use_jax=True)


@pytest.fixture(scope="module")
def reference(dataset):
    """The NumPy likelihood of a parameter vector."""
    analysis = al.AnalysisImaging(dataset=dataset, use_jax=False)

    def log_likelihood_from(model, vector):
        return analysis.log_likelihood_function(model.instance_from_vector(vector))

    return log_likelihood_from


def test_jitted_likelihood_takes_instances_and_compiles_once(model, analysis, reference):
    likelihood = jax.jit(analysis.log_likelihood_function)
    for k in range(4):
        vector = VECTOR * (1.0 + 0.003 * k)
        found = likelihood(model.instance_from_vector(vector))
        assert found == pytest.approx(reference(model, vector), rel=1e-8)
    assert likelihood._cache_size() == 1


def test_every_member_of_a_vmapped_batch_is_its_own_likelihood(
    model, analysis, reference
):
    vectors = [VECTOR * (1.0 + 0.003 * k) for k in range(3)]
    instances = map(model.instance_from_vector, vectors)
    batch = tree_map(lambda *leaves: jnp.stack(leaves), *instances)
    found = jax.jit(jax.vmap(analysis.log_likelihood_function))(batch)
    expected = [reference(model, vector) for vector in vectors]
    assert len(set(expected)) == 3
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_broadcast_instance_is_a_batch(model, analysis, reference, instance):
    batch = tree_map(lambda leaf: jnp.broadcast_to(leaf, (2, *jnp.shape(leaf))), instance)
    found = jax.jit(jax.vmap(analysis.log_likelihood_function))(batch)
    np.testing.assert_allclose(found, reference(model, VECTOR), rtol=1e-8)


def test_gradient_by_name_is_the_finite_difference(model, analysis, reference, instance):
    gradient = jax.jit(jax.grad(analysis.log_likelihood_function))(instance)
    slopes = {keystr(path): leaf for path, leaf in tree_flatten_with_path(gradient)[0]}
    for index, path in enumerate(model.unique_prior_paths):
        above, below = VECTOR.copy(), VECTOR.copy()
        above[index] += STEP
        below[index] -= STEP
        expected = (reference(model, above) - reference(model, below)) / (2 * STEP)
        assert slopes["." + ".".join(path)] == pytest.approx(expected, rel=1e-3)


def test_jitted_fit_has_the_figures_of_the_numpy_fit(dataset, analysis, instance):
    fit = jax.jit(analysis.fit_from)(instance)
    expected = al.AnalysisImaging(dataset=dataset, use_jax=False).fit_from(instance)
    assert type(fit) is al.FitImaging
    for name in ("log_likelihood", "chi_squared", "noise_normalization"):
        assert getattr(fit, name) == pytest.approx(getattr(expected, name), rel=1e-8)
    for name in ("model_data", "residual_map", "normalized_residual_map"):
        np.testing.assert_allclose(
            np.array(getattr(fit, name).array),
            np.array(getattr(expected, name).array),
            rtol=1e-6,
            atol=1e-8,
        )
    assert type(fit.tracer) is al.Tracer
    assert fit.tracer.galaxies[0].mass.einstein_radius == 1.6


def test_jitted_fit_of_a_pixelized_source(dataset, analysis):
    pixelization = af.Model(
        al.Pixelization,
        mesh=al.mesh.RectangularUniform(shape=(5, 5)),
        regularization=al.reg.Constant,
    )
    model = af.Collection(
        galaxies=af.Collection(
            lens=af.Model(al.Galaxy, redshift=0.5, mass=al.mp.Isothermal),
            source=af.Model(al.Galaxy, redshift=1.0, pixelization=pixelization),
        )
    )
    instance = model.instance_from_prior_medians()
    fit = jax.jit(analysis.fit_from)(instance)
    expected = al.AnalysisImaging(dataset=dataset, use_jax=False).fit_from(instance)
    assert fit.figure_of_merit == pytest.approx(expected.figure_of_merit, rel=1e-6)


def test_two_threads_flatten_at_once():
    """
    Each thread makes, flattens, edits and rebuilds instances of the same model.

    The model is frozen, as in a search: PyAutoFit's unfrozen models are not made for two
    threads, with or without the patch.
    """
    model = lens_model_from()
    model.freeze()
    model.instance_from_vector(VECTOR)
    failures = []
    start = threading.Barrier(2)

    def work(offset):
        try:
            start.wait()
            for k in range(200):
                vector = VECTOR + 1e-4 * (k + offset)
                instance = model.instance_from_vector(vector)
                assert tree_leaves(instance) == list(vector)
                rebuilt = tree_map(lambda leaf: leaf, instance)
                assert tree_leaves(rebuilt) == list(vector)
                instance.galaxies.lens.mass.einstein_radius = float(k)
                assert tree_leaves(instance)[8] == k
        except Exception as error:  # raised again by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
