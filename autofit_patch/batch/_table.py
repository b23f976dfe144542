"""
A batch as a table.
"""

import jax
import numpy as np
import pandas
from jax.tree_util import tree_leaves_with_path

from autofit_patch.batch._instances import size
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
    array of a member has a column for each entry, with its indices in brackets.

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
    columns = columns_from(instances)
    if values is not None:
        if size(values) != count:
            raise ValueError(
                f"the batch has {count} members, but the values are of {size(values)}"
            )
        for name, column in columns_from(values).items():
            if name in columns:
                name = f"value.{name}"
            columns[name] = column
    return pandas.DataFrame(columns)


def columns_from(tree) -> dict[str, np.ndarray]:
    """The columns of a pytree of arrays with an axis for members, by name."""
    columns = {}
    for path, leaf in tree_leaves_with_path(jax.tree.map(np.asarray, tree)):
        name = plain(path) or "value"
        for index in np.ndindex(leaf.shape[1:]):
            suffix = f"[{', '.join(map(str, index))}]" if index else ""
            columns[name + suffix] = leaf[(slice(None), *index)]
    return columns


def plain(path) -> str:
    """The name of a leaf; that of an entry of a dictionary is its key."""
    if len(path) == 1 and isinstance(path[0], jax.tree_util.DictKey):
        return str(path[0].key)
    return name_from(path)
