"""
Has anything changed in a tree of objects?

A model may be edited between two instances, and an instance between two calls of a
jitted function. A :class:`Snapshot` answers whether that happened, at the speed of the
interpreter's own dictionary comparison rather than of a walk through the tree in
Python, because it is asked at every call.
"""

from itertools import chain
from operator import attrgetter, is_, itemgetter

import numpy as np

from autofit_patch.libraries._internals import Constant, frozen_cache_of
from autofit_patch.pytree._contents import IMMUTABLE, is_immutable, slot_names


class Snapshot:
    """
    The contents of everything that can change below an object.

    It leads back to the object, so only the object may keep it.

    Parameters
    ----------
    root
        A model or an instance.
    opaque
        Types which are not looked into (a model's priors, say): of them only the
        identity counts.
    """

    __slots__ = (
        *("_dicts", "_copies", "_parents", "_children"),
        *("_frozen", "_lengths", "_caches", "_constants", "_values"),
        *("_arrays", "_others"),
    )

    def __init__(self, root, opaque: tuple = ()):
        self._dicts, self._copies, self._parents, self._children = [], [], [], []
        self._frozen, self._lengths, self._caches = [], [], []
        self._constants, self._values = [], []
        self._arrays, self._others = [], []
        unchanging = (*IMMUTABLE, *opaque)
        seen, todo = set(), [root]
        while todo:
            obj = todo.pop()
            if id(obj) in seen:
                continue
            if isinstance(obj, Constant):
                seen.add(id(obj))
                self._constants.append(obj)
                self._values.append(obj.value)
                continue
            if isinstance(obj, unchanging):
                continue
            seen.add(id(obj))
            if isinstance(obj, np.ndarray):
                self._arrays.append((obj, obj.copy()))
                continue
            if isinstance(obj, (list, tuple, set, frozenset)):
                todo.extend(obj)
                if not isinstance(obj, (tuple, frozenset)):
                    self._others.append((obj, list(obj)))
            attributes = obj if isinstance(obj, dict) else getattr(obj, "__dict__", {})
            if attributes:
                self._add(obj, attributes, opaque)
                attributes = {**attributes, "_frozen_cache": None}
                todo.extend(attributes.values())
            if slot_names(type(obj)):
                # There is no dictionary to watch: an object with slots counts as changed.
                self._others.append((None, []))

    def _add(self, obj, attributes: dict, opaque: tuple):
        """Take note of the attributes of an object."""
        if (cache := frozen_cache_of(obj)) is not None:
            # No attribute can be set as long as it is frozen, but one can be deleted.
            self._frozen.append(attributes)
            self._lengths.append(len(attributes))
            self._caches.append(cache)
            return
        self._dicts.append(attributes)
        self._copies.append(dict(attributes))
        children = [*attributes.values()]
        if not all(isinstance(v, opaque) or is_immutable(v) for v in children):
            self._parents.append(attributes)
            self._children += children

    def holds(self) -> bool:
        """
        Whether everything is as it was.

        Numbers may have been replaced by equal ones; any other value must be the very
        same object, because only those which were found when the snapshot was taken
        are watched.
        """
        try:
            return (
                self._dicts == self._copies
                and all(map(is_, values_of(self._parents), self._children))
                and (not self._frozen or self._frozen_hold())
                and (not self._constants or self._constants_hold())
                and (not self._arrays or self._arrays_hold())
                and (not self._others or self._others_hold())
            )
        except Exception:
            # Comparing two values can fail for reasons of their own (the truth of an
            # array, a tracer). They were not the same object, which is a change.
            return False

    def _frozen_hold(self) -> bool:
        return [*map(len, self._frozen)] == self._lengths and all(
            map(is_, map(itemgetter("_frozen_cache"), self._frozen), self._caches)
        )

    def _constants_hold(self) -> bool:
        return [*map(value_of, self._constants)] == self._values

    def _arrays_hold(self) -> bool:
        return all(
            array.dtype == copy.dtype and np.array_equal(array, copy, equal_nan=False)
            for array, copy in self._arrays
        )

    def _others_hold(self) -> bool:
        return all(
            obj is not None and len(obj) == len(copy) and all(map(is_, obj, copy))
            for obj, copy in self._others
        )


#: The value of a constant of a model.
value_of = attrgetter("value")


def values_of(dicts):
    """The values of dictionaries, one after the other."""
    return chain.from_iterable(map(dict.values, dicts))
