"""
Splitting the arguments of a constructor into structure and leaves, and merging them.
"""

from collections.abc import Callable

import jax
import numpy as np

from autofit_patch.pytree._absent import outline_reason_of
from autofit_patch.pytree._contents import MISSING, attributes_of, copied, is_array
from autofit_patch.pytree._keys import same
from autofit_patch.pytree.by_model._origin import origin_of

#: Arguments that are structure though they are numbers or hold some, by name (or by class
#: and name), with the reason. They are leaves only if they are JAX arrays, or made of
#: some, or by a model.
CONCRETE_ARGUMENTS: dict[str, str] = {}

#: Classes whose objects are never structure, whatever argument they are.
TRACED_CLASSES: set[type] = set()


class Hole:
    """The place of a leaf or a child in a structure."""

    def __repr__(self):
        return "*"

    def __reduce__(self):
        return "HOLE"

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


HOLE = Hole()


def split(value, ndims: list, is_child: Callable, concrete: bool = False):
    """
    Split a value into what is structure and what are its leaves and children.

    Parameters
    ----------
    value
        An argument of a constructor.
    ndims
        Extended by the number of axes of each leaf found, ``None`` for an object.
    is_child
        Whether a value is a pytree of its own.
    concrete
        Whether numbers are structure, see :data:`CONCRETE_ARGUMENTS`.

    Returns
    -------
    The structure, with holes where the leaves were, and the leaves, with ``None`` where
    the structure was.
    """
    if not concrete or is_traced(value):
        if is_array(value) and value.dtype != object:
            ndims.append(value.ndim)
            return HOLE, value
        if isinstance(value, (float, np.floating)):
            ndims.append(0)
            return HOLE, value if type(value) is np.float64 else np.float64(value)
        if is_child(value):
            ndims.append(None)
            return HOLE, value
    if type(value) in (tuple, list):
        parts = [split(item, ndims, is_child, concrete) for item in value]
        if any(dynamic is not None for _, dynamic in parts):
            static, dynamic = zip(*parts, strict=True)
            return type(value)(static), type(value)(dynamic)
    if type(value) is dict:
        parts = {
            name: split(item, ndims, is_child, concrete) for name, item in value.items()
        }
        if any(dynamic is not None for _, dynamic in parts.values()):
            return (
                {name: static for name, (static, _) in parts.items()},
                {name: dynamic for name, (_, dynamic) in parts.items()},
            )
    return value, None


def split_as(static, value):
    """
    The leaves and children of a value where another one had them, whatever they are now.

    Parameters
    ----------
    static
        What :func:`split` returned as the structure of the other value.
    value
        The value.

    Returns
    -------
    What :func:`split` returns second, or ``MISSING`` if the rest of the value differs.
    """
    if static is HOLE:
        return value
    if not has_hole(static):
        return None if same(static, value) else MISSING
    if type(value) is not type(static) or len(value) != len(static):
        return MISSING
    if isinstance(static, dict):
        parts = [split_as(static[name], value.get(name)) for name in static]
    else:
        parts = [*map(split_as, static, value)]
    if any(part is MISSING for part in parts):
        return MISSING
    if isinstance(static, dict):
        return dict(zip(static, parts, strict=True))
    return type(static)(parts)


def has_hole(static) -> bool:
    """Whether a structure has a place for a leaf or a child."""
    if isinstance(static, dict):
        static = list(static.values())
    if isinstance(static, (tuple, list)):
        return any(map(has_hole, static))
    return static is HOLE


def is_traced(value) -> bool:
    """Whether a value can only be there to be traced, whatever argument it is."""
    return (
        isinstance(value, jax.Array)
        or type(value) in TRACED_CLASSES
        or origin_of(value) is not None
        or outline_reason_of(value) is not None
        or any(isinstance(held, jax.Array) for held in attributes_of(value).values())
    )


def merged(static, child, leaves: list):
    """Put together again what :func:`split` split, collecting the leaves on the way."""
    if static is HOLE:
        leaves.append(child)
        return child
    if child is None:
        return copied(static)
    if type(static) is type(child) and len(static) == len(child):
        if isinstance(static, dict):
            return {
                name: merged(item, child[name], leaves) for name, item in static.items()
            }
        return type(static)(
            merged(item, part, leaves) for item, part in zip(static, child, strict=True)
        )
    leaves.append(child)
    return child


def is_like(leaf, ndim: int | None) -> bool:
    """
    Whether a leaf can be what the constructor was given before.

    Inside :func:`jax.vmap` an array has fewer axes than outside; with more axes it is a
    batch, of which no constructor knows.
    """
    if ndim is None:
        return not isinstance(leaf, _NO_OBJECT) and outline_reason_of(leaf) is None
    if isinstance(leaf, (float, np.floating)):
        return True
    return is_array(leaf) and leaf.ndim <= ndim and leaf.dtype.kind in "fiu"


_NO_OBJECT = (type(None), bool, int, float, str, np.generic, np.ndarray, jax.Array)
