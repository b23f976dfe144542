"""
Has anything changed in a tree of objects?

A model may be edited between two instances, and an instance between two calls of a
jitted function. A :class:`Snapshot` answers whether that happened, at the speed of the
interpreter's own dictionary comparison rather than of a walk through the tree in
Python, because it is asked at every call.
"""

from operator import getitem, is_

import numpy as np

from autofit_patch._contents import IMMUTABLE, attributes_of, is_immutable, slot_names


class Snapshot:
    """
    The contents of everything that can change below an object.

    Parameters
    ----------
    root
        A model or an instance.
    opaque
        Types which are not looked into (a model's priors, say): of them only the
        identity counts.
    """

    __slots__ = (
        "_dicts",
        "_dict_copies",
        "_parents",
        "_names",
        "_children",
        "_arrays",
        "_others",
    )

    def __init__(self, root, opaque: tuple = ()):
        self._dicts, self._dict_copies = [], []
        self._parents, self._names, self._children = [], [], []
        self._arrays, self._others = [], []
        unchanging = (*IMMUTABLE, *opaque)
        seen, todo = set(), [root]
        while todo:
            obj = todo.pop()
            if isinstance(obj, unchanging) or id(obj) in seen:
                continue
            seen.add(id(obj))
            if isinstance(obj, np.ndarray):
                self._arrays.append((obj, obj.copy()))
                continue
            if isinstance(obj, (list, tuple, set, frozenset)):
                todo.extend(obj)
                if not isinstance(obj, (tuple, frozenset)):
                    self._others.append((obj, list, list(obj)))
            attributes = obj if isinstance(obj, dict) else getattr(obj, "__dict__", None)
            if attributes:
                self._add(attributes, unchanging)
                todo.extend(
                    value
                    for name, value in attributes.items()
                    if name != "_frozen_cache"
                )
            if slot_names(type(obj)):
                # No dictionary to hold on to, and holding the object itself would
                # keep the root alive, so an object with slots never counts as
                # unchanged.
                self._others.append((None, list, [attributes_of(obj)]))

    def _add(self, attributes: dict, unchanging: tuple):
        self._dicts.append(attributes)
        self._dict_copies.append(dict(attributes))
        for name, value in attributes.items():
            if not isinstance(value, unchanging) and not is_immutable(value):
                self._parents.append(attributes)
                self._names.append(name)
                self._children.append(value)

    def holds(self) -> bool:
        """
        Whether everything is as it was.

        Numbers may have been replaced by equal ones; any other value must be the very
        same object, because only those which were found when the snapshot was taken
        are watched.
        """
        try:
            return (
                self._dicts == self._dict_copies
                and all(map(is_, map(getitem, self._parents, self._names), self._children))
                and not (self._arrays and not self._arrays_hold())
                and not (self._others and not self._others_hold())
            )
        except Exception:
            # Comparing two values can fail for reasons of their own (the truth of an
            # array, a tracer). They were not the same object, which is a change.
            return False

    def _arrays_hold(self) -> bool:
        return all(
            array.dtype == copy.dtype and np.array_equal(array, copy, equal_nan=False)
            for array, copy in self._arrays
        )

    def _others_hold(self) -> bool:
        return all(
            obj is not None and all(map(is_, as_list(obj), copy)) and len(obj) == len(copy)
            for obj, as_list, copy in self._others
        )
