"""
Checkpoints, by orbax
=====================

A fit is stopped half-way and goes on from what was saved: the point and the state of the
optimiser, with model instances in it. It ends where the fit ends that never stopped, to
the last digit:

    python jax_profiling/inference/orbax_checkpoint.py
"""

import autolens_patch  # noqa: F401

# isort: split

import tempfile
from pathlib import Path

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp

from jax_profiling.inference.problem import draws_around, problem_from, report

STEPS = 200

model, space, log_posterior, _ = problem_from()

adam = optax.adam(optax.cosine_decay_schedule(0.1, STEPS))


@jax.jit
def half_of_the_fit(z, state):
    def step(carry, _):
        z, state = carry
        gradient = jax.grad(lambda z: -log_posterior(z))(z)
        update, state = adam.update(gradient, state, z)
        return (optax.apply_updates(z, update), state), None

    return jax.lax.scan(step, (z, state), length=STEPS // 2)[0]


z = space.inverse(model.instance_from_prior_medians())
half_way = half_of_the_fit(z, adam.init(z))
never_stopped = half_of_the_fit(*half_way)

with tempfile.TemporaryDirectory() as folder, ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(Path(folder) / "half_way", half_way)
    checkpointer.wait_until_finished()
    # What is restored takes the structure, shapes and dtypes of an example.
    like = jax.eval_shape(lambda: (z, adam.init(z)))
    restored = checkpointer.restore(Path(folder) / "half_way", like)

assert jax.tree.structure(restored) == jax.tree.structure(half_way)
jax.tree.map(np.testing.assert_array_equal, restored, half_way)

continued = half_of_the_fit(*restored)
jax.tree.map(np.testing.assert_array_equal, continued, never_stopped)

draws = draws_around(continued[0])
report(f"Adam, stopped after {STEPS // 2} of {STEPS} steps", draws)
