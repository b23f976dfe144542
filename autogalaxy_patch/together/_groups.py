"""
Which objects can be evaluated together, and what they share.

Objects of one structure (class, statics, number of leaves) differ in their leaves alone.
A leaf that is the same in all of them is shared, as the centre of a multi Gaussian
expansion is; the others are stacked, one row an object.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autofit_patch.pytree._keys import key_from
from autofit_patch.pytree._made import holds_tracer, is_known_as_edited


@dataclass(frozen=True)
class Group:
    """
    Objects of one structure.

    Parameters
    ----------
    indexes
        Where each was in the list that was grouped.
    members
        The objects.
    treedef
        Their structure.
    shared
        The leaves that all have in common, by their place in the structure.
    places
        For each other place, which row of ``varying`` has its leaves.
    varying
        The leaves that differ, stacked: each of shape (members, ...).
    """

    indexes: tuple[int, ...]
    members: tuple
    treedef: Any = None
    shared: dict[int, Any] | None = None
    places: dict[int, int] | None = None
    varying: tuple = ()

    def member_from(self, rows):
        """The object whose leaves that differ are the given ones."""
        leaves = [
            self.shared[place] if place in self.shared else rows[self.places[place]]
            for place in range(self.treedef.num_leaves)
        ]
        return jax.tree_util.tree_unflatten(self.treedef, leaves)


def groups_from(objects) -> list[Group]:
    """
    Sort objects into groups, in the order of the first object of each.

    Parameters
    ----------
    objects
        Profiles or other objects, which need not be pytrees: one that is not, or cannot
        be taken apart, is a group of its own.
    """
    members: dict[Any, list] = {}
    for index, obj in enumerate(objects):
        leaves, treedef = leaves_of(obj)
        key = ("alone", index) if leaves is None else (treedef, *map(kind_of, leaves))
        members.setdefault(key, []).append((index, obj, leaves))
    return [group_from(key[0], *zip(*rows, strict=True)) for key, rows in members.items()]


def leaves_of(obj) -> tuple:
    """The leaves and the structure of an object, or ``None`` twice if it has neither."""
    if is_known_as_edited(obj):
        # Its constructor would derive the rest anew, which evaluating it does not.
        return None, None
    try:
        leaves, treedef = jax.tree_util.tree_flatten(obj)
    except Exception:
        return None, None  # what it is wrong with it, evaluating it alone will say
    if len(leaves) == 1 and leaves[0] is obj:
        return None, None
    numbers = all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves)
    return (leaves, treedef) if numbers else (None, None)


def kind_of(leaf) -> tuple:
    return leaf.shape, leaf.dtype


def group_from(treedef, indexes, members, leaves) -> Group:
    """The group of objects with the given leaves."""
    if len(members) == 1:
        return Group(indexes, members)
    shared, places, rows = {}, {}, {}
    for place, column in enumerate(zip(*leaves, strict=True)):
        # A tracer is the same only as itself, a number is by its value.
        keys = tuple(map(key_from, column))
        if len(set(keys)) == 1:
            shared[place] = column[0]
        else:
            # Two parameters that are the same in each object (the centre of a basis and
            # of what is in it) stay the same.
            places[place], _ = rows.setdefault(keys, (len(rows), column))
    varying = tuple(stacked(column) for _, column in rows.values())
    return Group(indexes, members, treedef, shared, places, varying)


def stacked(column):
    """Leaves in one array, of NumPy if all of them are known."""
    if not holds_tracer(column):
        return np.stack(column)
    if column[0].shape == () and jnp.issubdtype(column[0].dtype, jnp.inexact):
        return stacked_scalars(*column)
    return jnp.stack(column)


@jax.custom_jvp
def stacked_scalars(*scalars):
    """
    Scalars in one array, as ``jnp.stack`` does it.

    XLA fuses nothing into a concatenation, and compiles whatever each of a hundred
    scalars is computed by as a program of its own. It does fuse into a choice.
    """
    places = jax.lax.iota(np.int32, len(scalars))
    rows = [jax.lax.broadcast(scalar, places.shape) for scalar in scalars]
    chosen = rows[0]
    for place, row in enumerate(rows[1:], start=1):
        chosen = jax.lax.select(jax.lax.ge(places, np.int32(place)), row, chosen)
    return chosen


@stacked_scalars.defjvp
def _(scalars, tangents):
    # The transpose of choices is a sum for each of them, that of a stack is a slice.
    return stacked_scalars(*scalars), jnp.stack(tangents)
