"""
Lenses of a survey: random lenses and sources, and their images.

The parameters of a lens are drawn from the priors of the model that is fitted to it, so
that posteriors that are right have pulls of mean 0 and width 1.
"""

import autofit as af
import autolens as al
import jax
import numpy as np
import pandas

from autofit_patch import posterior
from jax_profiling.instruments import INSTRUMENTS, Instrument

# Euclid's VIS has the pixels and PSF of the profiled instrument of that name; the fluxes
# below are for this sky.
INSTRUMENT: Instrument = INSTRUMENTS["euclid"]

# Arcsec: the mask, which holds the images of the largest Einstein radius.
MASK_RADIUS = 2.2

# The frame is larger by what the PSF blurs into the mask.
PIXELS = 52

OVER_SAMPLE_SIZE = 2

#: How the lenses are fitted.
SETTINGS = {"effective": 500, "rhat": 1.05, "chains": 2, "starts": 8, "candidates": 96}

#: What a catalogue knows of each lens: where it is, from the light of its galaxy.
CENTRE = tuple(f"galaxies.lens.bulge.centre.centre_{axis}" for axis in (0, 1))


def model_from(linear: bool = True) -> af.Collection:
    """
    The model of every lens, with the distributions that lenses are drawn from.

    Parameters
    ----------
    linear
        Whether intensities are solved for, as in a fit, or are parameters, as in what is
        simulated.

    Returns
    -------
    A model of a lens galaxy (de Vaucouleurs' profile, an isothermal mass about the same
    centre, an external shear) and of a source (an exponential profile). With ``linear``
    it has 15 parameters, of which the centre of the lens is known.
    """
    light = al.lp_linear if linear else al.lp
    centre = af.TuplePrior(
        centre_0=af.GaussianPrior(0.0, 0.05), centre_1=af.GaussianPrior(0.0, 0.05)
    )

    def ell_comps(sigma: float) -> af.TuplePrior:
        return af.TuplePrior(
            ell_comps_0=af.GaussianPrior(0.0, sigma),
            ell_comps_1=af.GaussianPrior(0.0, sigma),
        )

    bulge = af.Model(
        light.DevVaucouleurs,
        centre=centre,
        ell_comps=ell_comps(0.1),
        effective_radius=af.LogUniformPrior(0.3, 1.0),
    )
    mass = af.Model(
        al.mp.Isothermal,
        centre=centre,
        ell_comps=ell_comps(0.1),
        einstein_radius=af.UniformPrior(0.7, 1.4),
    )
    shear = af.Model(
        al.mp.ExternalShear,
        gamma_1=af.GaussianPrior(0.0, 0.03),
        gamma_2=af.GaussianPrior(0.0, 0.03),
    )
    source = af.Model(
        light.Exponential,
        centre=af.TuplePrior(
            centre_0=af.GaussianPrior(0.0, 0.1), centre_1=af.GaussianPrior(0.0, 0.1)
        ),
        ell_comps=ell_comps(0.15),
        effective_radius=af.LogUniformPrior(0.08, 0.3),
    )
    if not linear:
        # Electrons per second per pixel at the effective radius.
        bulge.intensity = af.LogUniformPrior(0.1, 0.4)
        source.intensity = af.LogUniformPrior(0.1, 0.5)
    return af.Collection(
        galaxies=af.Collection(
            lens=af.Model(al.Galaxy, redshift=0.5, mass=mass, bulge=bulge, shear=shear),
            source=af.Model(al.Galaxy, redshift=1.0, bulge=source),
        )
    )


def truths_from(total: int, seed: int) -> list[af.ModelInstance]:
    """
    Lenses that are drawn at random: instances of the model whose intensities are
    parameters.
    """
    space = posterior.prior_space(model_from(linear=False))
    values = np.transpose(jax.tree.leaves(space.forward(space.draw(total, seed))))
    model = model_from(linear=False)
    return [model.instance_from_vector(vector) for vector in values.tolist()]


def dataset_from(lens: af.ModelInstance, seed: int) -> al.Imaging:
    """
    The image of a lens, with its noise.

    Parameters
    ----------
    lens
        The lens, of :func:`truths_from`.
    seed
        The seed of the noise, which is normal. Its map is that of the image without
        noise: one from the counts would be smaller where these are, by chance, and
        posteriors would be biased by more than they are wide.

    Returns
    -------
    The data set in its mask.
    """
    shape = {"shape_native": (PIXELS, PIXELS), "pixel_scales": INSTRUMENT.pixel_scale}
    grid = al.Grid2D.uniform(**shape, over_sample_size=OVER_SAMPLE_SIZE)
    psf = al.Convolver.from_gaussian(
        shape_native=INSTRUMENT.psf_shape,
        pixel_scales=INSTRUMENT.pixel_scale,
        sigma=INSTRUMENT.psf_sigma,
        normalize=True,
    )
    simulator = al.SimulatorImaging(
        exposure_time=INSTRUMENT.exposure_time,
        psf=psf,
        background_sky_level=0.0,
        subtract_background_sky=False,
        add_poisson_noise_to_data=False,
    )
    tracer = al.Tracer(galaxies=list(lens.galaxies))
    image = simulator.via_tracer_from(tracer=tracer, grid=grid).data.native.array
    counts = (image + INSTRUMENT.sky_level) * INSTRUMENT.exposure_time
    noise = np.sqrt(counts) / INSTRUMENT.exposure_time
    data = image + noise * np.random.default_rng(seed).standard_normal(image.shape)
    mask = al.Mask2D.circular(radius=MASK_RADIUS, **shape)
    return al.Imaging(
        data=al.Array2D(values=data, mask=mask),
        noise_map=al.Array2D(values=noise, mask=mask),
        psf=psf,
        over_sample_size_lp=OVER_SAMPLE_SIZE,
        over_sample_size_pixelization=1,
    )


def parameters_of(lens: af.ModelInstance) -> dict[str, float]:
    """The true values of the parameters that are fitted, by name."""
    model, linear = model_from(linear=False), model_from()
    names = [".".join(path) for path in model.unique_prior_paths]
    values = dict(zip(names, map(float, jax.tree.leaves(lens)), strict=True))
    return {".".join(path): values[".".join(path)] for path in linear.unique_prior_paths}


def compared_with_truth(table: pandas.DataFrame, true: pandas.DataFrame) -> tuple:
    """
    What was found of lenses, against the truth.

    Parameters
    ----------
    table
        The rows of lenses that were fitted (`survey.table`).
    true
        The true parameters of at least these, a column for each.

    Returns
    -------
    Three tables, with a column for each parameter that was fitted: half of the widths of
    the 68% intervals, the pulls (how far the medians are from the truth, in units of
    these), and whether the intervals hold the truth.
    """
    names = [name for name in true.columns if name not in CENTRE]
    truth = true.loc[table.index, names]
    lower, upper = (
        table[[f"{name} {side}" for name in names]].set_axis(names, axis=1)
        for side in ("lower", "upper")
    )
    width = 0.5 * (upper - lower)
    return width, (table[names] - truth) / width, (truth >= lower) & (truth <= upper)
