"""
Every internal of PyAutoFit that the patch relies on, looked at when the patch is applied.
"""

import inspect

import autofit as af
from autofit.jax import pytrees

from autofit_patch.libraries import _internals
from autofit_patch.libraries._internals import (
    AbstractPriorModel,
    AnnotationPriorModel,
    Array,
    Collection,
    CompoundAssertion,
    CompoundPrior,
    Constant,
    Model,
    ModelInstance,
    ModifiedPrior,
    Prior,
    TuplePrior,
    cached_property_names,
)
from autofit_patch.libraries._required import require


def takes(function, *names: str) -> bool:
    """Whether the arguments of a function, or of a class, have these names."""
    return tuple(inspect.signature(function).parameters) == names


def is_property(cls: type, *names: str) -> bool:
    """Whether a class has properties of these names."""
    return all(isinstance(getattr(cls, name), property) for name in names)


def keeps_frozen_cache_to_itself(obj) -> bool:
    """Whether an object has a cache that is in none of its pickles."""
    return vars(obj)["_frozen_cache"] == {} and "_frozen_cache" not in obj.__getstate__()


def a_prior():
    return af.UniformPrior(lower_limit=0.0, upper_limit=1.0)


def frozen() -> Collection:
    model = Collection(a=1.0)
    model.freeze()
    return model


EXPECTED = {
    "AbstractPriorModel.instance_for_arguments(arguments, ignore_assertions, "
    "xp)": lambda: takes(
        _internals.instance_for_arguments,
        *("self", "arguments", "ignore_assertions", "xp"),
    ),
    "AbstractPriorModel.instance_from_path_arguments(path_arguments, "
    "ignore_assertions)": lambda: takes(
        _internals.instance_from_path_arguments,
        *("self", "path_arguments", "ignore_assertions"),
    ),
    "Model.__init__(cls, **kwargs)": lambda: takes(
        _internals.model_init, "self", "cls", "kwargs"
    ),
    "Model.cls": lambda: Model(dict).cls is dict,
    "kinds of models": lambda: all(
        issubclass(kind, AbstractPriorModel)
        for kind in (Model, AnnotationPriorModel, Collection, Array, CompoundPrior)
    ),
    "AbstractPriorModel._frozen_cache": lambda: keeps_frozen_cache_to_itself(
        Collection()
    ),
    "AbstractPriorModel._is_frozen": lambda: vars(Collection())["_is_frozen"] is False,
    "AbstractPriorModel.freeze": lambda: vars(frozen())["_is_frozen"] is True,
    "AbstractPriorModel._assertions": lambda: vars(Collection())["_assertions"] == [],
    "AbstractPriorModel.id": lambda: isinstance(Collection().id, int),
    "AbstractPriorModel.priors_ordered_by_id": lambda: (
        Collection().priors_ordered_by_id == []
    ),
    "AbstractPriorModel.unique_prior_paths": lambda: (
        Collection(a=a_prior()).unique_prior_paths == [("a",)]
    ),
    "AbstractPriorModel.items": lambda: [*Collection(a=1.0).items()][0][0] == "a",
    "AbstractPriorModel.object_for_path": lambda: callable(Collection().object_for_path),
    "AbstractPriorModel.path_priors_tuples": lambda: (
        Collection().path_priors_tuples == []
    ),
    "AbstractPriorModel.physical_values_from_prior_medians": lambda: (
        [*Collection(a=a_prior()).physical_values_from_prior_medians] == [0.5]
    ),
    "Collection.item_number": lambda: type(Collection().item_number) is int,
    "Array.shape, Array.indices": lambda: (
        Array((2,)).shape == (2,) and [*Array((2,)).indices] == [(0,), (1,)]
    ),
    "CompoundPrior.left, CompoundPrior.right": lambda: is_property(
        CompoundPrior, "left", "right"
    ),
    "CompoundPrior.left_for_arguments(arguments, ignore_assertions, xp)": lambda: takes(
        CompoundPrior.left_for_arguments,
        *("self", "arguments", "ignore_assertions", "xp"),
    ),
    "CompoundAssertion(assertion_1, assertion_2, name)": lambda: takes(
        CompoundAssertion, "assertion_1", "assertion_2", "name"
    ),
    "ModifiedPrior.prior": lambda: is_property(ModifiedPrior, "prior"),
    "Constant.value": lambda: Constant(2.0).value == 2.0,
    "Prior.id, Prior.message": lambda: {"id", "message"} <= vars(a_prior()).keys(),
    "UniformPrior(lower_limit, upper_limit, id_)": lambda: takes(
        af.UniformPrior, "lower_limit", "upper_limit", "id_"
    ),
    "equality of priors by id": lambda: (
        isinstance(a_prior(), Prior) and a_prior() != a_prior()
    ),
    "TuplePrior.tuples, TuplePrior.priors, TuplePrior.prior_tuples": lambda: (
        TuplePrior().tuples == TuplePrior().priors == TuplePrior().prior_tuples == []
    ),
    "ModelInstance.dict": lambda: ModelInstance().dict == {},
    "ModelInstance._frozen_cache": lambda: keeps_frozen_cache_to_itself(ModelInstance()),
    "ModelInstance(child_items)": lambda: (
        "child_items" in inspect.signature(ModelInstance).parameters
    ),
    "autonerves.tools.decorators.cached_property_names": lambda: isinstance(
        cached_property_names(Model), frozenset
    ),
    "autofit.jax.pytrees._REGISTERED_INSTANCE_CLASSES": lambda: isinstance(
        pytrees._REGISTERED_INSTANCE_CLASSES, set
    ),
    "autofit.jax.pytrees._ENABLED": lambda: isinstance(pytrees._ENABLED, bool),
}


def check():
    """
    Look at every internal of PyAutoFit that the patch relies on.

    Raises
    ------
    ImportError
        If one is not as it was in the releases that the patch was tested with. The
        message lists them.
    """
    require("autofit", EXPECTED)
