"""
Sequential Monte Carlo, by blackjax
===================================

Particles from the prior become particles of the posterior, at temperatures that are
chosen by their effective sample size. All particles are one model instance whose leaves
have an axis for them, as `space.draw` returns it:

    python jax_profiling/inference/blackjax_smc.py

The parameters of the inner Markov chain are no instances but arrays: blackjax indexes
them to tell those that the particles share.
"""

import autolens_patch  # noqa: F401

# isort: split

import blackjax
import jax
import jax.numpy as jnp
from blackjax.mcmc import random_walk
from blackjax.smc import resampling
from blackjax.smc.tuning.from_particles import particles_covariance_matrix

from jax_profiling.inference.problem import problem_from, report

PARTICLES, STEPS = 100, 5

model, space, log_posterior, _ = problem_from()


def proposal_from(particles):
    """
    The Cholesky factor of the proposal: the covariance of the particles, scaled as is
    best for a normal distribution.
    """
    covariance = particles_covariance_matrix(particles)
    return 2.38 * jnp.linalg.cholesky(covariance / len(covariance))


def move(key, state, log_density, sigma):
    kernel = random_walk.build_additive_step()
    return kernel(key, state, log_density, random_walk.normal(sigma))


particles = space.draw(PARTICLES, seed=1)
smc = blackjax.inner_kernel_tuning(
    smc_algorithm=blackjax.adaptive_tempered_smc,
    logprior_fn=space.log_prior,
    loglikelihood_fn=lambda z: log_posterior(z) - space.log_prior(z),
    mcmc_step_fn=move,
    mcmc_init_fn=random_walk.init,
    resampling_fn=resampling.systematic,
    mcmc_parameter_update_fn=lambda key, state, info: {
        "sigma": proposal_from(state.particles)[None]
    },
    initial_parameter_value={"sigma": proposal_from(particles)[None]},
    num_mcmc_steps=STEPS,
    target_ess=0.5,
)

state, step = smc.init(particles), jax.jit(smc.step)
keys = iter(jax.random.split(jax.random.key(1), 100))
temperatures = 0
while state.sampler_state.tempering_param < 1.0:
    state, info = step(next(keys), state)
    temperatures += 1
# The particles of the last step have weights; one more resamples them and moves them.
state, info = step(next(keys), state)

acceptance = info.update_info.acceptance_rate.mean()
print(f"{temperatures} temperatures; of the last moves {acceptance:.0%} were accepted")
if not acceptance > 0.1:
    raise AssertionError("The particles hardly move.")

title = f"SMC of blackjax, {PARTICLES} particles"
report(title, state.sampler_state.particles)
