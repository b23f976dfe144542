"""
Taking an instance apart as a point in the model that made it.
"""

from operator import is_

from autofit_patch.pytree._contents import is_tracer
from autofit_patch.pytree._keys import same, same_number
from autofit_patch.pytree._made import was_edited
from autofit_patch.pytree.by_hand._comparing import derived_was_set
from autofit_patch.pytree.by_model._differences import differences
from autofit_patch.pytree.by_model._identified import IdentifiedStructure
from autofit_patch.pytree.by_model._origin import Origin
from autofit_patch.pytree.by_model._reading import (
    DERIVED_DIFFERS,
    EDITED,
    UNREAD,
    TracedReading,
    derived_of,
    read,
    set_on_outline,
)
from autofit_patch.pytree.by_model._state import LostModel
from autofit_patch.pytree.by_model._structure import are_numbers, leaf_from


def flattened_as_point(instance, origin: Origin):
    """
    The leaves and the structure of an instance that a model made.

    Parameters
    ----------
    instance
        The instance.
    origin
        How it was made.

    Returns
    -------
    Both, or ``None`` if the instance was edited and is no point in the model any more.

    Raises
    ------
    ValueError
        If the model is not known any more; if the instance is not what the model makes
        though nobody edited it; or if an attribute was set that only a constructor
        derives.
    """
    if isinstance(origin.state, LostModel):
        raise ValueError(model_was_lost(instance, origin.state.reason))
    identities = []
    leaves = leaves_from(instance, origin, identities)
    if leaves is None:
        require_edited(instance, origin)
        return None
    structure = origin.state.structure
    if structure.layout.has_identity:
        structure = IdentifiedStructure(structure, identities)
    origin.remember(instance, leaves, structure)
    return leaves, structure


def model_was_lost(instance, reason: str) -> str:
    """The message for an instance whose model is not known."""
    return (
        f"a model made this {type(instance).__name__}, and JAX cannot take it apart: "
        "which of its numbers are parameters, and which are shared, is not known, since "
        f"{reason}. Make it again from its model (model.instance_from_vector)."
    )


def leaves_from(instance, origin: Origin, identities: list) -> tuple | None:
    """
    The values of the free parameters that an instance holds now, in the model's order, or
    ``None`` if it was edited in such a way that it is no longer a point in the model.

    Parameters
    ----------
    instance
        The instance.
    origin
        How it was made.
    identities
        Extended by what its objects are told from others by, if by anything.
    """
    structure = origin.state.structure
    layout = structure.layout_from(None if origin.outline else origin.leaves)
    if not layout.has_identity:
        identities = None
    if origin.traced:
        return traced_leaves_from(instance, origin, layout, identities)
    leaves = [UNREAD] * len(structure.names)
    derived = None if origin.derived_objects is None else []
    reading = read(layout, instance, leaves, derived, identities)
    if reading is EDITED:
        return None
    if derived is not None and not all(map(is_, derived, origin.derived_objects)):
        reading = DERIVED_DIFFERS
    leaves = completed(leaves, origin)
    if origin.outline:
        for obj, name in set_on_outline(layout, instance):
            raise ValueError(derived_was_set(obj, name, getattr(obj, name)))
        return tuple(leaves)
    leaves = leaves_made_from(leaves, origin)
    if leaves is None:
        return None
    if reading is DERIVED_DIFFERS:
        if not derives(structure, origin, leaves, instance):
            return None
        if all(map(same_number, leaves, origin.leaves)):
            # The next flatten need not make the instance again to see as much.
            structure.keep_derived(instance, origin)
    return tuple(map(leaf_from, leaves))


def completed(leaves: list, origin: Origin) -> list:
    """
    The values of all parameters: what the constructors do not keep cannot have been
    edited, so it is what they were given.
    """
    return [
        made_with if leaf is UNREAD else leaf
        for leaf, made_with in zip(leaves, origin.leaves, strict=True)
    ]


def traced_leaves_from(instance, origin: Origin, layout, identities) -> tuple | None:
    """The same of an instance that was made inside a trace."""
    reading = TracedReading(origin.leaves)
    if not reading.read(layout, instance):
        return None
    for obj, name in reading.derived:
        value = getattr(obj, name, "nothing")
        raise ValueError(derived_was_set(obj, name, value))
    if identities is not None:
        identities += reading.identities
    return tuple(map(leaf_from, completed(reading.leaves, origin)))


def leaves_made_from(leaves, origin: Origin) -> list | None:
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
    if all(map(is_, leaves, given)) or all(map(same_number, leaves, given)):
        return leaves
    made = structure.instance_via_constructors_from(given)
    was_set = [
        not same_number(leaf, first)
        for leaf, first in zip(leaves, structure.kept_by(made, given), strict=True)
    ]
    leaves = [
        leaf if changed else value
        for leaf, value, changed in zip(leaves, given, was_set, strict=True)
    ]
    if not any(was_set) or not are_numbers(leaves) or any(map(is_tracer, leaves)):
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


def derives(structure, origin: Origin, leaves, instance) -> bool:
    """
    Whether what an instance holds beyond its parameters is what the constructors derive
    from them: from those that it holds now or, where one was set after the instance was
    made, from those that it was made with. (Unflattening derives it from the new.)
    """
    structure.takes_note_of_deriving()
    held = derived_of(structure.layout, instance)
    for values in (leaves, origin.leaves):
        if any(map(is_tracer, values)):
            continue
        rebuilt = structure.instance_via_constructors_from(values)
        if same(held, derived_of(structure.layout, rebuilt)):
            return True
    return False


def require_edited(instance, origin: Origin):
    """
    Raise an error if an instance is not a point in its model though nobody edited it.

    Parameters
    ----------
    instance
        The instance.
    origin
        How it was made.
    """
    if origin.outline:
        return  # of what was never constructed, nothing but an edit can be different
    structure = origin.state.structure
    if origin.traced:
        if was_edited(instance):
            return
        found = differences(structure, instance, origin.leaves)
        why = "What its constructors keep of a tracer could not be recognised."
    else:
        try:
            again = structure.instance_via_constructors_from(origin.leaves)
        except Exception:
            # Made again it would be nothing, so it is known by what it holds only.
            return
        found = differences(structure, again, origin.leaves)
        why = "Its constructors make something else each time."
        if not found:
            return
    raise ValueError(
        f"a model made this {type(instance).__name__}, which nobody edited, and it "
        "cannot be taken apart as a point in the model:\n  " + "\n  ".join([*found, why])
    )
