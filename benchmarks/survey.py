"""
Many lenses at once: compilations, time, memory, processes, and what interrupts them.

    python benchmarks/survey.py                        # all of it, some 50 minutes
    python benchmarks/survey.py --parts batch memory   # some of it
    python benchmarks/survey.py --parts pulls --lenses 1000

The lenses are those of ``jax_profiling/survey/fit.py`` (Euclid's pixels, 1,528 of them in
the mask, 13 free parameters), fitted with its settings; where memory and interruptions
are measured, smaller ones with one free parameter. The command exits with 1 if a bar is
missed.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from measuring import in_process, medians_in_turn, options_from, seconds_of_program

PARTS = ("batch", "fresh", "processes", "memory", "resume", "pulls")

#: How many fits in fresh processes are measured, two at a time, for fifty.
FRESH = 6


def lenses_from(total: int, seed: int = 1) -> tuple:
    """The model, the data sets by name, and the constants."""
    import autolens_patch  # noqa: F401, I001

    from jax_profiling.survey import lenses

    truths = lenses.truths_from(total, seed)
    datasets = {
        f"{index:05}": partial(lenses.dataset_from, truth, index)
        for index, truth in enumerate(truths)
    }
    known = list(map(lenses.parameters_of, truths))
    constants = {name: [each[name] for each in known] for name in lenses.CENTRE}
    return lenses.model_from(), datasets, constants


def rows_of_batch():
    """A batch over data sets, and one over instances of one data set."""
    import autolens_patch  # noqa: F401, I001

    import autolens as al
    import jax

    from autofit_patch import batch, posterior
    from autolens_patch import survey

    model, datasets, _ = lenses_from(64)
    datasets = [load() for load in datasets.values()]
    space = posterior.prior_space(model)
    instances = batch.map(space.forward, progress=False)(space.draw(64, 1))
    one = al.AnalysisImaging(dataset=datasets[0], use_jax=True)
    stacked = survey.stack(datasets)
    functions = {
        "data sets": (jax.value_and_grad(survey.likelihood()), (instances, stacked)),
        "instances": (jax.value_and_grad(one.log_likelihood_function), (instances,)),
    }
    calls = {}
    for name, (function, arguments) in functions.items():
        mapped = batch.map(function, width=1, progress=False)
        mapped(*arguments)
        calls[name] = partial(mapped, *arguments)
    medians = medians_in_turn(calls, 15)
    ratio = medians["data sets"] / medians["instances"]
    yield "gradient, 64 data sets / 64 instances of one", ratio, "<=", 1.1


def fit_lenses(total: int, folder: str) -> dict:
    """The seconds that a survey takes in this process, and what it compiled."""
    import autolens_patch  # noqa: F401, I001

    from autofit_patch.batch import _evaluator
    from autolens_patch import survey
    from jax_profiling.survey.lenses import SETTINGS

    model, datasets, constants = lenses_from(total)
    compiled = []

    class Counted(_evaluator.Program):
        """A program, all of which are counted."""

        def __init__(self, *args):
            super().__init__(*args)
            compiled.append(self)

    _evaluator.Program = Counted
    begin = time.perf_counter()
    survey.fit(model, datasets, folder, constants=constants, **SETTINGS)
    return {
        "seconds": time.perf_counter() - begin,
        # What is compiled otherwise does not evaluate the likelihood.
        "compilations": len(compiled),
        "ended": len(survey.table(folder)),
    }


def survey_in_process(total: int, cores=None, launch: int = 0) -> dict:
    """What :func:`fit_lenses` returns in fresh processes, and the seconds they took."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        found = in_process(__file__, f"fit_lenses({total}, {folder!r})", cores, launch)
        return {**found, "wall": time.perf_counter() - begin}


def one_fit(index: int):
    """The stages for one lens, as without ``survey``."""
    import autolens_patch  # noqa: F401, I001

    import autolens as al

    from autofit_patch import posterior
    from autolens_patch.survey._given import seed_of
    from jax_profiling.survey.lenses import SETTINGS

    model, datasets, constants = lenses_from(index + 1)
    name, load = list(datasets.items())[index]
    for parameter, values in constants.items():
        *path, last = parameter.split(".")
        place = model
        for step in path:
            place = getattr(place, step)
        setattr(place, last, values[index])
    model.galaxies.lens.mass.centre = model.galaxies.lens.bulge.centre
    pipeline = posterior.Pipeline(model, al.AnalysisImaging(dataset=load(), use_jax=True))
    seed = seed_of(name, 0)
    starts = pipeline.starts(
        SETTINGS["starts"], candidates=SETTINGS["candidates"], seed=seed
    )
    maxima = pipeline.maxima(pipeline.optimise(starts))
    of_draws = {name: SETTINGS[name] for name in ("effective", "rhat", "chains")}
    draws = pipeline.sample(maxima[0], seed=seed, **of_draws)
    return float(draws.effective.min())


def rows_of_fresh():
    """Fifty lenses together, and fits of one lens each in fresh processes."""
    together = survey_in_process(50)["wall"]
    cores = sorted(os.sched_getaffinity(0))[:2]
    begin = time.perf_counter()
    for first in range(0, FRESH, len(cores)):
        running = [
            subprocess.Popen(
                [sys.executable, __file__, "--child", f"one_fit({first + place})"],
                preexec_fn=partial(os.sched_setaffinity, 0, {core}),
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
                stdout=subprocess.DEVNULL,
            )
            for place, core in enumerate(cores)
        ]
        codes = [process.wait() for process in running]
        if any(codes):
            raise RuntimeError("a fit in a fresh process failed")
    apart = (time.perf_counter() - begin) * 50 / FRESH
    print(f"  50 lenses: {together:.0f} s, apart {apart:.0f} s (of {FRESH})", flush=True)
    yield f"50 lenses / 50 fresh fits (from {FRESH})", together / apart, "<=", 1 / 3


def rows_of_processes():
    """Two processes of a core each, and one."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    one = survey_in_process(80, cores={cores[0]})["wall"]
    two = survey_in_process(80, cores=set(cores), launch=2)["wall"]
    print(f"  80 lenses: {one:.0f} s, in two processes {two:.0f} s", flush=True)
    yield "speed of two processes / one, 80 lenses", one / two, ">=", 1.7


def small_lenses_from(total: int) -> tuple:
    """A model with one free parameter, and images of few pixels."""
    import autolens_patch  # noqa: F401, I001

    import autofit as af
    import autolens as al
    import numpy as np

    model = af.Collection(
        galaxies=af.Collection(
            lens=af.Model(
                al.Galaxy,
                redshift=0.5,
                mass=af.Model(
                    al.mp.IsothermalSph,
                    centre=(0.0, 0.0),
                    einstein_radius=af.UniformPrior(0.7, 1.3),
                ),
            ),
            source=af.Model(
                al.Galaxy,
                redshift=1.0,
                light=al.lp.ExponentialSph(
                    centre=(0.05, 0.1), intensity=1.0, effective_radius=0.2
                ),
            ),
        )
    )
    shape = {"shape_native": (30, 30), "pixel_scales": 0.15}
    mask = al.Mask2D.circular(radius=1.8, **shape)
    psf = al.Convolver.from_gaussian(
        shape_native=(3, 3), sigma=0.1, pixel_scales=0.15, normalize=True
    )
    grid = al.Grid2D.from_mask(mask, over_sample_size=1)
    datasets = {}
    for index in range(total):
        lens = model.instance_from_vector([0.8 + 0.4 * index / total])
        image = al.Tracer(galaxies=list(lens.galaxies)).image_2d_from(grid=grid)
        noise = np.random.default_rng(index).normal(0.0, 0.1, len(image))
        datasets[f"{index:05}"] = al.Imaging(
            data=al.Array2D(values=image.array + noise, mask=mask),
            noise_map=al.Array2D(values=np.full(len(image), 0.1), mask=mask),
            psf=psf,
            over_sample_size_lp=1,
            over_sample_size_pixelization=1,
        )
    return model, datasets


def fit_small_lenses(total: int, folder: str) -> list[float]:
    """The peak memory of the data, and of the survey beyond them, in MB."""
    from autolens_patch import survey

    model, datasets = small_lenses_from(total)

    def peak() -> float:
        # (What getrusage has is that of the process that started this one, if that is
        # more.)
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024.0

    with_data = peak()
    survey.fit(
        model,
        datasets,
        folder,
        effective=20,
        rhat=1.2,
        chains=2,
        starts=2,
        candidates=8,
        at_once=32,
    )
    return [with_data, peak() - with_data]


def rows_of_memory():
    """The peak memory of 1,000 lenses, and of 100."""
    peaks = {}
    for total in (100, 1000):
        with tempfile.TemporaryDirectory() as folder:
            code = f"fit_small_lenses({total}, {folder!r})"
            with_data, beyond = in_process(__file__, code)
            print(
                f"  {total} lenses: {with_data:.0f} MB, and {beyond:.0f} MB", flush=True
            )
            peaks[total] = with_data, beyond
    # What is there before a lens is counted once in both.
    data = peaks[1000][0] - peaks[100][0]
    ratio = (sum(peaks[1000]) - data) / sum(peaks[100])
    yield "peak memory of 1,000 / 100 lenses, but for data", ratio, "<=", 1.2


def rows_of_resume():
    """Surveys that are killed at a random moment, and go on."""
    import pandas

    from autolens_patch import survey

    def run(folder: str, until: float | None = None) -> float:
        return seconds_of_program(
            [sys.executable, __file__, "--child", f"fit_small_lenses(40, {folder!r})"],
            until,
            PYTHONWARNINGS="ignore",
        )

    def ended(folder: str) -> int:
        return len(list(Path(folder).rglob("rows/[0-9]*.parquet")))

    moments = random.Random(1)
    with tempfile.TemporaryDirectory() as whole:
        run(whole)  # what it compiles is kept
    with tempfile.TemporaryDirectory() as whole:
        seconds = run(whole)
        expected = survey.table(whole)
    identical, at = 0, []
    for _ in range(10):
        with tempfile.TemporaryDirectory() as folder:
            run(folder, until=seconds * moments.uniform(0.3, 1.0))
            at.append(ended(folder))
            run(folder)
            try:
                pandas.testing.assert_frame_equal(
                    survey.table(folder), expected, check_exact=True
                )
                identical += 1
            except AssertionError as error:
                print(f"  not identical: {error}", flush=True)
    print(f"  killed when {at} of 40 lenses had ended", flush=True)
    yield "identical of 10 surveys killed and resumed", identical, ">=", 10


def rows_of_pulls(total: int = 200, folder: Path | None = None):
    """Compilations of a survey, and whether posteriors are as wide as the errors."""
    import autolens_patch  # noqa: F401, I001

    import pandas

    from autolens_patch import survey
    from jax_profiling.survey import lenses

    with tempfile.TemporaryDirectory() as temporary:
        folder = str(folder or temporary)
        found = in_process(__file__, f"fit_lenses({total}, {folder!r})")
        table = survey.table(folder)
    failed, flagged = (table.state == "failed").sum(), (table["flags"] != "").sum()
    print(
        f"  {total} lenses in {found['seconds']:.0f} s, {table.gradients.sum()} "
        f"gradients, {failed} failed, {flagged} flagged",
        flush=True,
    )
    # In two of the stages something is evaluated: one for gradients, one for draws.
    yield "compilations a stage", found["compilations"] / 2, "<=", 1.0
    true = pandas.DataFrame(
        list(map(lenses.parameters_of, lenses.truths_from(total, 1))), index=table.index
    )
    # What is flagged is so without the truth being known.
    table = table[table["flags"] == ""]
    _, pulls, inside = lenses.compared_with_truth(table, true)
    widths, covered = pulls.std(), 100.0 * inside.mean()
    of_each = {"width": widths, "mean": pulls.mean(), "coverage": covered}
    print(pandas.DataFrame(of_each).round(3).to_string(), flush=True)
    for first in range(0, total, 200) if total > 200 else ():
        names = table.index.intersection(true.index[first : first + 200])
        width, coverage = pulls.loc[names].std(), 100.0 * inside.loc[names].mean()
        print(
            f"  lenses {first} to {first + 199}: widths {width.min():.2f} to "
            f"{width.max():.2f}, coverage {coverage.min():.0f} to {coverage.max():.0f}, "
            f"{coverage.mean():.0f} of all",
            flush=True,
        )
    yield "width of the pulls, narrowest of 13", widths.min(), ">=", 0.9
    yield "widest", widths.max(), "<=", 1.1
    yield (
        "root of the mean square of all pulls",
        float((pulls**2).mean(axis=None) ** 0.5),
        "<=",
        1.1,
    )
    yield "coverage of 68% intervals, lowest of 13", covered.min(), ">=", 63.0
    yield "highest", covered.max(), "<=", 73.0
    yield "of all", covered.mean(), ">=", 63.0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--lenses",
        type=int,
        default=200,
        metavar="N",
        help="how many lenses the pulls are of (default: %(default)s)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="where these are written, so that what was interrupted goes on (default: a "
        "temporary one)",
    )
    options = options_from(parser, globals())
    missed = 0
    for part in options.parts:
        asked = (options.lenses, options.folder) if part == "pulls" else ()
        for name, value, sign, bar in globals()[f"rows_of_{part}"](*asked):
            missed += not (value <= bar if sign == "<=" else value >= bar)
            print(f"{name:52} {value:>9.4g} {sign} {bar:.3g}", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
