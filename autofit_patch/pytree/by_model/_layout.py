"""
Where a model's free parameters are in the instances that it makes.

A :class:`Layout` is found once for a model, by walking the model and an instance made
by it side by side. :mod:`._reading` reads the leaves of any instance with it, and
:mod:`._outline` makes outlines.
"""

import warnings

import jax
import numpy as np

from autofit_patch.libraries._internals import (
    AbstractPriorModel,
    Array,
    Collection,
    Constant,
    Model,
    Prior,
    TuplePrior,
    cached_property_names,
)
from autofit_patch.pytree._contents import (
    MISSING,
    attribute_from,
    attributes_of,
    identity_names,
    ignored_names,
    is_array,
    is_counter,
    slot_names,
)
from autofit_patch.pytree._keys import same, same_number
from autofit_patch.pytree.by_model._description import specified_by


class Layout:
    """
    One object of an instance: which of its attributes are free parameters, which are
    constants of the model, which are objects with a layout of their own, and which
    only the constructor derives.

    Parameters
    ----------
    model
        The model, or the component of a model, that makes the object.
    instance
        An object that the model made.
    again
        The same made a second time from the same parameters. What differs is a
        counter, which says nothing about the model.
    value_of
        The value that each of the model's priors had when the two were made.
    index_of
        The position of each prior among the model's free parameters.

    Attributes
    ----------
    scalars
        The names of attributes that are a free parameter, and its position.
    arrays
        The names of tuples and arrays with their types and shapes, and the free and the
        fixed entries of each.
    constants, children, derived, copies
        The other attributes with what they are in the first instance: a constant of the
        model, an object with a layout, something derived, the positions of parameters.
    absent
        The names of what an outline does not have.
    """

    def __init__(self, model, instance, again, value_of: dict, index_of: dict):
        self.cls = type(instance)
        self.scalars, self.arrays, self.children = [], [], []
        self.constants, self.derived, self.copies = [], [], []
        self.bookkeeping = {}
        absent = []
        specified = specified_by(model)
        for name, component in specified:
            held = attribute_from(instance, name)
            if held is not MISSING:
                other = attribute_from(again, name)
                self._add(name, component, held, other, value_of, index_of, absent)
        # Found once for the class: reading is done for every new instance.
        self.attributes_of = attributes_of if slot_names(self.cls) else vars
        self.names = {name for name, _ in specified}
        for name, held in attributes_of(instance).items():
            if name in self.names or name in cached_property_names(self.cls):
                continue
            if is_counter(self.cls, name, held):
                if name in identity_names(self.cls):
                    absent.append(name)
                else:
                    self.bookkeeping[name] = held
                continue
            self.names.add(name)
            absent.append(name)
            copy = copy_from(held, value_of, index_of)
            if copy is not None:
                self.copies.append((name, copy))
            elif same(held, attribute_from(again, name)):
                self.derived.append((name, held))
        self.names |= ignored_names(self.cls)
        self.absent = tuple(dict.fromkeys([*absent, *(name for name, _ in self.derived)]))
        self.derived_names = tuple(name for name, _ in self.derived)
        #: What the object is told from others by, and whether any object below it is.
        self.identity_names = identity_names(self.cls)
        self.has_identity = bool(self.identity_names) or any(
            layout.has_identity for _, layout in self.children
        )

    def _add(self, name, component, held, again, value_of, index_of, absent):
        if isinstance(component, Model) and isinstance(held, float):
            # A number in a class of its own, made from one parameter.
            component = component.priors[0] if component.priors else float(held)
        if isinstance(component, Prior):
            if same_number(held, value_of[component]):
                self.scalars.append((name, index_of[component]))
                return
        elif isinstance(component, (TuplePrior, Array)):
            entries = self._entries(component, held, value_of, index_of)
            if entries is not None:
                self.arrays.append((name, type(held), *entries))
                return
        elif isinstance(component, (Model, Collection)) and has_attributes(held):
            layout = Layout(component, held, again, value_of, index_of)
            self.children.append((name, layout))
            return
        elif not isinstance(component, AbstractPriorModel):
            constant = component.value if isinstance(component, Constant) else component
            if same(held, constant):
                self.constants.append((name, held))
                return
        if isinstance(component, (Prior, TuplePrior, Array)):
            warnings.warn(
                f"{self.cls.__name__} keeps something else under the name {name!r} than "
                "its constructor is given. What JAX computes is right, but the attribute "
                f"{name!r} of a gradient is what the constructor makes of it: read the "
                "gradient from its leaves (jax.tree_util.tree_leaves_with_path).",
                stacklevel=2,
            )
        if same(held, again):
            self.derived.append((name, held))
        else:
            absent.append(name)

    @staticmethod
    def _entries(component, held, value_of, index_of):
        """
        The free parameters among the entries of a tuple or an array, and its shape,
        or ``None`` if the instance does not hold the entries as they were given.
        """
        if isinstance(component, TuplePrior):
            members = [(i, value) for i, (_, value) in enumerate(component.tuples)]
            shape = (len(members),)
            if not isinstance(held, tuple) or len(held) != len(members):
                return None
        else:
            members = [(index, component[index]) for index in component.indices]
            shape = component.shape
            if not is_array(held) or held.shape != shape:
                return None
        free, fixed = [], []
        for index, member in members:
            if isinstance(member, Prior):
                if not same_number(held[index], value_of[member]):
                    return None
                free.append((index, index_of[member]))
            else:
                fixed.append((index, held[index]))
        return shape, free, fixed


def has_attributes(obj) -> bool:
    """Whether an object has attributes only, and no items or value beside them."""
    builtin = (float, int, str, list, tuple, dict, set, np.ndarray, jax.Array)
    return not isinstance(obj, (*builtin, type(None)))


def copy_from(held, value_of: dict, index_of: dict):
    """
    Which parameter, or which tuple of parameters, an attribute is a copy of, if any.

    A basis, for example, has the centre of its first profile. Copies are told by
    identity, so the values must be objects of their own.
    """
    for prior, value in value_of.items():
        if held is value:
            return index_of[prior]
    if type(held) is tuple and held:
        copies = tuple(copy_from(entry, value_of, index_of) for entry in held)
        if all(isinstance(copy, int) for copy in copies):
            return copies
    return None


def is_cache(name: str, value) -> bool:
    """Whether a private attribute is one that the constructor left empty, for later."""
    is_empty = value is None or (type(value) in (dict, list, tuple) and not value)
    return name.startswith("_") and is_empty
