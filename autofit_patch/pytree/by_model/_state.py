"""
A model as it was when it made an instance.
"""

import pickle
import weakref

from autofit_patch.libraries._internals import Prior, own, owned_by
from autofit_patch.pytree._copies import deepcopy
from autofit_patch.pytree.by_model._origin import Origin, set_origin
from autofit_patch.pytree.by_model._snapshot import Snapshot
from autofit_patch.pytree.by_model._structure import (
    ModelStructure,
    looking_at_a_model,
)


class ModelState:
    """
    A model as it was when it made an instance, and its structure, found when asked for.

    Parameters
    ----------
    model
        The model. The state owns it from now on.
    """

    __slots__ = ("_model", "_priors", "_structure", "_pickles", "__weakref__")

    def __init__(self, model, structure: ModelStructure | None = None):
        self._model = model
        self._priors = None
        self._structure = structure
        self._pickles = None

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        if self._pickles is None:
            try:
                pickle.dumps(self._model)
                self._pickles = True
            except Exception as error:
                # Whatever the user's classes raise, the instance itself can be pickled.
                self._pickles = f"its model cannot be pickled: {error!r}"
        if self._pickles is True:
            return ModelState, (self._model,)
        return LostModel, (self._pickles,)

    @property
    def priors(self) -> list:
        """The model's own priors, in the order of its parameters."""
        if self._priors is None:
            with looking_at_a_model:
                self._priors = self._model.priors_ordered_by_id
        return self._priors

    def remember(self, instance, origin: Origin):
        """Remember where an instance of the model came from, when it is made."""
        if self._structure is None:
            set_origin(instance, origin)
        else:
            self._structure.remember(instance, origin)

    @property
    def structure(self) -> ModelStructure:
        """The structure of its instances, which an equal model may have had before."""
        if self._structure is None:
            self._structure = structure_owning(self._model)
        return self._structure


class LostModel:
    """
    What is left of the state of a model that could not be copied, or not be pickled.

    Parameters
    ----------
    reason
        Why it could not.
    """

    priors = ()

    def __init__(self, reason: str):
        self.reason = reason

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return LostModel, (self.reason,)

    def remember(self, instance, origin: Origin):
        """Remember that a model made an instance."""
        set_origin(instance, origin)


_structures: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def structure_owning(model) -> ModelStructure:
    """
    The structure of a model's instances: the same object for equal models, so that
    comparing two costs nothing.

    Parameters
    ----------
    model
        The model, which nobody else may hold: it is frozen and kept.
    """
    with looking_at_a_model:
        structure = ModelStructure(model)
        structure.state = ModelState(model, structure)
        known = _structures.setdefault(structure, weakref.ref(structure))()
    return structure if known is None else known


def structure_from(model) -> ModelStructure:
    """The structure of the instances of a model, which stays the user's own."""
    return state_of(model).structure


def state_of(model) -> ModelState:
    """The state of a model now: the same object until the model is edited."""
    known = owned_by(model)
    if known is not None:
        state, snapshot = known
        if snapshot.holds():
            return state
    state = ModelState(deepcopy(model))
    own(model, (state, Snapshot(model, opaque=(Prior,))))
    return state
