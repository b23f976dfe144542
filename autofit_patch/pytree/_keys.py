"""
Whether two values hold the same.

Instances are compared by what they hold, never by who they are.
"""

import functools
import types
from enum import Enum
from math import copysign

import jax
import numpy as np

from autofit_patch.libraries._internals import Prior
from autofit_patch.pytree._contents import (
    CACHES,
    IMMUTABLE,
    attributes_of,
    is_array,
    is_counter,
    is_tracer,
)


class Identity:
    """A key for a value that can only be compared by being the same object."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Identity) and self.value is other.value

    def __hash__(self):
        return id(self.value)

    def __repr__(self):
        return f"<{type(self.value).__name__}>"


def key_from(value, _parents=()):
    """
    A hashable key which two values share only if they hold the same.

    Numbers are compared with their type and sign (``1``, ``1.0`` and ``True`` differ,
    as do ``0.0`` and ``-0.0``; a NaN equals a NaN), arrays by dtype, shape and content,
    objects by class and attributes, and one that leads back to an object that it is part
    of by how far up that is. A value of which none of this can be known (a tracer, a
    mapping proxy ...) equals only itself.

    Parameters
    ----------
    value
        Any value found in a model or an instance.
    """
    if isinstance(value, (bool, type(None), str, bytes, Enum, type)):
        return (type(value), value)
    if isinstance(value, (int, float, complex, np.generic)):
        return (type(value), repr(value))
    if isinstance(value, Prior):
        return (Prior, value.id)
    if is_tracer(value):
        return Identity(value)
    if is_array(value):
        array = np.asarray(value)
        if array.dtype != object:
            kind = jax.Array if isinstance(value, jax.Array) else type(value)
            return (kind, array.dtype.str, array.shape, array.tobytes())
        value = array.tolist()
    if id(value) in _parents:
        return ("part of itself", len(_parents) - _parents.index(id(value)))
    parents = (*_parents, id(value))
    if isinstance(value, types.MethodType):
        return (type(value), value.__func__, key_from(value.__self__, parents))
    if isinstance(value, functools.partial):
        return (
            type(value),
            key_from(value.func, parents),
            key_from(value.args, parents),
            key_from(value.keywords, parents),
        )
    if isinstance(value, (list, tuple)) and not hasattr(value, "__dict__"):
        return (type(value), tuple(key_from(item, parents) for item in value))
    if isinstance(value, dict):
        return (
            type(value),
            tuple((key_from(k, parents), key_from(v, parents)) for k, v in value.items()),
        )
    if isinstance(value, (set, frozenset)):
        return (type(value), frozenset(key_from(item, parents) for item in value))
    if isinstance(value, IMMUTABLE):
        return Identity(value)
    attributes = attributes_of(value)
    if not attributes:
        return (type(value),) if hasattr(value, "__dict__") else Identity(value)
    items = list(value) if isinstance(value, (list, tuple)) else ()
    return (
        type(value),
        tuple(key_from(item, parents) for item in items),
        tuple(
            (name, key_from(attribute, parents))
            for name, attribute in sorted(attributes.items(), key=lambda t: str(t[0]))
            if name not in CACHES and not is_counter(type(value), name, attribute)
        ),
    )


def same(a, b) -> bool:
    """Whether two values hold the same, see :func:`key_from`."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and a == b and (a or copysign(1.0, a) == copysign(1.0, b)):
        return True
    if type(a) is tuple:  # a centre, say: found out faster than by keys
        return len(a) == len(b) and all(map(same, a, b))
    return key_from(a) == key_from(b)


def same_number(a, b) -> bool:
    """
    Whether two leaves are the same: the same object, or equal scalars of any type.

    A tracer, or a leaf that is no number at all, is the same only as itself.
    """
    if a is b:
        return True
    if isinstance(a, (float, int, np.number)) and isinstance(b, (float, int, np.number)):
        return a == b or (a != a and b != b)
    return is_concrete_scalar(a) and is_concrete_scalar(b) and bool(a == b)


def is_concrete_scalar(value) -> bool:
    """Whether a value is one number, and known."""
    if isinstance(value, (float, int, np.number)):
        return True
    return is_array(value) and value.shape == () and not is_tracer(value)
