"""
Objects made by hand.

Of an object that no model made, JAX gets what its constructor was given: the floats, the
arrays and the objects among the arguments are its children, all other arguments are
structure. Unflattening calls the constructor again.
"""

import functools
import inspect
from collections.abc import Callable

import jax
import numpy as np
from jax.tree_util import GetAttrKey

from autofit_patch.pytree import _absent
from autofit_patch.pytree._contents import (
    BOOKKEEPING,
    MISSING,
    attribute_from,
    attributes_of,
    copied,
    has_no_numbers,
    ignored_names,
    is_array,
    key_from,
    same,
)
from autofit_patch.pytree.by_hand._arguments import (
    given_argument_of,
    remember_forgotten_arguments,
)
from autofit_patch.pytree.by_model._layout import is_cache, store
from autofit_patch.pytree.by_model._origin import (
    origin_of,
    outline_reason_of,
    outline_structure_of,
    set_outline,
)

#: Arguments that are structure though they are numbers or hold some, by name (or by class
#: and name), with the reason. They are leaves only if they are JAX arrays, or made of
#: some, or by a model.
CONCRETE_ARGUMENTS: dict[str, str] = {}

#: Classes whose objects are never structure, whatever argument they are.
TRACED_CLASSES: set[type] = set()

_HOLE = type("Hole", (), {"__repr__": lambda self: "*"})()


class Constructor:
    """
    How objects of a class are made, and what they were made from.

    Parameters
    ----------
    cls
        The class.
    arguments_from
        Returns the arguments of the constructor, by name, from an object. By default
        they are the attributes with the names of the arguments.
    make
        Called with these arguments, as one dictionary, to make an object. By default,
        the class is called with them.
    is_container
        Whether the constructor only stores what it is given, so that outlines can be
        made with it too.
    """

    def __init__(
        self,
        cls: type,
        arguments_from: Callable | None = None,
        make: Callable | None = None,
        is_container: bool = False,
    ):
        self.cls = cls
        self.is_container = is_container
        self._arguments_from = arguments_from
        self.make = make or self._make
        #: The attributes that the constructor derives, seen so far.
        self.derived_names = frozenset()
        if arguments_from is None:
            remember_forgotten_arguments(cls)

    @functools.cached_property
    def _parameters(self):
        try:
            return tuple(inspect.signature(self.cls).parameters.values())
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"JAX cannot take a {self.cls.__name__} apart, because the signature of "
                f"its constructor is unknown ({error}). Give it to "
                "autofit_patch.register with arguments_from=..."
            ) from error

    @functools.cached_property
    def names(self) -> frozenset:
        """The names of the arguments that have one."""
        variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return frozenset(p.name for p in self._parameters if p.kind not in variable)

    def is_concrete(self, name: str) -> bool:
        """Whether an argument is structure even if it is a number."""
        return not CONCRETE_ARGUMENTS.keys().isdisjoint(
            (name, f"{self.cls.__name__}.{name}")
        )

    @functools.cached_property
    def takes_any_keyword(self) -> bool:
        return any(p.kind is p.VAR_KEYWORD for p in self._parameters)

    def drops_only_options_of(self, obj) -> bool:
        """
        Whether an object does not keep all that it was made from, but what is missing
        are options (booleans, integers, names) and nothing in it is traced.
        """
        if self._arguments_from is not None:
            return False
        dropped = [
            parameter.default
            for parameter in self._parameters
            if parameter.name in self.names
            and self._argument_of(obj, parameter.name) is MISSING
        ]
        return (
            bool(dropped)
            and all(map(has_no_numbers, dropped))
            and inspect.Parameter.empty not in dropped
            and not any(isinstance(v, jax.Array) for v in attributes_of(obj).values())
        )

    def arguments_of(self, obj) -> dict:
        """
        The arguments from which an object can be made again.

        Raises
        ------
        TypeError
            If the object does not keep one of them, naming class and argument.
        """
        if self._arguments_from is not None:
            return self._arguments_from(obj)
        arguments = {}
        for parameter in self._parameters:
            name = parameter.name
            if parameter.kind is parameter.VAR_KEYWORD:
                continue
            value = self._argument_of(obj, name)
            if value is MISSING:
                raise TypeError(
                    f"JAX cannot take this {self.cls.__name__} apart: its constructor's "
                    f"argument {name!r} is not kept on the object, which was copied, "
                    "unpickled or made before its class was registered, so it could not "
                    f"be made again. Make a new {self.cls.__name__} from its arguments, "
                    f"or let the class keep the argument as an attribute {name!r}, or "
                    "give autofit_patch.register an arguments_from function."
                )
            arguments[name] = value
        if self.takes_any_keyword:
            ignored = self.names | ignored_names(self.cls)
            arguments.update(
                (name, value)
                for name, value in attributes_of(obj).items()
                if name not in ignored and not name.startswith("_")
            )
        return arguments

    @staticmethod
    def _argument_of(obj, name: str):
        """An argument by name, from the object or as it was given."""
        value = attribute_from(obj, name)
        return given_argument_of(obj, name) if value is MISSING else value

    def _make(self, arguments: dict):
        positional = []
        keywords = dict(arguments)
        for parameter in self._parameters:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                positional.append(keywords.pop(parameter.name))
            elif parameter.kind is parameter.VAR_POSITIONAL:
                positional += [
                    keywords.pop(earlier.name)
                    for earlier in self._parameters
                    if earlier.kind is earlier.POSITIONAL_OR_KEYWORD
                ]
                positional += keywords.pop(parameter.name)
        return self.cls(*positional, **keywords)

    def arguments_and_extras_of(self, obj) -> tuple[dict, dict]:
        """
        The arguments from which an object can be made again, and the attributes that
        were added after it was made.

        To tell the latter from those that the constructor derives, and to see that the
        arguments make the same object again, the object is made again.

        Raises
        ------
        TypeError
            If the object does not keep an argument, see :meth:`arguments_of`.
        ValueError
            If the object made again is another: its constructor rejects or changes what
            the object holds, or an attribute that the constructor derives was set to
            something else, and which of the two is meant cannot be known.
        """
        held = self.arguments_of(obj)
        try:
            return held, self._extras_of(obj, held, held)
        except ValueError:
            # Of a tracer nobody knows whether the constructor would change it again.
            given = {name: given_argument_of(obj, name) for name in held}
            if not holds_tracer(tuple(held.values())):
                raise
            arguments = {
                name: held[name] if value is MISSING else value
                for name, value in given.items()
            }
            return arguments, self._extras_of(obj, arguments, held)

    def _extras_of(self, obj, arguments: dict, held: dict) -> dict:
        """
        The attributes that were added to an object after it was made.

        Parameters
        ----------
        obj
            The object.
        arguments
            From which it is made again.
        held
            What the object holds under the names of the arguments.
        """
        ignored = set(arguments) | ignored_names(self.cls)
        if self._arguments_from is None:
            ignored |= self.names
        others = {
            name: value
            for name, value in attributes_of(obj).items()
            if name not in ignored and name not in BOOKKEEPING
        }
        if self.is_container:
            return others
        cls = self.cls.__name__
        try:
            # It may change what it is given, which is the object's own.
            made = self.make(copied(arguments))
        except Exception as error:
            raise ValueError(
                f"this {cls} cannot be made again, so JAX cannot take it apart: its "
                f"constructor rejects what it holds ({error!r})."
            ) from error
        self.derived_names |= attributes_of(made).keys() - BOOKKEEPING
        for name, kept in self.arguments_of(made).items():
            if holds_same(kept, held[name]):
                continue
            if arguments is held or not holds_tracer((kept, held[name])):
                raise ValueError(
                    f"this {cls} cannot be made again, so JAX cannot take it apart: it "
                    f"holds {name} = {held[name]!r}, from which its constructor makes "
                    f"{name} = {kept!r}, and a gradient could not be told from such an "
                    "object. Keep the argument as it is given, or give "
                    "autofit_patch.register an arguments_from function."
                )
        extras = {}
        for name, value in others.items():
            derived = attribute_from(made, name)
            if derived is MISSING:
                if not name.startswith("_"):
                    extras[name] = value
            elif not (
                same(value, derived)
                or is_cache(name, derived)
                or holds_tracer(derived)
                or self._counts(name, derived, arguments)
            ):
                raise ValueError(
                    f"this {cls} holds {name} = {value!r}, but its constructor derives "
                    f"{name} = {derived!r} from what else it holds: an attribute was set "
                    f"after it was made. Make a new {cls} from the values that you want."
                )
        return extras

    def _counts(self, name: str, derived, arguments: dict) -> bool:
        """Whether an attribute is another each time that an object is made."""
        return not same(derived, attribute_from(self.make(copied(arguments)), name))


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
        arguments, extras = constructor.arguments_and_extras_of(obj)
    else:
        arguments, extras = constructor.arguments_of(obj), {}
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
    )
    return tuple(dynamic for _, dynamic in parts), structure


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
            return _HOLE, value
        if isinstance(value, (float, np.floating)):
            ndims.append(0)
            return _HOLE, np.float64(value)
        if is_child(value):
            ndims.append(None)
            return _HOLE, value
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
    if static is _HOLE:
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
    return static is _HOLE


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
    if static is _HOLE:
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


def holds_tracer(value) -> bool:
    """Whether there is a tracer in a value, which no two values need have in common."""
    if isinstance(value, (tuple, list)):
        return any(map(holds_tracer, value))
    return isinstance(value, jax.core.Tracer)


_NO_OBJECT = (type(None), bool, int, float, str, np.generic, np.ndarray, jax.Array)


def holds_same(held, given) -> bool:
    """Whether a constructor kept an argument as it was given."""
    if held is given or isinstance(given, jax.Array):
        return held is given or (is_array(held) and same(held, given))
    if isinstance(given, float) and isinstance(held, float):
        return held == given or (held != held and given != given)
    if isinstance(given, (tuple, list)) and isinstance(held, (tuple, list)):
        return len(held) == len(given) and all(map(holds_same, held, given))
    return same(held, given)


class ObjectStructure:
    """
    An object made by hand which is structure as a whole, with the numbers in it.

    Such is a rectangular mesh that was copied: its constructor takes an option that it
    does not keep, and of a copy it is not known, so that it cannot be made again. It is
    given back as it is.

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
    """

    __slots__ = (
        "constructor",
        "names",
        "arguments",
        "static",
        "ndims",
        "_key",
        "_hash",
    )

    def __init__(self, constructor, names, arguments, static, ndims):
        self.constructor = constructor
        self.names = names
        self.arguments = arguments
        self.static = static
        self.ndims = ndims
        self._key = (constructor.cls, names, arguments, key_from(static), ndims)
        self._hash = hash((constructor.cls.__qualname__, names))

    def __eq__(self, other):
        return self is other or (
            isinstance(other, ConstructorStructure) and self._key == other._key
        )

    def __hash__(self):
        return self._hash

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
        added = attributes_of(outline).keys() - set(self.names) - BOOKKEEPING
        if any(not str(name).startswith("_") for name in added):
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
        leaves = []
        values = [
            merged(static, child, leaves)
            for static, child in zip(self.static, children, strict=True)
        ]
        fits = len(leaves) == len(self.ndims) and all(map(is_like, leaves, self.ndims))
        if self.constructor.is_container:
            obj = self._made_from(values)
            if not fits:
                set_outline(obj, None, self)
            return obj
        if not fits:
            return self._outline_from(values, "its leaves are not the numbers it takes")
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return self._made_from(values)
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
