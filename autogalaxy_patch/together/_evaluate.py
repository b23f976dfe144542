"""
One function of many objects: traced once a group, returned in the order of the objects.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autofit_patch.libraries._backend import one_core_each
from autogalaxy_patch.together._groups import Group, groups_from
from autogalaxy_patch.together._once import Row, split


@dataclass(frozen=True)
class Rows:
    """
    What a function is of the objects of one group.

    Parameters
    ----------
    indexes
        Where each object was in the list.
    row
        The function of one row of ``varying``.
    varying
        Arrays of shape (objects, ...).
    values
        The function of all objects, of shape (objects, ...), if it is known already.
    like
        The structure that the function returned for one object: an array of the
        libraries, whose mask and grid those of the others have too; or no structure.
    """

    indexes: tuple[int, ...]
    row: Row | None
    varying: tuple
    values: Any
    like: Any

    @property
    def stack(self):
        """The function of every object, of shape (objects, ...)."""
        if self.row is None:
            return self.values
        return over_rows(self.row, self.varying, at_once_from(self.row.bytes))

    @property
    def total(self):
        """Their sum, as the function returns it for one."""
        if self.row is not None:
            return with_array(self.like, sum_over_rows(self.row, self.varying))
        return with_array(self.like, self.values.sum(axis=0))


#: How many bytes the rows that a core of a CPU evaluates at once have, in each array of
#: theirs: what fits its cache beside others.
BYTES_AT_ONCE = 2**21

#: The same where every core has a program of its own, and the cores share a cache.
BYTES_AT_ONCE_ON_ONE_CORE = 2**19


def at_once_from(bytes_of_a_row: int) -> int:
    """How many rows are evaluated at once, if an array of one has some size."""
    most = BYTES_AT_ONCE_ON_ONE_CORE if one_core_each.value else BYTES_AT_ONCE
    return max(1, most // max(bytes_of_a_row, 1))


def one_after_another() -> bool:
    """
    Whether rows are evaluated in turn, few at once, and once more for a derivative.

    Few images, their sub-pixels and their spectra fit the cache of a CPU, those of forty
    profiles do not: it is faster to compute them again than to keep them. A GPU is
    faster with all rows at once: one image does not fill it.
    """
    return jax.default_backend() == "cpu"


def shared_by_cores() -> bool:
    """Whether a program is on several cores of a CPU, and each has another part of it."""
    return one_after_another() and not one_core_each.value


def over_rows(function: Callable, arrays: tuple, at_once: int):
    """
    A function of each row of some arrays, of shape (rows, ...).

    Parameters
    ----------
    at_once
        How many rows a core of a CPU is to evaluate at once, at most.
    """
    if not one_after_another() or len(arrays[0]) <= at_once:
        return jax.vmap(function)(*arrays)
    again = jax.checkpoint(function)
    if not shared_by_cores():
        return few_at_once(again, arrays, at_once)
    # XLA shares neither a loop nor an operation between cores, but it does two of them.
    middle = (len(arrays[0]) + 1) // 2
    halves = [slice(middle), slice(middle, None)]
    return jnp.concatenate(
        [
            few_at_once(again, tuple(array[half] for array in arrays), at_once)
            for half in halves
        ]
    )


def few_at_once(function: Callable, arrays: tuple, at_once: int):
    """A function of each row of some arrays, few of them at once."""
    rows = len(arrays[0])
    # A loop of equal steps: what is left over would be compiled once more.
    at_once = max(size for size in range(1, at_once + 1) if rows % size == 0)
    if at_once == rows:
        return jax.vmap(function)(*arrays)
    return jax.lax.map(lambda row: function(*row), arrays, batch_size=at_once)


def sum_over_rows(function: Callable, arrays: tuple):
    """The sum of a function over the rows of some arrays."""
    if not one_after_another():
        return jax.vmap(function)(*arrays).sum(axis=0)
    again = jax.checkpoint(function)
    like = jax.eval_shape(function, *(array[0] for array in arrays))
    total, _ = jax.lax.scan(
        lambda total, row: (total + again(*row), None),
        jnp.zeros(like.shape, like.dtype),
        arrays,
    )
    return total


def rows_from(function: Callable, group: Group) -> list[Rows]:
    """
    Evaluate a function for a group, or for one after another of its objects if there is
    one only, or if they cannot be traced.
    """
    if len(group.members) > 1:
        returned = []

        def of_a_row(*rows):
            result = function(group.member_from(rows))
            # Without its numbers, which end with the trace that this is called in.
            returned.append(with_array(result, None))
            return array_of(result)

        try:
            row = split(of_a_row, *group.varying)
        except Exception:
            # A class that needs numbers where JAX has none. What is wrong otherwise,
            # the libraries' own evaluation of each will say.
            pass
        else:
            if not group.varying:
                values = row()
                shape = (len(group.members), *np.shape(values))
                values = jnp.broadcast_to(values, shape)
                return [Rows(group.indexes, None, (), values, returned[-1])]
            return [Rows(group.indexes, row, group.varying, None, returned[-1])]
    results = [function(member) for member in group.members]
    return [
        Rows((index,), None, (), array_of(result)[None], result)
        for index, result in zip(group.indexes, results, strict=True)
    ]


def array_of(result):
    """The numbers in what a function of the libraries returned."""
    if result is None:
        raise TypeError("a function of a profile returned None, and not an array")
    array = getattr(result, "array", result)
    # What has nothing to add, a basis of mass that is asked for its image, returns a 0.
    return array if hasattr(array, "shape") else np.asarray(array, dtype=float)


def with_array(result, array):
    """What a function of the libraries returned, with other numbers."""
    if not hasattr(result, "with_new_array"):
        return array
    # Its own ``with_new_array`` copies the numbers that it has, which is too late for
    # those of a trace that has ended.
    new = object.__new__(type(result))
    vars(new).update(vars(result), _array=array)
    return new


def evaluate(function: Callable, objects) -> list[Rows]:
    """
    A function of each of many objects, traced once for all of one structure.

    Parameters
    ----------
    function
        A function of one object, returning an array of the libraries or of JAX. All
        results have one shape.
    objects
        The objects.
    """
    return [rows for group in groups_from(objects) for rows in rows_from(function, group)]


def stacked(function: Callable, objects):
    """The function of each object, of shape (objects, ...), in the order of the list."""
    parts = evaluate(function, objects)
    if len(parts) == 1:
        return parts[0].stack
    order = np.argsort(np.concatenate([part.indexes for part in parts]))
    stack = jnp.concatenate([part.stack for part in parts])
    return stack if np.array_equal(order, np.arange(len(order))) else stack[order]


def listed(function: Callable, objects) -> list:
    """The function of each object, as the libraries return it, in the list's order."""
    results = {}
    for part in evaluate(function, objects):
        for index, values in zip(part.indexes, part.stack, strict=True):
            results[index] = with_array(part.like, values)
    return [results[index] for index in range(len(results))]


def summed(function: Callable, objects):
    """The sum of the function over the objects, as the libraries return it for one."""
    return added([part.total for part in evaluate(function, objects)])


def added(parts: list):
    """The sum of what a function of the libraries returned, as they return it for one."""
    total = sum(map(array_of, parts))
    # One that has nothing to add may return bare zeros.
    likes = [part for part in parts if hasattr(part, "with_new_array")]
    return with_array(likes[0] if likes else None, total)
