"""
Scan: MGE imaging likelihood along named parameters
===================================================

Evaluates the likelihood of `mge.py` on a line of values of one named parameter, or on a
grid of two, with all other parameters at the truth. Writes a table and a figure.

    python scan.py --parameter galaxies.lens.mass.einstein_radius
                   --from 1.5 --to 1.7 --steps 200

The members of the scan are one `ModelInstance` with an axis, made by `batch.grid` from
the names of the parameters and evaluated by `batch.map` on every core or GPU. Under
`python -m jax_profiling.launch --processes 2 scan.py ...` several processes share them.
"""

import autolens_patch  # noqa: F401

# isort: split

import argparse
from pathlib import Path

import autolens as al
import jax
import numpy as np
from matplotlib.figure import Figure

from autofit_patch import batch
from jax_profiling.dataset import imaging_from
from jax_profiling.model import mge_model_from, true_vector_from
from jax_profiling.options import (
    GAUSSIANS,
    add_size,
    options_from,
    parser_from,
    positive_integer,
)

FOLDER = Path(__file__).resolve().parents[1]

"""
__Options__

Each `--parameter` has a `--from`, a `--to` and a `--steps`, in the same order.
"""
parser = parser_from(
    description="Scan the likelihood of an MGE lens model along named parameters.",
    examples=(
        "  python scan.py --parameter galaxies.lens.mass.einstein_radius \\\n"
        "                 --from 1.5 --to 1.7 --steps 200\n"
        "  python scan.py --parameter galaxies.lens.shear.gamma_1 \\\n"
        "                 --from -0.1 --to 0.1 --steps 40 \\\n"
        "                 --parameter galaxies.lens.shear.gamma_2 \\\n"
        "                 --from -0.1 --to 0.1 --steps 40\n"
        "  python scan.py --list"
    ),
    output=FOLDER / "results" / "scan",
)
parser.add_argument(
    "--parameter",
    action="append",
    default=[],
    metavar="NAME",
    help="what is scanned, once or twice; --list prints the names",
)
for end in ("from", "to"):
    parser.add_argument(
        f"--{end}",
        dest=f"values_{end}",
        type=float,
        action="append",
        default=[],
        metavar="VALUE",
        help=f"the value that the scan of the parameter goes {end}",
    )
parser.add_argument(
    "--steps",
    type=positive_integer,
    action="append",
    default=[],
    metavar="N",
    help="how many values of the parameter are evaluated",
)
add_size(parser, *GAUSSIANS)
parser.add_argument(
    "--list", action="store_true", help="print the names and true values, and stop"
)
options = options_from(parser)

"""
__Model__

The names are known before anything is simulated or compiled, and so is a wrong one.
"""
model = mge_model_from(total_gaussians=options.gaussians)
truth = model.instance_from_vector(vector=true_vector_from(model))
true_values = dict(zip(batch.names(truth), jax.tree.leaves(truth), strict=True))

if options.list:
    for name, value in true_values.items():
        print(f"{name} {value:.4g}")
    raise SystemExit


def axes_from(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """
    The values of each parameter that is scanned, by its name.
    """
    counts = {
        "--parameter": len(options.parameter),
        "--from": len(options.values_from),
        "--to": len(options.values_to),
        "--steps": len(options.steps),
    }
    if len(set(counts.values())) > 1 or counts["--parameter"] not in (1, 2):
        given = ", ".join(f"{option}: {count}" for option, count in counts.items())
        parser.error(
            "one or two parameters are scanned, each with its own --from, --to and "
            f"--steps (given: {given})"
        )
    if len(set(options.parameter)) < len(options.parameter):
        parser.error(f"--parameter {options.parameter[0]} is given twice")
    ends = zip(options.values_from, options.values_to, options.steps, strict=True)
    return {
        name: np.linspace(start, stop, steps)
        for name, (start, stop, steps) in zip(options.parameter, ends, strict=True)
    }


axes = axes_from(options)
try:
    instances = batch.grid(truth, axes)
except KeyError as error:
    parser.error(error.args[0])

"""
__Likelihoods__
"""
dataset = imaging_from(
    instrument=options.instrument, folder=FOLDER / "dataset" / "imaging"
)
analysis = al.AnalysisImaging(dataset=dataset, use_jax=True)
likelihood = batch.map(analysis.log_likelihood_function, report=True)
log_likelihoods = likelihood(instances)

table = batch.table(instances, {"log_likelihood": log_likelihoods})
best = table.loc[table["log_likelihood"].idxmax()]
for name in axes:
    print(f"{name}: best {best[name]:.6g}, true {true_values[name]:.6g}")

"""
__Figure__

The log likelihood below its largest value. Its colours, and its axis if it spans more
than a hundred, are logarithmic: far from the truth it falls by many thousands.
"""
labels = dict(
    zip(true_values, model.parameter_labels_with_superscripts_latex, strict=True)
)


def label_from(name: str) -> str:
    """
    The label of a parameter in the model's label config, and its name.
    """
    return f"{labels[name]}   ({name})"


def figure_from(below: np.ndarray) -> Figure:
    """
    The figure of the scan.

    Parameters
    ----------
    below
        How far the log likelihood is below its largest value, in the shape of the grid.
    """
    figure = Figure(figsize=(8.0, 5.5), layout="constrained")
    panel = figure.subplots()
    panel.set_title(f"MGE likelihood, {options.instrument.name}, truth marked")
    first, *second = axes
    panel.set_xlabel(label_from(first))
    if second:
        (second,) = second
        mesh = panel.pcolormesh(
            axes[first], axes[second], below.T, norm="symlog", cmap="viridis_r"
        )
        figure.colorbar(mesh, label=r"$\ln L_{\rm max} - \ln L$")
        panel.plot(true_values[first], true_values[second], "r+", markersize=16)
        panel.set_ylabel(label_from(second))
    else:
        panel.plot(axes[first], -below, ".-")
        panel.axvline(true_values[first], color="red", linestyle="--")
        panel.set_ylabel(r"$\ln L - \ln L_{\rm max}$")
        if below.max() > 100.0:
            panel.set_yscale("symlog")
            panel.set_ylim(top=1.0)
        panel.grid(alpha=0.3)
    return figure


shape = [len(axis) for axis in axes.values()]
below = (log_likelihoods.max() - log_likelihoods).reshape(shape)

if jax.process_index() == 0:
    options.output.mkdir(parents=True, exist_ok=True)
    stem = "_".join(["scan", options.instrument.name, *axes])
    table.to_csv(options.output / f"{stem}.csv", index=False)
    figure_from(below).savefig(options.output / f"{stem}.png", dpi=120)
    for suffix in ("csv", "png"):
        print(f"Wrote {options.output / stem}.{suffix}")
