"""
The members of a batch as rows of numbers.

A batch goes to the devices as one array for each dtype, with one row a member, rather
than as one array for each leaf: moving an array has a cost of its own, whatever its size.
"""

import math

import jax
import numpy as np


class Members:
    """
    What the members of a batch look like: the structure, and the shape and dtype of
    each leaf.

    Parameters
    ----------
    structure
        The structure of the batch.
    shapes
        The shape of each leaf in one member.
    dtypes
        The dtype of each leaf.
    """

    def __init__(self, structure, shapes, dtypes):
        self.structure = structure
        self.shapes = tuple(map(tuple, shapes))
        self.dtypes = tuple(map(np.dtype, dtypes))
        self.sizes = tuple(math.prod(shape) for shape in self.shapes)
        #: The positions of the leaves of each dtype.
        self.positions = {
            dtype: [i for i, other in enumerate(self.dtypes) if other == dtype]
            for dtype in dict.fromkeys(self.dtypes)
        }
        #: The length of a row of each dtype.
        self.lengths = {
            dtype: sum(self.sizes[i] for i in positions)
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
        return [
            xp.concatenate(
                [xp.reshape(leaves[i], (*axis, self.sizes[i])) for i in positions],
                axis=-1,
            )
            for dtype, positions in self.positions.items()
        ]

    def tree_from(self, rows, axis: tuple = ()):
        """The batch, or the one member, that was made rows of."""
        leaves = [None] * len(self.shapes)
        for row, positions in zip(rows, self.positions.values(), strict=True):
            start = 0
            for i in positions:
                stop = start + self.sizes[i]
                leaves[i] = row[..., start:stop].reshape((*axis, *self.shapes[i]))
                start = stop
        return jax.tree.unflatten(self.structure, leaves)
