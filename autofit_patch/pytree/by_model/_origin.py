"""
Which model made an instance.

Nothing is written on the instances themselves, see :mod:`autofit_patch.pytree._beside`.
"""

import copy
import threading

from autofit_patch.libraries._internals import ModelInstance, own, owned_by
from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree._copies import TRAVELLING, Travelling
from autofit_patch.pytree._made import take_note
from autofit_patch.pytree.by_model._snapshot import Snapshot


class Origin(Travelling):
    """
    How an instance came to be.

    Parameters
    ----------
    state
        The state of the model that made the instance, when it made it
        (:class:`autofit_patch.pytree.by_model._state.ModelState`), or what is left of it
        (``LostModel``).
    arguments
        The values of the priors that it was made with, by prior, or the leaves in the
        model's order.
    outline
        Whether it was made without calling a constructor.
    traced
        Whether it was made inside a trace.
    """

    __slots__ = ("state", "outline", "traced", "derived_objects", "_arguments", "_read")

    def __init__(self, state, arguments, outline=False, traced=False):
        self.state = state
        self.outline = outline
        self.traced = traced
        #: What the constructors derived, if that is another for every instance.
        self.derived_objects = None
        self._arguments = arguments
        self._read = None

    def for_copy(self):
        return Origin(self.state, self._arguments, self.outline, self.traced)

    def __deepcopy__(self, memo):
        # Tracers in it must be the copies that the attributes of the instance become.
        leaves = copy.deepcopy(self.leaves, memo)
        return Origin(self.state, leaves, self.outline, self.traced)

    def __reduce__(self):
        return Origin, (self.state, self.leaves, self.outline, self.traced)

    @property
    def leaves(self) -> tuple:
        """The values of the free parameters that the instance was made with."""
        if isinstance(self._arguments, dict):
            priors = self.state.priors
            self._arguments = tuple(map(self._arguments.__getitem__, priors))
        return self._arguments

    def flattened(self, instance):
        """
        The leaves and the structure found by an earlier flatten, or ``None`` if there
        was none or the instance has changed since.
        """
        if self._read is None or type(instance) is not ModelInstance:
            return None
        snapshot = owned_by(instance)
        return self._read if snapshot is not None and snapshot.holds() else None

    def remember(self, instance, leaves, structure):
        """
        Keep what a flatten found.

        Only from the second time on is it kept together with a snapshot, which takes
        longer to make than the flatten: most instances are flattened once.
        """
        if self._read is not None and type(instance) is ModelInstance:
            own(instance, Snapshot(instance))
        self._read = leaves, structure


_origins = Beside()
TRAVELLING.append(_origins)
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
    if origin.traced:
        take_note(instance)
    _origins.set(instance, origin)


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
