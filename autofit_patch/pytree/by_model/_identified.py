"""
The structure of one instance whose objects are told from others by tokens.
"""

import weakref

from autofit_patch.pytree.by_model._reading import identities_of, set_identities


class IdentifiedStructure:
    """
    The structure of one instance, with what its objects are told from others by.

    A linear light profile is equal to, and looked up as, the one with its token. Rebuilt,
    it has the token again. No token takes part in comparing structures.

    Parameters
    ----------
    structure
        The structure of all instances of the model.
    instance
        The instance. It is not kept.
    """

    __slots__ = ("structure", "_instance", "_identities")

    def __init__(self, structure, instance):
        self.structure = structure
        self._instance = weakref.ref(instance)
        self._identities = None

    @property
    def identities(self) -> list:
        """
        What each object is told from others by, in the order of the layout; nothing if
        nobody asked before the instance died. Most structures are never asked.
        """
        if self._identities is None:
            instance = self._instance()
            self._identities = (
                [] if instance is None else identities_of(self.structure.layout, instance)
            )
        return self._identities

    def __eq__(self, other):
        if isinstance(other, IdentifiedStructure):
            other = other.structure
        return self.structure is other or self.structure == other

    def __hash__(self):
        return self.structure._hash

    def __repr__(self):
        return repr(self.structure)

    def __reduce__(self):
        # Tokens mean nothing in another process.
        return self.structure.__reduce__()

    def __deepcopy__(self, memo):
        return self

    @property
    def keys(self) -> tuple:
        return self.structure.keys

    def instance_from(self, leaves):
        """The instance with the given leaves (JAX calls this to unflatten)."""
        instance = self.structure.instance_from(leaves)
        if self.identities:
            set_identities(self.structure.layout, instance, [*self.identities])
        return instance
