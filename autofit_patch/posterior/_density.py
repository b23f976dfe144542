"""The log densities of instances."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from autofit_patch.models._assertions import violation
from autofit_patch.posterior._points import Points

#: What a violated assertion costs, and what being one further from holding it costs more:
#: far more than any likelihood, also of a million bright pixels far from what they show.
PENALTY = 1e15


def log_prior(model) -> Callable:
    """
    The log of a model's prior density, as a function of its instances.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    A function of an instance, or of a batch, that JAX can transform. It returns what the
    priors of PyAutoFit add up to (``model.log_prior_list_from_vector``), which is the log
    density but for a constant, of the shape of the leaves and of dtype float64. Outside
    the limits of a prior it is minus infinity, and its gradient zero. Where an assertion
    of the model is violated, it is ``-1e15 * (1 + violation)``, whose gradient leads
    back.

    Raises
    ------
    TypeError
        If it is no model. The function raises a ValueError for what is no instance of it.

    Examples
    --------
    >>> log_prior = posterior.log_prior(model)
    >>> jax.grad(log_prior)(instance).galaxies.lens.mass.einstein_radius
    """
    points = Points(model, "log_prior")

    def function(instance):
        values = points.values_of(instance)
        prior, _ = penalised(points, values, log_prior_of_all(points, values))
        return prior

    return function


def log_prior_of_all(points: Points, values: list):
    """What the priors add up to."""
    return sum(map(log_prior_of_one, points.priors, values), jnp.zeros(()))


def penalised(points: Points, values: list, prior, disks=()) -> tuple:
    """
    A log prior with what it costs to violate assertions and to be outside of disks, and
    where it counts: where the values are possible and neither is the case.
    """
    possible = prior > -jnp.inf
    if not points.assertions and not disks:
        return prior, possible
    arguments = dict(zip(points.priors, values, strict=True))
    violated = violation(points.assertions, arguments)
    for first, second, radius in disks:
        violated = violated + distance_outside(values[first], values[second], radius)
    penalty = jnp.where(possible, -PENALTY * (1.0 + violated), -jnp.inf)
    holds = violated == 0.0
    return jnp.where(holds, prior, penalty), possible & holds


def distance_outside(first, second, radius: float):
    """How far outside of a disk around the origin a pair of values is; zero within."""
    squares = first**2 + second**2
    outside = squares >= radius**2
    # The distance from the origin has no derivative there.
    distance = jnp.sqrt(jnp.where(outside, squares, 1.0))
    return jnp.where(outside, distance - radius + jnp.finfo(float).tiny, 0.0)


def log_prior_of_one(prior, value):
    """The log prior of one parameter, with a gradient that is never NaN."""
    lower, upper = prior.limits
    above = value > lower if prior.lower_limit_strict else value >= lower
    below = value < upper if prior.upper_limit_strict else value <= upper
    inside = above & below
    # A value outside is kept from the prior, whose gradient may be NaN there.
    safe = jnp.where(inside, value, prior.value_for(0.5))
    return jnp.where(inside, prior.log_prior_from_value(safe, xp=jnp), -jnp.inf)


def log_posterior(model, analysis) -> Callable:
    """
    The log of the posterior density, but for a constant, as a function of instances.

    Parameters
    ----------
    model
        The model.
    analysis
        Whose ``log_likelihood_function`` JAX can trace: one with ``use_jax=True``.

    Returns
    -------
    A function of an instance that JAX can transform: the log likelihood and
    :func:`log_prior`. Where the prior is minus infinity or an assertion is violated it
    is that alone, with its gradient, whatever the likelihood is there. Outside of a disk
    that a class declares for a pair of its parameters (``ell_comps``, beyond which the
    libraries define no profile) it is as for a violated assertion. A likelihood that is
    NaN elsewhere stays NaN.

    Raises
    ------
    TypeError
        If it is no model. The function raises a ValueError for what is no instance of it.

    Examples
    --------
    >>> log_posterior = posterior.log_posterior(model, analysis)
    >>> jax.jit(jax.value_and_grad(log_posterior))(instance)
    """
    points = Points(model, "log_posterior")

    def function(instance):
        values = points.values_of(instance)
        prior = log_prior_of_all(points, values)
        return with_likelihood(points, values, prior, analysis)

    return function


def with_likelihood(points: Points, values: list, prior, analysis):
    """A log prior and the log likelihood, where the values are possible."""
    prior, counts = penalised(points, values, prior, points.disks)
    # What the likelihood passes back where it does not count may be NaN.
    safe = [jnp.where(counts, value, jax.lax.stop_gradient(value)) for value in values]
    likelihood = analysis.log_likelihood_function(points.instance_from(safe))
    return jnp.where(counts, likelihood + prior, prior)
