"""
Making batches of instances, and taking them apart.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import tree_leaves_with_path

from autofit_patch.batch._names import name_from, names, positions_from
from autofit_patch.libraries._internals import AbstractPriorModel
from autofit_patch.pytree.by_model._state import structure_from


def instances_from(model, vectors):
    """
    A batch of instances from vectors of parameters.

    Parameters
    ----------
    model
        The model.
    vectors
        The parameters of every member, in the model's order; shape (n, free parameters).

    Returns
    -------
    One instance whose leaves have shape (n,).

    Raises
    ------
    ValueError
        If the vectors do not have one column for each free parameter.
    autofit.exc.FitException
        If a vector violates an assertion of the model.

    Examples
    --------
    >>> instances = batch.instances_from(model, vectors)
    >>> instances.galaxies.lens.mass.einstein_radius.shape
    (1000,)
    """
    if not isinstance(model, AbstractPriorModel):
        raise TypeError(
            f"instances_from expected a model, and was given a {type(model).__name__}: "
            "pass the af.Model or af.Collection that the vectors belong to"
        )
    vectors = np.asarray(vectors) if not is_traced(vectors) else vectors
    if vectors.shape == (0,):
        vectors = vectors.reshape(0, model.prior_count)
    if vectors.ndim != 2 or vectors.shape[1] != model.prior_count:
        raise ValueError(
            f"instances_from expected vectors of shape (n, {model.prior_count}), one "
            f"column for each free parameter, and was given shape {vectors.shape}"
        )
    if has_assertions(model) and not is_traced(vectors):
        for vector in vectors:
            model.instance_from_vector(vector)
    columns = [vectors[:, index] for index in range(model.prior_count)]
    return structure_from(model).instance_from(columns)


def has_assertions(model) -> bool:
    """Whether a model, or a component of it, has assertions."""
    return bool(model.assertions) or any(
        has_assertions(value)
        for _, value in model.items()
        if isinstance(value, AbstractPriorModel)
    )


def stack(instances):
    """
    A batch from separate instances.

    Parameters
    ----------
    instances
        One or more instances of equal structure: of one model, or of equal models.

    Returns
    -------
    One instance, whose leaves have a first axis for the members.

    Raises
    ------
    ValueError
        If there are none, or they differ in structure or in the shape of a leaf.
    """
    instances = list(instances)
    if not instances:
        raise ValueError(
            "stack expected at least one instance, and was given none. An empty batch of "
            "a model is batch.instances_from(model, [])."
        )
    first, structure = jax.tree.flatten(instances[0])
    columns = [[leaf] for leaf in first]
    for index, instance in enumerate(instances[1:], start=1):
        leaves, other = jax.tree.flatten(instance)
        if other != structure:
            raise ValueError(differing(index, instances[0], instance))
        for column, leaf in zip(columns, leaves, strict=True):
            column.append(leaf)
    paths = [path for path, _ in tree_leaves_with_path(instances[0])]
    return jax.tree.unflatten(
        structure,
        [stacked(column, path) for column, path in zip(columns, paths, strict=True)],
    )


def stacked(column: list, path):
    """The values that the members have of one leaf, as one array."""
    shapes = {np.shape(leaf) for leaf in column}
    if len(shapes) > 1:
        raise ValueError(
            f"the members of a batch have {name_from(path)} of different shapes: "
            f"{', '.join(map(str, sorted(shapes)))}"
        )
    on_device = any(isinstance(leaf, jax.Array) for leaf in column)
    return (jnp if on_device else np).stack(column)


def differing(index: int, first, other) -> str:
    """The message for instances that cannot be members of one batch."""
    here, there = names(first), names(other)
    text = (
        f"instance {index} does not have the structure of instance 0, so the two cannot "
        "be members of one batch"
    )
    only = [
        f"only instance {which} has {name}"
        for which, mine, others in ((0, here, there), (index, there, here))
        for name in mine
        if name not in others
    ]
    if only:
        return "\n  ".join([f"{text}:", *only[:8]])
    return (
        f"{text}: their parameters have the same names, but their classes or constants "
        f"differ.\n{jax.tree.structure(first)}\n{jax.tree.structure(other)}"
    )


def size(instances) -> int:
    """
    The number of members of a batch.

    Raises
    ------
    ValueError
        If the leaves do not all have the same first axis.
    """
    leaves = tree_leaves_with_path(instances)
    if not leaves:
        raise ValueError("a batch has at least one leaf, and this has none")
    sizes = {}
    for path, leaf in leaves:
        shape = np.shape(leaf)
        if not shape:
            raise ValueError(
                f"{name_from(path)} is a single number, {leaf!r}: a batch has an axis "
                "for its members. Make one with batch.stack or batch.instances_from."
            )
        sizes.setdefault(shape[0], path)
    if len(sizes) > 1:
        raise ValueError(
            "the leaves of a batch have the same number of members, but "
            + " and ".join(f"{name_from(p)} has {n}" for n, p in sizes.items())
        )
    return next(iter(sizes))


def take(instances, indices):
    """
    Some members of a batch.

    Parameters
    ----------
    instances
        The batch.
    indices
        What NumPy takes between brackets: a number gives one instance; a slice, a list
        of numbers or of booleans gives a batch.

    Raises
    ------
    IndexError
        If the batch has no such member.
    """
    size(instances)
    if isinstance(indices, (list, tuple, range)):
        indices = np.asarray(indices, dtype=None if len(indices) else int)
    return jax.tree.map(lambda leaf: leaf[indices], on_host(instances))


def unstack(instances) -> list:
    """The members of a batch, each an instance of its own."""
    leaves, structure = jax.tree.flatten(on_host(instances))
    return [
        jax.tree.unflatten(structure, [leaf[index] for leaf in leaves])
        for index in range(size(instances))
    ]


def replace(instance, values: dict):
    """
    An instance, or a batch, with other values of named parameters.

    Parameters
    ----------
    instance
        What to start from; it stays as it is.
    values
        The new value of each parameter, by name (see :func:`names`).

    Raises
    ------
    KeyError
        If there is no parameter of a name. The message lists those most like it.
    ValueError
        If a value has another shape than what it replaces.

    Examples
    --------
    >>> batch.replace(instance, {"galaxies.lens.mass.einstein_radius": 1.7})
    """
    leaves, structure = jax.tree.flatten(instance)
    positions = positions_from(instance, values)
    for position, (name, value) in zip(positions, values.items(), strict=True):
        if np.shape(value) != np.shape(leaves[position]):
            raise ValueError(
                f"{name} has shape {np.shape(leaves[position])}, and was given a value "
                f"of shape {np.shape(value)}. For a batch of values, use batch.grid."
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
    the shape of the grid after ``values.reshape(len(first), len(second), ...)``.

    Raises
    ------
    KeyError
        If there is no parameter of a name. The message lists those most like it.

    Examples
    --------
    >>> radii, gammas = np.linspace(1.5, 1.7, 50), np.linspace(-0.1, 0.1, 40)
    >>> names = ("galaxies.lens.mass.einstein_radius", "galaxies.lens.shear.gamma_1")
    >>> instances = batch.grid(instance, dict(zip(names, (radii, gammas))))
    >>> likelihoods = batch.map(likelihood)(instances).reshape(50, 40)
    """
    leaves, structure = jax.tree.flatten(instance)
    positions = positions_from(instance, values)
    for name, axis in values.items():
        if np.ndim(axis) != 1:
            raise ValueError(
                f"grid expected the values of {name} as one axis, and was given an array "
                f"of shape {np.shape(axis)}"
            )
    for position, name in zip(positions, values, strict=True):
        if np.ndim(leaves[position]):
            raise ValueError(
                f"grid expected an instance, and was given one with an array for {name}, "
                f"of shape {np.shape(leaves[position])}"
            )
    axes = np.meshgrid(*map(np.asarray, values.values()), indexing="ij")
    total = int(np.prod([len(axis) for axis in values.values()], dtype=int))
    leaves = [np.repeat(np.asarray(leaf)[np.newaxis], total, axis=0) for leaf in leaves]
    for position, axis in zip(positions, axes, strict=True):
        leaves[position] = axis.ravel()
    return jax.tree.unflatten(structure, leaves)


def on_host(tree):
    """The same with NumPy arrays for JAX's, from which members are faster to take."""
    return jax.tree.map(
        lambda leaf: leaf if is_traced(leaf) else np.asarray(leaf),
        tree,
    )


def is_traced(value) -> bool:
    """Whether a value is being traced."""
    return isinstance(value, jax.core.Tracer)
