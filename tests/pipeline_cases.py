"""Posteriors whose moments are known, as models with analyses."""

from dataclasses import dataclass
from functools import cached_property

import autofit as af
import jax.numpy as jnp
import numpy as np


class Numbers:
    def __init__(self, x=0.0, y=0.0):
        self.x = x
        self.y = y


class Analysis(af.Analysis):
    """An analysis whose log likelihood is a function of two numbers."""

    def __init__(self, log_likelihood, use_jax=True):
        super().__init__(use_jax=use_jax)
        self._log_likelihood = log_likelihood

    def log_likelihood_function(self, instance):
        return self._log_likelihood(instance.numbers.x, instance.numbers.y)


@dataclass
class Case:
    """
    A posterior of two parameters.

    Attributes
    ----------
    x, y
        The priors.
    log_likelihood
        A function of both.
    between
        Between which values of each the posterior is integrated.
    is_ordered
        Whether the model asserts that x is above y.
    """

    x: af.Prior
    y: af.Prior
    log_likelihood: callable
    between: tuple
    is_ordered: bool = False

    def model(self) -> af.Collection:
        model = af.Collection(numbers=af.Model(Numbers, x=self.x, y=self.y))
        if self.is_ordered:
            model.add_assertion(model.numbers.x > model.numbers.y)
        return model

    def analysis(self) -> Analysis:
        return Analysis(self.log_likelihood)

    @cached_property
    def on_grid(self) -> tuple:
        """The log evidence, the means and the covariance, by summing over a grid."""
        axes = [np.linspace(lower, upper, 1501) for lower, upper in self.between]
        x, y = np.meshgrid(*(0.5 * (axis[1:] + axis[:-1]) for axis in axes))
        log_density = np.asarray(self.log_likelihood(x, y)) + sum(
            log_density_from(prior, values)
            for prior, values in ((self.x, x), (self.y, y))
        )
        if self.is_ordered:
            log_density = np.where(x > y, log_density, -np.inf)
        highest = log_density.max()
        weights = np.exp(log_density - highest)
        cell = np.prod([axis[1] - axis[0] for axis in axes])
        points, weights = np.stack([x.ravel(), y.ravel()]), weights.ravel()
        return (
            highest + np.log(weights.sum() * cell),
            np.average(points, weights=weights, axis=1),
            np.cov(points, aweights=weights, ddof=0),
        )

    def moments(self) -> tuple:
        """The log evidence, the means and the deviations."""
        log_evidence, means, covariance = self.on_grid
        return log_evidence, means, list(np.sqrt(np.diag(covariance)))

    def covariance(self) -> np.ndarray:
        """The covariance."""
        return self.on_grid[-1]


def log_density_from(prior, values):
    """The log of the density of a prior, with its constant."""
    if isinstance(prior, af.UniformPrior):
        inside = (values >= prior.lower_limit) & (values <= prior.upper_limit)
        width = prior.upper_limit - prior.lower_limit
        return np.where(inside, -np.log(width), -np.inf)
    if isinstance(prior, af.LogUniformPrior):
        width = np.log(prior.upper_limit / prior.lower_limit)
        return -np.log(np.abs(values)) - np.log(width)
    standard = (values - prior.mean) / prior.sigma
    return -0.5 * standard**2 - np.log(prior.sigma * np.sqrt(2.0 * np.pi))


def normal(values, mean, sigma):
    return -0.5 * ((values - mean) / sigma) ** 2


CASES = {
    "normal": Case(
        af.GaussianPrior(0.0, 1.0),
        af.GaussianPrior(2.0, 3.0),
        lambda x, y: normal(x + y, 1.0, 0.1) + normal(x - y, -2.0, 0.5),
        ((-2.0, 1.5), (-0.5, 3.0)),
    ),
    "banana": Case(
        af.GaussianPrior(0.0, 1.0),
        af.GaussianPrior(0.0, 10.0),
        lambda x, y: normal(y, x**2, 1.0),
        ((-5.0, 5.0), (-5.0, 25.0)),
    ),
    "at a limit": Case(
        af.UniformPrior(0.0, 1.0),
        af.UniformPrior(-1.0, 1.0),
        lambda x, y: normal(x, -0.05, 0.05) + normal(y, 0.2, 0.1),
        ((0.0, 0.4), (-0.4, 0.8)),
    ),
    "asserted": Case(
        af.GaussianPrior(0.0, 1.0),
        af.GaussianPrior(0.0, 1.0),
        lambda x, y: normal(x, 0.0, 0.5) + normal(y, 0.1, 0.5),
        ((-3.0, 3.0), (-3.0, 3.0)),
        is_ordered=True,
    ),
    "twelve decades": Case(
        af.LogUniformPrior(1e-6, 1e6),
        af.UniformPrior(-1.0, 1.0),
        lambda x, y: normal(jnp.log(x), np.log(0.02), 0.1) + normal(y, 0.2, 0.1),
        ((0.005, 0.05), (-0.4, 0.8)),
    ),
}

#: Which no normal distribution touches at (0, 0).
UNTOUCHED = {
    "saddle": Case(
        af.GaussianPrior(0.0, 10.0),
        af.GaussianPrior(0.0, 10.0),
        lambda x, y: (
            jnp.logaddexp(normal(x, -1.1, 1.0), normal(x, 1.1, 1.0))
            + normal(y, 0.8 * x, 0.3)
        ),
        ((-7.0, 7.0), (-7.0, 7.0)),
    ),
    "two wells": Case(
        af.GaussianPrior(0.0, 3.0),
        af.GaussianPrior(0.0, 3.0),
        lambda x, y: 4.0 * (x**2 - x**4) + normal(y, x, 0.2),
        ((-3.0, 3.0), (-3.0, 3.0)),
    ),
    "kink": Case(
        af.GaussianPrior(0.0, 1.0),
        af.GaussianPrior(0.0, 1.0),
        lambda x, y: -10.0 * jnp.abs(x) + normal(y, x, 0.2),
        ((-2.0, 2.0), (-2.0, 2.0)),
    ),
}
