"""
Classes as JAX pytrees.

This is the only place where a class of instances is given to JAX. Every class gets the
same two functions: an instance that a model made is flattened as a point in that model
(:mod:`autofit_patch.pytree.by_model`), any other object by its constructor
(:mod:`autofit_patch.pytree.by_hand`).
"""

import contextlib
from collections.abc import Callable

import jax

from autofit_patch.libraries._internals import (
    classes_registered_by_the_libraries,
    tell_the_libraries,
)
from autofit_patch.pytree._copies import goes_along_with_copies
from autofit_patch.pytree.by_hand._constructor import Constructor, constructors
from autofit_patch.pytree.by_hand._structure import flattened_by_constructor
from autofit_patch.pytree.by_model._flattening import flattened_as_point
from autofit_patch.pytree.by_model._origin import origin_of


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
    if cls in constructors:
        return cls
    if cls in classes_registered_by_the_libraries():
        raise ValueError(already_registered([cls]))
    constructors[cls] = Constructor(cls, arguments_from, make, is_container)
    # If its author gave it to JAX, that is respected.
    with contextlib.suppress(ValueError):
        jax.tree_util.register_pytree_with_keys(
            cls, flattened_with_keys, unflattened, flattened
        )
    goes_along_with_copies(cls)
    tell_the_libraries(cls)
    return cls


def register_below(base: type, register: Callable = register, **options):
    """
    Register the classes that are defined below a class from now on.

    Parameters
    ----------
    base
        The class, which has no ``__init_subclass__`` of its own.
    register
        What registers a class.
    options
        Those of :func:`register`.
    """

    def register_subclass(cls, **kwargs):
        super(base, cls).__init_subclass__(**kwargs)
        register(cls, **options)

    register_subclass.is_of_the_patch = True
    base.__init_subclass__ = classmethod(register_subclass)


def has_no_hook_of_its_own(cls: type) -> bool:
    """Whether nothing but the patch acts when a class is defined below this one."""
    own = vars(cls).get("__init_subclass__")
    return own is None or hasattr(own.__func__, "is_of_the_patch")


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
    return cls in constructors


def is_pytree(value) -> bool:
    """Whether a value is of a class that JAX takes apart."""
    return is_registered(type(value)) or (
        value is not None and not jax.tree_util.all_leaves([value])
    )


def flattened(obj):
    """The children of an object and its structure, as JAX wants them."""
    origin = origin_of(obj)
    if origin is not None:
        known = origin.flattened(obj) or flattened_as_point(obj, origin)
        if known is not None:
            return known
    return flattened_by_constructor(obj, constructors[type(obj)], is_child)


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
