"""
Making batches of instances, and taking them apart.
"""

from collections.abc import Iterator, Set

import jax
import jax.numpy as jnp
import numpy as np
import pandas
from jax.tree_util import tree_leaves_with_path

from autofit_patch.batch._leaves import (
    called,
    is_key,
    numbers_from,
    on_host,
)
from autofit_patch.batch._names import names
from autofit_patch.libraries._internals import AbstractPriorModel
from autofit_patch.models._assertions import assertions_of
from autofit_patch.pytree._contents import is_tracer
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
        Columns of a pandas table, or entries of its rows, that have the names of the
        parameters are taken by name, and other columns are left out.

    Returns
    -------
    One instance whose leaves have shape (n,). Integers and booleans become float64, as in
    a single instance; floats keep their precision. Editing the vectors afterwards does
    not change it.

    Raises
    ------
    TypeError
        If something among the vectors is not a real number.
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
    structure = structure_from(model)
    total = len(structure.names)
    vectors = numbers_from(in_order(vectors, structure.names), "instances_from")
    vectors = on_host(vectors)
    if vectors.shape == (0,):
        vectors = vectors.reshape(0, total)
    if vectors.ndim != 2 or vectors.shape[1] != total:
        raise ValueError(
            f"instances_from expected vectors of shape (n, {total}), one column for each "
            f"free parameter, and was given shape {vectors.shape}"
            + (": a batch of one vector is [vector]" if vectors.shape == (total,) else "")
        )
    if assertions_of(model) and not is_tracer(vectors):
        for vector in vectors:
            model.instance_from_vector(vector)
    return structure.instance_from([vectors[:, index] for index in range(total)])


def in_order(vectors, parameters):
    """
    Vectors whose entries have names, as in a table, in the order of the parameters.

    Raises
    ------
    ValueError
        If only some of the parameters are among the names.
    """
    if isinstance(vectors, Iterator):
        vectors = list(vectors)
    if isinstance(vectors, (list, tuple)) and any(
        isinstance(vector, pandas.Series) for vector in vectors
    ):
        vectors = pandas.DataFrame(list(vectors))
    if not isinstance(vectors, pandas.DataFrame):
        return vectors
    missing = [name for name in parameters if name not in vectors.columns]
    if not missing:
        return vectors[list(parameters)]
    if len(missing) < len(parameters):
        raise ValueError(
            f"instances_from was given a table without a column {missing[0]!r}: it has "
            f"{len(parameters) - len(missing)} of the {len(parameters)} parameters. Give "
            "it all of them by name, or vectors without names in the model's order."
        )
    return vectors


def stack(instances):
    """
    A batch from separate instances.

    Parameters
    ----------
    instances
        One or more instances of equal structure (of one model, or of equal models) in a
        list, a tuple, a generator or a one-dimensional array.

    Returns
    -------
    One instance, whose leaves have a first axis for the members.

    Raises
    ------
    TypeError
        If it is given a single instance, or anything else without an order of members,
        or if a leaf is no number that an array can hold.
    ValueError
        If there are none, or they differ in structure or in the shape of a leaf.
    """
    instances = separate(instances)
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


def separate(instances) -> list:
    """The instances that something holds in an order."""
    # A pytree that is no plain list is one instance, also if its attributes can be
    # iterated over.
    ordered = isinstance(instances, (list, tuple)) and not hasattr(instances, "_fields")
    unordered = (str, bytes, Set, pandas.DataFrame)
    if ordered or (
        jax.tree_util.all_leaves([instances]) and not isinstance(instances, unordered)
    ):
        try:
            return list(instances)
        except TypeError:
            pass
    raise TypeError(
        "stack expected a list of instances, and was given one "
        f"{type(instances).__name__}. If it is an instance, a batch of one is "
        "stack([instance]); if it holds instances, give it a list of these; vectors go "
        "to batch.instances_from."
    )


def stacked(column: list, path):
    """The values that the members have of one leaf, as one array."""
    shapes = {np.shape(leaf) for leaf in column}
    if len(shapes) > 1:
        raise ValueError(
            f"the members of a batch have {called(path)} of different shapes: "
            f"{', '.join(map(str, sorted(shapes)))}"
        )
    if any(isinstance(leaf, jax.Array) for leaf in column):
        dtypes = {str(jax.typeof(leaf).dtype) for leaf in column}
        if any(is_key(leaf) for leaf in column) and len(dtypes) > 1:
            raise ValueError(
                f"the members of a batch have {called(path)} of different dtypes, of "
                f"which no array can be made: {', '.join(sorted(dtypes))}"
            )
        return jnp.stack(column)
    array = np.stack(column)
    if array.dtype == object:
        raise TypeError(
            f"{called(path)} is {column[0]!r} in the first instance, of which no array "
            "of numbers can be made"
        )
    return array


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
        If there are no leaves, or they do not all have the same first axis.
    """
    return size_from(tree_leaves_with_path(instances), called)


def size_from(leaves, name_of, advice: str = "") -> int:
    """
    The number of members that leaves have.

    Parameters
    ----------
    leaves
        The path and the value of each leaf.
    name_of
        Returns, from a path, the name of a leaf in a message.
    advice
        What else to do about a leaf that has no axis for members.
    """
    if not leaves:
        raise ValueError(
            f"a batch has at least one leaf, and this has none{advice and '. '}{advice}"
        )
    sizes = {}
    for path, leaf in leaves:
        shape = np.shape(leaf)
        if not shape:
            raise ValueError(
                f"{name_of(path)} is a single number, {leaf!r}: a batch has an axis for "
                "its members. Make one with batch.stack or batch.instances_from."
                f"{advice and ' '}{advice}"
            )
        sizes.setdefault(shape[0], path)
    if len(sizes) > 1:
        raise ValueError(
            "the leaves of a batch have the same number of members, but "
            + " and ".join(f"{name_of(p)} has {n}" for n, p in sizes.items())
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
        What NumPy takes between brackets of one axis: a number gives one instance; a
        slice, a list of numbers or of booleans gives a batch. A number that is being
        traced gives one instance too, and is not checked.

    Raises
    ------
    IndexError
        If the batch has no such member.
    """
    total = size(instances)
    if is_tracer(indices):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[indices], instances)
    if isinstance(indices, (list, tuple, range)):
        indices = np.asarray(indices, dtype=None if len(indices) else int)
    places = np.arange(total)[indices]
    if places.ndim > 1:
        raise IndexError(
            f"take expected indices of one axis, and was given {indices!r}, of shape "
            f"{np.shape(indices)}"
        )
    return jax.tree.map(lambda leaf: leaf[places], on_host(instances))


def unstack(instances) -> list:
    """The members of a batch, each an instance of its own."""
    leaves, structure = jax.tree.flatten(on_host(instances))
    return [
        jax.tree.unflatten(structure, [leaf[index] for leaf in leaves])
        for index in range(size(instances))
    ]
