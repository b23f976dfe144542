"""
The lens model which the profiling scripts fit, and instances of it near the truth.
"""

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np

from jax_profiling.dataset import MASK_RADIUS
from jax_profiling.simulators.imaging import true_tracer_from

# The source is compact: its widest Gaussian is this wide, in arcsec.
SOURCE_RADIUS = 1.0

# How far instances lie from the truth, one standard deviation, angles in arcsec: close
# enough to be the same lens, and far enough that their likelihoods differ by thousands.
JITTER = {
    "centre": 0.005,
    "ell_comps": 0.01,
    "einstein_radius": 0.005,
    "gamma_1": 0.005,
    "gamma_2": 0.005,
    "coefficient": 0.1,
}

# What the truth, a galaxy of light profiles, does not have: how strongly a reconstructed
# source is smoothed.
REGULARIZATION_COEFFICIENT = 1.0


def mge_model_from(total_gaussians: int) -> af.Collection:
    """
    A lens galaxy of light (an MGE), mass (isothermal) and external shear, and a source
    galaxy of light (an MGE).

    Each MGE is linear: its Gaussians share a centre and an ellipticity, their widths
    are fixed and their intensities are solved for. All of the 15 parameters that
    remain are free.

    Parameters
    ----------
    total_gaussians
        The number of Gaussians in each of the two galaxies.
    """
    source = af.Model(
        al.Galaxy,
        redshift=1.0,
        bulge=al.model_util.mge_model_from(
            mask_radius=SOURCE_RADIUS, total_gaussians=total_gaussians
        ),
    )
    return lens_model_from(total_gaussians, source)


def pixelized_model_from(
    total_gaussians: int, mesh, regularization: type
) -> af.Collection:
    """
    The same lens galaxy, and a source galaxy that is reconstructed on a mesh.

    All of the 11 parameters of the lens are free, and those of the regularization.

    Parameters
    ----------
    total_gaussians
        The number of Gaussians of the lens galaxy.
    mesh
        The mesh.
    regularization
        The class of the regularization.
    """
    source = af.Model(
        al.Galaxy,
        redshift=1.0,
        pixelization=af.Model(
            al.Pixelization, mesh=mesh, regularization=af.Model(regularization)
        ),
    )
    return lens_model_from(total_gaussians, source)


def lens_model_from(total_gaussians: int, source: af.Model) -> af.Collection:
    """The model of the lens galaxy in front of a source."""
    lens = af.Model(
        al.Galaxy,
        redshift=0.5,
        bulge=al.model_util.mge_model_from(
            mask_radius=MASK_RADIUS, total_gaussians=total_gaussians
        ),
        mass=al.mp.Isothermal,
        shear=al.mp.ExternalShear,
    )
    return af.Collection(galaxies=af.Collection(lens=lens, source=source))


def true_vector_from(model: af.Collection) -> np.ndarray:
    """
    The simulated lens's value of every free parameter, in the order of the model.

    An MGE has no counterpart of a Sersic's radius and index, which the intensities of
    its Gaussians stand for; its centre and ellipticity are the Sersic's.

    Returns
    -------
    Shape (free parameters,).
    """
    galaxies = dict(zip(("lens", "source"), true_tracer_from().galaxies, strict=True))

    values = []
    for _, galaxy, profile, *_, attribute, name in _long_paths_from(model):
        if profile == "pixelization":
            values.append(REGULARIZATION_COEFFICIENT)
            continue
        value = getattr(getattr(galaxies[galaxy], profile), attribute)
        if isinstance(value, tuple):
            value = value[int(name.removeprefix(f"{attribute}_"))]
        values.append(value)
    return np.array(values)


def vectors_near_truth_from(
    model: af.Collection, total: int, seed: int = 0
) -> list[np.ndarray]:
    """
    Parameters scattered around the truth by the widths of `JITTER`.

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
    widths = np.array([JITTER[path[-2]] for path in _long_paths_from(model)])
    offsets = np.random.default_rng(seed).normal(size=(total, len(widths)))
    return list(true_vector_from(model) + widths * offsets)


def _long_paths_from(model: af.Collection) -> list[tuple[str, ...]]:
    """
    The path of every free parameter, ending in its attribute and its own name, which
    are the same unless the attribute is a tuple: `(..., "mass", "centre", "centre_0")`
    but `(..., "mass", "einstein_radius", "einstein_radius")`.
    """
    return [
        path if path[-1].startswith(f"{path[-2]}_") else (*path, path[-1])
        for path in model.unique_prior_paths
    ]


def batch_from(instances: list[af.ModelInstance]) -> af.ModelInstance:
    """
    A batch: an instance whose leaves have one more axis, a member each.

    `autofit_patch.batch.stack` makes the same. Importing it gives the process a device
    for each core, which a profile of one device must not have.
    """
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *instances)
