"""
Everything of PyAutoFit, and of the libraries below it, that this package touches.

The libraries move fast. Whatever the patch needs of them beyond their public interface
is named here, and :func:`check` looks at each when the patch is applied, so that a
release which changed one of them is refused with its name instead of giving a wrong
number later.
"""

import inspect
import weakref

import autofit as af
from autofit.jax import pytrees
from autofit.mapper.model import ModelInstance
from autofit.mapper.prior.abstract import Prior
from autofit.mapper.prior.arithmetic.compound import CompoundPrior, ModifiedPrior
from autofit.mapper.prior.constant import Constant
from autofit.mapper.prior.tuple_prior import TuplePrior
from autofit.mapper.prior_model.abstract import AbstractPriorModel
from autofit.mapper.prior_model.annotation import AnnotationPriorModel
from autofit.mapper.prior_model.array import Array
from autofit.mapper.prior_model.collection import Collection
from autofit.mapper.prior_model.prior_model import Model
from autonerves.tools.decorators import cached_property_names

__all__ = [
    "AbstractPriorModel",
    "AnnotationPriorModel",
    "Array",
    "Collection",
    "CompoundPrior",
    "Constant",
    "Model",
    "ModelInstance",
    "ModifiedPrior",
    "Prior",
    "TuplePrior",
    "add_registry",
    "cached_property_names",
    "check",
    "classes_registered_by_the_libraries",
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
    if type(cache) is not Owner:
        cache = vars(obj)["_frozen_cache"] = Owner(cache)
    cache.value = weakref.ref(obj), value


def owned_by(obj):
    """What an object owns, or ``None``. (A sum of two models has the cache of one.)"""
    ref, value = getattr(vars(obj).get("_frozen_cache"), "value", (None, None))
    return value if ref is not None and ref() is obj else None


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


def check():
    """
    Look at every internal of the libraries that the patch relies on.

    Raises
    ------
    RuntimeError
        If one is not as it was in the releases that the patch was tested with. The
        message lists them.
    """
    model, instance = af.Collection(), ModelInstance()
    expected = {
        "AbstractPriorModel.instance_for_arguments(arguments, ignore_assertions, xp)": [
            *inspect.signature(instance_for_arguments).parameters
        ]
        == ["self", "arguments", "ignore_assertions", "xp"],
        "AbstractPriorModel.instance_from_path_arguments(path_arguments, "
        "ignore_assertions)": [
            *inspect.signature(instance_from_path_arguments).parameters
        ]
        == ["self", "path_arguments", "ignore_assertions"],
        "Model.__init__(cls, **kwargs)": [*inspect.signature(model_init).parameters]
        == ["self", "cls", "kwargs"],
        "AbstractPriorModel._frozen_cache": isinstance(
            vars(model).get("_frozen_cache"), dict
        ),
        "AbstractPriorModel._is_frozen": vars(model).get("_is_frozen") is False,
        "AbstractPriorModel.priors_ordered_by_id": model.priors_ordered_by_id == [],
        "AbstractPriorModel.unique_prior_paths": model.unique_prior_paths == [],
        "AbstractPriorModel.items": model.items() is not None,
        "AbstractPriorModel.object_for_path": callable(model.object_for_path),
        "AbstractPriorModel.path_priors_tuples": model.path_priors_tuples == [],
        "TuplePrior.tuples": TuplePrior().tuples == [],
        "ModelInstance.dict": instance.dict == {},
        "ModelInstance(child_items)": "child_items"
        in inspect.signature(ModelInstance).parameters,
        "autofit.jax.pytrees._REGISTERED_INSTANCE_CLASSES": isinstance(
            pytrees._REGISTERED_INSTANCE_CLASSES, set
        ),
        "autofit.jax.pytrees._ENABLED": isinstance(pytrees._ENABLED, bool),
    }
    missing = [name for name, found in expected.items() if not found]
    if missing:
        raise RuntimeError(
            "autofit_patch cannot patch this release of PyAutoFit: it relies on "
            f"{', '.join(missing)}, which this release does not have or has changed. "
            "Install a release in the tested range (autofit_patch.TESTED_VERSIONS)."
        )
