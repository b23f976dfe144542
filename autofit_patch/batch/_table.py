"""
A batch as a table.
"""

import jax
import numpy as np
import pandas
from jax.tree_util import tree_leaves_with_path

from autofit_patch.batch._instances import size
from autofit_patch.batch._leaves import data_from
from autofit_patch.batch._names import name_from


def table(instances, values=None) -> pandas.DataFrame:
    """
    A batch, and what was computed for it, as a pandas table.

    Parameters
    ----------
    instances
        The batch.
    values
        What :func:`map` returned for it: an array, whose column is called ``value``; a
        dictionary of arrays, whose columns have its keys; or any other pytree.

    Returns
    -------
    A table with one row a member, and one column a number of it, called by its name. An
    array of a member has a column for each entry, with its indices in brackets; a key of
    random numbers is the array of its data. No column is lost to another: the later one
    of two with a name has ``value.`` in front, as often as makes the name its own.

    Raises
    ------
    ValueError
        If the values are not of as many members as the instances.

    Examples
    --------
    >>> table = batch.table(instances, {"log_likelihood": likelihoods})
    >>> table.to_csv("scan.csv", index=False)
    """
    count = size(instances)
    columns = {}
    add_columns(columns, instances)
    # A function that returns nothing gives values without a number.
    if jax.tree.leaves(values):
        if size(values) != count:
            raise ValueError(
                f"the batch has {count} members, but the values are of {size(values)}"
            )
        add_columns(columns, values)
    return pandas.DataFrame(columns)


def add_columns(columns: dict, tree):
    """Add the columns of a pytree to others, each by a name that no other has."""
    new = columns_from(tree)
    names = {name for name, _ in new}
    for name, column in new:
        free = name
        while free in columns or (free != name and free in names):
            free = f"value.{free}"
        columns[free] = column


def columns_from(tree) -> list[tuple[str, np.ndarray]]:
    """The name and the column of each number in a pytree of arrays of members."""
    columns = []
    for path, leaf in tree_leaves_with_path(tree):
        leaf = np.asarray(data_from(leaf))
        name = plain(path) or "value"
        for index in np.ndindex(leaf.shape[1:]):
            suffix = f"[{', '.join(map(str, index))}]" if index else ""
            columns.append((name + suffix, leaf[(slice(None), *index)]))
    return columns


def plain(path) -> str:
    """The name of a leaf; that of an entry of a dictionary is its key."""
    if len(path) == 1 and isinstance(path[0], jax.tree_util.DictKey):
        return str(path[0].key)
    return name_from(path)
