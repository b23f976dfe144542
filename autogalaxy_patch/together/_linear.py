"""Linear maps whose transposes are as fast as they are, and a product of two."""

from collections.abc import Callable

import jax
import numpy as np


def linear_map(forward: Callable, transpose: Callable, values):
    """
    A linear map of an array onto one of the same shape, whose transpose is known.

    ``jax.custom_vjp`` would do, but for ``jax.jvp`` and ``jax.hessian``. What a linear
    solve knows of itself is just this, the solution and its transpose; the equation that
    it solves is never evaluated.

    Parameters
    ----------
    forward, transpose
        The map and its transpose.
    values
        What is mapped.
    """
    return jax.lax.custom_linear_solve(
        lambda mapped: mapped,
        values,
        solve=lambda _, values: forward(values),
        transpose_solve=lambda _, values: transpose(values),
    )


def permuted(values, order: np.ndarray):
    """
    Values in another order, ``values[order]``.

    The transpose of a gather is a scatter, which is slow on a CPU. That of a permutation
    is a gather too, by the inverse.

    Parameters
    ----------
    values
        An array of shape (n,).
    order
        A permutation of ``range(n)``.
    """
    inverse = np.argsort(order).astype(order.dtype)
    return linear_map(
        lambda values: gathered(values, order),
        lambda values: gathered(values, inverse),
        values,
    )


def gathered(values, order: np.ndarray):
    return values.at[order].get(unique_indices=True, mode="promise_in_bounds")


def curvature_from(function: Callable, matrix, noise):
    """
    The curvature of a linear system, ``(matrix / noise).T @ (matrix / noise)``, whose
    derivative takes one product of matrices: JAX takes two, one for each factor, which
    are each other's transposes.

    Parameters
    ----------
    function
        What computes it from the matrix, perhaps with a constant added.
    matrix
        Of shape (data, columns).
    noise
        That of the data, of shape (data,), which is known.
    """

    @jax.custom_jvp
    def curvature(matrix):
        return function(matrix)

    @curvature.defjvp
    def derivative(matrices, tangents):
        (matrix,), (tangent,) = matrices, tangents
        weighted, change = (each / noise[:, None] for each in (matrix, tangent))
        half = weighted.T @ change
        return curvature(matrix), half + half.T

    return curvature(matrix)
