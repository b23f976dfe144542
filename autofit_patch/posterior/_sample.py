"""Draws from a posterior, by Hamiltonian Monte Carlo on several chains."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from autofit_patch import batch
from autofit_patch.posterior._evaluate import Evaluator, members_at_once, points_from

#: How many draws a chain makes before they are looked at.
DRAWS_A_ROUND = 25

#: How many rounds the length of a step and the metric are adapted for.
ROUNDS_OF_WARM_UP = 4

#: What share of proposals the length of a step is to make acceptable. Where trajectories
#: diverge, which would leave parts of the posterior out, the warm-up begins anew with the
#: next of these.
ACCEPTANCE = (0.8, 0.9, 0.95, 0.98, 0.99)

#: What share of the draws may diverge.
DIVERGENT = 0.002

#: A trajectory has at most two to the power of this many steps.
DOUBLINGS = 10


@dataclass
class Chains:
    """
    Chains that are under way, as arrays: all that is needed to go on with them.

    Attributes
    ----------
    rows, values, gradients
        Where each chain is, of shape (chains, leaves), and the log density there.
    steps
        What each chain knows of the length of its steps, of shape (chains, 5).
    centre, factor
        Of the coordinates in which the chains move: a point is ``centre + factor @ u``.
    acceptance
        What share of proposals is to be acceptable.
    rounds
        What each round drew, of those that were not given up.
    latest
        What the latest round drew.
    given_up
        How many gradients were computed for rounds that were given up.
    """

    rows: np.ndarray
    values: np.ndarray
    gradients: np.ndarray
    steps: np.ndarray
    centre: np.ndarray
    factor: np.ndarray
    acceptance: float = ACCEPTANCE[0]
    rounds: list = field(default_factory=list)
    latest: dict | None = None
    given_up: int = 0

    #: What :func:`draws_from` returned, and after how many gradients. It is not saved.
    _draws = None

    def __getstate__(self):
        return {name: each for name, each in vars(self).items() if name != "_draws"}

    @property
    def is_warm(self) -> bool:
        """Whether the next round is to be kept."""
        return len(self.rounds) >= ROUNDS_OF_WARM_UP

    @property
    def has_drawn(self) -> bool:
        """Whether there are draws to keep."""
        return len(self.rounds) > ROUNDS_OF_WARM_UP

    @property
    def evaluations(self) -> int:
        """How many gradients were computed."""
        return self.given_up + int(sum(r["evaluations"].sum() for r in self.rounds))

    def drawn(self, name: str) -> np.ndarray:
        """What the rounds after the warm-up drew, of shape (chains, draws, ...)."""
        kept = [round[name] for round in self.rounds[ROUNDS_OF_WARM_UP:]]
        return np.concatenate(kept, axis=1)


@dataclass
class Draws:
    """
    Draws from a posterior.

    Attributes
    ----------
    points
        A batch of them, of shape (chains * draws,), one chain after another.
    values
        The log densities there, of shape (chains * draws,).
    chains
        How many chains there were.
    effective
        The effective number of draws of every leaf, of shape (leaves,): the bulk one
        (Vehtari et al. 2021, Bayesian Analysis 16, 667).
    rhat
        The rank-normalised split R-hat of every leaf (the same paper), which is 1 if all
        chains drew from the same distribution.
    divergent
        Which draws ended with a trajectory that left the energy's surface.
    acceptance
        The mean share of proposals that were acceptable.
    evaluations
        How many gradients the draws took, and how many with those of the warm-up.
    """

    points: object
    values: np.ndarray
    chains: int
    effective: np.ndarray
    rhat: np.ndarray
    divergent: np.ndarray
    acceptance: float
    evaluations: tuple[int, int]

    def __repr__(self):
        return (
            f"Draws({len(self.values)} of {self.chains} chains, "
            f"{self.effective.min():.0f} effective ones of the worst parameter, "
            f"R-hat {self.rhat.max():.3f}, {self.divergent.sum()} divergent, "
            f"{self.evaluations[1]} gradients)"
        )


def chains_from(evaluate: Evaluator, rows: np.ndarray, centre, covariance) -> Chains:
    """Chains that begin at some points, and know what the posterior is like around."""
    values, gradients = evaluate(rows)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{(~np.isfinite(values)).sum()} of {len(values)} chains would begin where "
            "the log density or its gradient is no finite number"
        )
    steps = lengths_of_steps(np.full(len(rows), len(centre) ** -0.25))
    factor = np.linalg.cholesky(covariance)
    return Chains(rows, values, gradients, steps, centre, factor)


def averaging(acceptance: float = ACCEPTANCE[0]) -> tuple:
    """The dual averaging of the length of a step."""
    return blackjax().adaptation.step_size.dual_averaging_adaptation(acceptance)


def lengths_of_steps(lengths: np.ndarray) -> np.ndarray:
    """What chains know of the length of their steps at first."""
    initial, _, _ = averaging()
    return np.stack(jax.vmap(initial)(lengths), axis=1)


def blackjax():
    """The library that draws. That which judges the draws has to be there as well."""
    try:
        import arviz_stats.base  # noqa: F401
        import blackjax
    except ImportError as error:
        raise ImportError(
            "drawing from a posterior needs blackjax: pip install blackjax arviz-stats"
        ) from error
    return blackjax


def round_from(evaluate: Evaluator) -> Callable:
    """What draws a round of every chain, each on a device of its own."""
    round = partial(round_of_one, evaluate.log_density, evaluate.structure)

    @cache
    def rounds_of(width: int):
        return batch.map(round, width=width, progress=False)

    return lambda keys, *rest: rounds_of(members_at_once(min(len(keys), 64)))(keys, *rest)


def round_of_one(
    log_density,
    structure,
    key,
    adapts,
    acceptance,
    row,
    value,
    gradient,
    steps,
    centre,
    factor,
):
    """The draws of one chain in a round, and where it is then."""
    library = blackjax()
    kernel = library.nuts.build_kernel()
    _, adapt, _ = averaging(acceptance)

    def log_density_of(u):
        value = log_density(points_from(structure, centre + factor @ u))
        return jnp.where(jnp.isfinite(value), value, -jnp.inf)

    def draw(carry, key):
        state, steps = carry
        length = jnp.exp(jnp.where(adapts, steps.log_step_size, steps.log_step_size_avg))
        state, info = kernel(
            key, state, log_density_of, length, jnp.ones(len(centre)), DOUBLINGS
        )
        adapted = adapt(steps, info.acceptance_rate)
        steps = jax.tree.map(partial(jnp.where, adapts), adapted, steps)
        drawn = {
            "rows": centre + factor @ state.position,
            "values": state.logdensity,
            "acceptance": info.acceptance_rate,
            "divergent": info.is_divergent,
            "evaluations": info.num_integration_steps,
        }
        return (state, steps), drawn

    u = solve_triangular(factor, row - centre, lower=True)
    state = library.mcmc.hmc.HMCState(u, value, factor.T @ gradient)
    kind = library.adaptation.step_size.DualAveragingAdaptationState
    carry = state, kind(*steps)
    (state, steps), drawn = jax.lax.scan(
        draw, carry, jax.random.split(key, DRAWS_A_ROUND)
    )
    gradient = solve_triangular(factor.T, state.logdensity_grad, lower=False)
    return (
        centre + factor @ state.position,
        state.logdensity,
        gradient,
        jnp.stack([jnp.asarray(each, dtype=float) for each in steps]),
        drawn,
    )


def sample(
    evaluate: Evaluator,
    draw_round: Callable,
    state: Chains,
    seed: int,
    effective: float,
    rhat: float,
    most: int,
    after_round: Callable,
    tell: Callable,
) -> Draws:
    """
    Go on with chains until they have drawn enough. (See ``Pipeline.sample``.) What there
    is to warn of is told.
    """
    while True:
        if state.has_drawn:
            draws = draws_from(evaluate.structure, state)
            drawn = len(draws.values) // draws.chains
            enough = draws.effective.min() >= effective and draws.rhat.max() < rhat
            if enough or drawn >= most:
                if not enough:
                    tell(
                        f"after {drawn} draws a chain there are "
                        f"{draws.effective.min():.0f} effective ones of the worst "
                        f"parameter, and R-hat is {draws.rhat.max():.3f}: "
                        f"{effective:.0f} and {rhat} were asked for"
                    )
                if too_many(draws.divergent):
                    tell(
                        f"{draws.divergent.sum()} of {len(draws.values)} draws are "
                        "divergent, also with the shortest steps that were tried: parts "
                        "of the posterior may be left out, near edges, kinks, "
                        "assertions, or where a gradient is no number"
                    )
                return draws
        go_on(draw_round, state, seed)
        after_round(state)


def go_on(draw_round: Callable, state: Chains, seed: int):
    """Let every chain make the draws of a round, and learn from those of the warm-up."""
    chains = len(state.rows)
    key = jax.random.fold_in(jax.random.key(seed), state.evaluations)
    repeated = [np.repeat(each[None], chains, 0) for each in (state.centre, state.factor)]
    state.rows, state.values, state.gradients, state.steps, drawn = draw_round(
        jax.random.split(key, chains),
        np.full(chains, not state.is_warm),
        np.full(chains, state.acceptance),
        state.rows,
        state.values,
        state.gradients,
        state.steps,
        *repeated,
    )
    state.rounds.append(drawn)
    state.latest = drawn
    if diverges(state):
        begin_anew(state)
    elif not state.is_warm:
        learn_metric(state)
    elif len(state.rounds) == ROUNDS_OF_WARM_UP:
        # One length for all: what a chain took for acceptable is a matter of chance.
        state.steps[:, :2] = np.median(state.steps[:, 1])


def diverges(state: Chains) -> bool:
    """Whether too many of the draws are divergent, and shorter steps are possible."""
    if not state.has_drawn or state.acceptance == ACCEPTANCE[-1]:
        return False
    return too_many(state.drawn("divergent"))


def too_many(divergent: np.ndarray) -> bool:
    """Whether more draws are divergent than may be. (One of a few could be chance.)"""
    return divergent.sum() > max(1.0, DIVERGENT * divergent.size)


def begin_anew(state: Chains):
    """Give the draws up, and begin the warm-up with shorter steps."""
    state.given_up = state.evaluations
    state.rounds = []
    state.acceptance = ACCEPTANCE[ACCEPTANCE.index(state.acceptance) + 1]
    state.steps = lengths_of_steps(0.5 * np.exp(state.steps[:, 1]))


def learn_metric(state: Chains):
    """
    Correct what is known of the covariance by the draws of the last round of all chains,
    as far as there are more of them than of its numbers.
    """
    rows = np.concatenate(state.rounds[-1]["rows"])
    u = np.linalg.solve(state.factor, (rows - state.centre).T)
    size = len(u)
    seen = np.cov(u) * u.shape[1]
    correction = (seen + 5.0 * size * np.eye(size)) / (u.shape[1] + 5.0 * size)
    state.factor = state.factor @ np.linalg.cholesky(correction)


def draws_from(structure, state: Chains) -> Draws:
    """What was drawn so far. (The same object until there is more.)"""
    if state._draws is None or state._draws[0] != state.evaluations:
        state._draws = state.evaluations, judged(structure, state)
    return state._draws[1]


def judged(structure, state: Chains) -> Draws:
    """What was drawn so far, with how many effective draws these are."""
    from arviz_stats.base import array_stats

    rows = state.drawn("rows")
    axes = {"chain_axis": 0, "draw_axis": 1}
    # R-hat compares chains: the halves of one, if there are no others.
    half = rows.shape[1] // 2
    halves = np.concatenate([rows[:, :half], rows[:, -half:]])
    compared = rows if len(rows) > 1 else halves
    evaluations = state.drawn("evaluations").sum()
    return Draws(
        points_from(structure, np.concatenate(rows)),
        np.concatenate(state.drawn("values")),
        len(rows),
        np.asarray(array_stats.ess(rows, **axes)),
        np.asarray(array_stats.rhat(compared, **axes)),
        np.concatenate(state.drawn("divergent")),
        float(state.drawn("acceptance").mean()),
        (int(evaluations), state.evaluations),
    )
