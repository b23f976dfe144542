"""
The structure of one instance whose objects are told from others by tokens.
"""

from autofit_patch.pytree.by_model._reading import set_identities


class IdentifiedStructure:
    """
    The structure of one instance, with what its objects are told from others by.

    A linear light profile is equal to, and looked up as, the one with its token. Rebuilt,
    it has the token again. No token takes part in comparing structures.

    Parameters
    ----------
    structure
        The structure of all instances of the model.
    identities
        What each object is told from others by, in the order of the layout.
    """

    __slots__ = ("structure", "identities")

    def __init__(self, structure, identities: list):
        self.structure = structure
        self.identities = identities

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
        set_identities(self.structure.layout, instance, iter(self.identities))
        return instance
