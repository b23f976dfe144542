"""
A likelihood of simulated imaging, for the check of an installation.
"""

import autofit as af
import autolens as al
import jax

#: How far the likelihood under JAX may be from that of NumPy, relative to it.
TOLERANCE = 1e-8

#: Two points of the model, near those which the imaging was simulated from.
VECTORS = ((0.1, -0.05, 1.6, 0.05, 0.1), (0.11, -0.04, 1.59, 0.04, 0.11))


def imaging_from() -> al.Imaging:
    """Imaging of a lens of 1.6 arcsec, with little noise."""
    grid = al.Grid2D.uniform(shape_native=(21, 21), pixel_scales=0.3)
    psf = al.Convolver.from_gaussian(
        shape_native=(3, 3), sigma=0.3, pixel_scales=0.3, normalize=True
    )
    simulator = al.SimulatorImaging(
        exposure_time=1000.0, psf=psf, background_sky_level=0.1, noise_seed=1
    )
    mass = al.mp.Isothermal(ell_comps=(0.1, -0.05), einstein_radius=1.6)
    light = al.lp.Sersic(centre=(0.05, 0.1), intensity=1.0, effective_radius=0.3)
    lens = al.Galaxy(redshift=0.5, mass=mass)
    source = al.Galaxy(redshift=1.0, light=light)
    dataset = simulator.via_tracer_from(
        tracer=al.Tracer(galaxies=[lens, source]), grid=grid
    )
    mask = al.Mask2D.circular(shape_native=(21, 21), pixel_scales=0.3, radius=3.0)
    return dataset.apply_mask(mask=mask)


def model_from() -> af.Collection:
    """A lens with a mass of three parameters and a source whose centre is free."""
    mass = af.Model(al.mp.Isothermal)
    mass.centre = (0.0, 0.0)
    light = af.Model(al.lp_linear.Sersic)
    light.ell_comps = (0.0, 0.0)
    light.effective_radius = 0.3
    light.sersic_index = 4.0
    return af.Collection(
        galaxies=af.Collection(
            lens=af.Model(al.Galaxy, redshift=0.5, mass=mass),
            source=af.Model(al.Galaxy, redshift=1.0, light=light),
        )
    )


def check_likelihood() -> str:
    """
    Compare a jitted likelihood of two instances with NumPy's.

    Returns
    -------
    What was compared.

    Raises
    ------
    RuntimeError
        If they differ, or if the likelihood was traced more than once.
    """
    dataset, model, traces = imaging_from(), model_from(), []
    with_jax = al.AnalysisImaging(dataset=dataset, use_jax=True)
    with_numpy = al.AnalysisImaging(dataset=dataset, use_jax=False)

    @jax.jit
    def likelihood(instance):
        traces.append(instance)
        return with_jax.log_likelihood_function(instance)

    differences = []
    for vector in VECTORS:
        instance = model.instance_from_vector(list(vector))
        found = float(likelihood(instance))
        expected = float(with_numpy.log_likelihood_function(instance))
        differences.append(abs(found - expected) / abs(expected))
        if not differences[-1] <= TOLERANCE:
            raise RuntimeError(f"under jit it is {found!r}, and with NumPy {expected!r}")
    if len(traces) != 1:
        raise RuntimeError(f"it was traced {len(traces)} times for two instances")
    return f"as with NumPy to {max(differences):.0e}, traced once for two instances"
