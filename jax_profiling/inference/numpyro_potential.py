"""
NUTS, by numpyro, of a potential
================================

Without a model of numpyro's: the potential energy is minus the log posterior, a function
of a model instance, and so are the initial parameters and the samples:

    python jax_profiling/inference/numpyro_potential.py
"""

import autolens_patch  # noqa: F401

# isort: split

import autofit as af
import jax
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS

from jax_profiling.inference.problem import problem_from, report

WARMUP, DRAWS = 100, 150

model, space, log_posterior, _ = problem_from()
z = space.inverse(model.instance_from_prior_medians())

nuts = NUTS(potential_fn=lambda z: -log_posterior(z), dense_mass=True)
mcmc = MCMC(nuts, num_warmup=WARMUP, num_samples=DRAWS, progress_bar=False)
mcmc.run(jax.random.key(1), init_params=z, extra_fields=("diverging",))

draws = mcmc.get_samples()
assert isinstance(draws, af.ModelInstance)
sizes = jax.tree.map(effective_sample_size, mcmc.get_samples(group_by_chain=True))
smallest = min(jax.tree.leaves(sizes))
print(f"Effective draws: at least {smallest:.0f}")
if not smallest >= 50:
    raise AssertionError("The draws are too few.")
if mcmc.get_extra_fields()["diverging"].any():
    raise AssertionError("A trajectory diverged.")

report(f"NUTS of numpyro, {DRAWS} draws", draws)
