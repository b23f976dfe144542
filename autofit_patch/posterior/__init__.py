"""
The posterior of a model, as a function of its instances.

::

    from autofit_patch import posterior

    log_posterior = posterior.log_posterior(model, analysis)
    jax.value_and_grad(log_posterior)(instance)

    space = posterior.prior_space(model)
    instance = space.forward(space.inverse(instance))

    search = posterior.Search(name="lens")
    result = search.fit(model, analysis)

Importing this module imports :mod:`autofit_patch.batch`, which see.

Attributes
----------
log_prior, log_posterior
    Log densities, as functions of an instance.
prior_space
    Coordinates in which every parameter's prior is a standard normal distribution.
Pipeline
    The stages from the prior to the posterior.
Pipelines
    The same for many data at once.
Search
    The stages as a search of PyAutoFit.
"""

from autofit_patch.posterior._density import log_posterior, log_prior
from autofit_patch.posterior._laplace import Laplace
from autofit_patch.posterior._many import Pipelines
from autofit_patch.posterior._optimise import Optima
from autofit_patch.posterior._pipeline import Pipeline
from autofit_patch.posterior._sample import Draws
from autofit_patch.posterior._space import PriorSpace, prior_space

__all__ = [
    "Draws",
    "Laplace",
    "Optima",
    "Pipeline",
    "Pipelines",
    "PriorSpace",
    "Search",
    "log_posterior",
    "log_prior",
    "prior_space",
]


def __getattr__(name: str):
    # Older releases of PyAutoFit do not have what it needs.
    if name == "Search":
        from autofit_patch.posterior._search import Search

        return Search
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
