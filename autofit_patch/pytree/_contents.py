"""
What an object holds.

Ids, counters and caches that the libraries keep on instances say nothing about the
model. This module is the one place that knows which attributes those are.
"""

import functools
import inspect
import types
from enum import Enum

import jax
import numpy as np

from autofit_patch.libraries._internals import cached_property_names

#: Attributes which PyAutoFit sets on an instance for its own bookkeeping.
BOOKKEEPING = frozenset(
    {"id", "item_number", "component_number", "_label", "_is_frozen", "_frozen_cache"}
)

#: The same, and the label that it gives to objects in a model.
COUNTERS = BOOKKEEPING | {"label"}

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

#: Values which lead nowhere, so that they can be kept beside an object.
ATOMIC = tuple(
    cls
    for cls in IMMUTABLE
    if cls not in (types.FunctionType, types.MethodType, functools.partial, type)
    and cls is not types.BuiltinFunctionType
)


def is_atomic(value) -> bool:
    """Whether a value can neither change in place nor lead to any other object."""
    if isinstance(value, (tuple, frozenset)):
        return all(map(is_atomic, value))
    return isinstance(value, ATOMIC)


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


@functools.cache
def identity_names(cls: type) -> tuple[str, ...]:
    """
    The attributes by which a class compares and hashes its instances instead of by what
    they hold: counters that it excludes from its identity for PyAutoFit, such as the
    token of a linear light profile, which fits look its intensity up by.
    """
    return tuple(getattr(cls, "__exclude_identifier_fields__", ()))


def identity_of(obj) -> tuple:
    """
    What an object is told from others by, see :func:`identity_names`, with ``None`` for
    what it does not have.
    """
    return tuple(stored_from(obj, name, None) for name in identity_names(type(obj)))


def set_identity(obj, identity):
    """
    Let an object that was made again be told from others as the first one was.

    Parameters
    ----------
    obj
        The object.
    identity
        What :func:`identity_of` returned of the first one, or an iterator over that of
        several objects, of which as many are taken as belong to this one.
    """
    for name, value in zip(identity_names(type(obj)), identity, strict=False):
        if value is not None:
            store(obj, name, value)


def is_counter(cls: type, name: str, value) -> bool:
    """
    Whether an attribute is no part of what an object holds: a component may have the name
    under which PyAutoFit keeps an id or a label on other objects.
    """
    if name not in ignored_names(cls):
        return False
    return name not in COUNTERS or isinstance(value, (type(None), int, str, dict))


def argument_names(cls: type) -> tuple[str, ...]:
    """The names of a constructor's arguments, of which a class in C may tell nothing."""
    try:
        return tuple(inspect.signature(cls).parameters)
    except (TypeError, ValueError):
        return ()


def stored_from(obj, name, default=MISSING):
    """An attribute by name as it is stored on an object, or the default."""
    value = getattr(obj, "__dict__", {}).get(name, MISSING)
    if value is MISSING and name in slot_names(type(obj)):
        value = getattr(obj, name, MISSING)
    return default if value is MISSING else value


def store(obj, name: str, value):
    """Set an attribute of an object as it is, past whatever its class does about it."""
    if name in slot_names(type(obj)):
        object.__setattr__(obj, name, value)
    else:
        vars(obj)[name] = value


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


def is_tracer(value) -> bool:
    return isinstance(value, jax.core.Tracer)
