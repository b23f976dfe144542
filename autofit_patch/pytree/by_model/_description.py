"""
A model by value: what it makes, from which components.
"""

import hashlib

import jax
import numpy as np

from autofit_patch.libraries._internals import (
    AbstractPriorModel,
    AnnotationPriorModel,
    Array,
    Collection,
    Constant,
    Model,
    Prior,
    TuplePrior,
    cached_property_names,
)
from autofit_patch.pytree._contents import is_immutable, is_tracer
from autofit_patch.pytree._keys import key_from

#: What PyAutoFit keeps on models of each kind beside their components.
BOOKKEEPING_OF = (
    (AbstractPriorModel, {"id"}),
    (Model, {"cls"}),
    (AnnotationPriorModel, {"parent_class", "true_argument_name"}),
    (Array, {"shape", "indices"}),
)


class Description:
    """
    A component of a model, by value: what it makes, from which components.

    Parameters
    ----------
    cls
        The class that the component makes, or the kind of component.
    items
        The names and the descriptions of its components, or the positions of free
        parameters, or the keys of constants.
    """

    __slots__ = ("cls", "items")

    def __init__(self, cls, items):
        self.cls = cls
        self.items = items

    def __eq__(self, other):
        return (
            isinstance(other, Description)
            and self.cls is other.cls
            and self.items == other.items
        )

    def lines(self, indent: str = ""):
        """The description as text, one component a line."""
        for name, item, text in self.items:
            if isinstance(item, Description):
                yield f"{indent}{name}: {item.cls.__name__}"
                yield from item.lines(indent + "  ")
            else:
                yield f"{indent}{name} = {text}"


def description_from(model, item_from) -> Description:
    """
    Describe a model by value.

    Parameters
    ----------
    model
        The model, or a component of it.
    item_from
        Returns, from a prior, what it is compared by, and a text for people.
    """
    items = []
    for name, value in components_of(model):
        if isinstance(value, Prior):
            items.append((name, *item_from(value)))
        elif isinstance(value, (AbstractPriorModel, TuplePrior)):
            items.append((name, description_from(value, item_from), ""))
        else:
            value = value.value if isinstance(value, Constant) else value
            items.append((name, key_from(value), text_from(value)))
    cls = model.cls if isinstance(model, Model) else type(model)
    if isinstance(model, Array):
        items.append(("shape", model.shape, repr(model.shape)))
    return Description(cls, tuple(items))


def components_of(model):
    """The names and components of a model, of a tuple of priors or of an expression."""
    if isinstance(model, TuplePrior):
        return [(name, value) for name, value in model.tuples]
    if isinstance(model, Array):
        return [(str(index), model[index]) for index in model.indices]
    operands = [
        name
        for name in ("left", "right", "prior")
        if isinstance(getattr(type(model), name, None), property)
    ]
    if operands:
        return [(name, getattr(model, name)) for name in operands]
    return specified_by(model)


def specified_by(model) -> list:
    """The names and the components which a model specifies of what it makes."""
    ignored = set(cached_property_names(type(model)))
    for kind, names in BOOKKEEPING_OF:
        if isinstance(model, kind):
            ignored |= names
    if isinstance(model, Collection) and type(model.item_number) is int:
        ignored.add("item_number")
    return [
        (name, value)
        for name, value in vars(model).items()
        if name not in ignored and not name.startswith("_")
    ]


def has_mutable_constant(model) -> bool:
    """Whether a model holds a constant that an instance could change in place."""
    todo = [model]
    while todo:
        for _, value in components_of(todo.pop()):
            if isinstance(value, (AbstractPriorModel, TuplePrior)):
                todo.append(value)
            elif not isinstance(value, Prior) and not is_immutable(value):
                return True
    return False


def text_from(value) -> str:
    """
    A constant as a short text for people, complete for numbers and strings, and the same
    in every process.
    """
    if isinstance(value, (str, bool, int, float, type(None), np.generic)):
        return repr(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(text_from, value))})"
    if isinstance(value, (np.ndarray, jax.Array)):
        if is_tracer(value) or value.dtype == object:
            return f"array{value.shape}"
        digest = hashlib.blake2b(np.asarray(value).tobytes(), digest_size=4)
        return f"array{value.shape} {digest.hexdigest()}"
    name = getattr(value, "__qualname__", None)
    return name if isinstance(name, str) else type(value).__name__
