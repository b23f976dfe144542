"""
NUTS, by blackjax
=================

The step size and the mass matrix are adapted, then the posterior is sampled. A position
is a model instance, and so are the chain (its leaves have an axis for the draws) and the
effective sample sizes, by the names of the model:

    python jax_profiling/inference/blackjax_nuts.py
"""

import autolens_patch  # noqa: F401

# isort: split

import blackjax
import jax

from jax_profiling.inference.problem import problem_from, report

WARMUP, DRAWS = 100, 150

model, space, log_posterior, _ = problem_from()
z = space.inverse(model.instance_from_prior_medians())

warmup = blackjax.window_adaptation(
    blackjax.nuts, log_posterior, is_mass_matrix_diagonal=False
)


@jax.jit
def sample(key, z):
    key_warmup, key_draws = jax.random.split(key)
    (state, parameters), _ = warmup.run(key_warmup, z, num_steps=WARMUP)
    nuts = blackjax.nuts(log_posterior, **parameters)

    def step(state, key):
        state, info = nuts.step(key, state)
        return state, (state.position, info)

    _, (draws, info) = jax.lax.scan(step, state, jax.random.split(key_draws, DRAWS))
    sizes = jax.tree.map(lambda chain: blackjax.ess(chain[None]), draws)
    return draws, sizes, info.is_divergent


draws, sizes, divergent = sample(jax.random.key(1), z)

smallest = min(jax.tree.leaves(sizes))
radius = sizes.galaxies.lens.mass.einstein_radius
print(f"Effective draws: {radius:.0f} of the Einstein radius, at least {smallest:.0f}")
if not smallest >= 50:
    raise AssertionError("The draws are too few.")
if divergent.any():
    raise AssertionError("A trajectory diverged.")

report(f"NUTS of blackjax, {DRAWS} draws", draws)
