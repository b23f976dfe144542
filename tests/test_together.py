"""
Likelihoods evaluated together and one by one: the same numbers, and less to compile.
"""

import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autofit.non_linear.fitness import Fitness
from fit_cases import CASES
from lens import VECTOR, imaging_from, lens_model_from

import autolens_patch
from autogalaxy_patch.together import _convolution


def likelihood_of(dataset, **settings):
    analysis = al.AnalysisImaging(dataset=dataset, use_jax=True, **settings)
    return lambda instance: analysis.log_likelihood_function(instance)


def values_and_gradients(function, instance) -> list:
    """One by one, and together."""
    results = []
    for on in (False, True):
        with autolens_patch.evaluate_together(on):
            value, gradient = jax.jit(jax.value_and_grad(function))(instance)
            results.append((float(value), np.array(jax.tree.leaves(gradient))))
    return results


@pytest.fixture(scope="module")
def dataset():
    return imaging_from()


def test_likelihood_and_gradient_are_the_same(dataset):
    instance = lens_model_from(3).instance_from_vector(list(VECTOR))
    plain, together = values_and_gradients(likelihood_of(dataset), instance)
    assert together[0] == pytest.approx(plain[0], rel=1e-12)
    np.testing.assert_allclose(together[1], plain[1], rtol=1e-10)


def lines_of(function, instance) -> int:
    return len(jax.jit(function).lower(instance).as_text().splitlines())


def test_what_is_compiled_does_not_grow_with_the_number_of_gaussians(dataset):
    likelihood = likelihood_of(dataset)
    few, many = (
        lens_model_from(total).instance_from_vector(list(VECTOR)) for total in (4, 8)
    )
    plain = lines_of(likelihood, many) / lines_of(likelihood, few)
    with autolens_patch.evaluate_together():
        together = lines_of(likelihood, many) / lines_of(likelihood, few)
    assert plain > 1.5
    assert together < 1.1


def test_switching_it_traces_again(dataset):
    traces = []

    @jax.jit
    def function(x):
        traces.append(x)
        return x

    function(1.0)
    with autolens_patch.evaluate_together():
        function(1.0)
        function(1.0)
        with autolens_patch.evaluate_together(False):
            function(1.0)
    function(1.0)
    assert len(traces) == 2


@pytest.mark.parametrize("size", [(3, 3), (5, 3), (4, 4), (2, 5), (4, 7)])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (1.5, -1.8)])
def test_blurred_images_are_those_of_the_libraries(size, centre):
    random = np.random.default_rng(1)
    psf = al.Convolver(
        kernel=al.Array2D.no_mask(random.uniform(size=size), pixel_scales=0.3),
        use_fft=True,
    )
    mask = al.Mask2D.circular(
        shape_native=(21, 19), pixel_scales=0.3, radius=0.9, centre=centre
    )
    state = psf.state_from(mask=mask)
    pixels = mask.pixels_in_mask
    blurring = state.blurring_mask.pixels_in_mask
    image, around = random.uniform(size=pixels), random.uniform(size=blurring)
    wrapped = (
        al.Array2D(values=jnp.array(image), mask=mask),
        al.Array2D(values=jnp.array(around), mask=state.blurring_mask),
    )

    def blurred(image, around):
        return psf.convolved_image_from(
            image=al.Array2D(values=image, mask=mask),
            blurring_image=al.Array2D(values=around, mask=state.blurring_mask),
            xp=jnp,
        ).array

    expected = np.asarray(psf.convolved_image_from(*wrapped, xp=jnp).array)
    tangents = (random.uniform(size=pixels), random.uniform(size=blurring))
    weights = random.uniform(size=pixels)
    results = []
    for on in (False, True):
        with autolens_patch.evaluate_together(on):
            values, back = jax.vjp(blurred, jnp.array(image), jnp.array(around))
            _, forward = jax.jvp(blurred, (image, around), tangents)
            results.append([values, forward, *back(jnp.array(weights))])
    np.testing.assert_allclose(results[1][0], expected, rtol=1e-12, atol=1e-13)
    for found, plain in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(found, plain, rtol=1e-12, atol=1e-12)
    frame = _convolution.frame_from(psf, mask)
    assert np.prod(frame.shape) <= np.prod(state.fft_shape)


def test_searches_get_the_same_likelihoods():
    case = CASES["galaxy image, linear light"]()
    fitness = [
        Fitness(
            model=case.model,
            analysis=case.analysis_from(use_jax=True),
            paths=None,
            fom_is_log_likelihood=True,
            resample_figure_of_merit=-np.inf,
        )
        for _ in range(2)
    ]
    plain = float(fitness[0].call(case.vector))
    with autolens_patch.evaluate_together():
        assert float(fitness[1].call(case.vector)) == pytest.approx(plain, rel=1e-12)
