"""
NUTS, by numpyro, of a model of its own
=======================================

The parameters are sites of a numpyro model, with the names and the priors of the model.
An instance is made of them, and its log likelihood is a factor:

    python jax_profiling/inference/numpyro_model.py
"""

import autolens_patch  # noqa: F401

# isort: split

import autofit as af
import jax
import numpyro
import numpyro.distributions as dist
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS, init_to_median

from jax_profiling.inference.problem import analysis_from, problem_from, report

WARMUP, DRAWS = 100, 150

model, space, *_ = problem_from()
log_likelihood = jax.jit(analysis_from().log_likelihood_function)
structure = jax.tree.structure(model.instance_from_prior_medians())


def distribution_from(prior: af.Prior) -> dist.Distribution:
    """The distribution of numpyro's that a prior is."""
    limits = prior.limits
    match prior:
        case af.LogUniformPrior():
            return dist.LogUniform(*limits)
        case af.UniformPrior():
            return dist.Uniform(*limits)
        case af.TruncatedGaussianPrior():
            return dist.TruncatedNormal(
                prior.mean, prior.sigma, low=limits[0], high=limits[1]
            )
        case af.GaussianPrior():
            return dist.Normal(prior.mean, prior.sigma)
    raise NotImplementedError(f"{prior} has no distribution here")


# In the order of the leaves of an instance, which is that of its names.
priors = dict(zip(space.names, model.priors_ordered_by_id, strict=True))


def lens():
    values = [
        numpyro.sample(name, distribution_from(prior)) for name, prior in priors.items()
    ]
    instance = jax.tree.unflatten(structure, values)
    numpyro.factor("log_likelihood", log_likelihood(instance))


nuts = NUTS(lens, dense_mass=True, init_strategy=init_to_median)
mcmc = MCMC(nuts, num_warmup=WARMUP, num_samples=DRAWS, progress_bar=False)
mcmc.run(jax.random.key(1), extra_fields=("diverging",))

samples = mcmc.get_samples(group_by_chain=True)
smallest = min(effective_sample_size(samples[name]) for name in space.names)
print(f"Effective draws: at least {smallest:.0f}")
if not smallest >= 50:
    raise AssertionError("The draws are too few.")
if mcmc.get_extra_fields()["diverging"].any():
    raise AssertionError("A trajectory diverged.")

values = jax.tree.unflatten(structure, [samples[name][0] for name in space.names])
report(f"A model of numpyro's, {DRAWS} draws of NUTS", space.inverse(values))
