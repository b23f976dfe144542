"""
The structure of objects made by hand.
"""

from collections.abc import Callable

from jax.tree_util import GetAttrKey

from autofit_patch.pytree import _absent
from autofit_patch.pytree._absent import outline_reason_of, outline_structure_of
from autofit_patch.pytree._contents import (
    MISSING,
    attribute_from,
    attributes_of,
    identity_of,
    is_tracer,
    set_identity,
    store,
)
from autofit_patch.pytree._keys import key_from
from autofit_patch.pytree._made import take_note_of_one
from autofit_patch.pytree.by_hand._comparing import (
    arguments_and_extras_of,
    derived_was_set,
    holds_same,
)
from autofit_patch.pytree.by_hand._constructor import (
    Constructor,
    constructors,
    is_part_of,
)
from autofit_patch.pytree.by_hand._split import is_like, merged, split, split_as


def flattened_by_constructor(obj, constructor: Constructor, is_child: Callable):
    """
    Take an object made by hand apart.

    Parameters
    ----------
    obj
        The object.
    constructor
        The constructor of its class.
    is_child
        Whether a value is a pytree of its own.

    Returns
    -------
    The children, one an argument, and the :class:`ConstructorStructure`.
    """
    if outline := outline_structure_of(obj):
        children = outline.children_of(obj)
        if children is not None:
            return children, outline
    if constructor.drops_only_options_of(obj):
        return (), ObjectStructure(obj)
    if outline_reason_of(obj) is None:
        arguments, extras = arguments_and_extras_of(constructor, obj)
    else:
        arguments = constructor.arguments_of(obj)
        extras = added_to_outline(constructor, obj, arguments)
    ndims = []
    split_arguments = {
        name: split(value, ndims, is_child, constructor.is_concrete(name))
        for name, value in arguments.items()
    }
    split_extras = {name: split(value, ndims, is_child) for name, value in extras.items()}
    parts = [*split_arguments.values(), *split_extras.values()]
    structure = ConstructorStructure(
        constructor,
        names=(*arguments, *extras),
        arguments=len(arguments),
        static=tuple(static for static, _ in parts),
        ndims=tuple(ndims),
        identity=identity_of(obj),
    )
    return tuple(dynamic for _, dynamic in parts), structure


def added_to_outline(constructor: Constructor, obj, arguments: dict) -> dict:
    """The attributes that were added to an outline, which no constructor derives."""
    added = {
        name: value
        for name, value in attributes_of(obj).items()
        if name not in arguments and is_part_of(obj, name, value)
    }
    for name in added.keys() & constructor.derived_names:
        raise ValueError(derived_was_set(obj, name, added[name]))
    return added


class ObjectStructure:
    """
    An object made by hand which is structure as a whole, with the numbers in it.

    Its constructor takes an option that it does not keep, and which it was given is not
    known, since the object was made before its class was registered. So it cannot be made
    again, and is given back as it is.

    Parameters
    ----------
    obj
        The object.
    """

    __slots__ = ("obj", "_key")

    keys = ()

    def __init__(self, obj):
        self.obj = obj
        self._key = key_from(obj)

    def __reduce__(self):
        return ObjectStructure, (self.obj,)

    def __deepcopy__(self, memo):
        return self

    def __eq__(self, other):
        return isinstance(other, ObjectStructure) and self._key == other._key

    def __hash__(self):
        return hash(type(self.obj).__qualname__)

    def __repr__(self):
        return repr(self._key)

    def instance_from(self, children):
        """The object (JAX calls this to unflatten)."""
        return self.obj


class ConstructorStructure:
    """
    Everything about an object made by hand but the numbers in it.

    Parameters
    ----------
    constructor
        The constructor of the object's class.
    names
        The names of the arguments, then those of the attributes added later.
    arguments
        How many of them are arguments.
    static
        The values of both, with a hole for each child.
    ndims
        The number of axes of each leaf that was a number or an array.
    identity
        What the object is told from others by, which takes no part in comparing
        structures.
    """

    __slots__ = (
        *("constructor", "names", "arguments", "static", "ndims", "identity"),
        *("_key", "_hash"),
    )

    def __init__(self, constructor, names, arguments, static, ndims, identity):
        self.constructor = constructor
        self.names = names
        self.arguments = arguments
        self.static = static
        self.ndims = ndims
        self.identity = identity
        self._key = (constructor.cls, names, arguments, key_from(static), ndims)
        self._hash = hash((constructor.cls.__qualname__, names))

    def __eq__(self, other):
        return self is other or (
            isinstance(other, ConstructorStructure) and self._key == other._key
        )

    def __hash__(self):
        return self._hash

    def __reduce__(self):
        parts = self.names, self.arguments, self.static, self.ndims
        return structure_from, (self.constructor.cls, *parts)

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        arguments = ", ".join(
            f"{name}={value!r}"
            for name, value in zip(self.names, self.static, strict=True)
        )
        return f"{self.constructor.cls.__name__}({arguments})"

    @property
    def keys(self) -> tuple:
        """The key of each child in JAX's key paths."""
        return tuple(GetAttrKey(str(name)) for name in self.names)

    def children_of(self, outline):
        """The children of an outline with this structure, ``None`` if it was edited."""
        for name, value in attributes_of(outline).items():
            if name not in self.names and is_part_of(outline, name, value):
                return None
        children = tuple(
            split_as(static, attribute_from(outline, name))
            for name, static in zip(self.names, self.static, strict=True)
        )
        return None if any(child is MISSING for child in children) else children

    def instance_from(self, children):
        """
        The object with the given children (JAX calls this to unflatten).

        Parameters
        ----------
        children
            One an argument, each with ``None`` where the structure has the value.
        """
        obj = self._instance_from(children)
        set_identity(obj, self.identity)
        return obj

    def _instance_from(self, children):
        leaves = []
        values = [
            merged(static, child, leaves)
            for static, child in zip(self.static, children, strict=True)
        ]
        fits = len(leaves) == len(self.ndims) and all(map(is_like, leaves, self.ndims))
        if self.constructor.is_container:
            obj = self._made_from(values)
            if not fits:
                _absent.set_outline(obj, None, self)
            return obj
        if not fits:
            return self._outline_from(values, "its leaves are not the numbers it takes")
        if any(map(is_tracer, leaves)):
            obj = self._made_from(values)
            take_note_of_one(obj)
            return obj
        try:
            obj = self._made_from(values)
        except Exception as error:
            # Gradients and steps need not be arguments that the constructor takes. What
            # was rejected is kept for whoever reads what only it could have derived.
            reason = f"its constructor rejected its values ({error!r})"
            return self._outline_from(values, reason)
        given = dict(zip(self.names[: self.arguments], values, strict=False))
        kept = self.constructor.arguments_of(obj)
        for name in given:
            if not holds_same(kept[name], given[name]):
                return self._outline_from(values, f"its constructor changed {name}")
        return obj

    def _made_from(self, values):
        items = [*zip(self.names, values, strict=True)]
        obj = self.constructor.make(dict(items[: self.arguments]))
        for name, value in items[self.arguments :]:
            setattr(obj, name, value)
        return obj

    def _outline_from(self, values, reason: str):
        obj = object.__new__(self.constructor.cls)
        for name, value in zip(self.names, values, strict=True):
            store(obj, name, value)
        absent = self.constructor.derived_names.difference(self.names)
        _absent.mark(obj, absent, reason, self)
        return obj


def structure_from(cls: type, names, arguments, static, ndims) -> ConstructorStructure:
    """A structure that was unpickled, perhaps in another process."""
    return ConstructorStructure(constructors[cls], names, arguments, static, ndims, ())
