"""
Which model made an instance.

Nothing is written on the instances themselves, see :mod:`autofit_patch.pytree._beside`.
"""

import threading

from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree.by_model._snapshot import Snapshot


class Origin:
    """
    How an instance came to be.

    Parameters
    ----------
    state
        The state of the model that made the instance, when it made it
        (:class:`autofit_patch.pytree.by_model._structure.ModelState`).
    arguments
        The values of the priors that it was made with, by prior, or the leaves in the
        model's order, or ``None`` if they are not known.
    outline
        Whether it was made without calling a constructor.
    """

    __slots__ = (
        *("state", "outline", "derived_objects"),
        *("_arguments", "_read", "_snapshot"),
    )

    def __init__(self, state, arguments, outline=False):
        self.state = state
        self.outline = outline
        #: What the constructors derived, if that is another for every instance.
        self.derived_objects = None
        self._arguments = arguments
        self._snapshot = None
        self._read = None

    @property
    def leaves(self) -> tuple | None:
        """The values of the free parameters that the instance was made with, if known."""
        if isinstance(self._arguments, dict):
            priors = self.state.priors
            self._arguments = tuple(map(self._arguments.__getitem__, priors))
        return self._arguments

    def flattened(self):
        """
        The leaves and the structure found by an earlier flatten, or ``None`` if there
        was none or the instance has changed since.
        """
        snapshot = self._snapshot
        if self._read is not None and snapshot is not None and snapshot.holds():
            return self._read
        return None

    def watch(self, instance):
        """
        Take a snapshot of an instance when it is made.

        Of a traced instance which parameter is where cannot always be seen later: a
        number that was put into an array and taken out again is another tracer.
        """
        self._snapshot = Snapshot(instance)

    def is_as_made(self) -> bool:
        """Whether an instance that is watched was never flattened nor changed."""
        snapshot = self._snapshot
        return self._read is None and snapshot is not None and snapshot.holds()

    def remember(self, instance, leaves, structure):
        """
        Keep what a flatten found.

        Only from the second time on is it kept together with a snapshot, which takes
        longer to make than the flatten: most instances are flattened once. One that is
        watched stays so.
        """
        again = self._read is not None or self._snapshot is not None
        self._snapshot = Snapshot(instance) if again else None
        self._read = leaves, structure


_origins, _outlines = Beside(), Beside()
_building = threading.local()

#: Says that whatever is built next is part of the instance being built.
ANY = object()


def origin_of(instance) -> Origin | None:
    """What is known of an instance, or ``None`` if no model made it."""
    return _origins.get(instance)


def set_origin(instance, origin: Origin):
    """
    Remember where an instance came from, until it is deleted.

    An instance that cannot be weakly referenced is not remembered: it is then an object
    made by hand.
    """
    _origins.set(instance, origin)


def outline_reason_of(obj) -> str | None:
    """Why an object was made without its constructor, or ``None`` if it was not."""
    return _outlines.get(obj, (None, None))[0]


def outline_structure_of(obj):
    """The structure from which JAX made an outline of an object made by hand, if any."""
    return _outlines.get(obj, (None, None))[1]


def set_outline(obj, reason: str | None, structure=None):
    """
    Remember why, and from what, an object was made without its constructor. A container
    needs none: there is no reason, but a structure.
    """
    _outlines.set(obj, (reason, structure))


class building:
    """
    A context in which instances are parts of one that is being built.

    A model builds an instance by asking each of its components for one with the same
    arguments. Only the outermost call makes a point in a model.

    Parameters
    ----------
    arguments
        The values of the priors, by prior, that are passed down the model, or ``ANY``.
    """

    __slots__ = ("arguments", "outer")

    def __init__(self, arguments):
        self.arguments = arguments

    def __enter__(self):
        self.outer = getattr(_building, "arguments", None)
        _building.arguments = self.arguments

    def __exit__(self, *exception):
        _building.arguments = self.outer


def is_building(arguments) -> bool:
    """Whether an instance is being built from these arguments in this thread."""
    built_from = getattr(_building, "arguments", None)
    return built_from is arguments or built_from is ANY
