"""Moving numbers to other places, and gradients back, by gathers."""

import jax
import numpy as np


def permuted(values, order: np.ndarray):
    """
    Values in another order, ``values[order]``.

    The transpose of a gather is a scatter, which is slow on a CPU. A permutation is undone
    by another one, so its transpose is a gather too; JAX takes that from this solve, and
    it holds for derivatives of both modes and for batches.

    Parameters
    ----------
    values
        An array of shape (n,).
    order
        A permutation of ``range(n)``.
    """
    inverse = np.argsort(order)
    return jax.lax.custom_linear_solve(
        lambda moved: gathered(moved, inverse),
        values,
        solve=lambda _, values: gathered(values, order),
        transpose_solve=lambda _, moved: gathered(moved, inverse),
    )


def gathered(values, order: np.ndarray):
    return values.at[order].get(unique_indices=True, mode="promise_in_bounds")
