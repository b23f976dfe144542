"""
Filters and files, by equinox
=============================

Filtered transformations take model instances; `tree_at` replaces a parameter by its name;
`partition` holds some parameters while others are varied; leaves are saved and loaded:

    python jax_profiling/inference/equinox_filters.py
"""

import autolens_patch  # noqa: F401

# isort: split

import tempfile
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import optax

from jax_profiling.inference.problem import draws_around, problem_from, report

STEPS = 200

model, space, log_posterior, _ = problem_from()
adam = optax.adam(optax.cosine_decay_schedule(0.1, STEPS))


@eqx.filter_value_and_grad
def loss(z):
    return -log_posterior(z)


@eqx.filter_jit
def fit(z, adam):
    def step(carry, _):
        z, state = carry
        _, gradient = loss(z)
        update, state = adam.update(gradient, state, z)
        return (eqx.apply_updates(z, update), state), None

    return jax.lax.scan(step, (z, adam.init(z)), length=STEPS)[0][0]


def radius_of(z):
    return z.galaxies.lens.mass.einstein_radius


z = space.inverse(model.instance_from_prior_medians())
larger = eqx.tree_at(radius_of, z, replace_fn=lambda coordinate: coordinate + 0.5)
assert radius_of(larger) == radius_of(z) + 0.5
found = fit(larger, adam)

# Of a part of the parameters: the others are None, in the gradient too.
is_free = jax.tree.map(lambda _: False, z)
is_free = eqx.tree_at(radius_of, is_free, True)
free, held = eqx.partition(larger, is_free)
_, of_free = eqx.filter_jit(
    eqx.filter_value_and_grad(lambda free, held: -log_posterior(eqx.combine(free, held)))
)(free, held)
_, of_all = eqx.filter_jit(loss)(larger)
assert of_free.galaxies.source.bulge.effective_radius is None
np.testing.assert_allclose(radius_of(of_free), radius_of(of_all), rtol=1e-10)

with tempfile.TemporaryDirectory() as folder:
    eqx.tree_serialise_leaves(Path(folder) / "found.eqx", found)
    loaded = eqx.tree_deserialise_leaves(Path(folder) / "found.eqx", like=z)
assert eqx.tree_equal(loaded, found)

report(f"Adam with filters, {STEPS} steps", draws_around(loaded))
