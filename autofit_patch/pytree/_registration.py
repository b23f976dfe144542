"""
Classes as JAX pytrees.

This is the only place where a class of instances is given to JAX. Every class gets the
same two functions: an instance that a model made is flattened as a point in that model
(:mod:`autofit_patch.pytree.by_model._structure`), any other object by its constructor
(:mod:`autofit_patch.pytree.by_hand._constructor`).
"""

import contextlib
from collections.abc import Callable
from operator import is_

import jax
import numpy as np

from autofit_patch.libraries._internals import (
    ModelInstance,
    classes_registered_by_the_libraries,
    tell_the_libraries,
)
from autofit_patch.pytree._contents import same
from autofit_patch.pytree.by_hand._constructor import (
    Constructor,
    flattened_by_constructor,
)
from autofit_patch.pytree.by_model._layout import (
    DERIVED_DIFFERS,
    EDITED,
    UNREAD,
    same_number,
)
from autofit_patch.pytree.by_model._origin import Origin, origin_of, set_origin
from autofit_patch.pytree.by_model._structure import is_number, state_of_copy

_constructors: dict[type, Constructor] = {}


def register(
    cls: type,
    arguments_from: Callable | None = None,
    make: Callable | None = None,
    is_container: bool = False,
) -> type:
    """
    Make the objects of a class JAX pytrees.

    A class given to ``af.Model`` needs no registration, and neither do the classes of
    the libraries; any other class does, before its objects go through JAX.

    The floats and arrays among the arguments of the object's constructor become its
    leaves, all other arguments its structure, and unflattening calls the constructor.

    Parameters
    ----------
    cls
        The class. Registering it again is harmless.
    arguments_from
        A function that returns, from an object, the arguments of its constructor by
        name, for a class that does not keep them as attributes of the same names.
    make
        A function that makes an object from these arguments, given as one dictionary.
        By default, the class is called with them as keywords.
    is_container
        Whether the constructor only stores what it is given, whatever that is.

    Returns
    -------
    The class, so that ``register`` can decorate it.

    Raises
    ------
    ValueError
        If the libraries' own registration gave the class to JAX first.

    Examples
    --------
    >>> @autofit_patch.register
    ... class Line:
    ...     def __init__(self, slope=1.0, name="line"):
    ...         self.slope = slope
    ...         self.name = name
    >>> jax.tree.leaves(Line(slope=2.0))
    [np.float64(2.0)]
    """
    if not isinstance(cls, type):
        raise TypeError(
            f"register expected a class, and was given {cls!r}, a {type(cls).__name__}"
        )
    if cls in _constructors:
        return cls
    if cls in classes_registered_by_the_libraries():
        raise ValueError(already_registered([cls]))
    _constructors[cls] = Constructor(cls, arguments_from, make, is_container)
    # If its author gave it to JAX, that is respected.
    with contextlib.suppress(ValueError):
        jax.tree_util.register_pytree_with_keys(
            cls, flattened_with_keys, unflattened, flattened
        )
    tell_the_libraries(cls)
    return cls


def already_registered(classes) -> str:
    """The message for classes which the libraries gave to JAX before the patch."""
    names = ", ".join(sorted(cls.__name__ for cls in classes))
    return (
        f"JAX already has a registration of {names}, made by the libraries' own "
        "register_model, enable_pytrees, register_instance_pytree or "
        "register_tracer_classes, and JAX cannot replace it. Import autolens_patch (or "
        "autogalaxy_patch, or autofit_patch) before the first of these calls."
    )


def subclasses_of(cls: type):
    """A class and all classes below it."""
    yield cls
    for subclass in cls.__subclasses__():
        yield from subclasses_of(subclass)


def is_registered(cls: type) -> bool:
    """Whether the patch gave a class to JAX."""
    return cls in _constructors


def is_pytree(value) -> bool:
    """Whether a value is of a class that JAX takes apart."""
    return is_registered(type(value)) or (
        value is not None and not jax.tree_util.all_leaves([value])
    )


def flattened(obj):
    """The children of an object and its structure, as JAX wants them."""
    origin = origin_of(obj) or origin_of_copy(obj)
    if origin is not None:
        return origin.flattened() or flattened_anew(obj, origin)
    return flattened_by_constructor(obj, _constructors[type(obj)], is_child)


def origin_of_copy(obj) -> Origin | None:
    """
    Where an instance that was copied or unpickled came from, if it still is a point in
    the model that made the first one.
    """
    state = state_of_copy(obj) if type(obj) is ModelInstance else None
    if state is None:
        return None
    origin = Origin(state, None)
    if leaves_from(obj, origin) is None:
        return None
    set_origin(obj, origin)
    return origin


def is_child(value) -> bool:
    """Whether an argument of a constructor is a pytree, and no plain container."""
    return not isinstance(value, (list, tuple, dict)) and is_pytree(value)


def flattened_with_keys(obj):
    """The same with the key of each child."""
    children, structure = flattened(obj)
    return tuple(zip(structure.keys, children, strict=True)), structure


def unflattened(structure, children):
    """The object with the given structure and children."""
    return structure.instance_from(children)


def flattened_anew(instance, origin):
    """
    Flatten an instance made by a model: as a point in the model if it still is one, or
    else, having been edited, as an object made by hand.
    """
    leaves = leaves_from(instance, origin)
    if leaves is None:
        return flattened_by_constructor(instance, _constructors[type(instance)], is_child)
    structure = origin.state.structure
    origin.remember(instance, leaves, structure)
    return leaves, structure


def leaves_from(instance, origin) -> tuple | None:
    """
    The values of the free parameters that an instance holds now.

    Parameters
    ----------
    instance
        An instance that a model made.
    origin
        How it was made.

    Returns
    -------
    The values in the model's order, or ``None`` if the instance was edited in such a
    way that it is no longer a point in the model.
    """
    if origin.is_as_made():
        return tuple(map(leaf_from, origin.leaves))
    structure = origin.state.structure
    leaves = [UNREAD] * len(structure.names)
    layout = structure.layout_from(origin)
    derived = None if origin.derived_objects is None else []
    reading = layout.read(instance, leaves, derived)
    if reading is EDITED:
        return None
    if derived is not None and not all(map(is_, derived, origin.derived_objects)):
        reading = DERIVED_DIFFERS
    # What the constructors do not keep cannot have been edited.
    if any(leaf is UNREAD for leaf in leaves):
        if origin.leaves is None:
            return None
        leaves = [
            made_with if leaf is UNREAD else leaf
            for leaf, made_with in zip(leaves, origin.leaves, strict=True)
        ]
    if origin.outline:
        return tuple(leaves)
    leaves = leaves_made_from(leaves, origin)
    if leaves is None:
        return None
    if reading is DERIVED_DIFFERS:
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
        if not traced and not derives(structure, layout, origin, leaves, instance):
            return None
    return tuple(map(leaf_from, leaves))


def leaves_made_from(leaves, origin) -> list | None:
    """
    The values from which the constructors make what an instance holds.

    They are the values that it holds, but a constructor may keep another than it was
    given (its absolute value, say). What was not set since the instance was made is then
    what it was made with; what was set cannot be undone.

    Parameters
    ----------
    leaves
        What the instance holds of its parameters.
    origin
        How it was made.

    Returns
    -------
    The values, or ``None`` if the constructors do not keep what was set.
    """
    structure, given = origin.state.structure, origin.leaves
    was_set = [True] * len(leaves)
    if given is not None:
        if all(map(is_, leaves, given)) or all(map(same_number, leaves, given)):
            return leaves
        kept = given
        if not any(isinstance(value, jax.core.Tracer) for value in given):
            made = structure.instance_via_constructors_from(given)
            kept = structure.kept_by(made, given)
        was_set = [
            not same_number(leaf, first) for leaf, first in zip(leaves, kept, strict=True)
        ]
        leaves = [
            leaf if changed else value
            for leaf, value, changed in zip(leaves, given, was_set, strict=True)
        ]
    if not any(was_set) or any(
        isinstance(leaf, jax.core.Tracer) or not is_number(leaf) for leaf in leaves
    ):
        return leaves
    try:
        instance = structure.instance_via_constructors_from(leaves)
    except Exception:
        return leaves  # unflattening makes an outline of them
    kept = structure.kept_by(instance, leaves)
    if any(
        changed and now is not UNREAD and not same_number(now, leaf)
        for changed, now, leaf in zip(was_set, kept, leaves, strict=True)
    ):
        return None
    return leaves


def derives(structure, layout, origin, leaves, instance) -> bool:
    """
    Whether what an instance holds beyond its parameters is what the constructors derive
    from them: from those that it holds now or, where one was set after the instance was
    made, from those that it was made with. (Unflattening derives it from the new.)
    """
    structure.takes_note_of_deriving()
    held = layout.derived_of(instance)
    for values in (leaves, origin.leaves):
        if values is None:
            continue
        rebuilt = structure.instance_via_constructors_from(values)
        if same(held, layout.derived_of(rebuilt)):
            return True
    return False


def leaf_from(value):
    """
    A leaf as JAX should get it: a Python number as a NumPy one, since JAX compiles a
    function once for each of the two.
    """
    plain = type(value) is float or isinstance(value, (int, np.integer))
    return np.float64(value) if plain else value
