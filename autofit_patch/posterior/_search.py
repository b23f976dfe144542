"""The stages from the prior to the posterior as a search of PyAutoFit."""

import hashlib
import pickle
from dataclasses import replace

import autofit as af
import jax
import numpy as np

from autofit_patch.posterior._evaluate import points_from, rows_from
from autofit_patch.posterior._figures import figure_of_paths, figure_of_traces
from autofit_patch.posterior._pipeline import Pipeline
from autofit_patch.posterior._progress import Progress
from autofit_patch.posterior._sample import Chains, Draws, draws_from
from autofit_patch.posterior._space import prior_space

try:
    from autofit.non_linear.checkpoint import PickleCheckpointer
    from autofit.non_linear.samples.adapter import RawSamples
    from autofit.non_linear.search import capabilities as cap
    from autofit.non_linear.search.mcmc.auto_correlations import AutoCorrelations
    from autofit.non_linear.search.posterior_kind import CHAIN
except ImportError as error:
    raise ImportError(
        "posterior.Search needs a PyAutoFit whose searches have a run(ctx): pip install "
        "--upgrade autofit. posterior.Pipeline, whose stages it runs, works without"
    ) from error


class Search(af.NonLinearSearch):
    """
    A search from the prior to the posterior with gradients: starts, of which many are
    maximised, the normal distribution around the best maximum, and draws by the No-U-Turn
    sampler from there. (See :class:`Pipeline`, of which these are the stages.)

    It goes on after an interruption with what it had at its last update, every 20 steps
    of the maximisations and every 25 draws. With a ``seed`` its draws are then those of a
    run that was not interrupted.

    Parameters
    ----------
    name, path_prefix, unique_tag, iterations_per_quick_update,
    iterations_per_full_update, silence, session, seed
        As for every search of PyAutoFit. What is counted for updates are points that are
        kept: where each start is after 20 steps, and draws.
    starts, candidates
        How many points are maximised, and of how many draws these are chosen.
    start_from
        Where these are drawn from: nothing, for the prior; the result of another search,
        or samples; or a batch of instances. ``search.json`` remembers which of these it
        was.
    steps, learning_rate
        Of the maximisations.
    effective, rhat, chains, most
        Of the draws: what is enough.

    Examples
    --------
    >>> search = posterior.Search(name="lens", seed=1)
    >>> result = search.fit(model=model, analysis=analysis)
    """

    jax_use = cap.JaxUse.REQUIRED
    gradient = cap.Gradient.USES
    batched = False
    honours_gradient_mode = False
    posterior_kind = cap.PosteriorKind.CHAIN
    produces_evidence = False
    resumable = True
    warm_start = cap.WarmStart.NEUTRAL
    install_extra = "inference"
    upstream_url = "https://github.com/blackjax-devs/blackjax"
    citation_keys = ("blackjax", "optax")
    status = cap.Status.EXPERIMENTAL
    test_mode_budget = {"candidates": 16, "starts": 4, "steps": 20, "most": 50}
    objective_target = cap.ObjectiveTarget(
        cap.ObjectiveQuantity.LOG_POSTERIOR, cap.CoordinateSpace.PHYSICAL
    )
    invalid_value = -float("inf")
    requires_fp64 = True

    samples_cls = af.SamplesMCMC
    checkpointer = PickleCheckpointer()
    resume_state = checkpointer

    __identifier_fields__ = (
        "starts",
        "candidates",
        "start_from",
        "steps",
        "learning_rate",
        "effective",
        "rhat",
        "chains",
        "most",
    )

    def __init__(
        self,
        name: str | None = None,
        path_prefix: str | None = None,
        unique_tag: str | None = None,
        starts: int = 16,
        candidates: int = 512,
        start_from=None,
        steps: int = 200,
        learning_rate: float = 0.05,
        effective: float = 1000.0,
        rhat: float = 1.01,
        chains: int = 4,
        most: int = 5000,
        iterations_per_quick_update: int | None = None,
        iterations_per_full_update: int | None = None,
        silence: bool = False,
        session=None,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(
            name=name,
            path_prefix=path_prefix,
            unique_tag=unique_tag,
            iterations_per_quick_update=iterations_per_quick_update,
            iterations_per_full_update=iterations_per_full_update,
            silence=silence,
            session=session,
            seed=seed,
            **kwargs,
        )
        self.starts = starts
        self.candidates = candidates
        # A search that is read from its file knows no more of it than what it was.
        self._source = None if isinstance(start_from, str) else start_from
        self.start_from = described(start_from)
        self.steps = steps
        self.learning_rate = learning_rate
        self.effective = effective
        self.rhat = rhat
        self.chains = chains
        self.most = most

    def run(self, ctx) -> dict:
        """
        Run the stages that are not done yet. (The hook of PyAutoFit's searches.)
        """
        if self._source is None and self.start_from != "prior":
            raise ValueError(
                f"the search began from {self.start_from}, which its file does not hold: "
                "give it start_from again"
            )
        pipeline = Pipeline(ctx.model, ctx.fitness.analysis)
        internal = self._saved_in(ctx)
        check_that_it_goes_on(pipeline, internal)
        progress = Progress(self, ctx, pipeline, internal)
        if "seed" not in internal:
            internal["seed"] = int(ctx.rng.spawn(1)[0].generate_state(1)[0])
        starts = None
        if "maximisations" not in internal:
            starts = pipeline.starts(
                self.starts, self._source, self.candidates, internal["seed"]
            )
        optima = pipeline.optimise(
            starts,
            self.steps,
            self.learning_rate,
            after_round=progress.of_maximisations,
            state=internal.get("maximisations"),
        )
        if "maxima" not in internal:
            # Arrays: an instance would take its model along.
            internal["maxima"] = [
                replace(each, maximum=each.row) for each in pipeline.maxima(optima)
            ]
            progress.of_maxima(optima)
        pipeline.sample(
            internal["maxima"][0],
            self.effective,
            self.rhat,
            self.chains,
            self.most,
            internal["seed"],
            after_round=progress.of_chains,
            state=internal.get("chains"),
        )
        return internal

    def plot_results(self, samples):
        """
        The plots that PyAutoFit makes of chains, the log posterior along the
        maximisations and the traces of the chains.
        """
        super().plot_results(samples)
        if not self.checkpointer.exists(self.paths):
            return
        internal = self.checkpointer.load(self.paths)
        folder = self.paths.image_path / "search"
        folder.mkdir(parents=True, exist_ok=True)
        if "maximisations" in internal:
            figure_of_paths(internal["maximisations"]).savefig(folder / "paths.png")
        if (chains := internal.get("chains")) is not None and chains.has_drawn:
            names = prior_space(samples.model).names
            figure_of_traces(chains, names).savefig(folder / "traces.png")

    def _saved_in(self, ctx) -> dict:
        """What an interrupted run saved."""
        if not ctx.resume:
            return {}
        try:
            return ctx.resume.load(ctx.paths)
        except (EOFError, pickle.UnpicklingError) as error:
            raise ValueError(
                f"{ctx.resume.path(ctx.paths)} is damaged: delete it to begin anew"
            ) from error

    def raw_samples_from(self, model, search_internal: dict) -> RawSamples:
        """
        The draws; while there are none yet, the best point of every maximisation.
        """
        space = prior_space(model)
        draws = None
        chains = search_internal.get("chains")
        if chains is not None and chains.has_drawn:
            draws = draws_from(space.structure, chains)
            points, values = draws.points, draws.values
        else:
            maximisations = search_internal["maximisations"]
            points = points_from(space.structure, maximisations.best)
            values = maximisations.values
        settings = CHAIN.auto_correlation_settings_for(None, check_for_convergence=False)
        return RawSamples(
            parameters=rows_from(space.forward(points)),
            log_likelihood=values - np.asarray(space.log_prior(points)),
            info=info_from(search_internal, draws),
            samples_kwargs={
                "auto_correlation_settings": settings,
                "auto_correlations": auto_correlations_from(settings, draws),
            },
            label=type(self).__name__,
        )


def check_that_it_goes_on(pipeline: Pipeline, internal: dict):
    """
    Look whether the log posterior is the one that an interrupted run saw.

    Raises
    ------
    ValueError
        If it is not.
    """
    state = internal.get("chains") or internal.get("maximisations")
    if state is None:
        return
    rows = state.rows if isinstance(state, Chains) else state.best
    values, _ = pipeline.evaluate(rows)
    if not np.allclose(values, state.values, rtol=1e-9, atol=1e-6):
        raise ValueError(
            "the log posterior is another one than when this search was interrupted "
            f"({values.max():.6f} where it was {state.values.max():.6f}): give the "
            "search another name or unique_tag, or delete its folder"
        )


def info_from(internal: dict, draws: Draws | None) -> dict:
    """What the samples tell of how they came about."""
    info = {"seed": internal["seed"]}
    if "maximisations" in internal:
        state = internal["maximisations"]
        info |= {
            "starts": len(state.values),
            "gradients_of_maximisations": state.evaluations,
        }
    if "maxima" in internal:
        ends = internal["maximisations"].best
        info |= {
            "starts_at_the_maximum": sum(map(internal["maxima"][0].holds, ends)),
            "is_maximum": internal["maxima"][0].is_maximum,
            "kind_of_maximum": internal["maxima"][0].kind,
            "log_evidence_laplace": internal["maxima"][0].log_evidence,
            "log_evidence_laplace_of_others": [
                other.log_evidence for other in internal["maxima"][1:]
            ],
        }
    if draws is not None:
        info |= {
            "total_walkers": draws.chains,
            "total_steps": len(draws.values) // draws.chains,
            "ess_per_param": draws.effective.tolist(),
            "ess_bulk_per_param": draws.effective.tolist(),
            "ess_min": float(draws.effective.min()),
            "rhat_per_param": draws.rhat.tolist(),
            "rhat_max": float(draws.rhat.max()),
            "mean_acceptance": draws.acceptance,
            "n_divergent": int(draws.divergent.sum()),
            "n_logl_evals": draws.evaluations[1],
        }
    return info


def auto_correlations_from(settings, draws: Draws | None):
    """The lengths over which draws are correlated, as PyAutoFit's chains have them."""
    if draws is None:
        return None
    times = len(draws.values) / draws.effective
    return AutoCorrelations(
        check_size=settings.check_size,
        required_length=settings.required_length,
        change_threshold=settings.change_threshold,
        times=times,
        previous_times=times,
    )


def described(source) -> str:
    """What starts are drawn from, for the files and the identifier of a search."""
    if source is None or isinstance(source, str):
        return source or "prior"
    samples = getattr(source, "samples", source)
    if isinstance(samples, af.Samples):
        kind, values = (
            type(source).__name__,
            [samples.parameter_lists, samples.weight_list],
        )
    else:
        kind, values = "instances", jax.tree.leaves(source)
    digest = hashlib.sha256()
    for value in values:
        digest.update(np.asarray(value, dtype=float).tobytes())
    return f"{kind} {digest.hexdigest()[:12]}"
