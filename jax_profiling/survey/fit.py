"""
Survey: many lenses, from the prior to the posterior
====================================================

Simulates a survey of strong lenses, whose parameters are drawn from stated distributions,
and fits all of them at once with `autolens_patch.survey`:

    python fit.py --lenses 200

The lens galaxy has de Vaucouleurs' profile, an isothermal mass and an external shear, the
source an exponential profile; the images have the pixels, the PSF and the noise of
Euclid. Intensities are solved for; the centre of each lens is known, as from a catalogue;
13 parameters are fitted.

It writes a page with a table of every parameter, what was recovered against the truth,
the pulls, the best and the worst residuals, and what was flagged. What is found
of each lens is in a folder beside it, and a run that was interrupted goes on from there.
It fails if fewer than 95% of the lenses were fitted, or if the posteriors are not as wide
as the errors. `python -m jax_profiling.launch --processes 2 fit.py` shares them out over
processes of one job; `--dask FILE` gives them to workers that come and go:

    python -m dask scheduler --scheduler-file scheduler.json &
    python -m dask worker --scheduler-file scheduler.json --nthreads 1 &
    python fit.py --lenses 200 --dask scheduler.json
"""

import autolens_patch  # noqa: F401

# isort: split

import argparse
import logging
import platform
import time
from functools import cache, partial
from pathlib import Path

import autolens as al
import jax
import matplotlib
import numpy as np
import pandas
from matplotlib.figure import Figure

from autofit_patch import batch
from autolens_patch import survey
from jax_profiling.options import positive_integer
from jax_profiling.survey.lenses import (
    CENTRE,
    INSTRUMENT,
    MASK_RADIUS,
    SETTINGS,
    compared_with_truth,
    dataset_from,
    model_from,
    parameters_of,
    truths_from,
)
from jax_profiling.survey.tasks import fit_in_tasks

FOLDER = Path(__file__).resolve().parents[1]

"""
__Options__
"""
parser = argparse.ArgumentParser(
    description="Simulate a survey of strong lenses, and fit all of them.",
    epilog="examples:\n  python fit.py --lenses 200\n  python fit.py --quick",
    formatter_class=argparse.RawDescriptionHelpFormatter,
)
parser.add_argument(
    "--lenses",
    type=positive_integer,
    metavar="N",
    help="how many lenses there are (default: 200; quick: 3)",
)
parser.add_argument(
    "--seed",
    type=positive_integer,
    default=1,
    metavar="N",
    help="the seed of the lenses, the noise and the fit (default: %(default)s)",
)
parser.add_argument(
    "--effective",
    type=positive_integer,
    metavar="N",
    help="how many effective draws are enough (default: 500; quick: 50)",
)
parser.add_argument(
    "--output",
    type=Path,
    default=FOLDER / "results" / "survey",
    metavar="FOLDER",
    help="where the results are written (default: %(default)s)",
)
parser.add_argument(
    "--dask",
    type=Path,
    metavar="FILE",
    help="let the workers of a Dask cluster fit the lenses: the file of its scheduler",
)
parser.add_argument(
    "--lenses-a-task",
    type=positive_integer,
    default=100,
    metavar="N",
    help="how many lenses a worker takes at a time (default: %(default)s)",
)
parser.add_argument(
    "--quick", action="store_true", help="a small size, for continuous integration"
)
options = parser.parse_args()
lenses = options.lenses or (3 if options.quick else 200)
effective = options.effective or (50 if options.quick else SETTINGS["effective"])
stem = f"{'quick' if options.quick else 'survey'}_{lenses}_seed_{options.seed}"

logging.basicConfig(format="%(message)s")
for name in ("autolens_patch", "jax_profiling"):
    logging.getLogger(name).setLevel(logging.INFO)
matplotlib.use("Agg")

"""
__Lenses__

A data set is simulated when its turn comes, as one would be loaded from a file.
"""
truths = truths_from(lenses, options.seed)
names = [f"{index:05}" for index in range(lenses)]
true = pandas.DataFrame(list(map(parameters_of, truths)), index=names)


def dataset_of(index: int) -> al.Imaging:
    return dataset_from(truths[index], seed=1000 * options.seed + index)


"""
__Fit__
"""
folder = (options.output / "output" / stem).resolve()
model = model_from()


def fit_lenses(some: list[str]) -> pandas.DataFrame:
    return survey.fit(
        model,
        {name: partial(dataset_of, int(name)) for name in some},
        folder,
        constants={name: true.loc[some, name] for name in CENTRE},
        seed=options.seed,
        **{**SETTINGS, "effective": effective},
    )


begin = time.perf_counter()
if options.dask:
    fit_in_tasks(fit_lenses, names, options.dask, options.lenses_a_task)
    table = survey.table(folder)
else:
    table = fit_lenses(names)
seconds = time.perf_counter() - begin
if jax.process_index() > 0:
    # The first process waits for the others, and writes the page.
    raise SystemExit(0)
while len(table) < lenses:
    time.sleep(1.0)
    table = survey.table(folder)
    seconds = time.perf_counter() - begin
fitted = table[table.state == "fitted"]
parameters = [name for name in true.columns if name not in CENTRE]

"""
__Pulls__

How far the median is from the truth, in units of half of the 68% interval.
"""
width, pulls, inside = compared_with_truth(fitted, true)
truth = true.loc[fitted.index, parameters]
statistics = pandas.DataFrame(
    {
        "mean error": (fitted[parameters] - truth).abs().mean(),
        "median width": width.median(),
        "mean pull": pulls.mean(),
        "width of pulls": pulls.std(),
        "68% coverage": 100.0 * inside.mean(),
    }
)

"""
__Figures__
"""


def short(name: str) -> str:
    """The galaxy, the profile and the parameter."""
    _, galaxy, profile, *_, parameter = name.split(".")
    return f"{galaxy} {profile}\n{parameter}"


def grid_of_axes(size: float) -> tuple[Figure, list]:
    """A figure with a panel for every parameter."""
    columns = 5
    rows = -(-len(parameters) // columns)
    figure = Figure(figsize=(size * columns, size * rows), layout="constrained")
    axes = figure.subplots(rows, columns).ravel()
    for left in axes[len(parameters) :]:
        left.remove()
    return figure, axes[: len(parameters)]


def figure_of_recovery() -> Figure:
    figure, axes = grid_of_axes(2.6)
    for ax, name in zip(axes, parameters, strict=True):
        ax.errorbar(
            truth[name], fitted[name], width[name], fmt=".", ms=3, lw=0.6, color="C0"
        )
        ends = [truth[name].min(), truth[name].max()]
        ax.plot(ends, ends, color="0.3", lw=0.8)
        ax.set_title(short(name), fontsize=8)
        ax.tick_params(labelsize=7)
    figure.supxlabel("truth")
    figure.supylabel("median and 68% interval")
    return figure


def figure_of_pulls() -> Figure:
    figure, axes = grid_of_axes(2.2)
    edges = np.linspace(-4.0, 4.0, 17)
    normal = np.exp(-0.5 * edges**2) / np.sqrt(2.0 * np.pi)
    for ax, name in zip(axes, parameters, strict=True):
        ax.hist(pulls[name].clip(-4.0, 4.0), bins=edges, color="C0")
        ax.plot(edges, normal * len(pulls) * (edges[1] - edges[0]), color="k", lw=1)
        mean, spread = pulls[name].mean(), pulls[name].std()
        ax.set_title(f"{short(name)}\n{mean:+.2f} ± {spread:.2f}", fontsize=8)
        ax.tick_params(labelsize=7)
    figure.supxlabel("(median - truth) / half of the 68% interval")
    return figure


@cache
def residuals_of(name: str) -> np.ndarray:
    """The normalised residuals of the draw of the highest posterior."""
    draws = survey.draws(folder, name)
    highest = draws.loc[[draws.log_posterior.idxmax()]]
    (instance,) = batch.unstack(batch.instances_from(model, highest))
    analysis = al.AnalysisImaging(dataset=dataset_of(names.index(name)), use_jax=False)
    return analysis.fit_from(instance=instance).normalized_residual_map.native.array


def figure_of_residuals(total: int = 24) -> Figure:
    """The lenses of the smallest and of the largest chi squared a pixel."""
    chi_squared = pandas.Series(
        {name: np.sum(residuals_of(name) ** 2) for name in fitted.index}
    ).sort_values()
    pixels = int((~np.asarray(dataset_of(0).mask)).sum())
    best = list(chi_squared.index[:total])
    worst = list(chi_squared.index[len(best) :][-total:])
    columns = 8
    rows = [-(-len(some) // columns) for some in (best, worst)]
    figure = Figure(figsize=(1.5 * columns, 1.65 * sum(rows)), layout="constrained")
    axes = np.atleast_2d(figure.subplots(sum(rows), columns, squeeze=False))
    for ax in axes.ravel():
        ax.axis("off")
    for first, some in ((0, best), (rows[0], worst)):
        for position, name in enumerate(some):
            ax = axes[first + position // columns, position % columns]
            ax.imshow(residuals_of(name), cmap="RdBu_r", vmin=-4.0, vmax=4.0)
            ax.set_title(f"{name}: {chi_squared[name] / pixels:.3f}", fontsize=8)
    figure.suptitle(
        "normalised residuals from -4 to 4: the lenses of the smallest chi squared a "
        "pixel, then those of the largest",
        fontsize=10,
    )
    return figure


options.output.mkdir(parents=True, exist_ok=True)
for name, figure in (
    ("recovered", figure_of_recovery()),
    ("pulls", figure_of_pulls()),
    ("residuals", figure_of_residuals()),
):
    figure.savefig(options.output / f"{stem}_{name}.png", dpi=80)

"""
__Page__
"""


def rows_of(frame: pandas.DataFrame, formats: list[str]) -> str:
    """A table of Markdown."""
    lines = [
        f"| | {' | '.join(frame.columns)} |",
        f"| --- |{' ---: |' * len(frame.columns)}",
    ]
    for name, row in zip(frame.index, frame.to_numpy(), strict=True):
        cells = [text.format(value) for text, value in zip(formats, row, strict=True)]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


flagged = table[table["flags"] != ""]
reasons = flagged["flags"].str.split(";").explode().str.strip()
page = f"""\
# A survey of {lenses} lenses

Written by `python jax_profiling/survey/fit.py`. {INSTRUMENT.name} pixels of \
{INSTRUMENT.pixel_scale} arcsec in a mask of {MASK_RADIUS} arcsec, 13 free parameters, \
seed {options.seed}; {len(jax.devices())} devices ({platform.machine()} \
{jax.devices()[0].platform}).

{len(fitted)} lenses were fitted, {len(table) - len(fitted)} failed, {len(flagged)} have \
a flag. {fitted.gradients.sum():.0f} gradients, {fitted.draws.sum():.0f} draws, \
{fitted.divergent.sum():.0f} divergent.

{rows_of(statistics, ["{:.4f}", "{:.4f}", "{:+.2f}", "{:.2f}", "{:.0f}"])}

![What was recovered against the truth]({stem}_recovered.png)

![Pulls]({stem}_pulls.png)

![The best and the worst residuals]({stem}_residuals.png)

## Flags

{chr(10).join(f"- {name}: {text}" for name, text in reasons.items()) or "None."}
"""
(options.output / f"{stem}.md").write_text(page)
statistics.to_csv(options.output / f"{stem}.csv")
print(
    statistics.rename(index=lambda name: name.removeprefix("galaxies."))
    .round(3)
    .to_string()
)
print(
    f"{len(fitted)} of {lenses} lenses fitted, {len(flagged)} with a flag; in this run "
    f"{seconds:.0f} s"
)
print(f"Written: {options.output / stem}.md")

"""
__Checks__
"""
if len(fitted) < 0.95 * lenses:
    raise SystemExit(f"{lenses - len(fitted)} of {lenses} lenses failed")
# Of all parameters at once: those of one lens are correlated, so that a fifth of the
# lenses stands for the independent ones.
allowed = 4.0 * np.sqrt(0.68 * 0.32 / (len(fitted) * len(parameters) / 5.0))
if abs(inside.to_numpy().mean() - 0.6827) > allowed:
    raise SystemExit(
        f"{inside.to_numpy().mean():.3f} of the 68% intervals hold the truth, which is "
        f"further from 0.683 than {allowed:.3f}"
    )
