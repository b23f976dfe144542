"""
Whether posteriors are right: simulation-based calibration on a small lens.

    python benchmarks/calibration.py

Parameters are drawn from the prior, data simulated for each, and each data set fitted
from the prior by the stages of ``posterior.Pipeline``. If the draws are from the
posterior, the rank of the true value of a parameter among them is uniformly distributed
(Talts et al. 2018, arXiv:1804.06788). It is compared with that by a chi-squared test; the
command exits with 1 if a parameter's p-value, times the number of parameters, is below
0.01. One program is compiled for all data sets, which are given to it as arguments.
"""

import autolens_patch  # noqa: F401

# isort: split

import argparse
import sys
from pathlib import Path

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import chisquare
from tqdm import tqdm

from autofit_patch import batch, posterior

#: Of the data, in arcsec and in units of the noise.
PIXEL_SCALE, RADIUS, PSF_SIGMA, NOISE = 0.15, 2.4, 0.12, 1.0

#: Into how many equal parts ranks are counted.
BINS = 10

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "calibration.png"


def model_from() -> af.Collection:
    """A lens and a source of which seven parameters are free."""
    mass = af.Model(
        al.mp.Isothermal,
        centre=(0.0, 0.0),
        einstein_radius=af.UniformPrior(1.0, 1.6),
    )
    mass.ell_comps.ell_comps_0 = af.GaussianPrior(0.0, 0.1)
    mass.ell_comps.ell_comps_1 = af.GaussianPrior(0.0, 0.1)
    light = af.Model(
        al.lp.Sersic,
        ell_comps=(0.1, 0.05),
        intensity=af.LogUniformPrior(3.0, 30.0),
        effective_radius=af.TruncatedGaussianPrior(0.25, 0.05, lower_limit=0.05),
        sersic_index=1.0,
    )
    light.centre.centre_0 = af.GaussianPrior(0.0, 0.1)
    light.centre.centre_1 = af.GaussianPrior(0.0, 0.1)
    return af.Collection(
        galaxies=af.Collection(
            lens=af.Model(al.Galaxy, redshift=0.5, mass=mass),
            source=af.Model(al.Galaxy, redshift=1.0, light=light),
        )
    )


class Imager:
    """The image of an instance, blurred by the PSF, of shape (pixels,)."""

    def __init__(self):
        mask = al.Mask2D.circular(
            shape_native=(40, 40), pixel_scales=PIXEL_SCALE, radius=RADIUS
        )
        self.grid = al.Grid2D.from_mask(mask, over_sample_size=2)
        self.psf = al.Convolver.from_gaussian(
            shape_native=(7, 7), pixel_scales=PIXEL_SCALE, sigma=PSF_SIGMA, normalize=True
        )
        blurring = mask.derive_mask.blurring_from(kernel_shape_native=(7, 7))
        self.blurring = al.Grid2D.from_mask(blurring, over_sample_size=2)

    def __call__(self, instance):
        tracer = al.Tracer(galaxies=list(instance.galaxies))
        image = tracer.blurred_image_2d_from(
            grid=self.grid, psf=self.psf, blurring_grid=self.blurring, xp=jnp
        )
        return image.array


def ranks_from(total: int, draws: int, seed: int) -> tuple:
    """
    The ranks of true values among draws, of shape (total, parameters), the number of
    draws that they are among, the names, and how many draws were divergent.
    """
    image_from = Imager()

    def log_likelihood(instance, data):
        residuals = (data - image_from(instance)) / NOISE
        return -0.5 * (residuals**2).sum()

    pipelines = posterior.Pipelines(model_from(), log_likelihood)
    space = pipelines.space
    truths = space.draw(total, seed)
    images = batch.map(lambda z: image_from(space.forward(z)), width=1, progress=False)
    images = images(truths)
    noise = np.random.default_rng(seed).normal(0.0, NOISE, images.shape)
    rows = np.stack(jax.tree.leaves(truths), axis=1)

    def fitted(pipeline, index):
        optima = pipeline.optimise(pipeline.starts(8, candidates=64, seed=index))
        return pipeline.sample(
            pipeline.maxima(optima)[0], effective=draws, rhat=1.05, chains=2, seed=index
        )

    ranks = np.empty((total, len(space.names)), dtype=int)
    divergent = 0
    for index, drawn in tqdm(pipelines.run(fitted, list(images + noise)), total=total):
        if isinstance(drawn, Exception):
            raise drawn
        divergent += int(drawn.divergent.sum())
        values = np.stack(jax.tree.leaves(drawn.points), axis=1)
        # As many as there are independent ones.
        values = values[:: max(1, len(values) // draws)][:draws]
        ranks[index] = (values < rows[index]).sum(axis=0)
    return ranks, draws, space.names, divergent


def counts_from(ranks: np.ndarray, draws: int) -> np.ndarray:
    """How many ranks are in each of the equal parts of their range."""
    return np.histogram(ranks, bins=BINS, range=(-0.5, draws + 0.5))[0]


def figure_of(ranks: np.ndarray, draws: int, names: list, pvalues: list) -> Figure:
    """The counts of ranks of every parameter, and between what 99% of counts are."""
    figure = Figure(figsize=(13, 5), layout="constrained")
    grid = figure.subplots(2, (len(names) + 1) // 2, sharey=True).ravel()
    expected = len(ranks) / BINS
    spread = 2.576 * np.sqrt(expected * (1.0 - 1.0 / BINS))
    for axes, column, name, pvalue in zip(grid, ranks.T, names, pvalues, strict=False):
        axes.bar(np.arange(BINS), counts_from(column, draws), width=0.95)
        axes.axhspan(expected - spread, expected + spread, color="0.8", zorder=0)
        short = ".".join(name.split(".")[-2:])
        axes.set_title(f"{short}\np = {pvalue:.2f}", fontsize=9)
        axes.set_xlabel("rank of the truth (tenths)", fontsize=8)
    for axes in grid[len(names) :]:
        axes.remove()
    return figure


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--total", type=int, default=100, help="how many data sets")
    parser.add_argument(
        "--draws", type=int, default=99, help="draws that a rank is among"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    options = parser.parse_args()
    ranks, draws, names, divergent = ranks_from(
        options.total, options.draws, options.seed
    )
    pvalues = [chisquare(counts_from(column, draws)).pvalue for column in ranks.T]
    for name, column, pvalue in zip(names, ranks.T, pvalues, strict=True):
        print(f"{name:48} p = {pvalue:.3f}  {counts_from(column, draws)}")
    print(f"{options.total} data sets, {divergent} divergent draws")
    figure_of(ranks, draws, names, pvalues).savefig(options.figure, dpi=90)
    sys.exit(1 if min(pvalues) * len(pvalues) < 0.01 else 0)


if __name__ == "__main__":
    main()
