"""
Whether an object made by hand is what its constructor would make again.
"""

import jax

from autofit_patch.pytree._contents import (
    MISSING,
    attribute_from,
    attributes_of,
    copied,
    is_array,
    is_counter,
)
from autofit_patch.pytree._keys import same
from autofit_patch.pytree._made import (
    attributes_set_of,
    holds_tracer,
    is_known_to_keep_arguments,
    was_set,
)
from autofit_patch.pytree.by_hand._arguments import given_argument_of
from autofit_patch.pytree.by_hand._constructor import Constructor, is_part_of
from autofit_patch.pytree.by_model._layout import is_cache


def arguments_and_extras_of(constructor: Constructor, obj) -> tuple[dict, dict]:
    """
    The arguments from which an object can be made again, and the attributes that
    were added after it was made.

    To tell the latter from those that the constructor derives, and to see that the
    arguments make the same object again, the object is made again.

    Parameters
    ----------
    constructor
        The constructor of its class.
    obj
        The object.

    Raises
    ------
    TypeError
        If the object does not keep an argument, see :meth:`Constructor.arguments_of`.
    ValueError
        If the object made again is another: its constructor rejects or changes what
        the object holds, or an attribute that the constructor derives was set to
        something else, and which of the two is meant cannot be known.
    """
    held = constructor.arguments_of(obj)
    if is_as_constructed(constructor, obj, held):
        return held, {}
    try:
        return held, extras_of(constructor, obj, held, held)
    except ValueError:
        # Of a tracer nobody knows whether the constructor would change it again.
        if not holds_tracer(tuple(held.values())):
            raise
        given = {name: given_argument_of(obj, name) for name in held}
        arguments = {
            name: held[name] if value is MISSING else value
            for name, value in given.items()
        }
        return arguments, extras_of(constructor, obj, arguments, held)


def is_as_constructed(constructor: Constructor, obj, held: dict) -> bool:
    """
    Whether an object that is being traced is known to be what its constructor makes of
    what it holds. (Making it again would trace all that the constructor computes.)

    Parameters
    ----------
    constructor
        The constructor of its class.
    obj
        The object.
    held
        What it holds under the names of the arguments.
    """
    if not constructor.keeps_arguments or not holds_tracer(tuple(held.values())):
        return False
    names = {
        name
        for name, value in attributes_of(obj).items()
        if not is_counter(constructor.cls, name, value)
    }
    return (
        names >= held.keys()
        and names <= constructor.derived_names
        and is_known_to_keep_arguments(obj)
        and not attributes_set_of(obj)
    )


def extras_of(constructor: Constructor, obj, arguments: dict, held: dict) -> dict:
    """
    The attributes that were added to an object after it was made.

    Parameters
    ----------
    constructor
        The constructor of its class.
    obj
        The object.
    arguments
        From which it is made again.
    held
        What the object holds under the names of the arguments.
    """
    ignored = set(arguments)
    if not constructor.has_arguments_from:
        ignored |= constructor.names
    others = {
        name: value
        for name, value in attributes_of(obj).items()
        if name not in ignored and not is_counter(constructor.cls, name, value)
    }
    if constructor.is_container:
        return others
    made = made_again(constructor, arguments)
    require_kept(constructor, made, arguments, held)
    constructor.derived_names |= {
        name
        for name, value in attributes_of(made).items()
        if not is_counter(constructor.cls, name, value)
    }
    extras = {}
    for name, value in others.items():
        derived = attribute_from(made, name)
        if derived is MISSING:
            if is_part_of(obj, name, value):
                extras[name] = value
        elif is_another(constructor, obj, name, value, derived, arguments):
            raise ValueError(derived_was_set(obj, name, value, f" = {derived!r}"))
    return extras


def made_again(constructor: Constructor, arguments: dict):
    """An object from its arguments, of which the constructor may change only copies."""
    try:
        return constructor.make(copied(arguments))
    except Exception as error:
        raise ValueError(
            f"this {constructor.cls.__name__} cannot be made again, so JAX cannot take "
            f"it apart: its constructor rejects what it holds ({error!r})."
        ) from error


def require_kept(constructor: Constructor, made, arguments: dict, held: dict):
    """
    Raise an error if an object made again does not hold what the first one holds.

    Parameters
    ----------
    constructor
        The constructor of its class.
    made
        The object made again.
    arguments
        From which it was made.
    held
        What the first object holds under their names. Where that is not what it was
        given, the first one was not edited, and the constructor made both.
    """
    cls = constructor.cls.__name__
    for name, kept in constructor.arguments_of(made).items():
        if holds_same(kept, held[name]):
            continue
        if arguments[name] is held[name] or not holds_tracer((kept, held[name])):
            raise ValueError(
                f"this {cls} cannot be made again, so JAX cannot take it apart: it "
                f"holds {name} = {held[name]!r}, from which its constructor makes "
                f"{name} = {kept!r}, and a gradient could not be told from such an "
                "object. Keep the argument as it is given, or give "
                "autofit_patch.register an arguments_from function."
            )


def is_another(constructor, obj, name: str, value, derived, arguments: dict) -> bool:
    """Whether an attribute is not what the constructor derives, but was set."""
    if same(value, derived) or is_cache(name, derived):
        return False
    if was_set(obj, name):
        return True
    if holds_tracer(derived):
        return False
    # It may be another each time that an object is made.
    return same(derived, attribute_from(made_again(constructor, arguments), name))


def derived_was_set(obj, name: str, value, derived: str = "") -> str:
    """The message for an attribute that only a constructor derives."""
    cls = type(obj).__name__
    return (
        f"this {cls} holds {name} = {value!r}, but its constructor derives "
        f"{name}{derived} from what else it holds: an attribute was set "
        f"after it was made. Make a new {cls} from the values that you want."
    )


def holds_same(held, given) -> bool:
    """Whether a constructor kept an argument as it was given."""
    if held is given or isinstance(given, jax.Array):
        return held is given or (is_array(held) and same(held, given))
    if isinstance(given, float) and isinstance(held, float):
        return held == given or (held != held and given != given)
    if isinstance(given, (tuple, list)) and isinstance(held, (tuple, list)):
        return len(held) == len(given) and all(map(holds_same, held, given))
    return same(held, given)
