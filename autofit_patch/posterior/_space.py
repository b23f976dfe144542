"""A model's parameters in the coordinates of its priors."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from autofit_patch.posterior._coordinates import coordinate_from
from autofit_patch.posterior._density import penalised, with_likelihood
from autofit_patch.posterior._points import Points
from autofit_patch.pytree._contents import is_tracer


class PriorSpace:
    """
    Coordinates of a model's parameters, of each of which the prior is a standard normal
    distribution. A point in them is an instance with the same names as the model's.

    Attributes
    ----------
    names
        The names of the parameters.
    structure
        The structure of its points, which is that of the model's instances.
    """

    def __init__(self, points: Points):
        self._points = points
        self._coordinates = list(map(coordinate_from, points.priors))
        self.names = points.names
        self.structure = points.structure

    def forward(self, z):
        """
        The instance at given coordinates.

        Parameters
        ----------
        z
            An instance whose leaves are coordinates, or a batch of them. Any number is
            one; beyond 37 a value is its prior's limit.

        Returns
        -------
        An instance whose leaves are the values of the parameters, of dtype float64.

        Raises
        ------
        ValueError
            If ``z`` has another structure than the instances of the model.
        """
        return self._points.instance_from(self._values_at(self._points.values_of(z)))

    def _values_at(self, coordinates: list) -> list:
        return [
            coordinate.forward(z)
            for coordinate, z in zip(self._coordinates, coordinates, strict=True)
        ]

    def inverse(self, instance):
        """
        The coordinates of an instance.

        Parameters
        ----------
        instance
            An instance of the model, or a batch of them.

        Returns
        -------
        An instance whose leaves are coordinates, of dtype float64. A value at a limit has
        the coordinate 37 or -37.

        Raises
        ------
        ValueError
            If it is no instance of the model, or, outside of a trace, if a value is
            outside the limits of its prior. In a trace its coordinate is NaN.
        """
        values = self._points.values_of(instance)
        coordinates = [
            coordinate.inverse(value)
            for coordinate, value in zip(self._coordinates, values, strict=True)
        ]
        for name, prior, value, z in zip(
            self.names, self._points.priors, values, coordinates, strict=True
        ):
            if not is_tracer(z) and np.isnan(z).any():
                outside = np.asarray(value)[np.isnan(z)].item(0)
                raise ValueError(
                    f"{name} = {outside:.6g} has no coordinate: its prior is {prior}"
                )
        return self._points.instance_from(coordinates)

    def instance_from(self, values: dict):
        """
        The instance whose parameters have given values, by their names.

        Parameters
        ----------
        values
            A value, or an array of values, for each of ``names``. Others are not looked
            at.

        Returns
        -------
        An instance, or a batch.
        """
        return self._points.instance_from([values[name] for name in self.names])

    def draw(self, total: int, seed: int):
        """
        Coordinates drawn at random from the prior.

        Parameters
        ----------
        total
            How many.
        seed
            The seed of NumPy's generator: the same draws for the same seed.

        Returns
        -------
        A batch of instances whose leaves are coordinates, of shape (total,) and dtype
        float64. All hold the assertions of the model, and are inside of the disks that
        classes declare for pairs of their parameters (``ell_comps``).

        Raises
        ------
        RuntimeError
            If that is so for fewer than one in ten thousand draws.
        """
        random = np.random.default_rng(seed)
        size = len(self.names)
        drawn, tried = np.empty((0, size)), 0
        while len(drawn) < total:
            # As many again as were tried, for what holds is a share of them.
            coordinates = random.standard_normal((max(total, 100, tried), size))
            values = self._values_at(list(coordinates.T))
            prior = log_normal_of_all(list(coordinates.T))
            _, possible = penalised(self._points, values, prior, self._points.disks)
            drawn = np.concatenate([drawn, coordinates[np.asarray(possible)]])
            tried += len(coordinates)
            if tried > 1e5 and len(drawn) < 1e-4 * tried:
                raise RuntimeError(
                    f"of {tried} draws from the prior {len(drawn)} hold the assertions "
                    "of the model: give it priors that are nearer to them"
                )
        return self._points.instance_from(list(drawn[:total].T))

    def log_prior(self, z):
        """
        The log of the prior density of coordinates: a standard normal one of each.

        Parameters
        ----------
        z
            An instance whose leaves are coordinates, or a batch of them.

        Returns
        -------
        Of the shape of the leaves, of dtype float64.
        """
        return log_normal_of_all(self._points.values_of(z))

    def log_posterior(self, analysis, given: dict | None = None) -> Callable:
        """
        The log of the posterior density of coordinates, but for a constant.

        Parameters
        ----------
        analysis
            Whose ``log_likelihood_function`` JAX can trace: one with ``use_jax=True``.
        given
            Values of parameters, by their names, that are known. Their coordinates then
            say nothing of them, and have the standard normal density alone.

        Returns
        -------
        A function of an instance whose leaves are coordinates: the log likelihood of
        ``forward`` of it, and ``log_prior``. Where an assertion of the model is violated,
        or a pair of parameters outside of the disk that its class declares for it, it is
        ``-1e15 * (1 + violation)``, whose gradient leads back.
        """

        def function(z):
            coordinates = self._points.values_of(z)
            values, prior = self._values_at(coordinates), log_normal_of_all(coordinates)
            for name, value in (given or {}).items():
                values[self.names.index(name)] = value
            return with_likelihood(self._points, values, prior, analysis)

        return function

    def log_likelihood(self, analysis) -> Callable:
        """
        The log likelihood of coordinates, for what tempers it (sequential Monte Carlo).

        Parameters
        ----------
        analysis
            Whose ``log_likelihood_function`` JAX can trace: one with ``use_jax=True``.

        Returns
        -------
        A function of an instance whose leaves are coordinates: :meth:`log_posterior` less
        :meth:`log_prior`, with the same penalties.
        """
        log_posterior = self.log_posterior(analysis)
        return lambda z: log_posterior(z) - self.log_prior(z)


def log_normal_of_all(coordinates: list):
    return sum(map(jax.scipy.stats.norm.logpdf, coordinates), jnp.zeros(()))


def prior_space(model) -> PriorSpace:
    """
    Coordinates of a model in which its prior is a standard normal distribution.

    A value is the inverse cumulative distribution of its prior after the normal one. So
    hard limits vanish, no Jacobian is to be written, and every parameter has the scale 1.
    Gaussian and log-Gaussian priors are linear in them, or their logarithm is. Shared
    parameters are one coordinate; what follows from others (compound priors) has none.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    The space, with ``forward``, ``inverse``, ``draw``, ``log_prior`` and
    ``log_posterior``.

    Raises
    ------
    TypeError
        If it is no model.
    ValueError
        If a truncated Gaussian prior has no probability between its limits.

    Examples
    --------
    >>> space = posterior.prior_space(model)
    >>> z = space.inverse(instance)
    >>> space.forward(z).galaxies.lens.mass.einstein_radius
    """
    return PriorSpace(Points(model, "prior_space"))
