"""
What a constructor is given and its objects do not keep.

A few classes need an argument only while they are made (the redshifts from which a
profile computes its scale radius, an option of a mesh), or keep something else under its
name (an overdensity that is computed if it is given as zero). To make such an object
again, the argument is remembered beside it (:mod:`autofit_patch.pytree._beside`).
"""

import copy
import dis
import functools
import inspect
import pickle
from types import FunctionType

from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree._contents import (
    COUNTERS,
    MISSING,
    identity_names,
    stored_from,
)
from autofit_patch.pytree._copies import TRAVELLING, Travelling
from autofit_patch.pytree._made import Held, holds_tracer, take_note_of_one

_given = Beside()
TRAVELLING.append(_given)
_remembering: set[FunctionType] = set()


class Given(Travelling):
    """
    The arguments that a constructor was given and its object does not keep.

    Parameters
    ----------
    arguments
        Their values, by name.
    held
        What the object held under these names then
        (:class:`autofit_patch.pytree._made.Held`): if it holds something else now, it was
        edited, and the arguments are not what it is made from.
    odd_keywords
        The names of keywords that it does keep, though private, or under a name that
        PyAutoFit keeps something else under.
    """

    __slots__ = ("arguments", "held", "odd_keywords")

    def __init__(self, arguments: dict, held: dict, odd_keywords: tuple = ()):
        self.arguments = arguments
        self.held = held
        self.odd_keywords = odd_keywords

    def __deepcopy__(self, memo):
        arguments, held = copy.deepcopy((self.arguments, self.held), memo)
        return Given(arguments, held, self.odd_keywords)

    def __reduce__(self):
        try:
            pickle.dumps(self.arguments)
        except Exception:
            # The object could be pickled without them, and still can.
            return Given, ({}, {}, self.odd_keywords)
        return Given, (self.arguments, self.held, self.odd_keywords)


def forgotten_names(cls: type) -> tuple[str, ...]:
    """
    The arguments of a class's constructor that its objects may not keep, or not as they
    were given, as far as the code of the constructors tells.

    Parameters
    ----------
    cls
        The class.
    """
    kept, computed = stored_names(cls)
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(
        parameter.name
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and parameter.name not in kept - computed
    )


def stored_names(cls: type) -> tuple[set, set]:
    """
    The names under which the constructors of a class and of its bases store an argument
    as it is, and those under which they store something that they compute.
    """
    kept, computed = set(), set()
    for base in cls.__mro__:
        constructor = base.__dict__.get("__init__")
        if isinstance(constructor, FunctionType):
            for name, is_argument in stored_by(inspect.unwrap(constructor)):
                (kept if is_argument else computed).add(name)
    return kept, computed - {*identity_names(cls)}


def stored_by(constructor: FunctionType):
    """
    The names under which a constructor stores attributes or variables, each with whether
    it stores the argument of the same name, as it is.
    """
    loaded = []
    for instruction in dis.get_instructions(constructor):
        if instruction.opname.startswith("LOAD_FAST"):
            names = instruction.argval
            loaded += [names] if isinstance(names, str) else names
        elif instruction.opname == "STORE_ATTR":
            # ``self.x = x`` loads ``x``, then ``self``, and nothing else.
            yield instruction.argval, loaded[:-1] == [instruction.argval]
            loaded = []
        elif instruction.opname.startswith("STORE_FAST"):
            # ``x = f(x)``: what is stored later is not the argument. (One instruction
            # may store several variables.)
            names = instruction.argval
            for name in [names] if isinstance(names, str) else names:
                yield name, False
            loaded = []
        else:
            loaded = []


def remember_forgotten_arguments(cls: type):
    """
    Let the constructor of a class remember the arguments that its objects do not keep
    and, of objects that are being traced, what it computed.

    Parameters
    ----------
    cls
        The class. Its constructor is wrapped if there may be either.
    """
    init = cls.__init__
    # A class that inherits its constructor gets none of its own: a decorator that makes
    # one later, as that of data classes, must not find one.
    if not isinstance(init, FunctionType) or init in _remembering:
        return
    names = forgotten_names(cls)
    signature = inspect.signature(init)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    if not (names or takes_any or stored_names(cls)[1]):
        return

    @functools.wraps(init)
    def remembering(self, *args, **kwargs):
        init(self, *args, **kwargs)
        # A subclass may have a constructor, and arguments, of its own.
        if type(self).__init__ is not remembering:
            return
        is_traced = holds_tracer((*args, *kwargs.values()))
        if names or is_traced:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            _, *given = bound.arguments.items()
        if names:
            remember(self, {name: bound.arguments[name] for name in names})
        if takes_any and (odd := tuple(filter(is_odd, kwargs))):
            remember_odd_keywords(self, odd)
        if is_traced:
            kept = all(stored_from(self, name) is value for name, value in given)
            take_note_of_one(self, keeps_arguments=kept)

    # Without it, ``inspect.getfullargspec``, which PyAutoFit uses, sees the wrapper.
    remembering.__signature__ = signature
    _remembering.add(remembering)
    cls.__init__ = remembering


def remember(obj, given: dict):
    """Remember the arguments of an object that it does not keep."""
    given = {
        name: value
        for name, value in given.items()
        if value is not stored_from(obj, name)
    }
    if given:
        held = {name: Held(stored_from(obj, name)) for name in given}
        _given.set(obj, Given(given, held))


def is_odd(name: str) -> bool:
    """Whether attributes of a name are taken for bookkeeping, or for a cache."""
    return name.startswith("_") or name in COUNTERS


def remember_odd_keywords(obj, names: tuple):
    """Remember that a constructor was given keywords with odd names."""
    given = _given.get(obj) or Given({}, {})
    _given.set(obj, Given(given.arguments, given.held, names))


def odd_keywords_of(obj) -> tuple:
    """The odd names of keywords that a constructor was given."""
    given = _given.get(obj)
    return () if given is None else given.odd_keywords


def given_argument_of(obj, name: str):
    """
    An argument as an object's constructor was given it, or ``MISSING`` if that is not
    known, if the object keeps it, or if the object was changed since.
    """
    given = _given.get(obj)
    if given is None or name not in given.arguments:
        return MISSING
    return given.arguments[name] if given.held[name].is_of(obj, name) else MISSING
