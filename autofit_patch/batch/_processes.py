"""
Sharing a batch out over the processes of ``jax.distributed``.
"""

import zlib

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather

#: How many rows are gathered at once: JAX compiles a gathering for each shape.
ROWS_PER_GATHERING = 4096


def evaluate(rows: list, function) -> list:
    """
    The values of a batch that every process has, of which each evaluates its share.

    Parameters
    ----------
    rows
        The members: one array of shape (n, length of a row) a dtype.
    function
        Evaluates rows of members in this process.

    Raises
    ------
    ValueError
        If the processes were given different batches.
    RuntimeError
        If evaluating failed in another process, or one was lost.
    """
    require_same_batch(rows)
    count = len(rows[0])
    each = -(-count // jax.process_count())
    first = min(count, jax.process_index() * each)
    share = slice(first, min(count, first + each))
    values = together(lambda: function([array[share] for array in rows]))
    return [gathered(array, each, count) for array in values]


def together(function):
    """
    What a function returns in this process, once it has returned in all of them.

    Raises
    ------
    RuntimeError
        If it raised an error in another process. All processes come by here, whatever
        happened to them, so that none waits for one that has failed.
    """
    error = result = None
    try:
        result = function()
    except Exception as raised:
        error = raised
    failed = allgather(np.array(error is not None))
    if error is not None:
        raise error
    if failed.any():
        where = ", ".join(str(index) for index in np.flatnonzero(failed))
        raise RuntimeError(
            f"the batch failed in process {where} of {jax.process_count()}, which has "
            f"the error; this is process {jax.process_index()}"
        )
    return result


def allgather(array: np.ndarray) -> np.ndarray:
    """The arrays of all processes, in their order."""
    try:
        return process_allgather(array)
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        raise RuntimeError(
            "another process of jax.distributed was lost, so this one "
            f"({jax.process_index()} of {jax.process_count()}) cannot have all values"
        ) from error


def require_same_batch(rows: list):
    """Raise an error if the processes have different batches."""
    digest = 0
    for array in rows:
        digest = zlib.crc32(np.ascontiguousarray(array).tobytes(), digest)
    mine = np.array([len(rows[0]), digest], dtype=np.int64)
    everyone = allgather(mine)
    if (everyone != mine).any():
        sizes = ", ".join(str(size) for size in everyone[:, 0])
        raise ValueError(
            "the processes gave batch.map different batches (their numbers of members: "
            f"{sizes}). Give all of them the same one, or, if each has its own, use "
            "batch.map(..., split_over_processes=False)."
        )


def gathered(array: np.ndarray, each: int, count: int) -> np.ndarray:
    """
    The rows of all processes, in their order.

    Parameters
    ----------
    array
        The rows of this process.
    each
        How many rows a process has; the last ones can have fewer.
    count
        How many there are.
    """
    total = -(-each // ROWS_PER_GATHERING) * ROWS_PER_GATHERING
    padded = np.zeros((total, *array.shape[1:]), array.dtype)
    padded[: len(array)] = array
    parts = [
        allgather(padded[start : start + ROWS_PER_GATHERING])
        for start in range(0, each, ROWS_PER_GATHERING)
    ]
    if not parts:
        return array
    by_process = np.concatenate(parts, axis=1)[:, :each]
    return by_process.reshape(-1, *array.shape[1:])[:count]
