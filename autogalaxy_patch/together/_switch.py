"""
Whether profiles are evaluated together, and which functions of the libraries see to it.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from autofit_patch.libraries._expected import takes
from autofit_patch.libraries._required import require

#: JAX traces a function again when this changes, as its own settings do.
_is_on = jax.make_user_context(default_value=False)


# In older releases of JAX, only what is behind it has a value for all threads.
_for_all_threads = _is_on if hasattr(_is_on, "set_global") else _is_on._obj


class Together:
    """
    Profiles are evaluated together from when this is made, in all threads; or, if it
    opens a ``with`` block, within that block only, and in the thread that it is in.

    Parameters
    ----------
    on
        Whether they are, or are not.
    """

    def __init__(self, on: bool):
        self._on = on
        self._before = _for_all_threads.get_global()
        _for_all_threads.set_global(on)

    def __enter__(self):
        _for_all_threads.set_global(self._before)
        self._context = _is_on(self._on)
        self._context.__enter__()
        return self

    def __exit__(self, *error):
        self._context.__exit__(*error)


@dataclass(frozen=True)
class Replacement:
    """
    A function of the libraries, and what takes its place.

    Parameters
    ----------
    owner
        The class or the module that has it.
    name
        Its name there.
    arguments
        The names of its arguments.
    function
        What is called under JAX instead, with the libraries' own function first.
    """

    owner: Any
    name: str
    arguments: tuple[str, ...]
    function: Callable

    @property
    def title(self) -> str:
        return f"{self.owner.__name__}.{self.name}({', '.join(self.arguments)})"

    @property
    def found(self):
        """What the libraries have under this name, a function or a property."""
        return inspect.getattr_static(self.owner, self.name)

    def holds(self) -> bool:
        """Whether it is what it was in the releases that were tested."""
        return takes(function_of(self.found), *self.arguments)

    def apply(self):
        """Put the function in its place."""
        found = self.found
        function = dispatched(function_of(found), self.function)
        setattr(
            self.owner,
            self.name,
            function if inspect.isfunction(found) else type(found)(function),
        )


def function_of(found) -> Callable:
    """A function, or that of a property, cached or not."""
    if isinstance(found, property):
        return found.fget
    return getattr(found, "func", found)


def dispatched(original: Callable, function: Callable) -> Callable:
    """The libraries' own function, or the other while profiles are evaluated together."""
    names = list(inspect.signature(original).parameters)
    place = names.index("xp") if "xp" in names else None

    def array_module_of(args, kwargs):
        if place is None:
            return args[0]._xp
        return kwargs.get("xp", args[place] if place < len(args) else np)

    @functools.wraps(original)
    def either(*args, **kwargs):
        if _is_on.value and array_module_of(args, kwargs) is not np:
            return function(original, *args, **kwargs)
        return original(*args, **kwargs)

    return either


_replacements: dict[str, list[Replacement]] = {}
_applied: set[str] = set()


def replaces(library: str, owner, name: str, *arguments: str) -> Callable:
    """
    A decorator for what takes the place of a function of the libraries.

    Parameters
    ----------
    library, owner, name
        The library, the class or module of it that has the function, and the name there.
    arguments
        The names of the function's arguments.
    """

    def added(function):
        replacement = Replacement(owner, name, arguments, function)
        _replacements.setdefault(library, []).append(replacement)
        return function

    return added


def apply():
    """
    Replace the functions, once, of all libraries that are imported.

    Raises
    ------
    ImportError
        If one is not as it was in the releases that the patch was tested with.
    """
    for library in _replacements.keys() - _applied:
        replacements = _replacements[library]
        require(library, {each.title: each.holds for each in replacements})
        for each in replacements:
            each.apply()
        _applied.add(library)
