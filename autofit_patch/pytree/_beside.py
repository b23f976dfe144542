"""
What is known of objects and not written on them.

The equality, the pickles and the JSON of the libraries' objects are to stay as they are,
so whatever the patch knows of an object is kept beside it.
"""

import weakref
from functools import partial


class Beside:
    """
    One value an object, kept for as long as the object lives.

    Objects are told by who they are, not by what they are equal to, so they need not be
    hashable, as the keys of a ``weakref.WeakKeyDictionary`` must be. Of an object that
    cannot be weakly referenced nothing is kept.
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
            ref = weakref.ref(obj, partial(self._entries.pop, key))
        except TypeError:
            return
        self._entries[key] = ref, value

    def items_with_ids(self, ids) -> list:
        """The ids and the values of those objects that have one of these ids."""
        entries = [(key, self._entries.get(key)) for key in ids & self._entries.keys()]
        return [(key, e[1]) for key, e in entries if e is not None and e[0]() is not None]
