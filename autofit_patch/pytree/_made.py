"""
What constructors made of objects that are being traced.

Outside a trace, an object can be made again to see whether it was edited. Inside, a
number that is computed twice is two tracers, which nobody can compare. So the very values
that an object held when it was made are kept beside it.
"""

from copy import deepcopy

import jax

from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree._contents import (
    MISSING,
    attributes_of,
    is_atomic,
    is_counter,
    stored_from,
)
from autofit_patch.pytree._copies import TRAVELLING, Travelling
from autofit_patch.pytree._keys import key_from

_made = Beside()
TRAVELLING.append(_made)


class Made(Travelling):
    """
    The attributes that an object had when it was made.

    Parameters
    ----------
    attributes
        What each was, by name (:class:`Held`).
    part_of, place
        The token of the instance that it was made as a part of, if it was, and the names
        that lead to it there.
    """

    __slots__ = ("attributes", "part_of", "place")

    def __init__(self, attributes: dict, part_of=None, place: tuple = ()):
        self.attributes = attributes
        self.part_of = part_of
        self.place = place

    def __reduce__(self):
        return Made, ({},)  # no tracer can be pickled

    def __deepcopy__(self, memo):
        return Made(*deepcopy((self.attributes, self.part_of), memo), self.place)


class Held:
    """
    What an attribute was, without leading to anything that leads back to its object.

    Parameters
    ----------
    value
        The value: kept if it is a number, a tracer or a tuple of some, else a key of what
        was in it.
    """

    __slots__ = ("value", "key")

    def __init__(self, value):
        is_kept = value is MISSING or is_atomic(value)
        self.value = value if is_kept else None
        self.key = None if is_kept else key_from(value)

    def __reduce__(self):
        return held_from, (self.value is MISSING, self.value, self.key)

    def __deepcopy__(self, memo):
        return held_from(self.value is MISSING, deepcopy(self.value, memo), self.key)

    def is_of(self, obj, name: str) -> bool:
        """Whether an attribute of an object still is what it was."""
        now = stored_from(obj, name)
        if now is MISSING or self.value is MISSING:
            return now is self.value
        return key_from(now) == self.key if self.key else is_same(now, self.value)


def held_from(is_missing: bool, value, key) -> Held:
    held = Held(MISSING if is_missing else value)
    held.key = key
    return held


def is_same(a, b) -> bool:
    """Whether two values that cannot change are the same; a tracer is only itself."""
    if a is b:
        return True
    if type(a) is tuple and type(b) is tuple:
        return len(a) == len(b) and all(map(is_same, a, b))
    return type(a) is type(b) and key_from(a) == key_from(b)


def take_note(root, part_of):
    """Keep what an instance with a token, and every object below it, holds now."""
    seen, todo = set(), [(root, ())]
    while todo:
        obj, place = todo.pop()
        if id(obj) in seen or is_atomic(obj) or isinstance(obj, type):
            continue
        seen.add(id(obj))
        if isinstance(obj, dict):
            parts = obj
        else:
            take_note_of_one(obj, part_of, place)
            parts = attributes_of(obj)
        todo += [(part, (*place, name)) for name, part in parts.items()]
        if isinstance(obj, (list, tuple, set, frozenset)):
            todo += [(part, (*place, index)) for index, part in enumerate(obj)]


def take_note_of_one(obj, part_of=None, place: tuple = ()):
    """Keep what an object holds now."""
    held = {
        name: Held(value)
        for name, value in attributes_of(obj).items()
        if not is_counter(type(obj), name, value)
    }
    _made.set(obj, Made(held, part_of, place))


def made_attributes_of(obj) -> dict:
    """What an object held when it was made, by name, or nothing if that is not known."""
    made = _made.get(obj)
    return {} if made is None else made.attributes


def is_as_made(obj, name: str, part_of, place: tuple) -> bool:
    """
    Whether an attribute is known to be what it was when its object was made, at the same
    place of the instance with a token.
    """
    made = _made.get(obj)
    if made is None or made.part_of is not part_of or made.place != place:
        return False
    return name in made.attributes and made.attributes[name].is_of(obj, name)


def was_set(obj, name: str) -> bool:
    """Whether an attribute is known to have been set after its object was made."""
    held = made_attributes_of(obj).get(name)
    return held is not None and not held.is_of(obj, name)


def holds_tracer(value) -> bool:
    """Whether there is a tracer in a value, which no two values need have in common."""
    if isinstance(value, (tuple, list)):
        return any(map(holds_tracer, value))
    if isinstance(value, dict):
        return any(map(holds_tracer, value.values()))
    return isinstance(value, jax.core.Tracer)
