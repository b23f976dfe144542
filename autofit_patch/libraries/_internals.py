"""
Everything of PyAutoFit, and of the libraries below it, that this package touches.

The libraries move fast. Whatever the patch needs of them beyond their public interface
is named here, and :mod:`._expected` looks at each when the patch is applied, so that a
release which changed one of them is refused with its name instead of giving a wrong
number later.
"""

import itertools
import weakref
from contextlib import contextmanager

from autofit.jax import pytrees
from autofit.mapper.model import ModelInstance
from autofit.mapper.model_object import ModelObject
from autofit.mapper.prior.abstract import Prior
from autofit.mapper.prior.arithmetic.assertion import (
    CompoundAssertion,
    GreaterThanLessThanEqualAssertion,
)
from autofit.mapper.prior.arithmetic.compound import CompoundPrior, ModifiedPrior
from autofit.mapper.prior.constant import Constant
from autofit.mapper.prior.tuple_prior import TuplePrior
from autofit.mapper.prior_model.abstract import AbstractPriorModel
from autofit.mapper.prior_model.annotation import AnnotationPriorModel
from autofit.mapper.prior_model.array import Array
from autofit.mapper.prior_model.collection import Collection
from autofit.mapper.prior_model.prior_model import Model
from autofit.tools.namer import namer
from autonerves.tools.decorators import cached_property_names

__all__ = [
    "AbstractPriorModel",
    "AnnotationPriorModel",
    "Array",
    "Collection",
    "CompoundAssertion",
    "CompoundPrior",
    "Constant",
    "GreaterThanLessThanEqualAssertion",
    "Model",
    "ModelInstance",
    "ModifiedPrior",
    "Prior",
    "TuplePrior",
    "add_registry",
    "cached_property_names",
    "classes_registered_by_the_libraries",
    "counted_apart",
    "frozen_cache_of",
    "instance_for_arguments",
    "model_init",
    "own",
    "owned_by",
    "tell_the_libraries",
]

#: How PyAutoFit builds every instance, and every model, before the patch.
instance_for_arguments = AbstractPriorModel.instance_for_arguments
model_init = Model.__init__
instance_from_path_arguments = AbstractPriorModel.instance_from_path_arguments


@contextmanager
def counted_apart():
    """
    A context in which new objects have negative ids, and labels that are not counted, so
    that what the patch makes to look at a release does not change the ids and the labels
    of what the user makes.
    """
    counters = {cls: vars(cls)["_ids"] for cls in (ModelObject, Prior)}
    labels = namer.counter.copy()
    try:
        for cls in counters:
            cls._ids = itertools.count(-1_000_000)
        yield
    finally:
        for cls, counter in counters.items():
            cls._ids = counter
        namer.counter = labels


def frozen_cache_of(obj) -> dict | None:
    """
    The cache of a frozen model, or ``None`` if an object is not a model that is frozen.

    No attribute of a frozen model can be set, and ``unfreeze`` replaces the cache.
    """
    if not isinstance(obj, (Model, Collection)):
        return None
    attributes = vars(obj)
    return attributes["_frozen_cache"] if attributes.get("_is_frozen") else None


class Owner(dict):
    """The cache of a model or an instance, which owns one thing more."""

    __slots__ = ("value",)


def own(obj, value):
    """
    Let a model, or an instance of a collection, own a value that may lead back to it.

    It is kept where no comparison, copy, pickle or JSON form of the object sees it: in
    the cache for frozen models, which is empty or a model's own, and in none of these.
    """
    cache = vars(obj)["_frozen_cache"]
    owner = cache if type(cache) is Owner else Owner(cache)
    owner.value = weakref.ref(obj), value
    vars(obj)["_frozen_cache"] = owner


def owned_by(obj):
    """What an object owns, or ``None``. (A sum of two models has the cache of one.)"""
    cache = vars(obj).get("_frozen_cache")
    if type(cache) is not Owner:
        return None
    ref, value = cache.value
    return value if ref() is obj else None


#: Where the libraries' own registration looks up which classes JAX already has.
registries = [pytrees._REGISTERED_INSTANCE_CLASSES]

_registered_by_the_patch: set = set()


def classes_registered_by_the_libraries() -> set:
    """The classes which the libraries' own registration gave to JAX."""
    registered = set().union(*registries)
    if pytrees._ENABLED:
        registered |= {Model, Collection, ModelInstance}
    return registered - _registered_by_the_patch


def tell_the_libraries(cls: type):
    """Make the libraries' own registration find a class registered."""
    _registered_by_the_patch.add(cls)
    for registry in registries:
        registry.add(cls)


def add_registry(registry: set):
    """Keep one more of the libraries' sets of registered classes up to date."""
    registries.append(registry)
    registry |= _registered_by_the_patch
