"""The lens model of the tests, and its imaging; programs without the patch use it too."""

import autofit as af
import autolens as al
import numpy as np

#: A point of the lens model with a plausible value for each parameter.
VECTOR = np.array(
    [0.01, -0.02, 0.05, 0.03, 0.02, 0.01, 0.1, -0.05, 1.6, 0.03, -0.02]
    + [0.05, 0.1, 0.08, -0.04]
)


def lens_model_from(total_gaussians: int = 3) -> af.Collection:
    """
    The model of the profiling script with few Gaussians, in a mask of 3.0 arcsec: with
    that of the script, 3.5 arcsec, the libraries' own gradient of a flat vector is NaN
    for three Gaussians on this coarse imaging.
    """

    def bulge_from(mask_radius):
        return al.model_util.mge_model_from(
            mask_radius=mask_radius, total_gaussians=total_gaussians
        )

    lens = af.Model(
        al.Galaxy,
        redshift=0.5,
        bulge=bulge_from(3.0),
        mass=al.mp.Isothermal,
        shear=al.mp.ExternalShear,
    )
    source = af.Model(al.Galaxy, redshift=1.0, bulge=bulge_from(1.0))
    return af.Collection(galaxies=af.Collection(lens=lens, source=source))


def imaging_from() -> al.Imaging:
    """A small imaging dataset of a lens near ``VECTOR``, with a seeded noise."""
    grid = al.Grid2D.uniform(shape_native=(21, 21), pixel_scales=0.3)
    psf = al.Convolver.from_gaussian(
        shape_native=(3, 3), sigma=0.3, pixel_scales=0.3, normalize=True
    )
    simulator = al.SimulatorImaging(
        exposure_time=1000.0,
        psf=psf,
        background_sky_level=0.1,
        add_poisson_noise_to_data=True,
        noise_seed=1,
    )
    lens = al.Galaxy(
        redshift=0.5,
        light=al.lp.Sersic(intensity=1.0, effective_radius=0.8),
        mass=al.mp.Isothermal(ell_comps=(0.1, -0.05), einstein_radius=1.6),
        shear=al.mp.ExternalShear(gamma_1=0.03, gamma_2=-0.02),
    )
    source = al.Galaxy(
        redshift=1.0,
        light=al.lp.Sersic(centre=(0.05, 0.1), intensity=1.0, effective_radius=0.3),
    )
    tracer = al.Tracer(galaxies=[lens, source])
    dataset = simulator.via_tracer_from(tracer=tracer, grid=grid)
    mask = al.Mask2D.circular(shape_native=(21, 21), pixel_scales=0.3, radius=3.0)
    return dataset.apply_mask(mask=mask)
