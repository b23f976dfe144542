"""Fitting many lenses at once."""

import logging
import operator
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import numpy as np
import pandas

from autofit_patch import posterior
from autofit_patch.batch._map import whole_number
from autofit_patch.posterior._evaluate import points_from, rows_from
from autofit_patch.posterior._many import NotEvaluated
from autofit_patch.posterior._sample import blackjax
from autolens_patch.survey._files import Folder
from autolens_patch.survey._flags import faults_of, flags_of, noise_of
from autolens_patch.survey._given import (
    constants_from,
    described,
    digest_of,
    named_from,
    seed_of,
)
from autolens_patch.survey._likelihood import likelihood

logger = logging.getLogger(__name__)

#: Seconds between two lines on how far it is.
BETWEEN_LINES = 30.0


def fit(
    model,
    datasets: Mapping | Sequence,
    folder,
    *,
    constants: Mapping | None = None,
    seed: int = 0,
    starts: int = 8,
    candidates: int = 128,
    effective: float = 500.0,
    rhat: float = 1.02,
    chains: int = 4,
    most: int = 2000,
    retry: bool = False,
    at_once: int | None = None,
    **options,
) -> pandas.DataFrame:
    """
    The posteriors of many lenses, each fitted from the prior.

    Lenses go through the stages of ``posterior.Pipeline`` together, many at a time; what
    is left to evaluate is shared out over all cores or devices at every round, and a lens
    that has ended makes room for the next. What is found of a lens does not depend on the
    others, on the number of devices, or on interruptions. It is written as it ends, and
    a second run goes on with the lenses that have not.

    Under ``jax.distributed`` each process fits a share of the lenses, in a folder that
    all can write to, and returns when its own have ended.

    Parameters
    ----------
    model
        The model of every lens.
    datasets
        By the name of the lens, or in a sequence (their names are "00000", "00001" ...),
        data sets, or functions of no argument that load one when its turn comes. Those
        of one structure (:func:`survey.groups`) share what is compiled.
    folder
        Where the results are written.
    constants
        Values of parameters that are known of each lens, by the name of the parameter:
        one value for each lens, in the order of the data sets. In the model they are
        parameters with a prior, which says nothing. Galaxies whose redshifts are
        constants have to be listed by redshift.
    seed
        Of random numbers, with the name of the lens.
    starts, candidates
        How many points are maximised, of how many that are drawn from the prior.
    effective, rhat, chains, most
        As for ``posterior.Pipeline.sample``.
    retry
        Whether lenses that failed before are fitted again.
    at_once
        How many lenses are in work at once (``posterior.Pipelines.run``).
    options
        Those of the analysis (:func:`survey.likelihood`).

    Returns
    -------
    The table of the survey (:func:`survey.table`). A lens whose data cannot be loaded or
    fitted has a row that says why.

    Raises
    ------
    ImportError
        If blackjax, arviz-stats or pyarrow is not installed.
    TypeError
        If it is no model.
    ValueError
        If the folder has another survey, a name cannot be one of a file, constants are
        not those of parameters, or redshifts are free or out of order.
    """
    require()
    named = named_from(datasets)
    names = list(named)
    survey = Survey(
        Folder(folder),
        posterior.Pipelines(model, of_data(likelihood(**options)), known_of),
        {
            "seed": operator.index(seed),
            "starts": whole_number("starts", starts),
            "candidates": whole_number("candidates", candidates),
            "effective": float(effective),
            "rhat": float(rhat),
            "chains": whole_number("chains", chains),
            "most": whole_number("most", most),
        },
        constants_from(model, names, constants),
    )
    survey.folder.claim(
        {
            **described(model, survey.pipelines.space.structure),
            "constants": sorted(survey.constants[names[0]]),
            "options": {name: digest_of(value) for name, value in options.items()},
            **survey.settings,
        }
    )
    share = names[jax.process_index() :: jax.process_count()]
    ended = [name for name in share if survey.folder.has_ended(name)]
    # Rows are not looked at if nothing depends on them: there may be many.
    for name in ended if retry or constants else ():
        row = survey.folder.row(name)
        if row["state"] == "failed" and retry:
            survey.folder.forget(name)
        for parameter, value in survey.constants[name].items():
            if row["state"] == "fitted" and row[parameter] != value:
                raise ValueError(
                    f"{name} was fitted with {parameter} = {row[parameter]:.6g}, and "
                    f"{value:.6g} is given now: give this survey another folder, or "
                    "delete the row"
                )
    left = [name for name in share if not survey.folder.has_ended(name)]
    survey.run({name: named[name] for name in left}, at_once, len(share))
    return survey.folder.table()


def require():
    """Say at once what is not installed."""
    blackjax()
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "survey.fit writes Parquet files: pip install pyarrow"
        ) from error


def of_data(log_likelihood: Callable) -> Callable:
    """The log likelihood of a data set that has constants beside it."""
    return lambda instance, data: log_likelihood(instance, data[0])


def known_of(data) -> dict:
    return data[1]


class Survey:
    """
    Lenses that are fitted.

    Parameters
    ----------
    folder
        Where the results are written.
    pipelines
        What fits them.
    settings
        How.
    constants
        What is known of each lens.
    """

    def __init__(self, folder: Folder, pipelines, settings: dict, constants: dict):
        self.folder, self.pipelines = folder, pipelines
        self.settings, self.constants = settings, constants
        self.noise: dict[str, tuple] = {}

    def run(self, datasets: dict, at_once: int | None, total: int):
        """Fit the lenses, and write each as it ends."""
        taken: list[str] = []
        begin = said = time.perf_counter()
        failed = 0
        # Whether the likelihood is in order, and it is the data that cannot be fitted.
        is_in_order = self.folder.has_fitted()
        waiting: list[tuple] = []
        work = self.pipelines.run(
            lambda pipeline, index: self._fitted(pipeline, taken[index]),
            self._loaded(datasets, taken),
            at_once,
        )
        for count, (index, found) in enumerate(work, start=1):
            row, draws = self._written(taken[index], found)
            failed += row["state"] == "failed"
            is_in_order |= row["state"] == "fitted"
            if isinstance(found, NotEvaluated) and not is_in_order:
                waiting.append((taken[index], row, found))
            else:
                self.folder.write(taken[index], row, draws)
            now = time.perf_counter()
            if now - said > BETWEEN_LINES:
                said = now
                logger.info(
                    f"{total - len(datasets) + count} of {total} lenses, {failed} "
                    f"failed; {60.0 * count / (now - begin):.3g} a minute"
                )

        if waiting and not is_in_order:
            raise waiting[0][2]
        for name, row, _ in waiting:
            self.folder.write(name, row, None)

    def _loaded(self, datasets: dict, taken: list) -> Iterator:
        """The data sets that can be fitted; of others it is written why not."""
        for name, dataset in datasets.items():
            try:
                loaded = dataset() if callable(dataset) else dataset
                faults = faults_of(loaded)
                # Whatever JAX will say of it is said of this lens alone.
                jax.tree.flatten(loaded)
            except Exception as error:
                faults = [reason_of(error)]
            if faults:
                self.folder.write(name, failed_row(name, "; ".join(faults)), None)
                continue
            self.noise[name] = noise_of(loaded)
            taken.append(name)
            yield loaded, self.constants[name]

    def _fitted(self, pipeline, name: str) -> tuple:
        """What the stages make of a lens."""
        settings, seed = self.settings, seed_of(name, self.settings["seed"])
        starts = pipeline.starts(
            settings["starts"], candidates=settings["candidates"], seed=seed
        )
        optima = pipeline.optimise(starts)
        maxima = pipeline.maxima(optima)
        draws = pipeline.sample(
            maxima[0],
            seed=seed,
            **{name: settings[name] for name in ("effective", "rhat", "chains", "most")},
        )
        return optima, maxima, draws

    def _written(self, name: str, found) -> tuple[dict, pandas.DataFrame | None]:
        """The row and the draws of a lens that has ended."""
        if isinstance(found, BaseException):
            return failed_row(name, reason_of(found)), None
        optima, maxima, draws = found
        instances = self.pipelines.space.forward(draws.points)
        columns = dict(
            zip(
                self.pipelines.space.names,
                map(np.asarray, jax.tree.leaves(instances)),
                strict=True,
            )
        )
        for parameter, value in self.constants[name].items():
            columns[parameter] = np.full(len(draws.values), value)
        row = {"lens": name, "state": "fitted"}
        for parameter, values in columns.items():
            lower, median, upper = np.quantile(values, [0.15865, 0.5, 0.84135])
            row |= {
                parameter: median,
                f"{parameter} lower": lower,
                f"{parameter} upper": upper,
            }
        normalization, total = self.noise[name]
        best = maxima[0]
        point = points_from(self.pipelines.space.structure, best.row)
        log_likelihood = best.value - float(self.pipelines.space.log_prior(point))
        chi_squared = (-2.0 * log_likelihood - normalization) / total
        wanted = self.settings["effective"], self.settings["rhat"]
        flags = flags_of(draws, maxima, *wanted, chi_squared, total)
        row |= {
            "log_posterior": best.value,
            "log_evidence": best.log_evidence,
            "chi_squared": chi_squared,
            "rhat": draws.rhat.max(),
            "effective": draws.effective.min(),
            "draws": len(draws.values),
            "divergent": int(draws.divergent.sum()),
            "maxima": len(maxima),
            "starts_at_the_maximum": sum(map(maxima[0].holds, rows_from(optima.points))),
            "gradients": optima.evaluations + draws.evaluations[1],
            "flags": "; ".join(flags),
        }
        chain = np.repeat(np.arange(draws.chains), len(draws.values) // draws.chains)
        table = {**columns, "chain": chain, "log_posterior": draws.values}
        return row, pandas.DataFrame(table)


def reason_of(error: Exception) -> str:
    """What an exception says, in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


def failed_row(name: str, reason: str) -> dict:
    return {"lens": name, "state": "failed", "flags": reason}
