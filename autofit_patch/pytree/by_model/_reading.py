"""
Reading an instance: the values of its free parameters, what its constructors derived, and
whether it still is what its model makes.
"""

from autofit_patch.pytree._contents import (
    MISSING,
    attribute_from,
    is_array,
    set_identity,
    stored_from,
)
from autofit_patch.pytree._keys import same, same_number
from autofit_patch.pytree._made import is_as_made, is_where_made, was_set
from autofit_patch.pytree.by_model._layout import Layout, is_cache

#: Says of a leaf that the instance does not hold it.
UNREAD = object()

EDITED = "edited"
DERIVED_DIFFERS = "derived differs"


def read(
    layout: Layout,
    obj,
    leaves: list,
    derived_objects: list | None = None,
    identities: list | None = None,
):
    """
    Read the leaves from an object.

    Parameters
    ----------
    layout
        The layout of what the model makes.
    obj
        An object that may have been made by the model.
    leaves
        One entry a free parameter, filled by this function.
    derived_objects
        Extended, if given, by what the constructors derived, which is then not
        compared with what they derived in the first instance.
    identities
        Extended, if given, by what each object is told from others by.

    Returns
    -------
    ``EDITED`` if the object is not one that the model makes: another class,
    constant or attribute, or different values where one parameter belongs.
    ``DERIVED_DIFFERS`` if this may be so, because what a constructor derives is not
    what it derived in the first instance. ``None`` if it is a point in the model.
    """
    if type(obj) is not layout.cls:
        return EDITED
    # Done at every call for every object: what is cheap and mostly true comes first.
    result = None
    attributes = layout.attributes_of(obj)
    if identities is not None:
        for name in layout.identity_names:
            identities.append(attributes.get(name))
    for name, index in layout.scalars:
        held = attributes.get(name, MISSING)
        if held is MISSING:
            held = attribute_from(obj, name)
        if leaves[index] is UNREAD and held is not MISSING:
            leaves[index] = held
        elif held is not leaves[index] and not same_number(held, leaves[index]):
            return EDITED
    for name, cls, shape, free, fixed in layout.arrays:
        held = attributes.get(name, MISSING)
        if held is MISSING:
            held = attribute_from(obj, name)
        is_tuple = type(held) is tuple is cls and len(held) == shape[0]
        if not is_tuple and not has_entries(held, cls, shape):
            return EDITED
        for position, index in free:
            entry = held[position]
            if leaves[index] is UNREAD:
                leaves[index] = entry
            elif entry is not leaves[index] and not same_number(entry, leaves[index]):
                return EDITED
        for position, value in fixed:
            if not same_number(held[position], value):
                return EDITED
    for name, value in layout.constants:
        held = attributes.get(name, MISSING)
        if held is not value and not same(attribute_from(obj, name), value):
            return EDITED
    if derived_objects is not None:
        derived_objects += map(attributes.get, layout.derived_names)
    else:
        for name, value in layout.derived:
            held = attributes.get(name, MISSING)
            if held is not value and not same(held, value):
                result = DERIVED_DIFFERS
    if not layout.names.issuperset(attributes) and was_extended(layout, attributes):
        return EDITED
    for name, child in layout.children:
        held = attributes.get(name, MISSING)
        if held is MISSING:
            held = attribute_from(obj, name)
        read_child = read(child, held, leaves, derived_objects, identities)
        if read_child is EDITED:
            return EDITED
        result = read_child or result
    for name, copy in layout.copies:
        if not holds_copy(attributes.get(name, MISSING), copy, leaves):
            result = DERIVED_DIFFERS
    return result


def has_entries(held, cls: type, shape: tuple) -> bool:
    """Whether a value is a tuple or an array with the given shape."""
    if cls is tuple:
        return type(held) is tuple and len(held) == shape[0]
    return is_array(held) and held.shape == shape


def was_extended(layout: Layout, attributes: dict) -> bool:
    """Whether there are attributes, no private ones, which the model knows not."""
    return any(not str(name).startswith("_") for name in attributes.keys() - layout.names)


def holds_copy(held, copy, leaves) -> bool:
    """Whether an attribute still is a copy of the parameters that it was a copy of."""
    if isinstance(copy, int):
        return same_number(held, leaves[copy])
    return (
        type(held) is tuple
        and len(held) == len(copy)
        and all(
            same_number(entry, leaves[index])
            for entry, index in zip(held, copy, strict=True)
        )
    )


class TracedReading:
    """
    Reading an instance that was made inside a trace.

    A number that was put into an array and taken out again is another tracer, so the
    leaves are those that the instance was made from, unless an attribute was set since
    (:mod:`autofit_patch.pytree._made`).

    Parameters
    ----------
    given
        The values that the instance was made from.

    Attributes
    ----------
    leaves
        The values that it holds now.
    derived
        The objects and the names of attributes that only a constructor derives and that
        were set.
    identities
        What each object is told from others by.
    """

    def __init__(self, given: tuple):
        self.given = given
        self.leaves = [UNREAD] * len(given)
        self.derived = []
        self.identities = []

    def read(self, layout: Layout, obj, is_in_place: bool = True) -> bool:
        """
        Read an object, and say whether it still is one that the model makes.

        Parameters
        ----------
        layout
            Its layout.
        obj
            The object.
        is_in_place
            Whether it is where it was when it was made, and no other took its place.
        """
        if type(obj) is not layout.cls:
            return False
        attributes = layout.attributes_of(obj)
        self.identities += map(attributes.get, layout.identity_names)
        for name, index in layout.scalars:
            if not self._take(index, attribute_from(obj, name)):
                return False
        for name, cls, shape, free, fixed in layout.arrays:
            held = attribute_from(obj, name)
            if not has_entries(held, cls, shape):
                return False
            # Taken out of an array, a number is another tracer than was put in.
            kept = cls is not tuple and is_in_place and is_as_made(obj, name)
            for position, index in free:
                entry = self.given[index] if kept else held[position]
                if not self._take(index, entry):
                    return False
            for position, value in fixed:
                if not kept and not same_number(held[position], value):
                    return False
        for name, value in layout.constants:
            if not same(attribute_from(obj, name), value):
                return False
        if was_extended(layout, attributes):
            return False
        for name, was in (*layout.derived, *layout.copies):
            if was_set(obj, name) and not is_cache(name, was):
                self.derived.append((obj, name))
        for name, child in layout.children:
            part = attribute_from(obj, name)
            if not self.read(child, part, is_in_place and is_where_made(part, obj, name)):
                return False
        return True

    def _take(self, index: int, leaf) -> bool:
        """Take a parameter from one of its places, unless another one has another."""
        if self.leaves[index] is UNREAD:
            self.leaves[index] = leaf
        return same_number(self.leaves[index], leaf)


def derived_of(layout: Layout, obj) -> dict:
    """
    What the constructors derived, by name, in an object and those below it.

    Private attributes that the first instance left empty are caches, filled when
    they are needed, and no part of it.
    """
    derived = {
        name: attribute_from(obj, name)
        for name, value in (*layout.derived, *layout.copies)
        if not is_cache(name, value)
    }
    children = {
        name: derived_of(child, attribute_from(obj, name))
        for name, child in layout.children
    }
    return {"derived": derived, **children}


def set_on_outline(layout: Layout, obj):
    """The attributes of an outline that only a constructor derives and that were set."""
    for name in layout.absent:
        if name not in layout.identity_names and stored_from(obj, name) is not MISSING:
            yield obj, name
    for name, child in layout.children:
        yield from set_on_outline(child, attribute_from(obj, name))


def derived_objects_of(layout: Layout, obj) -> list:
    """
    The very objects that the constructors derived, in an object and those below it:
    as long as they are the same and cannot change, nobody set them.
    """
    objects = [*map(layout.attributes_of(obj).get, layout.derived_names)]
    for name, child in layout.children:
        objects += derived_objects_of(child, attribute_from(obj, name))
    return objects


def set_identities(layout: Layout, obj, identities):
    """Let the objects of an instance be told from others as those of another one are."""
    set_identity(obj, identities)
    for name, child in layout.children:
        if child.has_identity:
            set_identities(child, attribute_from(obj, name), identities)
