"""
What is known of objects and not written on them.

The equality, the pickles and the JSON of the libraries' objects are to stay as they are,
so whatever the patch knows of an object is kept beside it, and goes along with its copies
and pickles (:mod:`autofit_patch.pytree._copies`).
"""

import weakref
from functools import partial


class Beside:
    """
    One value an object, kept for as long as the object lives.

    Objects are told by who they are, not by what they are equal to, so they need not be
    hashable, as the keys of a ``weakref.WeakKeyDictionary`` must be. Of an object that
    cannot be weakly referenced nothing is kept.

    A value must not lead back to its object, or neither is ever freed: Python has no
    dictionary that would see such a cycle. What does lead back is kept by the object
    itself, see :func:`autofit_patch.libraries._internals.own`.
    """

    __slots__ = ("_entries",)

    def __init__(self):
        self._entries = {}

    def __len__(self):
        return len(self._entries)

    def get(self, obj, default=None):
        """The value of an object, or the default."""
        entry = self._entries.get(id(obj))
        return default if entry is None or entry[0]() is not obj else entry[1]

    def set(self, obj, value):
        """Keep a value beside an object."""
        key = id(obj)
        try:
            ref = weakref.ref(obj, partial(self._forget, key))
        except TypeError:
            return
        self._entries[key] = ref, value

    def _forget(self, key, ref):
        # Another object may have taken the id of one that died in a cycle.
        entry = self._entries.get(key)
        if entry is not None and entry[0] is ref:
            self._entries.pop(key, None)
