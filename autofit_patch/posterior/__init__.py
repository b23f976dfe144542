"""
The posterior of a model, as a function of its instances.

::

    from autofit_patch import posterior

    log_posterior = posterior.log_posterior(model, analysis)
    jax.value_and_grad(log_posterior)(instance)

    space = posterior.prior_space(model)
    instance = space.forward(space.inverse(instance))

Attributes
----------
log_prior, log_posterior
    Log densities, as functions of an instance.
prior_space
    Coordinates in which every parameter's prior is a standard normal distribution.
"""

from autofit_patch.posterior._density import log_posterior, log_prior
from autofit_patch.posterior._space import PriorSpace, prior_space

__all__ = ["PriorSpace", "log_posterior", "log_prior", "prior_space"]
