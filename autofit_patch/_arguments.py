"""
What a constructor is given and its objects do not keep.

A few classes need an argument only while they are made: the redshifts from which a
profile computes its scale radius, an option of a mesh. To make such an object again, the
argument is remembered beside it for as long as it lives; nothing is written on the
object itself.
"""

import copy
import dis
import functools
import inspect
import weakref
from types import FunctionType

_forgotten_arguments: dict[int, tuple] = {}


def forgotten_names(cls: type) -> tuple[str, ...]:
    """
    The arguments of a class's constructor that none of its constructors stores under
    the same name, as far as their code tells.

    Parameters
    ----------
    cls
        The class.
    """
    constructors = [base.__dict__.get("__init__") for base in cls.__mro__]
    stored = {
        instruction.argval
        for constructor in constructors
        if isinstance(constructor, FunctionType)
        for instruction in dis.get_instructions(inspect.unwrap(constructor))
        if instruction.opname == "STORE_ATTR"
    }
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(
        parameter.name
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and parameter.name not in stored
        and not isinstance(getattr(cls, parameter.name, None), property)
    )


def remember_forgotten_arguments(cls: type):
    """
    Let the constructor of a class remember the arguments that its objects do not keep.

    Parameters
    ----------
    cls
        The class. Its constructor is wrapped if there are such arguments.
    """
    names = forgotten_names(cls)
    init = cls.__init__
    if not names or not isinstance(init, FunctionType):
        return
    signature = inspect.signature(init)

    @functools.wraps(init)
    def remembering(self, *args, **kwargs):
        init(self, *args, **kwargs)
        # A subclass has a constructor, and arguments, of its own.
        if type(self) is cls:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            _remember(self, {name: bound.arguments[name] for name in names})

    # Without it, ``inspect.getfullargspec``, which PyAutoFit uses, sees the wrapper.
    remembering.__signature__ = signature
    cls.__init__ = remembering


def _remember(obj, arguments: dict):
    key = id(obj)
    try:
        ref = weakref.ref(obj, functools.partial(_forgotten_arguments.pop, key))
    except TypeError:
        return
    _forgotten_arguments[key] = ref, arguments


def forgotten_arguments_of(obj) -> dict:
    """The arguments by name, or nothing if the object was copied or unpickled."""
    ref, arguments = _forgotten_arguments.get(id(obj), (None, {}))
    return arguments if ref is not None and ref() is obj else {}


def deepcopy(value, memo: dict | None = None):
    """:func:`copy.deepcopy`, which remembers for the copies what it does for the rest."""
    memo = {} if memo is None else memo
    made = copy.deepcopy(value, memo)
    for key in memo.keys() & _forgotten_arguments.keys():
        ref, arguments = _forgotten_arguments[key]
        if ref() is not None:
            _remember(memo[key], arguments)
    return made
