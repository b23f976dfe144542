"""Log densities and their gradients at many points at once."""

from collections.abc import Callable

import jax
import numpy as np

from autofit_patch import batch


def rows_from(points) -> np.ndarray:
    """
    The leaves of a point, of shape (leaves,), or of a batch, a row for each point.
    """
    return np.stack([np.asarray(leaf) for leaf in jax.tree.leaves(points)], axis=-1)


def points_from(structure, rows):
    """The point of which these are the leaves, or the batch of points."""
    return jax.tree.unflatten(structure, [rows[..., i] for i in range(rows.shape[-1])])


class Evaluator:
    """
    A log density and its gradient at many points, on every core or device.

    Inside, a point is a row of an array, whose columns are the leaves of an instance.

    Parameters
    ----------
    log_density
        A function of a point.
    structure
        The structure of points.

    Attributes
    ----------
    total
        How many gradients were computed so far.
    """

    def __init__(self, log_density: Callable, structure):
        self.log_density = log_density
        self.structure = structure
        self.total = 0
        self._evaluate = batch.map(
            jax.value_and_grad(log_density), width=members_at_once(), progress=False
        )

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        The log densities, of shape (total,), and their gradients, of shape (total,
        leaves). Where either is no finite number they are minus infinity and zero.
        """
        values, gradients = self._evaluate(points_from(self.structure, rows))
        self.total += len(rows)
        values, gradients = np.array(values), rows_from(gradients)
        finite = np.isfinite(values) & np.isfinite(gradients).all(axis=1)
        values[~finite], gradients[~finite] = -np.inf, 0.0
        return values, gradients


def members_at_once(total: int = 64) -> int:
    """
    How many points a device evaluates as one vectorised operation, of as many as there
    are. (One that is chosen by what is measured would make rounding errors, and with them
    draws, depend on the load.)
    """
    return 1 if jax.default_backend() == "cpu" else total
