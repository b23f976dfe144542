"""A function of positions, on a CPU of few at once, as derivatives stay in its cache."""

from collections.abc import Callable

import autoarray as aa
import jax.numpy as jnp

from autogalaxy_patch.together._evaluate import (
    array_of,
    one_after_another,
    over_rows,
    with_array,
)
from autogalaxy_patch.together._once import split

#: Of how many positions a core of a CPU evaluates a function at once.
POSITIONS_AT_ONCE = 2**15


def by_position(function: Callable, grid):
    """
    The vectors that a function has at the positions of a grid.

    A derivative keeps what was computed at each position, or computes it again; either
    for all positions of an over-sampled grid does not fit the cache of a CPU.

    Parameters
    ----------
    function
        A function of a grid, which returns a vector for each of its positions that
        depends on that position alone.
    grid
        The positions. Another grid than ``autoarray.Grid2DIrregular``, which sub-pixels
        are in, is evaluated as a whole.

    Returns
    -------
    What the function returns for the grid.
    """
    total = len(grid.array)
    if (
        type(grid) is not aa.Grid2DIrregular
        or total <= POSITIONS_AT_ONCE
        or not one_after_another()
    ):
        return function(grid)
    positions = jnp.asarray(grid.array)
    # Parts of one length, as many in each half; the last position fills the last of them.
    parts = 2 * -(-total // (2 * POSITIONS_AT_ONCE))
    each = -(-total // parts)
    missing = jnp.broadcast_to(positions[-1], (parts * each - total, 2))
    in_parts = jnp.concatenate([positions, missing]).reshape(parts, each, 2)
    returned = []

    def of_a_part(part):
        result = function(aa.Grid2DIrregular(values=part))
        returned.append(with_array(result, None))
        if hasattr(result, "grid"):
            returned[-1].grid = None  # that of the part ends with its trace
        return array_of(result)

    try:
        row = split(of_a_part, in_parts)
    except Exception:
        # A class that needs the numbers of the grid. What is wrong otherwise, the
        # evaluation as a whole will say.
        return function(grid)
    vectors = with_array(
        returned[-1], over_rows(row, (in_parts,), 1).reshape(-1, 2)[:total]
    )
    if hasattr(vectors, "grid"):
        vectors.grid = grid
    return vectors
