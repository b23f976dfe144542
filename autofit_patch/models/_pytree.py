"""
Models as pytrees.

The leaves of a model are the numbers of its priors: limits, means, sigmas. Its structure
is all the rest, the ids of the priors included, so that a model comes back with the same
priors, shared where they were shared.
"""

import functools
import inspect

import jax
import numpy as np
from jax.tree_util import GetAttrKey

from autofit_patch.libraries._internals import (
    AnnotationPriorModel,
    Array,
    Collection,
    CompoundPrior,
    Model,
    ModifiedPrior,
    Prior,
    TuplePrior,
    tell_the_libraries,
)
from autofit_patch.pytree._contents import BOOKKEEPING, is_tracer
from autofit_patch.pytree._copies import deepcopy
from autofit_patch.pytree._keys import key_from
from autofit_patch.pytree._registration import subclasses_of
from autofit_patch.pytree.by_model._description import description_from
from autofit_patch.pytree.by_model._structure import is_number


@functools.cache
def number_names(cls: type) -> tuple[str, ...]:
    """The names of the numbers that define a prior: its constructor's arguments."""
    return tuple(name for name in inspect.signature(cls).parameters if name != "id_")


class AbsentMessage:
    """
    What stands for the message of a prior whose numbers are not numbers.

    A prior looks up in its message every attribute that it does not have itself.
    """

    def __init__(self, prior_class: type):
        self._prior_class = prior_class

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"this {self._prior_class.__name__} has no {name}: its "
            f"{' and '.join(number_names(self._prior_class))} are not numbers that its "
            "constructor accepts, so it was made without the constructor."
        )


class ModelPytreeStructure:
    """
    Everything about a model, or a prior, but the numbers of its priors.

    Parameters
    ----------
    model
        The model, tuple of priors or prior. A copy is kept.
    """

    def __init__(self, model):
        self._model = deepcopy(model)
        self.priors = priors_of(self._model)
        self.keys = tuple(
            GetAttrKey(".".join((*path, name)))
            for path, prior in zip(paths_of(self._model), self.priors, strict=True)
            for name in number_names(type(prior))
        )
        if isinstance(model, Prior):
            self._key = self._item_from(self._model)[0]
        else:
            assertions = key_from(getattr(self._model, "_assertions", []))
            self._key = description_from(self._model, self._item_from), assertions
        self._hash = hash((type(model).__qualname__, self.keys))

    @staticmethod
    def _item_from(prior):
        rest = {name: key_from(value) for name, value in rest_of(prior).items()}
        return (type(prior), prior.id, tuple(rest.items())), f"{prior!r}"

    def __eq__(self, other):
        return self is other or (
            isinstance(other, ModelPytreeStructure) and self._key == other._key
        )

    def __hash__(self):
        return self._hash

    def __repr__(self):
        if isinstance(self._model, Prior):
            return repr(self._model)
        return "\n".join(self._key[0].lines())

    def model_from(self, leaves):
        """The model with the given numbers (JAX calls this to unflatten)."""
        leaves = iter(leaves)
        new = {
            prior: prior_from(prior, [next(leaves) for _ in number_names(type(prior))])
            for prior in self.priors
        }
        if isinstance(self._model, Prior):
            return new[self._model]
        # ``deepcopy`` takes from its memo what it finds there instead of a copy.
        memo = {id(prior): new[prior] for prior in all_priors_of(self._model)}
        return deepcopy(self._model, memo)


def all_priors_of(model) -> list:
    """Every prior of a model at each of its places, in no order."""
    if isinstance(model, Prior):
        return [model]
    if isinstance(model, TuplePrior):
        return model.priors
    return [prior for _, prior in model.path_priors_tuples]


def priors_of(model) -> list:
    """The priors of a model, each once, in the order of their ids."""
    return sorted(dict.fromkeys(all_priors_of(model)), key=lambda prior: prior.id)


def paths_of(model) -> list:
    """The path of each of the model's priors, in the same order."""
    if isinstance(model, Prior):
        return [()]
    if isinstance(model, TuplePrior):
        path_of = {prior: (name,) for name, prior in model.prior_tuples}
        return [path_of[prior] for prior in priors_of(model)]
    return [tuple(map(str, path)) for path in model.unique_prior_paths]


def rest_of(prior) -> dict:
    """The attributes of a prior that its numbers do not determine."""
    determined = {"message", *number_names(type(prior)), *BOOKKEEPING}
    return {name: value for name, value in vars(prior).items() if name not in determined}


def is_outline(prior) -> bool:
    """Whether a prior was made without its constructor."""
    return isinstance(prior.message, AbsentMessage)


def prior_from(prior, numbers: list):
    """
    A prior with the same id and other numbers.

    Parameters
    ----------
    prior
        The prior.
    numbers
        Its numbers in the order of its constructor's arguments. If they are not numbers
        (tracers, ``None`` ...), or not such that its constructor accepts them, the prior
        is made without it and can only be read.
    """
    cls = type(prior)
    names = number_names(cls)
    if all(is_number(n) and not is_tracer(n) for n in numbers):
        try:
            new = cls(**dict(zip(names, map(float, numbers), strict=True)), id_=prior.id)
        except Exception:
            # Steps and gradients need not be limits that the constructor accepts.
            new = None
    else:
        new = None
    if new is None:
        new = object.__new__(cls)
        vars(new).update(zip(names, numbers, strict=True))
        vars(new).update(id=prior.id, message=AbsentMessage(cls))
    vars(new).update(rest_of(prior))
    vars(new)["_label"] = vars(prior).get("_label")
    return new


def flattened(model):
    """The numbers of a model's priors and its structure, as JAX wants them."""
    structure = ModelPytreeStructure(model)
    numbers = []
    for prior in priors_of(model):
        held = [getattr(prior, name) for name in number_names(type(prior))]
        numbers += held if is_outline(prior) else map(np.float64, held)
    return tuple(numbers), structure


def flattened_with_keys(model):
    """The same with the key of each number."""
    numbers, structure = flattened(model)
    return tuple(zip(structure.keys, numbers, strict=True)), structure


def unflattened(structure, numbers):
    return structure.model_from(numbers)


def register_models():
    """Make models and priors of every kind pytrees."""
    kinds = [Model, AnnotationPriorModel, Collection, TuplePrior, Array]
    for base in (Prior, CompoundPrior, ModifiedPrior):
        kinds += subclasses_of(base)
    for cls in kinds:
        jax.tree_util.register_pytree_with_keys(
            cls, flattened_with_keys, unflattened, flattened
        )
        tell_the_libraries(cls)
