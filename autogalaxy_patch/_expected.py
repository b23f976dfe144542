"""
Every internal of PyAutoArray and PyAutoGalaxy that the patch relies on, and a model of
PyAutoGalaxy with which newer releases are checked.
"""

import inspect
from functools import partial

import autoarray as aa
import autofit as af
import autogalaxy as ag
from autoarray import abstract_ndarray
from autoarray.dataset.abstract.dataset import AbstractDataset
from autoarray.dataset.grids import GridsDataset
from autoarray.fit import fit_util
from autoarray.operators.convolver import ConvolverState

from autofit_patch.libraries._check import SmallModel
from autofit_patch.libraries._expected import takes
from autofit_patch.libraries._required import require
from autofit_patch.pytree._registration import has_no_hook_of_its_own
from autogalaxy_patch import _classes


def sets(cls: type, *names: str) -> bool:
    """
    Whether the constructor of a class sets attributes with these names. (To make an
    object of it may start JAX, which an import must not.)
    """
    return set(names) <= set(cls.__init__.__code__.co_names)


EXPECTED_OF_AUTOARRAY = {
    "Imaging.data, noise_map, psf, grids": lambda: (
        sets(AbstractDataset, "data", "noise_map") and sets(aa.Imaging, "psf", "grids")
    ),
    "Convolver.kernel, _state, _use_fft, convolve_over_sample_size": lambda: sets(
        aa.Convolver, "kernel", "_state", "_use_fft", "convolve_over_sample_size"
    ),
    "Convolver.state_from(mask)": lambda: (
        takes(aa.Convolver.state_from, "self", "mask")
        and takes(aa.Convolver._over_sampled_state_from, "self", "mask")
    ),
    "ConvolverState.kernel, fft_shape, fft_kernel": lambda: sets(
        ConvolverState,
        *("kernel", "fft_shape", "fft_kernel", "fft_kernel_mapping", "fft_kernel_c64"),
    ),
    "GridsDataset._lp": lambda: sets(GridsDataset, "_lp"),
    "Grid2D.subtracted_and_rotated_from(offset, angle, xp)": lambda: takes(
        aa.Grid2D.subtracted_and_rotated_from, "self", "offset", "angle", "xp"
    ),
    "TransformerNUFFT.grid, _x, _y, _shift, eps, chunk_size": lambda: sets(
        aa.TransformerNUFFT, "grid", "_x", "_y", "_shift", "eps", "chunk_size"
    ),
    "noise_normalization_complex_from(noise_map, xp)": lambda: takes(
        fit_util.noise_normalization_complex_from, "noise_map", "xp"
    ),
    "autoarray.abstract_ndarray._pytree_registered_classes": lambda: isinstance(
        abstract_ndarray._pytree_registered_classes, set
    ),
}

EXPECTED = {
    **{
        f"{base.__name__} without __init_subclass__": partial(
            has_no_hook_of_its_own, base
        )
        for base in (*_classes.BASES, ag.Galaxies, aa.Imaging, aa.Interferometer)
        if isinstance(base, type)
    },
    "classes as bases": lambda: all(isinstance(base, type) for base in _classes.BASES),
    "Galaxy(redshift, **kwargs)": lambda: takes(ag.Galaxy, "redshift", "kwargs"),
    "Galaxies(galaxies), a list": lambda: (
        takes(ag.Galaxies, "galaxies") and issubclass(ag.Galaxies, list)
    ),
    "Galaxy.redshift": lambda: ag.Galaxy(redshift=0.5).redshift == 0.5,
    "profiles that keep their arguments": lambda: (
        ag.mp.IsothermalSph(einstein_radius=2.0).einstein_radius == 2.0
    ),
    "FlatLambdaCDM(H0, Om0, Tcmb0, Neff, m_nu, Ob0)": lambda: takes(
        ag.cosmo.FlatLambdaCDM, "H0", "Om0", "Tcmb0", "Neff", "m_nu", "Ob0"
    ),
    "FlatLambdaCDM._dist_cache": lambda: any(
        "_dist_cache" in method.__code__.co_names + method.__code__.co_consts
        for _, method in inspect.getmembers(ag.cosmo.FlatLambdaCDM, inspect.isfunction)
    ),
}


def check():
    """
    Look at every internal of PyAutoArray and PyAutoGalaxy that the patch relies on.

    Raises
    ------
    ImportError
        If one is not as it was in the releases that the patch was tested with. The
        message lists them.
    """
    require("autoarray", EXPECTED_OF_AUTOARRAY)
    require("autogalaxy", EXPECTED)


def small_model() -> SmallModel:
    """A galaxy whose mass and light have one centre."""
    priors = [af.UniformPrior(lower_limit=0.0, upper_limit=10.0) for _ in range(5)]
    y, x, einstein_radius, intensity, effective_radius = priors
    centre = af.TuplePrior(centre_0=y, centre_1=x)
    mass = af.Model(ag.mp.IsothermalSph, centre=centre, einstein_radius=einstein_radius)
    light = af.Model(
        ag.lp.ExponentialSph,
        centre=centre,
        intensity=intensity,
        effective_radius=effective_radius,
    )
    lens = af.Model(ag.Galaxy, redshift=0.5, mass=mass, light=light)
    model = af.Collection(galaxies=af.Collection(lens=lens))

    def loss(instance):
        lens = instance.galaxies.lens
        return lens.mass.einstein_radius * lens.light.centre[1] * lens.light.intensity

    return SmallModel(
        library="autogalaxy",
        make=model.instance_from_vector,
        vector=(0.25, 0.5, 1.5, 4.0, 0.75),
        names=(
            ".galaxies.lens.light.centre.centre_0",
            ".galaxies.lens.light.centre.centre_1",
            ".galaxies.lens.mass.einstein_radius",
            ".galaxies.lens.light.intensity",
            ".galaxies.lens.light.effective_radius",
        ),
        loss=loss,
        gradient=(0.0, 6.0, 2.0, 0.75, 0.0),
    )
