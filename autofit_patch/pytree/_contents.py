"""
What an object holds.

Instances are compared, copied and turned into structure by what they hold, never by
who they are: ids, counters and caches that the libraries keep on them say nothing
about the model. This module is the one place that knows which attributes those are.
"""

import functools
import inspect
import types
from enum import Enum

import jax
import numpy as np

from autofit_patch.libraries._internals import Prior, cached_property_names

#: Attributes which PyAutoFit sets on an instance for its own bookkeeping.
BOOKKEEPING = frozenset(
    {"id", "item_number", "component_number", "_label", "_is_frozen", "_frozen_cache"}
)

#: Attributes which a class fills when it needs them, and not in its constructor.
CACHES: set[str] = set()

#: Values which cannot change in place, so that identity says they are unchanged.
IMMUTABLE = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    range,
    type,
    np.generic,
    np.dtype,
    Enum,
    jax.Array,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    functools.partial,
)

MISSING = object()


def is_immutable(value) -> bool:
    """Whether neither a value nor anything in it can change in place."""
    if isinstance(value, (tuple, frozenset)):
        return all(map(is_immutable, value))
    return isinstance(value, IMMUTABLE)


@functools.cache
def slot_names(cls: type) -> tuple[str, ...]:
    """The names of the ``__slots__`` of a class and of its bases."""
    slots = []
    for base in cls.__mro__:
        names = base.__dict__.get("__slots__", ())
        slots += [names] if isinstance(names, str) else names
    return tuple(name for name in slots if name not in ("__dict__", "__weakref__"))


def attributes_of(obj) -> dict:
    """
    The attributes stored on an object, by name, in the order they were set.

    Parameters
    ----------
    obj
        Any object, with a ``__dict__``, with ``__slots__``, with both or with neither.
    """
    attributes = getattr(obj, "__dict__", None)
    slots = slot_names(type(obj))
    if not slots:
        return {} if attributes is None else attributes
    stored = {name: getattr(obj, name) for name in slots if hasattr(obj, name)}
    return {**stored, **(attributes or {})}


@functools.cache
def ignored_names(cls: type) -> frozenset:
    """
    The attributes of a class's instances which are no part of what they hold: ids,
    cached properties, the fields which a class itself excludes from its identity
    (``__exclude_identifier_fields__``, PyAutoFit's protocol for counters), and the
    numbered label that a model gives to every object in it, unless the class has a label
    of its own.
    """
    excluded = getattr(cls, "__exclude_identifier_fields__", ())
    label = frozenset() if "label" in argument_names(cls) else frozenset({"label"})
    return BOOKKEEPING | cached_property_names(cls) | frozenset(excluded) | label


def argument_names(cls: type) -> tuple[str, ...]:
    """The names of a constructor's arguments, of which a class in C may tell nothing."""
    try:
        return tuple(inspect.signature(cls).parameters)
    except (TypeError, ValueError):
        return ()


def attribute_from(obj, name):
    """
    An attribute by name, through a property if there is one, or ``MISSING``. A method of
    that name is no attribute.
    """
    value = getattr(obj, "__dict__", {}).get(name, MISSING)
    if value is not MISSING:
        return value
    value = getattr(obj, name, MISSING)
    is_method = isinstance(value, types.MethodType) and value.__self__ is obj
    return MISSING if is_method else value


def has_no_numbers(value) -> bool:
    """Whether there is nothing in an object that JAX could trace or differentiate."""
    if isinstance(value, (tuple, list, set, frozenset)):
        return all(map(has_no_numbers, value))
    if isinstance(value, dict):
        return all(map(has_no_numbers, value.values()))
    if isinstance(value, (bool, int, str, bytes, type, Enum, type(None))):
        return True
    if isinstance(value, (*IMMUTABLE, np.ndarray)):
        return False
    return bool(attributes_of(value)) and all(
        map(has_no_numbers, attributes_of(value).values())
    )


def copied(value):
    """A value with copies of the lists, dictionaries and arrays in it."""
    if type(value) in (list, tuple, set):
        return type(value)(map(copied, value))
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    return value.copy() if isinstance(value, np.ndarray) else value


def is_array(value) -> bool:
    return isinstance(value, (np.ndarray, jax.Array))


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
    objects by class and attributes. A value of which none of this can be known (a
    tracer, a mapping proxy ...) equals only itself.

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
    if isinstance(value, jax.core.Tracer):
        return Identity(value)
    if is_array(value):
        array = np.asarray(value)
        if array.dtype != object:
            return ("array", array.dtype.str, array.shape, array.tobytes())
        value = array.tolist()
    if id(value) in _parents:
        return Identity(value)
    parents = (*_parents, id(value))
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
    ignored = ignored_names(type(value))
    items = list(value) if isinstance(value, (list, tuple)) else ()
    return (
        type(value),
        tuple(key_from(item, parents) for item in items),
        tuple(
            (name, key_from(attribute, parents))
            for name, attribute in sorted(attributes.items(), key=lambda t: str(t[0]))
            if name not in ignored and name not in CACHES
        ),
    )


def same(a, b) -> bool:
    """Whether two values hold the same, see :func:`key_from`."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and a and a == b:
        return True
    return key_from(a) == key_from(b)
