"""
The cluster of galaxies which the point-source scripts fit, and instances of it near the
truth.
"""

import autofit as af
import autolens as al
import numpy as np

from jax_profiling.simulators.point_source import POINT_NAME

LENS_REDSHIFT = 0.5
SOURCE_REDSHIFT = 2.0

# The range of the galaxies' luminosities, in units of that of a typical galaxy.
LUMINOSITIES = (0.1, 1.0)

# The galaxies are scattered over a square of this half width, in arcsec.
HALF_WIDTH = 15.0
SEED = 1


def cluster_model_from(total_galaxies: int) -> af.Collection:
    """
    A cluster: a dark halo, galaxies, and behind them a point source.

    The prior of a parameter is a Gaussian around its simulated value, as wide as
    instances are to scatter: their images lie about a tenth of an arcsec from the
    simulated ones. Centres and radii are in arcsec, velocity dispersions (sigma) in km/s,
    the position angle in degrees. Of the 10 free parameters two drive all of the
    galaxies.

    Parameters
    ----------
    total_galaxies
        The number of galaxies in the cluster.
    """
    halo = af.Model(
        al.mp.dPIEMass,
        ellipticity=af.GaussianPrior(mean=0.2, sigma=0.002),
        angle_pos=af.GaussianPrior(mean=40.0, sigma=0.3),
        sigma=af.GaussianPrior(mean=900.0, sigma=1.0),
        r_core=af.GaussianPrior(mean=6.0, sigma=0.02),
        r_cut=1000.0,
        **distance_arguments(),
    )
    halo.centre.centre_0 = af.GaussianPrior(mean=0.2, sigma=0.01)
    halo.centre.centre_1 = af.GaussianPrior(mean=-0.3, sigma=0.01)

    point = af.Model(al.ps.Point)
    point.centre.centre_0 = af.GaussianPrior(mean=0.6, sigma=0.01)
    point.centre.centre_1 = af.GaussianPrior(mean=-0.9, sigma=0.01)

    # In a collection of their own the parameters of the scaling relation have names of
    # their own: `instance.scaling_relation.sigma`.
    scaling_relation = scaling_relation_from()
    return af.Collection(
        galaxies=af.Collection(
            halo=af.Model(al.Galaxy, redshift=LENS_REDSHIFT, mass=halo),
            **galaxies_from(total_galaxies, scaling_relation),
            source=af.Model(al.Galaxy, redshift=SOURCE_REDSHIFT, **{POINT_NAME: point}),
        ),
        scaling_relation=scaling_relation,
    )


def scaling_relation_from() -> af.Collection:
    """
    The priors of the pair of parameters which drives all galaxies: the velocity
    dispersion (km/s) and the cut radius (arcsec) of a galaxy of luminosity one.
    """
    return af.Collection(
        sigma=af.GaussianPrior(mean=220.0, sigma=1.0),
        r_cut=af.GaussianPrior(mean=8.0, sigma=0.1),
    )


def galaxies_from(total: int, scaling_relation: af.Collection) -> dict[str, af.Model]:
    """
    The models of galaxies whose masses follow from their luminosities: sigma ~ L^(1/4)
    and r_cut ~ L^(1/2), as in Jullo et al. 2007 (https://arxiv.org/abs/0706.0048). Their
    positions and luminosities are known.

    Parameters
    ----------
    total
        The number of galaxies.
    scaling_relation
        From `scaling_relation_from`.
    """
    random = np.random.default_rng(SEED)
    galaxies = {}
    for index in range(total):
        luminosity = float(random.uniform(*LUMINOSITIES))
        mass = af.Model(
            al.mp.dPIEMassSph,
            centre=tuple(random.uniform(-HALF_WIDTH, HALF_WIDTH, size=2).tolist()),
            sigma=scaling_relation.sigma * luminosity**0.25,
            r_core=0.1,
            r_cut=scaling_relation.r_cut * luminosity**0.5,
            **distance_arguments(),
        )
        galaxies[f"galaxy_{index}"] = af.Model(
            al.Galaxy, redshift=LENS_REDSHIFT, mass=mass
        )
    return galaxies


def distance_arguments() -> dict[str, float]:
    """
    The redshifts of lens and source and the cosmology (`H0` in km/s/Mpc, `Om0`), by which
    a dPIE mass turns a velocity dispersion into a deflection.
    """
    return {
        "redshift_object": LENS_REDSHIFT,
        "redshift_source": SOURCE_REDSHIFT,
        "H0": 67.66,
        "Om0": 0.30966,
    }


def vectors_from_priors(
    model: af.Collection, total: int, seed: int = 0
) -> list[np.ndarray]:
    """
    Parameters drawn from the priors of a model.

    Parameters
    ----------
    model
        The model whose free parameters are drawn.
    total
        How many to draw.
    seed
        The seed of the draws.

    Returns
    -------
    A list of arrays of shape (free parameters,), in the order of the model.
    """
    units = np.random.default_rng(seed).uniform(size=(total, model.prior_count))
    return [np.array(model.vector_from_unit_vector(unit)) for unit in units]
