"""From the prior to the posterior, in four stages that can be used alone."""

import warnings
from collections.abc import Callable
from functools import cached_property, partial

import autofit as af
import jax
import numpy as np

from autofit_patch import batch
from autofit_patch.batch._map import whole_number
from autofit_patch.posterior._evaluate import Evaluator, rows_from
from autofit_patch.posterior._laplace import Laplace, is_possible, laplace
from autofit_patch.posterior._optimise import Maximisations, Optima, matters, optimise
from autofit_patch.posterior._sample import (
    Chains,
    Draws,
    blackjax,
    chains_from,
    round_from,
    sample,
)
from autofit_patch.posterior._space import PriorSpace, prior_space
from autofit_patch.posterior._variational import variational


class Pipeline:
    """
    What leads from a model's prior to its posterior: :meth:`starts`, :meth:`optimise`,
    :meth:`laplace`, :meth:`sample`. Each takes what the one before it returns, or the
    like from somewhere else. Points are instances whose leaves are coordinates of
    ``space``.

    What is compiled (the log density with its gradient, and a round of draws) is compiled
    once for a pipeline, and evaluated on every core or device (:func:`batch.map`).

    Parameters
    ----------
    model
        The model.
    analysis
        Whose ``log_likelihood_function`` JAX can trace: one with ``use_jax=True``.

    Attributes
    ----------
    space
        The coordinates of the model (:func:`prior_space`).
    log_posterior
        The log density of a point.

    Raises
    ------
    TypeError
        If it is no model.
    ValueError
        If the model has no free parameter, or JAX is not used by the analysis.

    Examples
    --------
    >>> pipeline = posterior.Pipeline(model, analysis)
    >>> optima = pipeline.optimise(pipeline.starts(seed=1))
    >>> draws = pipeline.sample(pipeline.laplace(optima.best))
    >>> pipeline.space.forward(draws.points).galaxies.lens.mass.einstein_radius
    """

    def __init__(self, model, analysis):
        self.space = space_to_infer(model)
        if not getattr(analysis, "is_jax", True):
            raise ValueError(
                f"{type(analysis).__name__} does not use JAX, which gives the gradients: "
                "make it with use_jax=True"
            )
        self.log_posterior = self.space.log_posterior(analysis)

    @cached_property
    def _evaluate(self) -> Evaluator:
        return Evaluator(self.log_posterior, self.space.structure)

    @property
    def evaluations(self) -> int:
        """How many gradients were computed so far, but for those of draws."""
        return self._evaluate.total

    def evaluate(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        The log densities and gradients of points whose leaves are the rows of an array.
        """
        return self._evaluate(rows)

    @cached_property
    def _draw_round(self) -> Callable:
        return round_from(self._evaluate)

    def starts(self, total: int = 16, source=None, candidates: int = 512, seed: int = 0):
        """
        Points to begin from: of many candidates, half are those of the highest log
        density, most of which get to the maximum, and half are the best of groups of the
        others, which may be near another one.

        Parameters
        ----------
        total
            How many.
        source
            Where the candidates come from: nothing, for the prior; the result of a search
            or its samples, which are drawn by their weights; or a batch of instances of
            the model, which are all of them.
        candidates
            How many are drawn.
        seed
            The seed of NumPy's generator: the same starts for the same seed.

        Returns
        -------
        A batch of points, of shape (total,).

        Raises
        ------
        ValueError
            If fewer than ``total`` candidates have a log density that is a finite number,
            with its gradient, and are inside of the limits of the priors. It says how
            many.
        """
        whole_number("total", total), whole_number("candidates", candidates)
        if source is None:
            points = self.space.draw(max(total, candidates), seed)
        else:
            points = self._points_from(source, candidates, seed)
        rows = rows_from(points)
        values, _ = self._evaluate(rows)
        possible = np.isfinite(values)
        if possible.sum() < total:
            raise ValueError(
                f"{possible.sum()} of {len(values)} candidates have a log density that "
                f"is a finite number, with its gradient, and {total} starts were asked "
                "for: give more candidates, or others (source)"
            )
        if not is_possible(values, 0.0).any():
            raise ValueError(
                f"all of {len(values)} candidates violate an assertion of the model, or "
                "are outside of the disk that a class declares for two of its parameters "
                "(with constants, where there are some)"
            )
        best = np.argsort(-values, kind="stable")[: (total + 1) // 2]
        others = np.setdiff1d(np.flatnonzero(possible), best)
        groups = np.array_split(others, total - len(best))
        of_groups = [group[values[group].argmax()] for group in groups]
        return batch.take(points, [*best, *of_groups])

    def _rows_of(self, points) -> np.ndarray:
        """The leaves of points, which have to be ones of this model."""
        if jax.tree.structure(points) != self.space.structure:
            raise ValueError(
                f"a {type(points).__name__} is no point of this model, whose leaves are "
                f"{', '.join(self.space.names)}: starts and space.inverse make points"
            )
        return rows_from(points)

    def _points_from(self, source, total: int, seed: int):
        """The points that are drawn from a result or samples, or those of instances."""
        samples = getattr(source, "samples", source)
        if not isinstance(samples, af.Samples):
            # One that is outside of the limits has coordinates that are no numbers.
            return jax.jit(self.space.inverse)(source)
        random = np.random.default_rng(seed)
        weights = np.asarray(samples.weight_list, dtype=float)
        drawn = random.choice(len(weights), total, p=weights / weights.sum())
        columns = {
            ".".join(path): np.asarray(values)[drawn]
            for path, values in zip(
                samples.model.unique_prior_paths,
                np.transpose(samples.parameter_lists),
                strict=True,
            )
        }
        if missing := [name for name in self.space.names if name not in columns]:
            raise ValueError(
                f"the samples have no {', '.join(missing)}, which the model has: they "
                f"are of {', '.join(columns)}"
            )
        return jax.jit(self.space.inverse)(self.space.instance_from(columns))

    def optimise(
        self,
        starts,
        steps: int = 200,
        learning_rate: float = 0.05,
        after_round: Callable | None = None,
        state: Maximisations | None = None,
    ) -> Optima:
        """
        The maxima uphill of some points, by Adam (Kingma & Ba 2015, arXiv:1412.6980).

        Every 20 steps those are stopped that have arrived, and those that can no longer
        matter: that would stay ``20 + 3 n`` below the best one so far, of ``n``
        parameters, if they rose on as lately.

        Parameters
        ----------
        starts
            A batch of points.
        steps
            How many steps there are at most.
        learning_rate
            How far a step goes at first, in standard deviations of the prior. Its length
            falls to a fiftieth as half a cosine.
        after_round
            A function that is called with the state after every 20 steps.
        state
            What ``after_round`` was called with, to go on from there.

        Returns
        -------
        The maxima.

        Raises
        ------
        ValueError
            If ``steps`` is no whole number above zero, or ``learning_rate`` is not above
            zero; or if the log density is no finite number at any point.
        """
        return optimise(
            self._evaluate,
            state or Maximisations.at(self._rows_of(starts)),
            whole_number("steps", steps),
            learning_rate,
            after_round or nothing,
        )

    def laplace(self, point) -> Laplace:
        """
        The normal distribution that touches the posterior at the maximum near a point.

        Parameters
        ----------
        point
            A point, such as the best one of :meth:`optimise`.

        Returns
        -------
        The distribution, with an estimate of the evidence. Where no normal distribution
        touches the posterior it is the nearest one, by a variational fit, if blackjax is
        installed (``kind``).
        """
        return self._nearest(laplace(self._evaluate, self._rows_of(point)))

    def _nearest(self, there: Laplace) -> Laplace:
        """The distribution at a maximum, or the nearest one where there is none."""
        return there if there.is_maximum else variational(self._evaluate, there)

    def maxima(self, optima: Optima) -> list[Laplace]:
        """
        :meth:`laplace` at every maximum that was found and could matter.

        Parameters
        ----------
        optima
            Where maximisations ended. Those that were stopped, or are ``20 + 3 n`` below
            the best one, of ``n`` parameters, are left out, and those at a maximum that
            another was at before.

        Returns
        -------
        The distributions, the one of the largest evidence first.
        """
        rows = self._rows_of(optima.points)
        enough = optima.values.max() - matters(rows.shape[1])
        found: list[Laplace] = []
        for index in np.argsort(-optima.values, kind="stable"):
            is_best = not found
            if not is_best and (optima.stopped[index] or optima.values[index] < enough):
                continue
            if not any(each.holds(rows[index]) for each in found):
                there = laplace(self._evaluate, rows[index])
                if not any(each.holds(there.centre) for each in found):
                    there = self._nearest(there)
                if not any(each.holds(there.centre) for each in found):
                    found.append(there)
        return sorted(found, key=lambda each: -each.log_evidence)

    def sample(
        self,
        around: Laplace,
        effective: float = 1000.0,
        rhat: float = 1.01,
        chains: int = 4,
        most: int = 5000,
        seed: int = 0,
        after_round: Callable | None = None,
        state: Chains | None = None,
    ) -> Draws:
        """
        Draws from the posterior, by the No-U-Turn sampler of blackjax (Hoffman & Gelman
        2014, JMLR 15, 1593).

        Chains begin at draws from the distribution around the maximum, and move in the
        coordinates in which it is round. In the first 100 draws of each, which are not
        kept, the length of their steps is adapted and that distribution corrected. Where
        trajectories diverge (more than one of 500 draws) this begins anew, with shorter
        steps, and if that does not help a warning says so.

        Parameters
        ----------
        around
            What the posterior is like near its maximum.
        effective
            How many effective draws of the worst parameter are enough.
        rhat
            What the R-hat of the worst parameter has to be below.
        chains
            How many there are.
        most
            How many draws each chain makes at most, to the next multiple of 25. A warning
            says if that was too few.
        seed
            The seed of JAX's keys: the same draws for the same seed on the same machine.
        after_round
            A function that is called with the state after every 25 draws.
        state
            What ``after_round`` was called with, to go on from there.

        Returns
        -------
        The draws.

        Raises
        ------
        ImportError
            If blackjax or arviz-stats is not installed.
        ValueError
            If a chain would begin where the log density is no finite number.
        """
        whole_number("chains", chains), whole_number("most", most)
        blackjax()
        if state is None:
            rows = self._rows_to_begin_at(around, chains, seed)
            state = chains_from(self._evaluate, rows, around.centre, around.covariance)
        return sample(
            self._evaluate,
            self._draw_round,
            state,
            seed,
            effective,
            rhat,
            most,
            after_round or nothing,
            self._tell,
        )

    @property
    def _tell(self) -> Callable:
        """What is done with what there is to warn of, in ``sample``."""
        return partial(warnings.warn, stacklevel=3)

    def _rows_to_begin_at(self, around: Laplace, chains: int, seed: int) -> np.ndarray:
        """Points drawn around the maximum, of those that are possible."""
        rows = around.draw_rows(10 * chains, seed)
        values, _ = self._evaluate(rows)
        # Where the distribution is a bad likeness most of its draws are far from likely.
        order = np.argsort(-values, kind="stable")
        apart = max(1, min(5, np.isfinite(values).sum() // chains))
        return rows[order[::apart][:chains]]


def space_to_infer(model) -> PriorSpace:
    """The coordinates of a model, which has to have some."""
    space = prior_space(model)
    if not space.names:
        raise ValueError("the model has no free parameter: there is nothing to infer")
    return space


def nothing(state):
    """What is done after a round if nothing was asked for."""
