"""
Where a model's free parameters are in the instances that it makes.

A :class:`Layout` is found once for a model, by walking the model and an instance made
by it side by side. It then reads the leaves from any instance of the model, tells
whether the instance still is what the model makes, and makes outlines.
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
from autofit_patch.pytree import _absent
from autofit_patch.pytree._contents import (
    BOOKKEEPING,
    MISSING,
    attribute_from,
    attributes_of,
    ignored_names,
    is_array,
    same,
    slot_names,
)

UNREAD = object()
EDITED = "edited"
DERIVED_DIFFERS = "derived differs"


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
    """

    def __init__(self, model, instance, again, value_of: dict, index_of: dict):
        self.cls = type(instance)
        self.scalars, self.arrays, self.children = [], [], []
        self.constants, self.derived, self.copies = [], [], []
        self.bookkeeping = {}
        specified = specified_by(model)
        for name, component in specified:
            held = attribute_from(instance, name)
            if held is not MISSING:
                self._add(
                    name,
                    component,
                    held,
                    attribute_from(again, name),
                    value_of,
                    index_of,
                )
        # Found once for the class: reading is done for every new instance.
        self.attributes_of = attributes_of if slot_names(self.cls) else vars
        ignored = ignored_names(self.cls)
        self.names = {name for name, _ in specified} | ignored
        absent = [name for name, _ in self.derived]
        for name, held in attributes_of(instance).items():
            if name in BOOKKEEPING:
                self.bookkeeping[name] = held
            elif name in cached_property_names(self.cls):
                continue
            elif name in ignored:
                absent.append(name)
            elif name not in self.names:
                self.names.add(name)
                absent.append(name)
                copy = copy_from(held, value_of, index_of)
                if copy is not None:
                    self.copies.append((name, copy))
                elif same(held, attribute_from(again, name)):
                    self.derived.append((name, held))
        self.absent = tuple(absent)
        self.derived_names = tuple(name for name, _ in self.derived)

    def _add(self, name, component, held, again, value_of, index_of):
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
        self.derived.append((name, held))

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

    def read(self, obj, leaves: list, derived_objects: list | None = None):
        """
        Read the leaves from an object.

        Parameters
        ----------
        obj
            An object that may have been made by the model.
        leaves
            One entry a free parameter, filled by this function.
        derived_objects
            Extended, if given, by what the constructors derived, which is then not
            compared with what they derived in the first instance.

        Returns
        -------
        ``EDITED`` if the object is not one that the model makes: another class,
        constant or attribute, or different values where one parameter belongs.
        ``DERIVED_DIFFERS`` if this may be so, because what a constructor derives is not
        what it derived in the first instance. ``None`` if it is a point in the model.
        """
        if type(obj) is not self.cls:
            return EDITED
        result = None
        attributes = self.attributes_of(obj)
        for name, index in self.scalars:
            held = attributes.get(name, MISSING)
            if held is MISSING:
                held = attribute_from(obj, name)
            if leaves[index] is UNREAD and held is not MISSING:
                leaves[index] = held
            elif not same_number(held, leaves[index]):
                return EDITED
        for name, cls, shape, free, fixed in self.arrays:
            held = attributes.get(name, MISSING)
            if held is MISSING:
                held = attribute_from(obj, name)
            if cls is tuple:
                if type(held) is not tuple or len(held) != shape[0]:
                    return EDITED
            elif not is_array(held) or held.shape != shape:
                return EDITED
            for position, index in free:
                entry = held[position]
                if leaves[index] is UNREAD:
                    leaves[index] = entry
                elif not same_number(entry, leaves[index]):
                    return EDITED
            for position, value in fixed:
                if not same_number(held[position], value):
                    return EDITED
        for name, value in self.constants:
            held = attributes.get(name, MISSING)
            if held is not value and not same(attribute_from(obj, name), value):
                return EDITED
        if derived_objects is not None:
            derived_objects += map(attributes.get, self.derived_names)
        else:
            for name, value in self.derived:
                held = attributes.get(name, MISSING)
                if held is not value and not same(held, value):
                    result = DERIVED_DIFFERS
        if not self.names.issuperset(attributes) and any(
            not str(name).startswith("_") for name in attributes.keys() - self.names
        ):
            return EDITED
        for name, layout in self.children:
            held = attributes.get(name, MISSING)
            if held is MISSING:
                held = attribute_from(obj, name)
            child = layout.read(held, leaves, derived_objects)
            if child is EDITED:
                return EDITED
            result = child or result
        for name, copy in self.copies:
            held = attributes.get(name, MISSING)
            if isinstance(copy, int):
                kept = same_number(held, leaves[copy])
            else:
                kept = type(held) is tuple and len(held) == len(copy)
                kept = kept and all(
                    same_number(entry, leaves[index])
                    for entry, index in zip(held, copy, strict=True)
                )
            if not kept:
                result = DERIVED_DIFFERS
        return result

    def derived_of(self, obj) -> dict:
        """
        What the constructors derived, by name, in an object and those below it.

        Private attributes that the first instance left empty are caches, filled when
        they are needed, and no part of it.
        """
        derived = {
            name: attribute_from(obj, name)
            for name, value in (*self.derived, *self.copies)
            if not is_cache(name, value)
        }
        children = {
            name: layout.derived_of(attribute_from(obj, name))
            for name, layout in self.children
        }
        return {"derived": derived, **children}

    def derived_objects_of(self, obj) -> list:
        """
        The very objects that the constructors derived, in an object and those below it:
        as long as they are the same and cannot change, nobody set them.
        """
        objects = [*map(self.attributes_of(obj).get, self.derived_names)]
        for name, layout in self.children:
            objects += layout.derived_objects_of(attribute_from(obj, name))
        return objects

    def outline(self, leaves, reason: str):
        """
        The same objects with the same attribute names, made without a constructor.

        Parameters
        ----------
        leaves
            Anything, one a free parameter.
        reason
            Why the constructors could not be called, for whoever reads an attribute
            which only they can derive.
        """
        obj = object.__new__(self.cls)
        for name, value in self.bookkeeping.items():
            store(obj, name, {} if name == "_frozen_cache" else value)
        for name, index in self.scalars:
            store(obj, name, leaves[index])
        for name, cls, shape, free, fixed in self.arrays:
            entries = np.empty(shape, dtype=object)
            for position, index in free:
                entries[position] = leaves[index]
            for position, value in fixed:
                entries[position] = value
            store(obj, name, tuple(entries) if cls is tuple else entries)
        for name, value in self.constants:
            store(obj, name, value)
        for name, layout in self.children:
            store(obj, name, layout.outline(leaves, reason))
        _absent.mark(obj, self.absent, reason)
        return obj


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


def specified_by(model) -> list:
    """The names and the components which a model specifies of what it makes."""
    ignored = (
        *("item_number", "component_number", "shape", "indices"),
        *("parent_class", "true_argument_name"),
    )
    return [(name, value) for name, value in model.items() if name not in ignored]


def store(obj, name: str, value):
    """Set an attribute of an object as it is, past whatever its class does about it."""
    if name in slot_names(type(obj)):
        object.__setattr__(obj, name, value)
    else:
        vars(obj)[name] = value


def same_number(a, b) -> bool:
    """
    Whether two leaves are the same: the same object, or equal scalars of any type.

    A tracer, or a leaf that is no number at all, is the same only as itself.
    """
    if a is b:
        return True
    if isinstance(a, (float, int, np.number)) and isinstance(b, (float, int, np.number)):
        return a == b or (a != a and b != b)
    return is_concrete_scalar(a) and is_concrete_scalar(b) and bool(a == b)


def is_concrete_scalar(value) -> bool:
    if isinstance(value, (float, int, np.number)):
        return True
    return (
        is_array(value) and value.shape == () and not isinstance(value, jax.core.Tracer)
    )


def is_cache(name: str, value) -> bool:
    """Whether a private attribute is one that the constructor left empty, for later."""
    is_empty = value is None or (type(value) in (dict, list, tuple) and not value)
    return name.startswith("_") and is_empty
