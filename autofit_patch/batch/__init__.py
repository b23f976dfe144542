"""
Batches of instances: many points of one model, evaluated by name.

A batch is an instance whose leaves have one more axis, the members of the batch::

    from autofit_patch import batch

    instances = batch.instances_from(model, vectors)
    values = batch.map(likelihood)(instances)
    batch.table(instances, values)

Everything here works on any pytree, so also on a galaxy made by hand or a dictionary.

On a CPU, importing this module gives JAX one device per core, if it is not computing yet
and was not told how many to have (``JAX_NUM_CPU_DEVICES`` tells it).

Attributes
----------
instances_from, stack, unstack, take, size
    Make batches, and take them apart.
names, replace, grid
    The parameters of an instance by name.
table
    A batch as a pandas table.
map
    Evaluate a function for every member, on all devices.
"""

from autofit_patch.libraries._backend import use_all_cores

use_all_cores()

from autofit_patch.batch._instances import (  # noqa: E402
    instances_from,
    size,
    stack,
    take,
    unstack,
)
from autofit_patch.batch._map import BatchMap, map  # noqa: E402
from autofit_patch.batch._names import names  # noqa: E402
from autofit_patch.batch._table import table  # noqa: E402
from autofit_patch.batch._values import grid, replace  # noqa: E402

__all__ = [
    "BatchMap",
    "grid",
    "instances_from",
    "map",
    "names",
    "replace",
    "size",
    "stack",
    "table",
    "take",
    "unstack",
]
