"""The instances of a model, taken apart and made."""

import jax
import jax.numpy as jnp

from autofit_patch.libraries._internals import AbstractPriorModel
from autofit_patch.models._assertions import assertions_of
from autofit_patch.pytree.by_model._state import structure_from


class Points:
    """
    The instances of a model, which are points in it.

    Parameters
    ----------
    model
        The model. Editing it later changes nothing.
    function
        The public function that was given it, for the messages of errors.

    Attributes
    ----------
    priors
        The priors of the free parameters, in the order of the leaves.
    names
        The names of the parameters.
    structure
        The structure of the instances.
    assertions
        The assertions of the model and of its components.
    disks
        The disks around the origin that classes declare for pairs of their parameters,
        as two positions in the order of the leaves and a radius.

    Raises
    ------
    TypeError
        If it is no model.
    """

    def __init__(self, model: AbstractPriorModel, function: str):
        if not isinstance(model, AbstractPriorModel):
            raise TypeError(
                f"{function} expected a model, and was given a {type(model).__name__}: "
                "pass the af.Model or af.Collection that made the instances"
            )
        self._function = function
        self._model_structure = structure_from(model)
        # Models that differ in their priors alone share their structure.
        self.priors = tuple(model.priors_ordered_by_id)
        self.names = self._model_structure.names
        medians = model.physical_values_from_prior_medians
        self.assertions = assertions_of(model)
        self.disks = tuple(model.ball_constraint_index_pairs())
        self.structure = jax.tree.structure(self._model_structure.instance_from(medians))

    def values_of(self, instance) -> list:
        """
        The values of the parameters of an instance, or of a batch, of dtype float64.

        Raises
        ------
        ValueError
            If the instance is no point in the model.
        """
        leaves, treedef = jax.tree.flatten(instance)
        if treedef != self.structure:
            raise ValueError(
                f"{self._function} expected an instance of its model, whose leaves are "
                f"{', '.join(self.names) or 'none'}. The {type(instance).__name__} that "
                f"it was given has {len(leaves)} leaves and another structure. If its "
                "model made it, autofit_patch.explain(instance) says what was edited."
            )
        return [jnp.asarray(leaf, dtype=float) for leaf in leaves]

    def instance_from(self, leaves):
        """The instance, or the batch, whose parameters have the given values."""
        return self._model_structure.instance_from(leaves)
