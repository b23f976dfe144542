"""
What is known of an object goes along with its copies and pickles.

Which model made an instance, and what a constructor was given and does not keep, are
kept beside objects (:mod:`autofit_patch.pytree._beside`). A copy is another object, and a
pickle may be opened in another process, so both must be told.
"""

import contextlib
import copy
import functools

from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree._contents import identity_of, is_tracer, set_identity

#: What is kept beside objects and goes along with their copies and pickles.
TRAVELLING: list[Beside] = []


class Travelling:
    """A value that is kept beside an object, and what a copy of the object has of it."""

    __slots__ = ("__weakref__",)

    def for_copy(self):
        """The value for a shallow copy of the object."""
        return self


def goes_along_with_copies(cls: type):
    """
    Let the objects of a class take along what is kept beside them when they are copied or
    pickled. The class's own way to be copied is left as it is.
    """
    # A class written in C takes no attribute.
    with contextlib.suppress(TypeError, AttributeError):
        cls.__reduce_ex__ = reduce_ex


def reduce_ex(self, protocol):
    """What Python copies and pickles an object by."""
    reduced = own_reduce_ex(type(self))(self, protocol)
    known = [beside.get(self) for beside in TRAVELLING]
    if isinstance(reduced, str) or not any(value is not None for value in known):
        return reduced
    make, arguments, *rest = reduced
    known = tuple(value if value is None else value.for_copy() for value in known)
    return made_again, (known, make, arguments), *rest


@functools.cache
def own_reduce_ex(cls: type):
    """How the objects of a class are copied and pickled without the patch."""
    return next(
        base.__dict__["__reduce_ex__"]
        for base in cls.__mro__
        if base.__dict__.get("__reduce_ex__", reduce_ex) is not reduce_ex
    )


def made_again(known: tuple, make, arguments):
    """The object that is being copied or unpickled, as yet without its attributes."""
    obj = make(*arguments)
    for beside, value in zip(TRAVELLING, known, strict=True):
        if value is not None:
            beside.set(obj, value)
    return obj


def deepcopy(value, memo: dict | None = None):
    """
    :func:`copy.deepcopy`, whose copies can be told from others, and looked up, as what
    they are copies of (see :func:`autofit_patch.pytree._contents.identity_names`).

    A copy of a tracer is another tracer, which is the same as nothing, so tracers stay
    what they are.
    """
    memo = {} if memo is None else memo
    copied_so_far = dict(memo)
    made = copy.deepcopy(value, memo)
    if tracers := [*filter(is_tracer, memo.get(id(memo), ()))]:
        memo.clear()
        memo.update(copied_so_far)
        memo.update((id(tracer), tracer) for tracer in tracers)
        made = copy.deepcopy(value, memo)
    for original in memo.get(id(memo), ()):
        set_identity(memo[id(original)], identity_of(original))
    return made
