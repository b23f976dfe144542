"""
From the prior to the posterior of a lens: time, gradients, draws, and what interrupts
them.

    python benchmarks/inference.py                       # all of it, some 90 minutes
    python benchmarks/inference.py --parts starts limit  # some of it

The lens is that of ``jax_profiling/imaging/mge.py``: simulated imaging, 15 free
parameters, and all searches evaluate Gaussians together. ``af.Nautilus`` and
``af.BlackJAXNUTS`` have their defaults. One that has run for longer than the
bar is stopped, and its figure is what it would be had it ended then (marked "at most" or
"at least"). The command exits with 1 if a bar is missed.
"""

import measuring  # noqa: F401  (before JAX)

import autolens_patch  # noqa: F401

# isort: split

import argparse
import json
import random
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from pathlib import Path

import autofit as af
import autolens as al
import jax
import numpy as np
from autofit.aggregator.aggregator import Aggregator
from autonerves import conf
from measuring import seconds_of_program

from autofit_patch import posterior
from jax_profiling.dataset import imaging_from
from jax_profiling.instruments import INSTRUMENTS
from jax_profiling.model import mge_model_from, true_vector_from

FOLDER = Path(__file__).resolve().parents[1]
PARTS = ("starts", "posterior", "nuts", "nautilus", "limit", "resume")


def lens_from(options) -> tuple:
    """The model and the analysis of the lens."""
    dataset = imaging_from(
        instrument=INSTRUMENTS[options.instrument],
        folder=FOLDER / "jax_profiling" / "dataset" / "imaging",
    )
    analysis = al.AnalysisImaging(dataset=dataset, use_jax=True)
    return mge_model_from(total_gaussians=options.gaussians), analysis


def rows_of_starts(options):
    """How many starts get to the maximum, and how many runs find it."""
    model, analysis = lens_from(options)
    pipeline = posterior.Pipeline(model, analysis)
    truth = pipeline.space.inverse(model.instance_from_vector(true_vector_from(model)))
    maximum = pipeline.laplace(truth)
    shares = []
    for seed in range(options.runs):
        optima = pipeline.optimise(pipeline.starts(seed=seed))
        ends = np.stack([np.asarray(x) for x in jax.tree.leaves(optima.points)], axis=1)
        shares.append(np.mean([maximum.holds(row) for row in ends]))
        print(f"  seed {seed}: {optima}", flush=True)
    yield "share of starts that get to the maximum", np.mean(shares), ">=", 0.25
    found = np.mean(np.array(shares) > 0.0)
    yield f"share of {options.runs} runs that find it", found, ">=", 1.0


def rows_of_posterior(options, found: dict):
    """A run from the prior, which draws on after it has enough."""
    model, analysis = lens_from(options)
    begin = time.perf_counter()
    pipeline = posterior.Pipeline(model, analysis)
    starts = pipeline.starts(seed=options.seed)
    optima = pipeline.optimise(starts)
    maximum = pipeline.maxima(optima)[0]
    sampling = time.perf_counter()
    states, times = {}, []

    def remember(state):
        states["chains"] = state
        times.append(time.perf_counter())

    for effective in (1000.0, np.inf):
        draws = pipeline.sample(
            maximum,
            effective=effective,
            seed=options.seed,
            most=1000 if effective == np.inf else 5000,
            state=states.get("chains"),
            after_round=remember,
        )
        if effective == 1000.0:
            found["seconds"] = times[-1] - begin
            found["seconds sampling"] = times[-1] - sampling
            found["effective"] = draws.effective.min()
            print(f"  {draws}, {found['seconds']:.0f} s in all", flush=True)
    found["maximum"] = maximum
    print(f"  {draws}", flush=True)
    per_draw = draws.evaluations[0] / draws.effective.min()
    yield "gradients for an effective draw", per_draw, "<=", 12.0
    yield "divergent of 4 x 1,000 draws", int(draws.divergent.sum()), "<=", 0


def in_time(program: str, patience: float) -> tuple[float, list]:
    """
    How long a program ran, at most, and the last JSON that it printed, if it ended.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return patience, None
    if process.returncode:
        raise RuntimeError(f"a program of the benchmark failed:\n{output[-2000:]}")
    return time.perf_counter() - begin, json.loads(output.splitlines()[-1])


SEARCH = """
import json, sys, time
import inference
import autofit as af, autolens_patch
from autonerves import conf
options = inference.parser().parse_args({arguments!r})
conf.instance.output_path = {folder!r}
autolens_patch.evaluate_together()
model, analysis = inference.lens_from(options)
begin = time.perf_counter()
{search}
result = search.fit(model=model, analysis=analysis)
info = result.samples.samples_info
print(json.dumps([time.perf_counter() - begin, len(result.samples.sample_list),
    float(info.get("ess_min", 0.0)), int(info.get("n_divergent", 0)),
    result.samples.median_pdf(as_instance=False),
    result.samples.errors_at_sigma(2.0, as_instance=False)]))
"""


def search_in_time(search: str, options, patience: float) -> tuple:
    with tempfile.TemporaryDirectory() as folder:
        program = SEARCH.format(
            arguments=[
                *("--instrument", options.instrument),
                *("--gaussians", str(options.gaussians)),
            ],
            folder=folder,
            search=search,
        )
        return in_time(program, patience)


def rows_of_nuts(options, found: dict):
    """PyAutoFit's own search with gradients, which begins at the same maximum."""
    model, analysis = lens_from(options)
    pipeline = posterior.Pipeline(model, analysis)
    vector = [
        float(leaf)
        for leaf in jax.tree.leaves(pipeline.space.forward(found["maximum"].maximum))
    ]
    bounds = f"""
priors = model.priors_ordered_by_id
start = dict(zip(priors, {vector!r}))
search = af.BlackJAXNUTS(name="nuts", initializer=af.InitializerParamStartPoints(start))
"""
    ours = found["effective"] / found["seconds sampling"]
    seconds, values = search_in_time(bounds, options, patience=1.05 * 3.0 * 1000.0 / ours)
    if values is None:
        # Had it ended now, with as many effective draws as it makes draws.
        theirs, is_bound = 1000.0 / seconds, " (at least)"
    else:
        theirs, is_bound = values[2] / values[0], ""
        print(f"  BlackJAXNUTS: {values[:4]}", flush=True)
    yield f"effective draws a second / BlackJAXNUTS{is_bound}", ours / theirs, ">=", 3.0


def rows_of_nautilus(options, found: dict):
    """PyAutoFit's nested sampler, to its own convergence."""
    seconds, values = search_in_time(
        'search = af.Nautilus(name="nautilus")',
        options,
        patience=1.05 * 4.0 * found["seconds"],
    )
    is_bound = " (at most)" if values is None else ""
    if values:
        print(
            f"  Nautilus: {values[0]:.0f} s, medians and errors {values[4:]}", flush=True
        )
    ratio = found["seconds"] / (seconds if values is None else values[0])
    yield f"time to 1,000 effective draws / Nautilus{is_bound}", ratio, "<=", 0.25


class AtALimit(af.Analysis):
    """A likelihood whose maximum is just outside of the limits of a prior."""

    def log_likelihood_function(self, instance):
        return -0.5 * (
            ((instance.x + 0.05) / 0.05) ** 2 + ((instance.y - 0.2) / 0.1) ** 2
        )


def rows_of_limit(options):
    """Divergences where the posterior touches a limit."""
    model = af.Collection(x=af.UniformPrior(0.0, 1.0), y=af.UniformPrior(-1.0, 1.0))
    pipeline = posterior.Pipeline(model, AtALimit(use_jax=True))
    maximum = pipeline.laplace(pipeline.optimise(pipeline.starts()).best)
    draws = pipeline.sample(maximum, effective=np.inf, most=1000)
    print(f"  {draws}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        conf.instance.output_path = folder
        search = af.BlackJAXNUTS(name="limit", num_chains=1)
        result = search.fit(model=model, analysis=AtALimit(use_jax=True))
    theirs = result.samples.samples_info["n_divergent"]
    print(f"  BlackJAXNUTS: {theirs} of 1,000 divergent", flush=True)
    yield "divergent of 4 x 1,000 at a limit", int(draws.divergent.sum()), "<=", 0


RESUMED = """
import sys
import autofit_patch, jax.numpy as jnp, numpy as np, autofit as af
from autonerves import conf
from autofit_patch import posterior
conf.instance.output_path = sys.argv[1]

class Analysis(af.Analysis):
    def log_likelihood_function(self, instance):
        return -0.5 * (((instance.y - instance.x**2) / 0.5) ** 2 + (instance.x - 1) ** 2)

model = af.Collection(x=af.GaussianPrior(0.0, 1.0), y=af.GaussianPrior(0.0, 3.0))
search = posterior.Search(name="resumed", seed=1, effective=3000)
search.fit(model=model, analysis=Analysis(use_jax=True))
"""


def rows_of_resume(options):
    """Runs that are killed at a random moment, and go on."""

    def run(folder, until=None) -> float:
        return seconds_of_program(
            [sys.executable, "-W", "ignore", "-c", RESUMED, folder],
            until,
            PYAUTO_SKIP_VISUALIZATION="1",
        )

    def samples_in(folder) -> np.ndarray:
        try:
            (samples,) = Aggregator.from_directory(folder).values("samples")
            return np.array(samples.parameter_lists)
        except (zipfile.BadZipFile, AttributeError, ValueError) as error:
            # A kill while PyAutoFit writes the files of a search that has ended.
            print(f"  samples that cannot be read: {error!r}", flush=True)
            return np.empty(0)

    moments = random.Random(1)
    with tempfile.TemporaryDirectory() as whole:
        seconds = run(whole)
        expected = samples_in(whole)
        if not len(expected):
            raise RuntimeError("the run that was not killed has no samples")
    identical = interrupted = 0
    for _ in range(20):
        with tempfile.TemporaryDirectory() as folder:
            run(folder, until=seconds * moments.uniform(0.3, 1.0))
            interrupted += not list(Path(folder).rglob(".completed"))
            try:
                run(folder)
                is_identical = np.array_equal(samples_in(folder), expected)
            except subprocess.CalledProcessError as error:
                print("  could not go on:", *error.__notes__, flush=True)
                is_identical = False
            identical += is_identical
            print(f"  killed and resumed: {is_identical}", flush=True)
    print(f"  {interrupted} of 20 runs were killed before they ended", flush=True)
    yield "identical of 20 runs killed and resumed", identical, ">=", 20


def rows(options):
    found: dict = {}
    functions = {
        "starts": lambda: rows_of_starts(options),
        "posterior": lambda: rows_of_posterior(options, found),
        "nuts": lambda: rows_of_nuts(options, found),
        "nautilus": lambda: rows_of_nautilus(options, found),
        "limit": lambda: rows_of_limit(options),
        "resume": lambda: rows_of_resume(options),
    }
    for part in PARTS:
        if part in options.parts:
            yield from functions[part]()


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--instrument", choices=INSTRUMENTS, default="hst")
    parser.add_argument("--gaussians", type=int, default=20)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    return parser


def main():
    options = parser().parse_args()
    needed = {"nuts", "nautilus"} & set(options.parts)
    if needed and "posterior" not in options.parts:
        sys.exit(f"{', '.join(sorted(needed))} are compared with the part 'posterior'")
    autolens_patch.evaluate_together()
    missed = 0
    for name, value, sign, bar in rows(options):
        is_met = value <= bar if sign == "<=" else value >= bar
        missed += not is_met
        print(f"{name:52} {value:>9.4g} {sign} {bar:g}", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
