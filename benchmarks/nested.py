"""
The posterior of a lens by gradients and by nested sampling.

    python benchmarks/nested.py --folder output

The lens is that of ``jax_profiling/imaging/mge.py``: simulated imaging, 15 free
parameters. ``posterior.Pipeline`` draws from its posterior; ``af.Nautilus``, which takes
hours from the prior, has the same priors cut off beyond ``--cut`` standard deviations
from the medians of these draws, where nothing of the posterior is. The medians and the
widths of both are compared, and both corner plots drawn in one figure. A run that was
interrupted goes on. The command exits with 1 if a bar is missed.
"""

import measuring  # noqa: F401  (before JAX)

import autolens_patch

# isort: split

import argparse
from pathlib import Path

import autofit as af
import corner
import jax
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from autonerves import conf
from inference import lens_from

from autofit_patch import posterior
from jax_profiling.model import true_vector_from

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "nested.png"


def draws_from(model, analysis, effective: float, seed: int) -> np.ndarray:
    """Draws from the posterior by gradients, of shape (draws, parameters)."""
    pipeline = posterior.Pipeline(model, analysis)
    space = pipeline.space
    truth = space.inverse(model.instance_from_vector(true_vector_from(model)))
    draws = pipeline.sample(pipeline.laplace(truth), effective=effective, seed=seed)
    print(draws, flush=True)
    return np.stack(
        list(map(np.asarray, jax.tree.leaves(space.forward(draws.points)))), 1
    )


def cut_off(prior: af.Prior, lower: float, upper: float) -> af.Prior:
    """A prior that is the same, but for a factor, between two limits, and 0 beyond."""
    if isinstance(prior, af.UniformPrior):
        lower, upper = max(lower, prior.lower_limit), min(upper, prior.upper_limit)
        return af.UniformPrior(lower_limit=lower, upper_limit=upper)
    if type(prior) in (af.GaussianPrior, af.TruncatedGaussianPrior):
        limits = {"lower_limit": lower, "upper_limit": upper}
        return af.TruncatedGaussianPrior(mean=prior.mean, sigma=prior.sigma, **limits)
    raise TypeError(f"{prior} is not one of the priors of this model")


def quantiles_from(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The median and the limits of the 68% interval of each parameter."""
    return np.array(
        [corner.quantile(column, [0.16, 0.5, 0.84], weights) for column in values.T]
    )


def figure_of(draws: np.ndarray, nested: tuple, names: tuple):
    """Both corner plots in one."""
    median, sigma = np.median(draws, axis=0), draws.std(axis=0)
    ranges = np.stack([median - 4.5 * sigma, median + 4.5 * sigma], axis=1)
    figure = plt.figure(figsize=(22, 22))
    both = {
        "posterior.Pipeline": ((draws, None), "tab:blue"),
        "af.Nautilus": (nested, "tab:orange"),
    }
    for row, (name, ((values, weights), colour)) in enumerate(both.items()):
        corner.corner(
            values,
            weights=weights,
            fig=figure,
            color=colour,
            range=ranges,
            bins=30,
            levels=(0.39, 0.86),
            plot_datapoints=False,
            plot_density=False,
            labels=["\n".join([*x.split(".")[1:3], x.split(".")[-1]]) for x in names],
            label_kwargs={"fontsize": 10},
            labelpad=0.25,
            max_n_ticks=2,
            hist_kwargs={"density": True, "color": colour},
        )
        figure.text(0.6, 0.9 - 0.03 * row, name, color=colour, fontsize=32)
    figure.savefig(FIGURE, dpi=60, bbox_inches="tight")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="of PyAutoFit's output"
    )
    parser.add_argument("--instrument", default="hst")
    parser.add_argument("--gaussians", type=int, default=20)
    parser.add_argument("--cut", type=float, default=6.0, metavar="SIGMA")
    parser.add_argument("--effective", type=float, default=8000.0)
    parser.add_argument("--live", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    matplotlib.use("Agg")
    conf.instance.output_path = str(options.folder)
    options.folder.mkdir(parents=True, exist_ok=True)
    model, analysis = lens_from(options)
    names = posterior.prior_space(model).names
    autolens_patch.evaluate_together()

    def draws_of(name: str, effective: float, seed: int) -> np.ndarray:
        file = options.folder / f"{options.instrument}_{name}.npy"
        if not file.exists():
            np.save(file, draws_from(model, analysis, effective, seed))
        return np.load(file)

    # Few say where the posterior is; what is compared are others.
    first = draws_of(f"{options.seed}", 2000.0, options.seed)
    lower, median, upper = quantiles_from(first).T
    sigma = 0.5 * (upper - lower)
    limits = zip(median - options.cut * sigma, median + options.cut * sigma, strict=True)
    cut = model.mapper_from_prior_arguments(
        {
            prior: cut_off(prior, *of_prior)
            for prior, of_prior in zip(model.priors_ordered_by_id, limits, strict=True)
        }
    )
    search = af.Nautilus(
        name=f"{options.instrument}_nautilus",
        n_live=options.live,
        n_eff=2000,
        seed=options.seed,
    )
    samples = search.fit(model=cut, analysis=analysis).samples
    assert posterior.prior_space(cut).names == names
    nested = np.array(samples.parameter_lists), np.array(samples.weight_list)
    effective = nested[1].sum() ** 2 / (nested[1] ** 2).sum()
    print(
        f"{type(search).__name__}: {samples.total_samples} samples, {effective:.0f} "
        f"effective, log evidence {samples.log_evidence:.2f}"
    )

    draws = draws_of(f"{options.seed}_all", options.effective, options.seed + 1)
    lower, median, upper = quantiles_from(draws).T
    sigma = 0.5 * (upper - lower)
    below, middle, above = quantiles_from(*nested).T
    away = (middle - median) / sigma
    ratio = (above - below) / (upper - lower)
    print(f"{'parameter':<60}{'median, in sigma':>18}{'width':>8}")
    for name, *of_name in zip(names, away, ratio, strict=True):
        print("{:<60}{:>18.3f}{:>8.3f}".format(name, *of_name))
    figure_of(draws, nested, names)
    print(f"Written: {FIGURE}")
    figures = {
        "medians: furthest apart, in sigma": (np.abs(away).max(), 0.15),
        "widths: largest relative difference": (np.abs(ratio - 1.0).max(), 0.1),
    }
    for name, (value, bar) in figures.items():
        print(f"{name:<50}{value:>10.3f} <= {bar}{'' if value <= bar else '  missed'}")
    raise SystemExit(any(value > bar for value, bar in figures.values()))


if __name__ == "__main__":
    main()
