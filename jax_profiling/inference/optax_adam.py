"""
Adam, by optax alone
====================

The maximum of a log posterior. The point, the gradient, the update and Adam's two
moments are model instances, with the names of the model:

    python jax_profiling/inference/optax_adam.py
"""

import autolens_patch  # noqa: F401

# isort: split

import autofit as af
import jax
import optax

from jax_profiling.inference.problem import draws_around, problem_from, report

STEPS = 200

model, space, log_posterior, _ = problem_from()

adam = optax.adam(optax.cosine_decay_schedule(0.1, STEPS))


def step(carry, _):
    z, state = carry
    gradient = jax.grad(lambda z: -log_posterior(z))(z)
    update, state = adam.update(gradient, state, z)
    return (optax.apply_updates(z, update), state), None


z = space.inverse(model.instance_from_prior_medians())
run = jax.jit(lambda z: jax.lax.scan(step, (z, adam.init(z)), length=STEPS)[0])
z, state = run(z)

moments = optax.tree.get(state, "mu"), optax.tree.get(state, "nu")
for each in (z, *moments):
    assert isinstance(each, af.ModelInstance)
    assert jax.tree.structure(each) == jax.tree.structure(space.forward(z))

report(f"Adam, {STEPS} steps", draws_around(z))
