"""
The members of a batch as rows of numbers.

A batch goes to the devices as one array for each dtype, with one row a member, rather
than as one array for each leaf: moving an array has a cost of its own, whatever its size.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import float0

from autofit_patch.batch._leaves import data_from, is_key
from autofit_patch.batch._names import name_from


def kind_from(leaf, axes: int = 0) -> tuple:
    """
    What a leaf is in one member: the shape and the dtype of its numbers and, if they are
    a key of random numbers, the implementation of that.

    Parameters
    ----------
    leaf
        An array, or an array of keys.
    axes
        How many axes in front belong to the batch.
    """
    implementation = None
    if is_key(leaf):
        implementation = jax.random.key_impl(leaf)
        leaf = data_from(leaf)
    return leaf.shape[axes:], np.dtype(leaf.dtype), implementation


def output_from(leaf, path):
    """A leaf of what a function returns, as JAX has it."""
    try:
        dtype = jax.typeof(leaf).dtype
    except TypeError as error:
        raise TypeError(
            f"the function that batch.map was given returned {leaf!r} for "
            f"{name_from(path) or 'its value'}, and not a number or an array of numbers"
        ) from error
    # Gradients of integers stay NumPy's, since JAX has no such arrays.
    return leaf if dtype == float0 else jnp.asarray(leaf)


class Members:
    """
    What the members of a batch look like: the structure, and the kind of each leaf.

    Parameters
    ----------
    structure
        The structure of the batch.
    kinds
        What each leaf is, see :func:`kind_from`.
    """

    def __init__(self, structure, kinds):
        self.structure = structure
        self.kinds = tuple(kinds)
        self.sizes = tuple(math.prod(shape) for shape, _, _ in self.kinds)
        #: The positions of the leaves of each dtype. There are no numbers of ``float0``,
        #: of which gradients of integers are.
        self.positions = {
            dtype: [i for i, (_, other, _) in enumerate(self.kinds) if other == dtype]
            for dtype in dict.fromkeys(dtype for _, dtype, _ in self.kinds)
            if dtype != float0
        } or {np.dtype(np.uint8): []}
        #: The length of a row of each dtype. XLA cannot share out arrays without any
        #: numbers, and there is nothing to wait for without one: a row has one at least.
        self.lengths = {
            dtype: max(1, sum(self.sizes[i] for i in positions))
            for dtype, positions in self.positions.items()
        }

    @property
    def bytes(self) -> int:
        """The size of one member in memory."""
        return sum(dtype.itemsize * length for dtype, length in self.lengths.items())

    def rows_from(self, leaves, axis: tuple = (), xp=np) -> list:
        """
        The leaves as rows, one array a dtype.

        Parameters
        ----------
        leaves
            Of a batch, with the axis in front of each leaf's shape, or of one member.
        axis
            The shape of the batch: ``(n,)``, or nothing for one member.
        xp
            NumPy, or JAX's where the leaves are being traced.
        """
        rows = []
        for dtype, positions in self.positions.items():
            parts = [
                xp.reshape(data_from(leaves[i]), (*axis, self.sizes[i]))
                for i in positions
            ]
            if not any(self.sizes[i] for i in positions):
                parts.append(xp.zeros((*axis, 1), dtype))
            rows.append(xp.concatenate(parts, axis=-1))
        return rows

    def tree_from(self, rows, axis: tuple = ()):
        """The batch, or the one member, that was made rows of."""
        leaves = [
            np.zeros((*axis, *shape), float0) if dtype == float0 else None
            for shape, dtype, _ in self.kinds
        ]
        for row, positions in zip(rows, self.positions.values(), strict=True):
            start = 0
            for i in positions:
                stop = start + self.sizes[i]
                shape, _, implementation = self.kinds[i]
                leaves[i] = row[..., start:stop].reshape((*axis, *shape))
                if implementation is not None:
                    leaves[i] = jax.random.wrap_key_data(leaves[i], impl=implementation)
                start = stop
        return jax.tree.unflatten(self.structure, leaves)
