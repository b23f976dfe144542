"""
Likelihoods evaluated together and one by one: the same numbers, and less to compile.
"""

import functools

import autogalaxy as ag
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from autofit.non_linear.fitness import Fitness
from fit_cases import CASES, galaxy_image_fit

import autolens_patch
from autofit_patch import batch
from autogalaxy_patch.together import _convolution, _evaluate, _once


def likelihood_of(case):
    analysis = case.analysis_from(use_jax=True)
    return lambda instance: analysis.log_likelihood_function(instance)


def values_and_gradients(function, instance) -> list:
    """One by one, and together."""
    results = []
    for on in (False, True):
        with autolens_patch.evaluate_together(on):
            value, gradient = jax.jit(jax.value_and_grad(function))(instance)
            results.append((float(value), np.array(jax.tree.leaves(gradient))))
    return results


def test_likelihood_and_gradient_are_the_same():
    case = CASES["visibilities, linear light"]()
    plain, together = values_and_gradients(likelihood_of(case), case.instance_from())
    assert together[0] == pytest.approx(plain[0], rel=1e-12)
    scale = np.abs(plain[1]).max()
    np.testing.assert_allclose(together[1], plain[1], rtol=1e-10, atol=1e-12 * scale)


def lines_of(total_gaussians: int) -> int:
    """The length of the program of a likelihood."""
    bulge = al.model_util.mge_model_from(mask_radius=1.0, total_gaussians=total_gaussians)
    case = galaxy_image_fit(bulge=bulge)
    program = jax.jit(likelihood_of(case)).lower(case.instance_from())
    return len(program.as_text().splitlines())


def test_what_is_compiled_does_not_grow_with_the_number_of_gaussians():
    assert lines_of(8) > 1.5 * lines_of(4)
    with autolens_patch.evaluate_together():
        assert lines_of(8) < 1.1 * lines_of(4)


def test_batch_has_a_member_on_each_core_and_no_halves_for_two(monkeypatch):
    monkeypatch.setattr(_evaluate, "at_once_from", lambda bytes_of_a_row: 1)
    case = galaxy_image_fit(
        bulge=al.model_util.mge_model_from(mask_radius=1.0, total_gaussians=4)
    )
    likelihood, instance = likelihood_of(case), case.instance_from()
    loops = []

    def counted(instance):
        program = str(jax.make_jaxpr(likelihood)(instance))
        loops.append(program.count("scan["))
        return likelihood(instance)

    with autolens_patch.evaluate_together():
        value = jax.jit(counted)(instance)
        of_a_batch = batch.map(counted)(batch.stack([instance]))
    assert loops[0] == 2 * loops[1] > 0
    np.testing.assert_allclose(of_a_batch, value, rtol=1e-12)


def test_size_of_a_row_is_that_of_the_largest_array_also_in_what_it_calls():
    outer = jax.jit(lambda x: (x[:, None] * jnp.ones(400)).sum(axis=1))
    row = _once.split(lambda x: outer(x) + 1.0, np.ones((3, 50)))
    assert row.bytes == 50 * 400 * 8


def test_switching_it_traces_again():
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


def ten_at_once(function, rows):
    return _evaluate.over_rows(function, rows, at_once=10)


@pytest.mark.parametrize("rows", [2, 3, 11, 21, 24, 46])
def test_rows_are_evaluated_in_their_order_however_many_there_are(rows):
    arrays = tuple(np.random.default_rng(1).uniform(size=(2, rows, 4)))

    def products(evaluated, arrays):
        return evaluated(lambda one, other: jnp.sin(one) * other[::-1], arrays)

    for derivative in (lambda f: f, jax.jacobian):
        found, expected = (
            jax.jit(derivative(functools.partial(products, evaluated)))(arrays)
            for evaluated in (ten_at_once, lambda f, rows: jax.vmap(f)(*rows))
        )
        for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-14, atol=1e-15)


SHAPE = {"shape_native": (13, 11), "pixel_scales": 0.3}

#: Masks in the middle of the frame, at its edge, in two of its corners, and without end.
MASKS = {
    "middle": al.Mask2D.circular(radius=0.7, **SHAPE),
    "edge": al.Mask2D.circular(radius=0.7, centre=(-1.2, 0.9), **SHAPE),
    "corners": al.Mask2D(
        ~np.pad(np.eye(2, dtype=bool).repeat(2, 0).repeat(2, 1), ((4, 5), (3, 4))),
        pixel_scales=0.3,
    ),
    "frame": al.Mask2D.all_false(shape_native=(5, 4), pixel_scales=0.3),
}


def convolved_directly(kernel, image, around, state):
    """An image convolved pixel by pixel: nothing wraps around."""
    lit = np.zeros(state.mask.shape_native)
    lit[state.mask.slim_to_native_tuple] = image
    lit[state.blurring_mask.slim_to_native_tuple] = around
    centre = [(length - 1) // 2 for length in kernel.shape]
    convolved = scipy.signal.convolve2d(lit, kernel)
    convolved = convolved[centre[0] :, centre[1] :]
    return convolved[state.mask.slim_to_native_tuple]


@pytest.mark.parametrize(
    ("size", "mask"),
    [
        *(((3, 3), mask) for mask in MASKS),
        *((size, "edge") for size in ((5, 3), (4, 4), (2, 5), (4, 7), (1, 1))),
        *((size, "frame") for size in ((2, 4), (5, 7))),
    ],
)
def test_blurred_images_and_their_derivatives_are_those_of_the_libraries(size, mask):
    random, mask = np.random.default_rng(1), MASKS[mask]
    kernel = random.uniform(size=size)
    psf = al.Convolver(kernel=al.Array2D.no_mask(kernel, pixel_scales=0.3), use_fft=True)
    state = psf.state_from(mask=mask)
    pixels = mask.pixels_in_mask
    around = state.blurring_mask.pixels_in_mask
    arguments = random.uniform(size=pixels), random.uniform(size=around)
    tangents = random.uniform(size=pixels), random.uniform(size=around)
    weights = random.uniform(size=pixels)

    def blurred(image, around):
        return psf.convolved_image_from(
            image=al.Array2D(values=image, mask=mask),
            blurring_image=al.Array2D(values=around, mask=state.blurring_mask),
            xp=jnp,
        ).array

    def derivatives(arguments, tangents, weights):
        values, back = jax.vjp(blurred, *arguments)
        return [values, jax.jvp(blurred, arguments, tangents)[1], *back(weights)]

    results = []
    for on in (False, True):
        with autolens_patch.evaluate_together(on):
            results.append(jax.jit(derivatives)(arguments, tangents, weights))
            # Images that are known are blurred at once.
            results[-1].append(blurred(*arguments))
            assert isinstance(results[-1][-1], jax.Array)
    for found, plain in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(found, plain, rtol=1e-12, atol=1e-12)
    if size == (1, 1):
        return  # the libraries' image is shifted
    for found, (image, light) in zip(results[1], (arguments, tangents), strict=False):
        expected = convolved_directly(kernel, image, light, state)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    frame = _convolution.frame_from(psf, mask)
    assert np.prod(frame.shape) <= np.prod(state.fft_shape)


def test_searches_get_the_same_likelihoods():
    case = galaxy_image_fit(bulge=ag.lp.Sersic, disk=ag.lp.Sersic)
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
