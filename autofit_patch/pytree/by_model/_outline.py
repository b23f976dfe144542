"""
Outlines of instances: the same objects with the same names, made without constructors.
"""

import numpy as np

from autofit_patch.pytree import _absent
from autofit_patch.pytree._contents import is_immutable, store
from autofit_patch.pytree._copies import deepcopy


def outline_from(layout, leaves, reason: str):
    """
    The objects of an instance, made without a constructor.

    Parameters
    ----------
    layout
        The :class:`~autofit_patch.pytree.by_model._layout.Layout` of the instance.
    leaves
        Anything, one a free parameter.
    reason
        Why the constructors could not be called, for whoever reads an attribute
        which only they can derive.
    """
    obj = object.__new__(layout.cls)
    for name, value in layout.bookkeeping.items():
        store(obj, name, {} if name == "_frozen_cache" else value)
    for name, index in layout.scalars:
        store(obj, name, leaves[index])
    for name, cls, shape, free, fixed in layout.arrays:
        entries = np.empty(shape, dtype=object)
        for position, index in free:
            entries[position] = leaves[index]
        for position, value in fixed:
            entries[position] = value
        store(obj, name, tuple(entries) if cls is tuple else entries)
    for name, value in layout.constants:
        store(obj, name, value if is_immutable(value) else deepcopy(value))
    for name, child in layout.children:
        store(obj, name, outline_from(child, leaves, reason))
    _absent.mark(obj, layout.absent, reason)
    return obj
