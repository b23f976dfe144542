"""The curvature together: the libraries' own, with half of its derivative's work."""

import autoarray as aa
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autoarray.inversion.inversion import inversion_util
from conftest import together_and_plain

import autolens_patch
from autofit_patch.libraries._jaxpr import equations_in

PIXELS, COLUMNS = 30, 4
rng = np.random.default_rng(1)
MATRIX = rng.normal(size=(PIXELS, COLUMNS))
NOISE = rng.uniform(0.5, 1.5, PIXELS)
WEIGHTS = rng.normal(size=(COLUMNS, COLUMNS))


def curvature(matrix, noise=NOISE, xp=jnp, **settings):
    return inversion_util.curvature_matrix_via_mapping_matrix_from(
        mapping_matrix=matrix,
        noise_map=noise,
        add_to_curvature_diag=True,
        no_regularization_index_list=[1],
        settings=aa.Settings(
            **{"no_regularization_add_to_curvature_diag_value": 0.5, **settings}
        ),
        xp=xp,
    )


def weighted(matrix):
    """A sum of entries whose weights are not symmetric."""
    return (curvature(matrix) * WEIGHTS).sum()


def products_in(function, *arguments) -> int:
    """How many products as large as the matrix a function takes."""
    traced = jax.make_jaxpr(function)(*arguments)
    return sum(
        equation.primitive.name == "dot_general"
        and equation.outvars[0].aval.size == PIXELS * COLUMNS
        for equation in equations_in(traced.eqns)
    )


def test_curvature_is_that_of_the_libraries_and_of_numpy():
    together, plain = together_and_plain(curvature, MATRIX)
    np.testing.assert_array_equal(together, plain)
    np.testing.assert_allclose(together, curvature(MATRIX, xp=np), rtol=1e-13)


@pytest.mark.parametrize(
    "derivative", [jax.jacfwd, jax.jacrev, jax.hessian], ids=lambda f: f.__name__
)
def test_derivatives_are_those_of_the_libraries(derivative):
    of = curvature if derivative is not jax.hessian else weighted
    together, plain = together_and_plain(derivative(of), MATRIX)
    assert np.abs(plain).max() > 0.0
    np.testing.assert_allclose(together, plain, rtol=1e-12, atol=1e-13)


def test_gradients_of_many_matrices_are_those_of_the_libraries():
    matrices = jnp.stack([MATRIX, 2.0 * MATRIX])
    together, plain = together_and_plain(jax.vmap(jax.grad(weighted)), matrices)
    np.testing.assert_allclose(together, plain, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("within", [jax.jit, jax.checkpoint], ids=lambda f: f.__name__)
@pytest.mark.parametrize("derivative", [jax.grad, jax.hessian], ids=lambda f: f.__name__)
def test_derivatives_of_what_was_traced_are_those_of_the_libraries(derivative, within):
    found = []
    for on in (True, False):
        with autolens_patch.evaluate_together(on):
            found.append(derivative(within(lambda matrix: weighted(matrix)))(MATRIX))
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-13)


def test_gradient_through_a_loop_is_that_of_the_libraries():
    def total(matrix):
        steps = jnp.array([1.0, 2.0])
        return jax.lax.scan(
            lambda sum, s: (sum + weighted(s * matrix), None), 0.0, steps
        )[0]

    together, plain = together_and_plain(jax.grad(total), MATRIX)
    np.testing.assert_allclose(together, plain, rtol=1e-12, atol=1e-13)


def test_gradient_takes_one_product_instead_of_two():
    found = []
    for on in (True, False):
        with autolens_patch.evaluate_together(on):
            found.append(products_in(jax.grad(weighted), MATRIX))
    assert found == [1, 2]


def test_gradient_by_noise_that_is_traced_is_that_of_the_libraries():
    together, plain = together_and_plain(
        jax.grad(lambda noise: (curvature(MATRIX, noise) * WEIGHTS).sum()), NOISE
    )
    assert np.abs(plain).min() > 0.0
    np.testing.assert_allclose(together, plain, rtol=1e-12)


def test_gradient_by_a_setting_that_is_traced_is_that_of_the_libraries():
    name = "no_regularization_add_to_curvature_diag_value"
    together, plain = together_and_plain(
        jax.grad(lambda value: curvature(MATRIX, **{name: value}).sum()), 0.5
    )
    assert together == plain == 1.0


def test_single_precision_is_the_libraries_own():
    matrix = MATRIX.astype("float32")
    together, plain = together_and_plain(jax.grad(weighted), matrix)
    np.testing.assert_array_equal(together, plain)


def test_mixed_precision_is_the_libraries_own():
    of = jax.grad(
        lambda matrix: (curvature(matrix, use_mixed_precision=True) * WEIGHTS).sum()
    )
    together, plain = together_and_plain(of, MATRIX)
    np.testing.assert_array_equal(together, plain)
