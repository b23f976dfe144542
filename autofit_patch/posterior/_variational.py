"""The normal distribution that is nearest to a posterior, where none touches it."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax

from autofit_patch.posterior._evaluate import Evaluator
from autofit_patch.posterior._laplace import Laplace, is_possible
from autofit_patch.posterior._sample import blackjax

#: How many steps there are, and of how many draws each sees the log density.
STEPS, DRAWS = 300, 8

#: How far a step goes at first, in the deviations of the distribution to begin from.
LEARNING_RATE = 0.1

#: The gradient of a step is made no longer: one of a draw that is far off would be
#: remembered by Adam for long.
LONGEST = 10.0

#: Of how many draws the bound of the evidence is the mean.
DRAWS_OF_THE_BOUND = 500

#: What share of a distribution has to be where the density is: chains begin in it.
LEAST_SHARE = 0.25

SEED = 0


def variational(evaluate: Evaluator, around: Laplace) -> Laplace:
    """
    The normal distribution with the least Kullback-Leibler divergence from a density.

    It is fitted with all covariances, by stochastic gradients with respect to its mean
    and the Cholesky factor of its covariance (Kucukelbir et al. 2017, JMLR 18, 14, their
    full-rank one), of which the part that is zero in the mean is left out (Roeder et al.
    2017, arXiv:1703.09194). It moves in the coordinates in which the distribution to
    begin from is round.

    Parameters
    ----------
    evaluate
        The log density and its gradient at many points.
    around
        The distribution to begin from.

    Returns
    -------
    The fit, of which ``log_evidence`` is a lower bound (:func:`bound_from`). What was to
    begin from, if blackjax is not installed, or the bound of the fit is no finite number,
    or not above that of what was to begin from. The same for the same arguments: the seed
    is fixed.
    """
    try:
        blackjax()
    except ImportError:
        return around
    before = evaluate.total
    begin = around.centre, factor_from(around.covariance)
    mean, factor = fitted(evaluate, around.value, *begin)
    bound = bound_from(evaluate, around.value, mean, factor)
    bound_to_begin_from = bound_from(evaluate, around.value, *begin)
    evaluations = around.evaluations + evaluate.total - before
    covariance = factor @ factor.T
    # A number that is none is not above another either.
    if not (bound > bound_to_begin_from and np.isfinite(covariance).all()):
        return replace(around, evaluations=evaluations)
    return replace(
        around,
        mean=mean,
        covariance=covariance,
        log_evidence=bound,
        evaluations=evaluations,
    )


def factor_from(covariance: np.ndarray) -> np.ndarray:
    """
    The Cholesky factor of a covariance. One that is singular but for rounding, as where
    derivatives are not known, is made a little wider.
    """
    least = 1e-12 * np.trace(covariance)
    return np.linalg.cholesky(covariance + least * np.eye(len(covariance)))


def fitted(evaluate: Evaluator, value: float, centre, factor) -> tuple:
    """
    The mean of the fit, of shape (leaves,), and the factor of its covariance, of shape
    (leaves, leaves), from those of the distribution to begin from, where the log density
    is about ``value``.
    """
    library, optimizer, draw, step = compiled()
    state = library.init(np.zeros(len(centre)), optimizer)
    for key in jax.random.split(jax.random.key(SEED), STEPS):
        drawn = np.asarray(draw(key, state))
        values, gradients = evaluate(centre + drawn @ factor.T)
        # A draw without a density (or with the penalty of a violated assertion, which
        # would outweigh all else) is left out, by the gradient of the fit itself: what is
        # fitted is the distribution that ends where the density does.
        mean, of_fit = mean_and_factor(state)
        inverse = np.linalg.inv(of_fit)
        of_itself = (mean - drawn) @ inverse.T @ inverse
        there = is_possible(values, value)
        gradients = np.where(there[:, None], gradients @ factor, of_itself)
        state = step(key, state, drawn, gradients)
    mean, of_fit = mean_and_factor(state)
    return centre + factor @ mean, factor @ of_fit


@cache
def compiled() -> tuple:
    """
    The fit of blackjax, its optimiser, and two functions of its state: its next draws,
    and the step that it takes when the gradients there are known.
    """
    library = blackjax().vi.fullrank_vi
    rate = optax.cosine_decay_schedule(LEARNING_RATE, STEPS, alpha=0.02)
    optimizer = optax.chain(optax.clip_by_global_norm(LONGEST), optax.adam(rate, b2=0.99))

    @jax.jit
    def draw(key, state):
        return library.sample(key, state, DRAWS)

    @jax.jit
    def step(key, state, drawn, gradients):
        # A step draws what its key says, so these are known before it, and evaluated on
        # all cores by what is compiled already. To the step the log density is linear
        # around each; only its gradient matters, as a step's own bound is not used.
        def log_density(u):
            away = ((drawn - u) ** 2).sum(axis=1)
            nearest = away.argmin()
            is_drawn = away[nearest] < 1e-12 * (1.0 + (u**2).sum())
            return jnp.where(is_drawn, gradients[nearest], jnp.nan) @ u

        return library.step(key, state, log_density, optimizer, DRAWS)[0]

    return library, optimizer, draw, step


def mean_and_factor(state) -> tuple[np.ndarray, np.ndarray]:
    """
    The mean of a fit, of shape (leaves,), and its Cholesky factor, of shape (leaves,
    leaves): what ``FRVIState`` holds of it are the logarithms of its diagonal, and what
    is below that, row by row.
    """
    mean, numbers = np.asarray(state.mu), np.asarray(state.chol_params)
    size = len(mean)
    factor = np.diag(np.exp(numbers[:size]))
    factor[np.tril_indices(size, -1)] = numbers[size:]
    return mean, factor


def bound_from(evaluate: Evaluator, value: float, mean, factor) -> float:
    """
    The lower bound of the log evidence that a normal distribution gives (the ELBO of
    Kucukelbir et al. 2017), but for the noise of the draws of which it is the mean.

    The distribution ends where the density does: its own density is what the normal one
    has there, divided by the share of that, of which the logarithm is added.
    """
    size = len(mean)
    standard = np.random.default_rng(SEED).standard_normal((DRAWS_OF_THE_BOUND, size))
    values, _ = evaluate(mean + standard @ factor.T)
    there = is_possible(values, value)
    if there.mean() < LEAST_SHARE:
        return -np.inf
    _, log_determinant = np.linalg.slogdet(factor)
    log_normal = -0.5 * (standard**2).sum(axis=1) - 0.5 * size * np.log(2.0 * np.pi)
    ratios = values - (log_normal - log_determinant)
    return float(ratios[there].mean() + np.log(there.mean()))
