"""What a search saves, shows and tells while it runs."""

import time

import numpy as np

from autofit_patch.posterior._evaluate import points_from, rows_from
from autofit_patch.posterior._optimise import Maximisations, Optima
from autofit_patch.posterior._pipeline import Pipeline
from autofit_patch.posterior._sample import Chains, Draws, draws_from


class Progress:
    """What is saved, shown and told while a search runs."""

    def __init__(self, search, ctx, pipeline: Pipeline, internal: dict):
        self._search, self._ctx = search, ctx
        self._pipeline, self._internal = pipeline, internal
        self._since_update = 0
        self._begin = time.perf_counter()
        self._before = self._evaluations()
        self._first_draws = None

    def of_maximisations(self, state: Maximisations):
        highest = state.values.max()
        self._tell(
            f"{len(state.paths)} steps uphill: log posterior {highest:.4f}, "
            f"{len(state.running)} of {len(state.values)} starts go on, "
            f"{state.near_the_highest.sum()} are near the highest"
        )
        self._keep("maximisations", state, state.best, state.values)

    def of_maxima(self, optima: Optima):
        first, *others = self._internal["maxima"]
        self._tell(f"{optima}; log evidence about {first.log_evidence:.2f}")
        if not first.is_maximum:
            self._search.logger.warning(
                "the log posterior is not concave where the chains begin: the normal "
                f"distribution there ({first.kind}) may be a bad likeness, and they may "
                "take long"
            )
        for other in others:
            self._search.logger.warning(
                f"there is another maximum, of log evidence {other.log_evidence:.2f}; "
                f"the draws are from that of {first.log_evidence:.2f} and do not visit it"
            )

    def of_chains(self, state: Chains):
        drawn = state.latest
        told = (
            f"{len(state.rounds)} rounds of draws, acceptance "
            f"{drawn['acceptance'].mean():.2f}, {drawn['divergent'].sum()} divergent"
        )
        if not state.rounds:
            told += f": they begin anew, for an acceptance of {state.acceptance}"
        if state.has_drawn:
            draws = draws_from(self._pipeline.space.structure, state)
            told += (
                f": {draws.effective.min():.0f} effective draws of the worst parameter, "
                f"R-hat {draws.rhat.max():.3f}{self._time_left(draws)}"
            )
        self._internal["chains"] = state
        self._tell(told)
        rows = np.concatenate(drawn["rows"])
        self._keep("chains", state, rows, np.concatenate(drawn["values"]))

    def _time_left(self, draws: Draws) -> str:
        """How long the draws will take on, by how fast they became more so far."""
        now, effective = time.perf_counter(), draws.effective.min()
        self._first_draws = self._first_draws or (now, effective)
        since, before = self._first_draws
        missing = self._search.effective - effective
        if effective <= before or missing <= 0.0:
            return ""
        return f", about {missing * (now - since) / (effective - before):.0f} s left"

    def _evaluations(self) -> int:
        chains = self._internal.get("chains")
        return self._pipeline.evaluations + (chains.evaluations if chains else 0)

    def _tell(self, message: str):
        seconds = time.perf_counter() - self._begin
        speed = (self._evaluations() - self._before) / seconds
        self._search.logger.info(f"{message} ({speed:.1f} gradients/s)")

    def _keep(self, name: str, state, rows: np.ndarray, values: np.ndarray):
        """Save a state, and let PyAutoFit look at the points that were kept."""
        self._internal[name] = state
        self._search.resume_state.save(self._ctx.paths, self._internal)
        points = points_from(self._pipeline.space.structure, rows)
        self._ctx.fitness.manage_quick_update(
            parameters=rows_from(self._pipeline.space.forward(points)),
            log_likelihood=values - np.asarray(self._pipeline.space.log_prior(points)),
        )
        self._since_update += len(rows)
        if self._since_update >= self._search.iterations_per_full_update:
            self._since_update = 0
            self._ctx.update(self._internal)
