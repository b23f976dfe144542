"""
Instances and batches with other values of named parameters.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from autofit_patch.batch._leaves import on_host, values_for
from autofit_patch.batch._names import positions_from


def replace(instance, values: dict):
    """
    An instance, or a batch, with other values of named parameters.

    Parameters
    ----------
    instance
        What to start from; it stays as it is.
    values
        The new value of each parameter, by name (see :func:`names`): a dictionary, or a
        row of a pandas table. In a batch, an array or a list with one for each member.

    Returns
    -------
    The same kind of instance. Integers and booleans become float64, as in a single
    instance; floats keep their precision.

    Raises
    ------
    KeyError
        If there is no parameter of a name. The message lists those most like it.
    TypeError
        If the value of a parameter is not a real number.
    ValueError
        If a value has another shape than what it replaces.

    Examples
    --------
    >>> batch.replace(instance, {"galaxies.lens.mass.einstein_radius": 1.7})
    """
    values = by_name(values, "replace")
    leaves, structure = jax.tree.flatten(instance)
    positions = positions_from(instance, values)
    for position, (name, value) in zip(positions, values.items(), strict=True):
        shape = np.shape(leaves[position])
        value = values_for(leaves[position], value, name)
        if np.shape(value) != shape:
            advice = (
                f"np.full({shape}, value) gives every member the same"
                if not np.shape(value)
                else "For a batch of values, use batch.grid"
                if not shape
                else "A batch has one value for each member"
            )
            raise ValueError(
                f"{name} has shape {shape}, and was given a value of shape "
                f"{np.shape(value)}. {advice}."
            )
        leaves[position] = value
    return jax.tree.unflatten(structure, leaves)


def grid(instance, values: dict):
    """
    A batch of an instance, with named parameters on a grid.

    Parameters
    ----------
    instance
        What all members have in common.
    values
        The values that each parameter takes, by name; one-dimensional. Every combination
        is a member of the batch; the last parameter varies fastest.

    Returns
    -------
    A batch of the product of the numbers of values. What :func:`map` returns for it has
    the shape of the grid after ``values.reshape(len(first), len(second), ...)``. Integers
    and booleans become float64, as in a single instance; floats keep their precision.

    Raises
    ------
    KeyError
        If there is no parameter of a name. The message lists those most like it.
    TypeError
        If the values of a parameter are not real numbers.
    ValueError
        If the values of a parameter are not one-dimensional, or it is one of a batch.

    Examples
    --------
    >>> radii, gammas = np.linspace(1.5, 1.7, 50), np.linspace(-0.1, 0.1, 40)
    >>> names = ("galaxies.lens.mass.einstein_radius", "galaxies.lens.shear.gamma_1")
    >>> instances = batch.grid(instance, dict(zip(names, (radii, gammas))))
    >>> likelihoods = batch.map(likelihood)(instances).reshape(50, 40)
    """
    values = by_name(values, "grid")
    leaves, structure = jax.tree.flatten(instance)
    leaves = [on_host(leaf) for leaf in leaves]
    positions = positions_from(instance, values)
    axes = []
    for position, (name, axis) in zip(positions, values.items(), strict=True):
        axis = values_for(leaves[position], axis, name)
        if np.ndim(axis) != 1:
            raise ValueError(
                f"grid expected the values of {name} as one axis, and was given an array "
                f"of shape {np.shape(axis)}"
            )
        if np.ndim(leaves[position]):
            raise ValueError(
                f"grid expected an instance, and was given one with an array for {name}, "
                f"of shape {np.shape(leaves[position])}"
            )
        axes.append(on_host(axis))
    lengths = [len(axis) for axis in axes]
    total = math.prod(lengths)
    # The place on each axis that every member has.
    places = np.indices(lengths).reshape(len(axes), total)
    leaves = [repeated(leaf, total) for leaf in leaves]
    for position, axis, place in zip(positions, axes, places, strict=True):
        leaves[position] = axis[place]
    return jax.tree.unflatten(structure, leaves)


def repeated(leaf, total: int):
    """A leaf that all members of a batch have in common, with an axis for them."""
    xp = jnp if isinstance(leaf, jax.Array) else np
    return xp.repeat(leaf[np.newaxis], total, axis=0)


def by_name(values, function: str) -> dict:
    """Values by name: a dictionary, or a pandas row or table."""
    if not hasattr(values, "keys"):
        raise TypeError(
            f"{function} expected values by name, {{name: value}}, and was given a "
            f"{type(values).__name__}: batch.names lists the names"
        )
    return dict(values)
