"""
The structure of one instance whose objects are told from others by tokens.
"""

from autofit_patch.pytree.by_model._reading import set_identities


class IdentifiedStructure(tuple):
    """
    The structure of one instance, with what its objects are told from others by.

    A linear light profile is equal to, and looked up as, the one with its token. Rebuilt,
    it has the token again. No token takes part in comparing structures: as a tuple, this
    is compared by what is in it, which is the structure, at the speed of the interpreter.

    Parameters
    ----------
    structure
        The structure of all instances of the model.
    identities
        What each object is told from others by, in the order of the layout.
    """

    def __new__(cls, structure, identities):
        self = super().__new__(cls, (structure,))
        self.identities = identities
        return self

    @property
    def structure(self):
        return self[0]

    def __repr__(self):
        return repr(self.structure)

    def __reduce__(self):
        # Tokens mean nothing in another process.
        return IdentifiedStructure, (self.structure, ())

    def __deepcopy__(self, memo):
        return self

    @property
    def keys(self) -> tuple:
        return self.structure.keys

    def instance_from(self, leaves):
        """The instance with the given leaves (JAX calls this to unflatten)."""
        instance = self.structure.instance_from(leaves)
        if self.identities:
            set_identities(self.structure.layout, instance, iter(self.identities))
        return instance
