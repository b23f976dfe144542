"""
Whether profiles are evaluated together, and which functions of the libraries see to it.
"""

import functools
import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from autofit_patch.libraries._backend import depends_on_cores
from autofit_patch.libraries._expected import takes
from autofit_patch.libraries._required import require

#: JAX traces a function again when this changes, as its own settings do.
_is_on = jax.make_user_context(default_value=False)


# In older releases of JAX, only what is behind it has a value for all threads.
_for_all_threads = _is_on if hasattr(_is_on, "set_global") else _is_on._obj

#: A block in which the libraries' own functions are called.
one_by_one = functools.partial(_is_on, False)

depends_on_cores.append(lambda: _is_on.value)


class Together:
    """
    Profiles are evaluated together from when this is made, in all threads; or, if it
    opens a ``with`` block or decorates a function, within that only, and in the thread
    that it is in.

    Parameters
    ----------
    on
        Whether they are, or are not.
    """

    #: The last one that holds in all threads.
    _latest = None

    def __init__(self, on: bool):
        self._on = on
        self._before = _for_all_threads.get_global()
        self._in_thread = threading.local()
        _for_all_threads.set_global(on)
        Together._latest = self

    def __enter__(self):
        self._hold_no_more()
        context = _is_on(self._on)
        context.__enter__()
        vars(self._in_thread).setdefault("open", []).append(context)
        return self

    def __exit__(self, *error):
        contexts = vars(self._in_thread).get("open")
        if not contexts:
            raise RuntimeError(
                "a block of evaluate_together() ended in another thread than it began "
                "in, where it goes on: it is of one thread. (A generator that is closed "
                "or collected elsewhere ends its blocks there.)"
            )
        contexts.pop().__exit__(*error)

    def __call__(self, function: Callable) -> Callable:
        """The function, within a block of its own."""
        self._hold_no_more()

        @functools.wraps(function)
        def within(*args, **kwargs):
            with _is_on(self._on):
                return function(*args, **kwargs)

        return within

    def _hold_no_more(self):
        """Put back what held in all threads, unless that was changed since."""
        if Together._latest is self:
            _for_all_threads.set_global(self._before)
            Together._latest = None


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
        if (
            _is_on.value
            and array_module_of(args, kwargs) is not np
            and not (args and overrides(type(args[0])))
        ):
            return function(original, *args, **kwargs)
        return original(*args, **kwargs)

    return either


#: The packages whose classes do what the replacements know.
KNOWN = "autoarray", "autogalaxy", "autogalaxy_patch", "autolens", "autolens_patch"


def overrides(cls: type) -> bool:
    """Whether a class of a user's does anything that the libraries' class does too."""
    own = []
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] in KNOWN:
            return any(hasattr(base, name) for name in own)
        own += [name for name in vars(base) if not name.startswith("__")]
    return False


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
