"""
The sampler of the posterior beside two others: what an effective draw takes.

    python benchmarks/samplers.py
    python benchmarks/samplers.py --instrument euclid --draws 500

The lens is that of ``jax_profiling/imaging/mge.py``: simulated imaging, 15 free
parameters. ``posterior.Pipeline`` draws by the No-U-Turn sampler; ChEES-HMC (Hoffman,
Radul & Sountsov 2021, PMLR 130, 3907) and MAMS (Robnik, Cohn-Gordon & Seljak 2025,
arXiv:2503.01707), all of blackjax, draw from the same density in the same coordinates,
with the metric that the first one ended with. Their own warm-up is not counted.
"""

import measuring  # noqa: F401  (before JAX)

import autolens_patch
from autofit_patch import posterior

# isort: split
# (To import blackjax starts JAX, which has to know by then that cores are devices.)

import argparse

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from arviz_stats.base import array_stats
from inference import lens_from

from autofit_patch.posterior._evaluate import points_from
from jax_profiling.instruments import INSTRUMENTS
from jax_profiling.model import true_vector_from

CHAINS = 4

#: Draws of each chain in which a sampler adapts itself.
WARM_UP = 400


def row_from(name: str, rows: np.ndarray, gradients: int, divergent: int) -> str:
    """A line of the table, of draws of shape (chains, draws, parameters)."""
    axes = {"chain_axis": 0, "draw_axis": 1}
    bulk = array_stats.ess(rows, **axes).min()
    tail = array_stats.ess(rows, method="tail", prob=(0.05, 0.95), **axes).min()
    rhat = array_stats.rhat(rows, **axes).max()
    return (
        f"{name:<18}{rows.shape[0] * rows.shape[1]:>7}{gradients:>11}{bulk:>9.0f}"
        f"{gradients / bulk:>11.2f}{tail:>9.0f}{gradients / tail:>11.2f}"
        f"{rhat:>8.3f}{divergent:>11}"
    )


def nuts(pipeline, maximum, draws: int, seed: int) -> tuple:
    """What the stage of the pipeline draws, and the coordinates that it ended with."""
    states = []
    found = pipeline.sample(
        *(maximum, np.inf),
        chains=CHAINS,
        most=draws,
        seed=seed,
        after_round=states.append,
    )
    state = states[-1]
    rows = state.drawn("rows")
    row = row_from("NUTS", rows, found.evaluations[0], found.divergent.sum())
    return row, state.centre, state.factor


def drawn(kernel, states, draws: int, seed: int):
    """What a kernel of blackjax draws in all chains, and what it says of each draw."""

    def chain(key, state, *parameters):
        def draw(state, key):
            state, info = kernel(key, state, *parameters)
            said = info.num_integration_steps, info.is_divergent
            return state, (state.position, *said)

        return jax.lax.scan(draw, state, jax.random.split(key, draws))[1]

    keys = jax.random.split(jax.random.key(seed), CHAINS)
    return map(np.asarray, jax.jit(jax.vmap(chain))(keys, *states))


def chees(log_density, starts, draws: int, seed: int) -> tuple:
    """Trajectories of Hamiltonian dynamics whose length all chains share."""
    warm_up = blackjax.chees_adaptation(log_density, CHAINS)
    (states, parameters), _ = warm_up.run(
        *(jax.random.key(seed), starts, 0.5, optax.adam(0.025), WARM_UP),
        max_sampling_steps=draws,
    )
    kernel = blackjax.dhmc(log_density, **parameters).step
    u, steps, divergent = drawn(kernel, (states,), draws, seed)
    return u, steps.sum(), divergent.sum()


def mams(log_density, starts, draws: int, seed: int) -> tuple:
    """Trajectories of a constant speed, whose directions are refreshed on the way."""
    module = blackjax.mcmc.adjusted_mclmc_dynamic
    build = module.build_kernel(module.make_random_trajectory_length_fn(True))

    def kernel(
        rng_key,
        state,
        logdensity_fn,
        step_size,
        inverse_mass_matrix,
        integration_steps_params,
    ):
        return build(
            *(rng_key, state, logdensity_fn, step_size),
            inverse_mass_matrix=inverse_mass_matrix,
            integration_steps_params=integration_steps_params,
        )

    def tuned(start, key):
        begin, tune = jax.random.split(key)
        state = module.init(start, log_density, begin)
        state, parameters, *_ = blackjax.adjusted_mclmc_find_L_and_step_size(
            *(kernel, log_density, WARM_UP * 5, state, tune),
            target=0.9,
            diagonal_preconditioning=False,
        )
        return state, parameters.step_size, parameters.L

    keys = jax.random.split(jax.random.key(seed), CHAINS)
    states = jax.jit(jax.vmap(tuned))(starts, keys)

    def step(key, state, step_size, length):
        return kernel(key, state, log_density, step_size, 1.0, (length / step_size,))

    u, steps, divergent = drawn(step, states, draws, seed)
    # Its integrator takes two gradients a step.
    return u, 2 * steps.sum(), divergent.sum()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instrument", choices=INSTRUMENTS, default="hst")
    parser.add_argument("--gaussians", type=int, default=20)
    parser.add_argument("--draws", type=int, default=1000, help="draws of each chain")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    autolens_patch.evaluate_together()
    model, analysis = lens_from(options)
    pipeline = posterior.Pipeline(model, analysis)
    space = pipeline.space
    truth = space.inverse(model.instance_from_vector(true_vector_from(model)))
    maximum = pipeline.laplace(truth)
    print(
        f"{'':<18}{'draws':>7}{'gradients':>11}{'bulk':>9}{'gradients':>11}"
        f"{'tail':>9}{'gradients':>11}{'R-hat':>8}{'divergent':>11}"
    )
    row, centre, factor = nuts(pipeline, maximum, options.draws, options.seed)
    print(row, flush=True)

    def log_density(u):
        value = pipeline.log_posterior(points_from(space.structure, centre + factor @ u))
        return jnp.where(jnp.isfinite(value), value, -jnp.inf)

    starts = np.random.default_rng(options.seed).normal(size=(CHAINS, len(centre)))
    for name, sampler in {"ChEES": chees, "MAMS": mams}.items():
        u, gradients, divergent = sampler(
            log_density, jnp.asarray(starts), options.draws, options.seed
        )
        print(row_from(name, centre + u @ factor.T, gradients, divergent), flush=True)


if __name__ == "__main__":
    main()
