"""
How objects of a class are made by hand, and from which arguments an object was.
"""

import functools
import inspect
from collections.abc import Callable

import jax
import numpy as np

from autofit_patch.pytree._contents import (
    MISSING,
    attribute_from,
    attributes_of,
    has_no_numbers,
    is_array,
    is_counter,
)
from autofit_patch.pytree.by_hand._arguments import (
    forgotten_names,
    given_argument_of,
    odd_keywords_of,
    remember_forgotten_arguments,
)
from autofit_patch.pytree.by_hand._split import CONCRETE_ARGUMENTS

#: How the objects of each class that the patch gave to JAX are made.
constructors: dict[type, "Constructor"] = {}


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
    def keeps_arguments(self) -> bool:
        """Whether each argument is kept as it is, as far as the constructors tell."""
        return not (
            self._arguments_from
            or self.takes_any_keyword
            or forgotten_names(self.cls)
            or self.cls.__setattr__ is not object.__setattr__
        )

    @property
    def has_arguments_from(self) -> bool:
        """Whether the class was registered with a function that tells the arguments."""
        return self._arguments_from is not None

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
                    f"argument {name!r} is not kept on the object, which was made before "
                    "its class was registered, or without its constructor, so it could "
                    f"not be made again. Make a new {self.cls.__name__} from its "
                    f"arguments, or let the class keep {name!r} as an attribute, or give "
                    "autofit_patch.register an arguments_from function."
                )
            arguments[name] = value
        if self.takes_any_keyword:
            arguments.update(
                (name, value)
                for name, value in attributes_of(obj).items()
                if name not in self.names and is_part_of(obj, name, value)
            )
            # Such as ``label``, which a property keeps under another name.
            for name in odd_keywords_of(obj):
                arguments[name] = attribute_from(obj, name)
        return arguments

    @staticmethod
    def _argument_of(obj, name: str):
        """
        An argument by name, from the object or as it was given. A number that was left to
        the constructor (``None``), and computed by it, follows what it is computed from.
        """
        value = attribute_from(obj, name)
        is_number = isinstance(value, (float, np.floating)) or is_array(value)
        if value is MISSING or (is_number and given_argument_of(obj, name) is None):
            return given_argument_of(obj, name)
        return value

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


def is_part_of(obj, name: str, value) -> bool:
    """
    Whether an attribute is part of what an object holds: neither a counter nor private,
    unless its constructor was given it (a component can have any name).
    """
    if name in odd_keywords_of(obj):
        return True
    return not str(name).startswith("_") and not is_counter(type(obj), name, value)
