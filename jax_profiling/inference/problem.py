"""
The small problem that the examples share, and the check of what they find.

A strong lens with six free parameters, fitted to the imaging of a quick profiling run.
The light of the lens galaxy and the shear are known; light profiles have intensities, so
that a likelihood solves for nothing and its residuals are smooth.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import autofit as af
import autolens as al
import jax
import numpy as np

from autofit_patch import posterior
from jax_profiling.dataset import imaging_from
from jax_profiling.instruments import QUICK
from jax_profiling.model import true_vector_from
from jax_profiling.simulators.imaging import true_tracer_from

# The exposure is short, so that the posterior is some hundredths as wide as the prior: a
# mass matrix that is adapted is shrunk towards a variance of 0.001.
INSTRUMENT = replace(QUICK, name="quick_short_exposure", exposure_time=100.0)

DATASET_FOLDER = Path(__file__).resolve().parents[1] / "dataset" / "imaging"

# Arcsec. The lensed source ends here, and fewer pixels are quicker.
MASK_RADIUS = 2.6

# The simulated source has a cusp that is narrower than a pixel.
OVER_SAMPLE_SIZE = 2

# An error of a correct example is within four sigma: of six normal errors, one is beyond
# once in 2600 times.
SIGMA_ALLOWED = 4.0

# A point is the maximum of the posterior if the maximum is no further, in sigma.
MAXIMUM_WITHIN = 0.01

# The spread of a posterior in coordinates in which that of the prior is 1.
NARROWER_THAN = 0.1


def model_from() -> af.Collection:
    """
    The model: ellipticity and Einstein radius of an isothermal mass, and the centre and
    the size of the source. Everything else is as it was simulated.
    """
    lens, source = true_tracer_from().galaxies
    mass = af.Model(
        al.mp.Isothermal,
        centre=lens.mass.centre,
        einstein_radius=af.UniformPrior(1.2, 2.0),
    )
    bulge = af.Model(
        al.lp.Sersic,
        ell_comps=source.bulge.ell_comps,
        intensity=source.bulge.intensity,
        effective_radius=af.LogUniformPrior(0.05, 1.0),
        sersic_index=source.bulge.sersic_index,
    )
    bulge.centre.centre_0 = af.GaussianPrior(0.0, 0.2)
    bulge.centre.centre_1 = af.GaussianPrior(0.0, 0.2)
    return af.Collection(
        galaxies=af.Collection(
            lens=af.Model(
                al.Galaxy, redshift=0.5, bulge=lens.bulge, mass=mass, shear=lens.shear
            ),
            source=af.Model(al.Galaxy, redshift=1.0, bulge=bulge),
        )
    )


@cache
def analysis_from() -> al.AnalysisImaging:
    """The analysis of the imaging, which is simulated if it is not there yet."""
    # An example prints its table alone.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        dataset = imaging_from(instrument=INSTRUMENT, folder=DATASET_FOLDER)
    mask = al.Mask2D.circular(
        shape_native=dataset.shape_native,
        pixel_scales=dataset.pixel_scales,
        radius=MASK_RADIUS,
    )
    dataset = dataset.apply_mask(mask=mask)
    dataset = dataset.apply_over_sampling(over_sample_size_lp=OVER_SAMPLE_SIZE)
    return al.AnalysisImaging(dataset=dataset, use_jax=True)


class Problem(NamedTuple):
    """
    What the examples are about.

    Parameters
    ----------
    model
        The model.
    space
        Its coordinates, of which every prior is a standard normal distribution.
    log_posterior
        The log posterior of coordinates, a function of a model instance.
    residuals
        What it is made of: minus half the sum of the squares of these is it, but for a
        constant. A function of coordinates, which returns the normalised residuals of the
        fit, of shape (pixels,), and the coordinates: the residuals of normal priors.
    """

    model: af.Collection
    space: posterior.PriorSpace
    log_posterior: Callable
    residuals: Callable


@cache
def problem_from() -> Problem:
    """The problem. What one example of a process traced, the others need not trace."""
    model, analysis = model_from(), analysis_from()
    space = posterior.prior_space(model)

    def residuals(z):
        fit = analysis.fit_from(instance=space.forward(z))
        return fit.normalized_residual_map.array, z

    log_posterior = jax.jit(space.log_posterior(analysis))
    return Problem(model, space, log_posterior, jax.jit(residuals))


@cache
def jacobian_from() -> Callable:
    """
    A function of coordinates: the Jacobian of the residuals of the fit, an instance with
    a leaf of shape (pixels,) for each parameter, and the residuals.
    """
    residuals = problem_from().residuals

    def twice(z):
        of_data, _ = residuals(z)
        return of_data, of_data

    return jax.jit(jax.jacfwd(twice, has_aux=True))


def draws_around(z, total: int = 2000, seed: int = 1):
    """
    Draws from the normal distribution that the posterior is around its maximum.

    Parameters
    ----------
    z
        The coordinates of the maximum.
    total
        How many draws.
    seed
        The seed of the draws.

    Returns
    -------
    A batch of coordinates.

    Raises
    ------
    AssertionError
        If the maximum is elsewhere.
    """
    leaves, structure = jax.tree.flatten(z)
    by_parameter, of_data = jacobian_from()(z)
    jacobian = np.array(jax.tree.leaves(by_parameter))
    covariance = np.linalg.inv(jacobian @ jacobian.T + np.eye(len(leaves)))
    gradient = jacobian @ np.asarray(of_data) + np.array(leaves)
    away = np.abs(covariance @ gradient) / np.sqrt(np.diag(covariance))
    if not np.all(away < MAXIMUM_WITHIN):
        raise AssertionError(f"The maximum is {away.max():.2g} sigma away.")
    draws = np.random.default_rng(seed).multivariate_normal(
        np.array(leaves), covariance, size=total
    )
    return jax.tree.unflatten(structure, list(draws.T))


def report(title: str, draws) -> None:
    """
    Prints each parameter's truth, median and 68 % interval, and checks them.

    Parameters
    ----------
    title
        Whose draws they are.
    draws
        A batch of coordinates, drawn from the posterior.

    Raises
    ------
    AssertionError
        If a parameter is not within four sigma of the truth, or hardly better known than
        before.
    """
    model, space, *_ = problem_from()
    truth = true_vector_from(model)
    values = np.array(jax.tree.leaves(space.forward(draws)))
    lower, median, upper = np.percentile(values, [15.87, 50.0, 84.13], axis=1)
    # In the tails an interval may be of little width on one side.
    away = (median - truth) / np.where(truth > median, upper - median, median - lower)

    width = max(map(len, space.names))
    print(title)
    print(f"  {'':<{width}}   truth   median      68 %             sigma")
    for name, *row in zip(
        space.names, truth, median, lower - median, upper - median, away, strict=True
    ):
        print(
            f"  {name:<{width}}"
            + "{:>8.3f}{:>9.4f}  {:+.4f} {:+.4f}{:>+9.2f}".format(*row)
        )

    spread = np.std(np.array(jax.tree.leaves(draws)), axis=1)
    if not np.all(np.abs(away) <= SIGMA_ALLOWED):
        raise AssertionError("A parameter is not within four sigma of the truth.")
    if not np.all(spread < NARROWER_THAN):
        raise AssertionError("A parameter is hardly better known than before.")
    print("  All are within four sigma of the truth.")
