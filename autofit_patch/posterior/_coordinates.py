"""
Coordinates in which a prior is a standard normal distribution.

A value is the prior's own inverse cumulative distribution after the normal one, so that
hard limits vanish and no Jacobian is to be written. Both tails are computed from the
small one of the two probabilities, since one near 1 has lost its digits.
"""

from collections.abc import Callable
from dataclasses import dataclass

import autofit as af
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from scipy.special import ndtr as known_ndtr

#: No probability below that of this coordinate is told from zero. (Doubles end at 37.5.)
FURTHEST = 37.0


@dataclass(frozen=True)
class Coordinate:
    """
    The coordinate of one parameter.

    Parameters
    ----------
    forward
        The value of a coordinate.
    inverse
        The coordinate of a value; NaN where the prior has none.
    """

    forward: Callable
    inverse: Callable


def coordinate_from(prior: af.Prior) -> Coordinate:
    """The coordinate of a prior's parameter."""
    for cls, made_from in MADE_FROM.items():
        # A class that a user derived from it may have values of its own.
        if isinstance(prior, cls) and type(prior).value_for is cls.value_for:
            return made_from(prior)
    return any_other(prior)


def gaussian(prior) -> Coordinate:
    mean, sigma = prior.mean, prior.sigma
    return Coordinate(
        lambda z: mean + sigma * z,
        lambda value: (value - mean) / sigma,
    )


def uniform(prior) -> Coordinate:
    return uniform_between(prior.lower_limit, prior.upper_limit)


def uniform_between(lower: float, upper: float) -> Coordinate:
    def forward(z):
        share = (upper - lower) * smaller_tail(z)
        return jnp.where(z < 0.0, lower + share, upper - share)

    def inverse(value):
        below, above = (
            (value - lower) / (upper - lower),
            (upper - value) / (upper - lower),
        )
        inside = (value >= lower) & (value <= upper)
        return jnp.where(inside, coordinate_of_shares(below, above), jnp.nan)

    return Coordinate(forward, inverse)


def smaller_tail(z):
    """The probability beyond a coordinate, on the side where there is less of it."""
    # An absolute value would have no derivative at zero.
    return ndtr(jnp.where(z < 0.0, z, -z))


def coordinate_of_shares(below, above):
    """
    The coordinate that has some share of the probability below, and the rest above.
    """
    smaller = jnp.where(below < above, below, above)
    z = ndtri(jnp.clip(smaller, known_ndtr(-FURTHEST), None))
    return jnp.where(below < above, z, -z)


def exponential(of_the_log: Coordinate, lower=0.0, upper=jnp.inf) -> Coordinate:
    """The coordinate of a value whose logarithm has the given one."""
    return Coordinate(
        lambda z: jnp.clip(jnp.exp(of_the_log.forward(z)), lower, upper),
        lambda value: of_the_log.inverse(jnp.log(value)),
    )


def log_uniform(prior) -> Coordinate:
    limits = prior.lower_limit, prior.upper_limit
    return exponential(uniform_between(*map(np.log, limits)), *limits)


def log_gaussian(prior) -> Coordinate:
    return exponential(gaussian(prior))


def truncated_gaussian(prior) -> Coordinate:
    mean, sigma = prior.mean, prior.sigma
    lower, upper = prior.lower_limit, prior.upper_limit
    # In units of the Gaussian, and mirrored if the limits are on its upper side.
    a, b = (lower - prior.mean) / prior.sigma, (upper - prior.mean) / prior.sigma
    sign = -1.0 if a > 0.0 else 1.0
    if sign < 0.0:
        a, b = -b, -a
    mass = known_ndtr(b) - known_ndtr(a)
    if mass <= 0.0:
        raise ValueError(
            f"{prior!r} has no probability between its limits, which are {a:.3g} and "
            f"{b:.3g} of its sigma from its mean: no coordinate can be given to it"
        )

    def forward(z):
        z = sign * z
        share = mass * smaller_tail(z)
        from_below = known_ndtr(a) + share
        if b <= 0.0:
            standard = ndtri(jnp.where(z < 0.0, from_below, known_ndtr(b) - share))
        else:
            standard = ndtri(jnp.where(z < 0.0, from_below, known_ndtr(-b) + share))
            standard = jnp.where(z < 0.0, standard, -standard)
        return jnp.clip(mean + sigma * sign * standard, lower, upper)

    def inverse(value):
        standard = sign * (value - mean) / sigma
        below = ndtr(standard) - known_ndtr(a)
        if b <= 0.0:
            above = known_ndtr(b) - ndtr(standard)
        else:
            above = ndtr(-standard) - known_ndtr(-b)
        z = sign * coordinate_of_shares(below / mass, above / mass)
        return jnp.where((value >= lower) & (value <= upper), z, jnp.nan)

    return Coordinate(forward, inverse)


def any_other(prior) -> Coordinate:
    """By what a prior says of itself, whose tails end where it does."""
    return Coordinate(
        lambda z: prior.value_for(ndtr(z), xp=jnp),
        lambda value: ndtri(jnp.asarray(prior.unit_value_for(value))),
    )


MADE_FROM = {
    af.UniformPrior: uniform,
    af.LogUniformPrior: log_uniform,
    af.GaussianPrior: gaussian,
    af.LogGaussianPrior: log_gaussian,
    af.TruncatedGaussianPrior: truncated_gaussian,
}
