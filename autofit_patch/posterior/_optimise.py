"""Many maximisations at once, of which those that can no longer matter are stopped."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import numpy as np
import optax

from autofit_patch.posterior._evaluate import Evaluator, points_from

#: After how many steps it is looked at which are to go on.
STEPS_A_ROUND = 20

#: A maximisation has arrived when a round raised its log density by less.
ARRIVED = 0.05


def matters(size: int) -> float:
    """
    How far below another maximum one may be, in log density, to have a share of the
    probability: it may be wider along each of so many parameters.
    """
    return 20.0 + 3.0 * size


#: Those within this of the highest log density are near the same maximum, most likely:
#: draws of twenty parameters are as far below their maximum.
NEAR = 10.0


@dataclass
class Optima:
    """
    Where maximisations ended.

    Attributes
    ----------
    points
        A batch of the points of the highest log density that each of them was at.
    values
        The log densities there, of shape (total,).
    paths
        The log density of each at every step, of shape (total, steps); NaN after it
        ended.
    stopped
        Which were stopped since they could no longer matter, of shape (total,).
    evaluations
        How many gradients this took.
    """

    points: object
    values: np.ndarray
    paths: np.ndarray
    stopped: np.ndarray
    evaluations: int

    @property
    def best(self):
        """The point of the highest log density."""
        return jax.tree.map(lambda leaf: leaf[int(self.values.argmax())], self.points)

    @property
    def near_the_highest(self) -> np.ndarray:
        """Which ended nearly as high as the highest, of shape (total,)."""
        return near_the_highest(self.values)

    def __repr__(self):
        return (
            f"Optima({self.near_the_highest.sum()} of {len(self.values)} near the "
            f"highest log density of {self.values.max():.6g}, {self.stopped.sum()} "
            f"stopped on the way, {self.evaluations} gradients)"
        )


@dataclass
class Maximisations:
    """
    Maximisations that are under way, as arrays: all that is needed to go on with them.

    Attributes
    ----------
    rows, moments
        Where those that go on are, and Adam's first and second moments there, each of
        shape (running, leaves).
    running
        Which of all these are.
    best, values
        The best point of each of all, and the log density there.
    paths
        The log densities of all, a row for each step.
    stopped
        Which of all were stopped since they could no longer matter.
    evaluations
        How many gradients were computed.
    """

    rows: np.ndarray
    moments: tuple
    running: np.ndarray
    best: np.ndarray
    values: np.ndarray
    stopped: np.ndarray
    paths: list = field(default_factory=list)
    evaluations: int = 0

    @property
    def near_the_highest(self) -> np.ndarray:
        """Which were nearly as high as the highest so far, of shape (total,)."""
        return near_the_highest(self.values)

    @classmethod
    def at(cls, rows: np.ndarray) -> "Maximisations":
        total = len(rows)
        return cls(
            rows=rows,
            moments=(np.zeros_like(rows), np.zeros_like(rows)),
            running=np.arange(total),
            best=rows.copy(),
            values=np.full(total, -np.inf),
            stopped=np.zeros(total, dtype=bool),
        )


def near_the_highest(values: np.ndarray) -> np.ndarray:
    """Which log densities are nearly as high as the highest one."""
    return values > values.max() - NEAR


def optimise(
    evaluate: Evaluator,
    state: Maximisations,
    steps: int,
    learning_rate: float,
    after_round: Callable,
) -> Optima:
    """Go on with maximisations to their end. (See ``Pipeline.optimise``.)"""
    learning_rate = float(learning_rate)
    if not 0.0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate must be above zero, and is {learning_rate}")
    while len(state.running) and len(state.paths) < steps:
        for _ in range(min(STEPS_A_ROUND, steps - len(state.paths))):
            take_step(evaluate, state, steps, learning_rate)
        keep_running(state, steps)
        after_round(state)
    if not np.isfinite(state.values).any():
        raise ValueError(
            "the log density, or its gradient, is no finite number at any of the "
            f"{len(state.values)} points to begin from: Pipeline.starts gives some where "
            "they are"
        )
    return Optima(
        points_from(evaluate.structure, state.best),
        state.values,
        np.transpose(state.paths),
        state.stopped,
        state.evaluations,
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def adam(steps: int, learning_rate: float, count, gradients, rows, *moments):
    """A step of Adam, whose steps become shorter: the rows and moments after it."""
    schedule = optax.cosine_decay_schedule(learning_rate, steps, alpha=0.02)
    state = optax.ScaleByAdamState(count, *moments)
    direction, state = optax.scale_by_adam().update(gradients, state)
    return rows + schedule(count) * direction, state.mu, state.nu


def on_host():
    """A CPU computes what a GPU would take longer to begin with, if JAX may use one."""
    try:
        (device, *_) = jax.local_devices(backend="cpu")
    except RuntimeError:
        device = None
    return jax.default_device(device)


def take_step(
    evaluate: Evaluator, state: Maximisations, steps: int, learning_rate: float
):
    """Let all that are running take a step of Adam uphill."""
    values, gradients = evaluate(state.rows)
    running, total = len(values), len(state.values)
    state.evaluations += running
    better = values > state.values[state.running]
    state.best[state.running[better]] = state.rows[better]
    state.values[state.running[better]] = values[better]
    path = np.full(total, np.nan)
    path[state.running] = values
    # As many rows as there were at first, so that one program serves to the end.
    rows = (gradients, state.rows, *state.moments)
    rows = [np.pad(each, ((0, total - running), (0, 0))) for each in rows]
    with on_host():
        rows = adam(steps, learning_rate, np.int32(len(state.paths)), *rows)
    state.paths.append(path)
    state.rows, *moments = (np.array(each)[:running] for each in rows)
    state.moments = tuple(moments)


def keep_running(state: Maximisations, steps: int):
    """
    Stop those that have arrived, and those that would not get near to where the best one
    is by now if they rose as fast as lately.
    """
    done = len(state.paths)
    latest = np.asarray(state.paths[-STEPS_A_ROUND:])[:, state.running]
    latest = np.where(np.isfinite(latest), latest, -np.inf)
    first, now = latest[0], state.paths[-1][state.running]
    best = state.values[state.running]
    gain = np.nan_to_num(best - first, nan=0.0, posinf=np.inf)
    change = np.nan_to_num(now - first, nan=np.inf)
    arrived = (np.abs(change) < ARRIVED) & (done > STEPS_A_ROUND)
    would_be_at = best + gain * (steps - done) / STEPS_A_ROUND
    enough = state.values.max() - matters(state.rows.shape[1])
    hopeless = ~(would_be_at >= enough)
    state.stopped[state.running[hopeless]] = True
    # One that left what can be computed goes on from its best point, at rest.
    lost = ~np.isfinite(now)
    state.rows[lost] = state.best[state.running[lost]]
    for moment in state.moments:
        moment[lost] = 0.0
    goes_on = ~(arrived | hopeless)
    state.running, state.rows = state.running[goes_on], state.rows[goes_on]
    state.moments = tuple(moment[goes_on] for moment in state.moments)
