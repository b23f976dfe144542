"""
What constructors made of objects that are being traced.

Outside a trace, an object can be made again to see whether it was edited. Inside, a
number that is computed twice is two tracers, which nobody can compare. So the very values
that an object held when it was made are kept beside it.
"""

from copy import deepcopy

from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree._contents import (
    MISSING,
    attributes_of,
    is_atomic,
    is_counter,
    is_tracer,
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
    keeps_arguments
        Whether it then held each argument of its constructor as it was given.

    Attributes
    ----------
    places
        What was known of the objects that it was an attribute of, and the names that it
        had there (``None`` in a list or a dictionary).
    """

    __slots__ = ("attributes", "keeps_arguments", "places")

    def __init__(self, attributes: dict, keeps_arguments: bool = False):
        self.attributes = attributes
        self.keeps_arguments = keeps_arguments
        self.places = []

    def __reduce__(self):
        return Made, ({},)  # no tracer can be pickled

    def __deepcopy__(self, memo):
        attributes = deepcopy(self.attributes, memo)
        copy = memo[id(self)] = Made(attributes, self.keeps_arguments)
        copy.places = [(deepcopy(made, memo), name) for made, name in self.places]
        return copy


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

    def is_empty(self) -> bool:
        """Whether it was ``None``, or a list or a dictionary with nothing in it."""
        if self.key:
            return self.key in EMPTY
        return self.value is None or (type(self.value) is tuple and not self.value)


#: The keys of what a constructor leaves empty, for later.
EMPTY = [key_from({}), key_from([])]


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


def objects_below(root):
    """
    An object and every object below it, once for each place where it is.

    Yields
    ------
    The object, the one that it is an attribute of (``None`` for the first), and the name
    that it has there (``None`` in a list or a dictionary).
    """
    seen, todo = set(), [(root, None, None)]
    while todo:
        obj, parent, name = todo.pop()
        if is_atomic(obj) or isinstance(obj, type):
            continue
        is_plain = type(obj) in (dict, list, tuple, set, frozenset)
        if not is_plain:
            yield obj, parent, name
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        if not is_plain:
            parts = attributes_of(obj).items()
            todo += [(part, obj, part_name) for part_name, part in parts]
        parts = obj.values() if isinstance(obj, dict) else obj
        if isinstance(obj, (dict, list, tuple, set, frozenset)):
            todo += [(part, parent if is_plain else obj, None) for part in parts]


def take_note(root):
    """Keep what an object that is being traced, and every object below it, holds now."""
    noted = set()
    for obj, parent, name in objects_below(root):
        if id(obj) not in noted:
            noted.add(id(obj))
            take_note_of_one(obj)
        made, made_parent = _made.get(obj), _made.get(parent)
        if made is not None and made_parent is not None:
            made.places.append((made_parent, name))


def take_note_of_one(obj, keeps_arguments: bool | None = None):
    """
    Keep what an object holds now.

    Parameters
    ----------
    obj
        The object.
    keeps_arguments
        Whether it holds each argument of its constructor as it was given; if ``None``,
        that was seen before, if at all, and holds if nothing was set since.
    """
    made, changed = _made.get(obj), ()
    if keeps_arguments is None:
        keeps_arguments = False
        if made is not None:
            changed = attributes_set_of(obj)
            keeps_arguments = made.keeps_arguments and not changed
            if keeps_arguments and not made.places:
                return  # it was made just now, and its constructor took note of it
    held = {
        name: Held(value)
        for name, value in attributes_of(obj).items()
        if not is_counter(type(obj), name, value)
    }
    # What was set since is not what its constructor made, now or later.
    held |= {name: made.attributes[name] for name in changed if name in made.attributes}
    _made.set(obj, Made(held, keeps_arguments))


def is_known_to_keep_arguments(obj) -> bool:
    """Whether an object was seen to hold the arguments that its constructor was given."""
    made = _made.get(obj)
    return made is not None and made.keeps_arguments


def made_attributes_of(obj) -> dict:
    """What an object held when it was made, by name, or nothing if that is not known."""
    made = _made.get(obj)
    return {} if made is None else made.attributes


def is_as_made(obj, name: str) -> bool:
    """Whether an attribute is known to be what it was when its object was made."""
    held = made_attributes_of(obj).get(name)
    return held is not None and held.is_of(obj, name)


def is_where_made(obj, parent, name: str) -> bool:
    """
    Whether an object is known to be where it was when it was made.

    Parameters
    ----------
    obj
        The object.
    parent
        The one that has it now.
    name
        The name that it has there: an attribute, or a property that finds it.
    """
    made, made_parent = _made.get(obj), _made.get(parent)
    if made is None or made_parent is None:
        return False
    names = [place for of, place in made.places if of is made_parent]
    if stored_from(parent, name) is not MISSING:
        return name in names
    return bool(names) and not attributes_set_of(parent)


def attributes_set_of(obj) -> list[str]:
    """
    The attributes of an object that are not what they were when it was made, but for
    private ones that it left empty and fills when they are needed.
    """
    made = made_attributes_of(obj)
    changed = [
        name
        for name, held in made.items()
        if not held.is_of(obj, name) and not (name.startswith("_") and held.is_empty())
    ]
    added = [
        name
        for name, value in attributes_of(obj).items()
        if name not in made
        and not str(name).startswith("_")
        and not is_counter(type(obj), name, value)
    ]
    return changed + added


def was_edited(root) -> bool:
    """Whether an object that was made in a trace, or one below it, is another now."""
    return any(
        _made.get(obj) is None or attributes_set_of(obj)
        for obj, _, _ in objects_below(root)
        if type(obj).__weakrefoffset__  # of others nothing is kept
    )


def is_known_as_edited(root) -> bool:
    """
    Whether something is known to have been set on an object that was made in a trace, or
    on one below it.
    """
    return any(
        _made.get(obj) is not None and attributes_set_of(obj)
        for obj, _, _ in objects_below(root)
    )


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
    return is_tracer(value)
