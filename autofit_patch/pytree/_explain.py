"""
Why an object is flattened as it is.
"""

import jax
from jax.tree_util import keystr

from autofit_patch.libraries._internals import AbstractPriorModel, Prior
from autofit_patch.pytree._absent import outline_reason_of
from autofit_patch.pytree._registration import is_registered
from autofit_patch.pytree.by_model._differences import differences
from autofit_patch.pytree.by_model._origin import origin_of
from autofit_patch.pytree.by_model._state import LostModel

#: How many leaves are listed by name.
LISTED = 20


def explain(obj):
    """
    Print why JAX sees an object as it does: what made it, and how many leaves it has.

    Of an instance that was edited it says what differs from the model and where.

    Parameters
    ----------
    obj
        An instance of a model, an object made by hand, a batch, a gradient, a model, or
        any other pytree.

    Examples
    --------
    >>> instance.galaxies.lens.redshift = 0.7
    >>> autofit_patch.explain(instance)
    This ModelInstance was made by a model and edited since:
      galaxies.lens.redshift: 0.7, the model has 0.5
    So it is flattened as an object made by hand, by what it holds now: ...
    """
    print(explanation_from(obj))


def explanation_from(obj) -> str:
    """What :func:`explain` prints."""
    try:
        leaves, error = jax.tree_util.tree_leaves_with_path(obj), None
    except Exception as raised:
        leaves, error = [], raised
    made, found = how_it_was_made(obj, is_whole=error is None)
    lines = [f"This {type(obj).__name__} {made}", *(f"  {line}" for line in found)]
    if error is not None:
        return "\n".join([*lines, f"JAX cannot take it apart: {error}"])
    lines.append(leaves_text(obj, leaves, edited=bool(found)))
    lines += [f"  {keystr(path)} = {shown(leaf)}" for path, leaf in leaves[:LISTED]]
    if len(leaves) > LISTED:
        lines.append(f"  ... and {len(leaves) - LISTED} more")
    return "\n".join(lines)


def how_it_was_made(obj, is_whole: bool) -> tuple[str, list[str]]:
    """
    What made an object, and how it differs from what that makes.

    Parameters
    ----------
    obj
        The object.
    is_whole
        Whether JAX can take it apart.
    """
    origin = origin_of(obj)
    reason = outline_reason_of(obj)
    if origin is None:
        if reason is not None:
            return f"is an outline, made without its constructor, because {reason}.", []
        return by_hand_text(obj), []
    if isinstance(origin.state, LostModel):
        return "was made by a model that is not known any more.", []
    structure = origin.state.structure
    made = "was made by a model"
    if origin.outline:
        made = f"is an outline of what a model makes, because {reason}"
    found = differences(structure, obj, origin.leaves)
    if found:
        return f"{made} and edited since:", found
    return f"{made}, and is a point in it." if is_whole else f"{made}.", []


def by_hand_text(obj) -> str:
    """How an object came to be that no model made."""
    if isinstance(obj, (AbstractPriorModel, Prior)):
        return "is a model, or a part of one: its leaves are the numbers of its priors."
    if is_registered(type(obj)):
        return "was made by hand, or is a part of something else: no model made it alone."
    if jax.tree_util.all_leaves([obj]):
        return (
            "is of a class that JAX does not take apart: it is one leaf. Give the class "
            "to autofit_patch.register, or to af.Model."
        )
    return "is a pytree of JAX's own, or of its author's."


def leaves_text(obj, leaves: list, edited: bool) -> str:
    """How many leaves an object has, and why."""
    count = f"{len(leaves)} {'leaf' if len(leaves) == 1 else 'leaves'}"
    origin = origin_of(obj)
    if edited:
        return (
            "So it is flattened as an object made by hand, by what it holds now: "
            f"{count}, one for each number that its constructors take."
        )
    if origin is not None and len(leaves) == len(origin.leaves):
        return f"It has {count}, one for each free parameter, whatever shares it:"
    if origin is not None:
        return (
            f"It has {count}: what JAX finds in the place of each of its "
            f"{len(origin.leaves)} free parameters:"
        )
    if is_registered(type(obj)):
        return f"It has {count}: the floats and arrays among its constructor's arguments:"
    return f"It has {count}:"


def shown(leaf) -> str:
    """A leaf as it is shown to people, on one line."""
    shape = getattr(leaf, "shape", ())
    if shape:
        return f"array{shape}"
    text = " ".join(str(leaf).split())
    return text if len(text) <= 60 else type(leaf).__name__
