"""What point-source fits are made of, so that a fit can leave a jitted function."""

import jax
from autoarray.abstract_ndarray import _pytree_registered_classes
from autolens.point.fit.abstract import AbstractFitPoint
from jax.tree_util import GetAttrKey

from autofit_patch.libraries._internals import tell_the_libraries
from autofit_patch.pytree._keys import same
from autofit_patch.pytree._registration import subclasses_of

#: What a part of a point-source fit has from the analysis, not from the instance.
CONSTANTS = {"name", "solver", "use_jax", "positions", "_data", "_noise_map"}


def register_parts_of_fits():
    """Give JAX every part of a point-source fit that the libraries have not given it."""
    for cls in {*subclasses_of(AbstractFitPoint)} - _pytree_registered_classes:
        register_part_of_fit(cls)


def register_part_of_fit(cls: type):
    """
    Let a part of a point-source fit leave jitted functions: its attributes are its
    children, but for ``CONSTANTS``.

    ``AnalysisPoint`` does the same when it fits, but not for all of these classes, and
    not with all of their constants; and it gives JAX constants that it cannot compare.
    """

    def flattened_with_keys(part):
        attributes = vars(part)
        names = tuple(sorted(attributes.keys() - CONSTANTS))
        constants = {name: attributes[name] for name in CONSTANTS & attributes.keys()}
        children = [(GetAttrKey(name), attributes[name]) for name in names]
        return children, Constants(names, constants)

    def unflattened(constants, children):
        part = object.__new__(cls)
        vars(part).update(constants.values)
        vars(part).update(zip(constants.names, children, strict=True))
        return part

    jax.tree_util.register_pytree_with_keys(cls, flattened_with_keys, unflattened)
    tell_the_libraries(cls)


class Constants:
    """
    The structure of a part of a fit.

    Parameters
    ----------
    names
        The names of its children.
    values
        All its other attributes, which are compared by what is in them.
    """

    __slots__ = ("names", "values")

    def __init__(self, names: tuple, values: dict):
        self.names = names
        self.values = values

    def __eq__(self, other):
        return (
            isinstance(other, Constants)
            and self.names == other.names
            and self.values.keys() == other.values.keys()
            and all(
                same(value, other.values[name]) for name, value in self.values.items()
            )
        )

    def __hash__(self):
        return hash(self.names)
