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
from types import FunctionType

from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree._contents import MISSING, attribute_from

_forgotten_arguments = Beside()
_remembering: set[FunctionType] = set()


def forgotten_names(cls: type) -> tuple[str, ...]:
    """
    The arguments of a class's constructor that its objects may not keep, or not as they
    were given, as far as the code of the constructors tells.

    Parameters
    ----------
    cls
        The class.
    """
    constructors = [base.__dict__.get("__init__") for base in cls.__mro__]
    kept, changed = set(), set()
    for constructor in constructors:
        if isinstance(constructor, FunctionType):
            for name, is_argument in stored_by(inspect.unwrap(constructor)):
                (kept if is_argument else changed).add(name)
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(
        parameter.name
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and parameter.name not in kept - changed
    )


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
    Let the constructor of a class remember the arguments that its objects do not keep.

    Parameters
    ----------
    cls
        The class. Its constructor is wrapped if there may be such arguments.
    """
    init = cls.__init__
    # A class that inherits its constructor gets none of its own: a decorator that makes
    # one later, as that of data classes, must not find one.
    if not isinstance(init, FunctionType) or init in _remembering:
        return
    names = forgotten_names(cls)
    if not names:
        return
    signature = inspect.signature(init)

    @functools.wraps(init)
    def remembering(self, *args, **kwargs):
        init(self, *args, **kwargs)
        # A subclass may have a constructor, and arguments, of its own.
        if type(self).__init__ is remembering:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            given = {name: bound.arguments[name] for name in names}
            _forgotten_arguments.set(self, (given, attributes_from(self, names)))

    # Without it, ``inspect.getfullargspec``, which PyAutoFit uses, sees the wrapper.
    remembering.__signature__ = signature
    _remembering.add(remembering)
    cls.__init__ = remembering


def attributes_from(obj, names) -> dict:
    """What an object holds under the names of its constructor's arguments."""
    return {name: attribute_from(obj, name) for name in names}


def given_argument_of(obj, name: str):
    """
    An argument as an object's constructor was given it, or ``MISSING`` if that is not
    known, or if the object was changed since.
    """
    given, held = _forgotten_arguments.get(obj, ({}, {}))
    if name not in given or attribute_from(obj, name) is not held[name]:
        return MISSING
    return given[name]


def deepcopy(value, memo: dict | None = None):
    """:func:`copy.deepcopy`, which remembers for the copies what it does for the rest."""
    memo = {} if memo is None else memo
    made = copy.deepcopy(value, memo)
    for key, (given, held) in _forgotten_arguments.items_with_ids(memo.keys()):
        twin = memo[key]
        _forgotten_arguments.set(twin, (given, attributes_from(twin, held)))
    return made
