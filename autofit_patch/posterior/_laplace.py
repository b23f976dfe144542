"""A posterior as the normal distribution that touches it at its maximum."""

from dataclasses import dataclass

import jax
import numpy as np

from autofit_patch.posterior._density import PENALTY
from autofit_patch.posterior._evaluate import Evaluator, points_from, rows_from

#: What a step to the maximum is expected to gain, in log density, where it is reached.
AT_THE_MAXIMUM = 1e-4

#: How many steps there are at most.
STEPS = 20

#: A second derivative that is less negative is none: the prior's own is -1.
LEAST_PRECISION = 1e-3

#: By how much of a standard deviation gradients are compared for their derivative.
SHARE_OF_A_DEVIATION = 0.05


@dataclass
class Laplace:
    """
    The normal distribution around a maximum of a log density, or, where that has none
    which a normal distribution touches, the one that is nearest to it.

    Attributes
    ----------
    maximum
        The point of the maximum, or the highest that was found; in what searches save,
        the array of its leaves.
    value
        The log density there.
    covariance
        The inverse of minus its second derivatives, of shape (leaves, leaves) in the
        order of the leaves. Where these are not negative along some direction, what it
        has there is no more than a scale. Or that of a variational fit.
    is_maximum
        Whether they are known, and negative along every direction, and the gradient zero.
    log_evidence
        The log of the integral of the density, were it this distribution (MacKay 2003,
        Information Theory, Inference, and Learning Algorithms, eq. 27.5). Of a
        variational fit it is a lower bound, but for the noise of 500 draws.
    evaluations
        How many gradients this took.
    mean
        The leaves of the mean of a variational fit, of shape (leaves,). None where the
        mean is the maximum.
    """

    maximum: object
    value: float
    covariance: np.ndarray
    is_maximum: bool
    log_evidence: float
    evaluations: int
    mean: np.ndarray | None = None

    def holds(self, row: np.ndarray) -> bool:
        """
        Whether the leaves of a point, of shape (leaves,), are those of one that is at
        this maximum: nearer to it than one in a million draws is far. (The square of the
        distance has the mean ``n`` and the variance ``2 n``.)
        """
        away, size = row - self.centre, len(row)
        squares = away @ np.linalg.solve(self.covariance, away)
        return bool(squares < size + 5.0 * np.sqrt(2.0 * size))

    def draw(self, total: int, seed: int):
        """
        Points drawn from the distribution: a batch of shape (total,).
        """
        rows = self.draw_rows(total, seed)
        return points_from(jax.tree.structure(self.maximum), rows)

    def draw_rows(self, total: int, seed: int) -> np.ndarray:
        """The leaves of points drawn from it, of shape (total, leaves)."""
        random = np.random.default_rng(seed)
        return random.multivariate_normal(self.centre, self.covariance, total)

    @property
    def kind(self) -> str:
        """
        How it was found: ``"laplace"``, from the derivatives at the maximum, or
        ``"variational"``, where ``is_maximum`` is False, blackjax is installed, and the
        bound of that fit is the higher one.
        """
        return "laplace" if self.mean is None else "variational"

    @property
    def centre(self) -> np.ndarray:
        """The leaves of the mean, of shape (leaves,)."""
        return self.row if self.mean is None else self.mean

    @property
    def row(self) -> np.ndarray:
        """The leaves of the maximum, of shape (leaves,)."""
        is_row = isinstance(self.maximum, np.ndarray)
        return self.maximum if is_row else rows_from(self.maximum)


def laplace(evaluate: Evaluator, row: np.ndarray) -> Laplace:
    """Climb from near a maximum to it, by Newton's method, and look around."""
    before = evaluate.total
    (value,), (gradient,) = evaluate(row[None])
    if not np.isfinite(value):
        raise ValueError(
            "the log density, or its gradient, is no finite number at the point that was "
            "given: there is no maximum to climb to from there"
        )
    deviations = np.full(len(row), 1e-3)
    for _ in range(STEPS):
        precision, is_known = precision_at(evaluate, row, value, deviations)
        covariance, is_positive = inverse_from(precision)
        found = np.sqrt(np.diag(covariance))
        # Differences over much more or less than a deviation are no derivatives.
        is_settled = (np.abs(np.log(found / deviations)) < np.log(2.0)).all()
        deviations = found
        step = covariance @ gradient
        at_rest = 0.5 * gradient @ step < AT_THE_MAXIMUM
        if at_rest and is_settled:
            break
        if not at_rest:
            rows = row + step * 0.5 ** np.arange(10)[:, None]
            values, gradients = evaluate(rows)
            best = values.argmax()
            if values[best] > value:
                row, value, gradient = rows[best], values[best], gradients[best]
            elif is_settled:
                break
    _, log_determinant = np.linalg.slogdet(2.0 * np.pi * covariance)
    return Laplace(
        points_from(evaluate.structure, row),
        float(value),
        covariance,
        bool(is_positive and is_known and is_settled and at_rest),
        float(value + 0.5 * log_determinant),
        evaluate.total - before,
    )


def is_possible(values: np.ndarray, value: float) -> np.ndarray:
    """
    Which log densities are numbers, and not those of points that violate an assertion, if
    ``value`` is that of one that does not.
    """
    return values > value - 0.5 * PENALTY


def precision_at(evaluate: Evaluator, row: np.ndarray, value: float, deviations) -> tuple:
    """
    Minus the second derivatives, from differences of gradients, and whether all of these
    are known. (Those by JAX cost more to compile than these to compute.)
    """
    lengths = SHARE_OF_A_DEVIATION * deviations
    shifts = np.diag(lengths)
    values, gradients = evaluate(np.concatenate([row + shifts, row - shifts]))
    there = is_possible(values, value)
    # The gradient of a penalty says nothing of the density.
    gradients[~there] = 0.0
    above, below = np.split(gradients, 2)
    derivatives = (below - above) / (2.0 * lengths[:, None])
    return 0.5 * (derivatives + derivatives.T), bool(there.all())


def inverse_from(precision: np.ndarray) -> tuple[np.ndarray, bool]:
    """
    The covariance of a precision, made positive, and whether it was. In coordinates in
    which the prior is standard normal few posteriors are much wider than that.
    """
    values, vectors = np.linalg.eigh(precision)
    is_positive = values > LEAST_PRECISION
    positive = np.where(is_positive, values, np.maximum(np.abs(values), 0.25))
    return (vectors / positive) @ vectors.T, bool(is_positive.all())
