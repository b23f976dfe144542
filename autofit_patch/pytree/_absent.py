"""
What is not there in an outline, and why.

An outline is an object made without its constructor. An attribute that only the
constructor derives must not be read from it as if it were there: not from a default of
the class, and not without an explanation.
"""

import inspect

from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree._contents import MISSING
from autofit_patch.pytree._copies import TRAVELLING, Travelling

_outlines = Beside()
TRAVELLING.append(_outlines)


class Outline(Travelling):
    """
    Why, and from what, an object was made without its constructor.

    Parameters
    ----------
    reason
        Why. A container needs no constructor, so there is no reason, but a structure.
    structure
        The structure from which JAX made an outline of an object made by hand, if any.
    """

    __slots__ = ("reason", "structure")

    def __init__(self, reason: str | None, structure=None):
        self.reason = reason
        self.structure = structure

    def __reduce__(self):
        return Outline, (self.reason, self.structure)


_NO_OUTLINE = Outline(None)


def outline_reason_of(obj) -> str | None:
    """Why an object was made without its constructor, or ``None`` if it was not."""
    return _outlines.get(obj, _NO_OUTLINE).reason


def outline_structure_of(obj):
    """The structure from which JAX made an outline of an object made by hand, if any."""
    return _outlines.get(obj, _NO_OUTLINE).structure


def set_outline(obj, reason: str | None, structure=None):
    """Remember why, and from what, an object was made without its constructor."""
    _outlines.set(obj, Outline(reason, structure))


class AbsentAttribute:
    """
    A descriptor, put on a class, that explains why an attribute is absent.

    It defines ``__get__`` only, so it is never consulted for an object that has the
    attribute, and it costs nothing where it is not needed.

    Parameters
    ----------
    name
        The name of the attribute.
    default
        What the class had under this name before, or ``MISSING``.
    """

    def __init__(self, name: str, default=MISSING):
        self.name = name
        self.default = default

    def __get__(self, obj, cls):
        reason = None if obj is None else outline_reason_of(obj)
        if reason is not None:
            raise AttributeError(
                f"this {cls.__name__} has no {self.name}: it is an outline, made "
                f"without {cls.__name__}'s constructor, which alone can derive "
                f"{self.name}, because {reason}. Rebuild it from numbers first "
                "(take one member of a batch, for example).",
                name=self.name,
                obj=obj,
            )
        if self.default is not MISSING:
            bind = getattr(self.default, "__get__", None)
            return self.default if bind is None else bind(obj, cls)
        raise AttributeError(
            f"{cls.__name__!r} object has no attribute {self.name!r}",
            name=self.name,
            obj=obj,
        )


def mark(obj, names, reason: str, structure=None):
    """
    Let the attributes of an outline that are absent say so.

    Parameters
    ----------
    obj
        The outline.
    names
        The names of the attributes that only its constructor derives.
    reason
        Why the constructor was not called, or what it rejected.
    structure
        The structure of an outline of an object made by hand.
    """
    cls = type(obj)
    for name in names:
        present = inspect.getattr_static(cls, name, MISSING)
        if isinstance(present, AbsentAttribute) or hasattr(type(present), "__set__"):
            # Already marked, or a property or slot, of which nothing is stored.
            continue
        setattr(cls, name, AbsentAttribute(name, present))
    set_outline(obj, reason, structure)
