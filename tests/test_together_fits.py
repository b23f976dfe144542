"""
Fits evaluated together: the likelihoods are those of one by one, and of NumPy.
"""

import autofit as af
import autogalaxy as ag
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fit_cases import (
    CASES,
    RECTANGULAR,
    Case,
    adapt_images,
    basis,
    galaxy_image_fit,
    image_fit,
    imaging,
    lens_model_from,
    pixelization,
    visibility_fit,
)

import autolens_patch

#: What the libraries cannot do under JAX, as ``test_fits.py`` says.
LIMITS = ("positions, pairs", "ellipse of free size")

#: A solver of positions takes seconds to compile: "positions, solved" has the same one.
SLOW = "positions, all pairs", "positions, repeated pairs", "time delays"

#: The cases that are compared with one by one too: NumPy differs by more than rounding.
PLAIN = (
    *("image, linear light", "image, linear light and mesh"),
    *("image, mesh of the brightness", "visibilities, linear light"),
    *("galaxy image", "galaxy image, linear light"),
)


def together_and_plain(function, *arguments) -> list:
    results = []
    for on in (True, False):
        with autolens_patch.evaluate_together(on):
            results.append(jax.jit(function)(*arguments))
    return results


def likelihood_of(case: Case):
    analysis = case.analysis_from(use_jax=True)
    return lambda instance: analysis.log_likelihood_function(instance)


def numpy_likelihood_of(case: Case) -> float:
    analysis = case.analysis_from(use_jax=False)
    return analysis.log_likelihood_function(case.instance_from())


def assert_likelihood_is_the_same(case: Case, plain: bool = True):
    likelihood, instance = likelihood_of(case), case.instance_from()
    with autolens_patch.evaluate_together():
        together = float(jax.jit(likelihood)(instance))
    assert together == pytest.approx(float(numpy_likelihood_of(case)), rel=1e-8)
    if plain:
        assert together == pytest.approx(float(jax.jit(likelihood)(instance)), rel=1e-12)


@pytest.mark.parametrize("name", [n for n in CASES if n not in (*LIMITS, *SLOW)])
def test_likelihood_is_that_of_one_by_one_and_of_numpy(name):
    assert_likelihood_is_the_same(CASES[name](), plain=name in PLAIN)


def many_masses(source: dict, redshift: float = 0.5) -> af.Collection:
    """A lens of spheres, two of which share their centre, and two more galaxies."""
    spheres = {"halo": al.mp.IsothermalSph, "clump": al.mp.IsothermalSph}
    model = lens_model_from(source, spheres)
    model.galaxies.lens.clump.centre = model.galaxies.lens.halo.centre
    for index in range(2):
        galaxy = af.Model(al.Galaxy, redshift=redshift, mass=al.mp.IsothermalSph)
        setattr(model.galaxies, f"galaxy_{index}", galaxy)
    return model


def basis_from(cls, **others) -> af.Model:
    """Gaussians and Sersics in turn, which share a centre and an ellipticity."""
    gaussians = af.Model(cls, profile_list=[], **others)
    first, *_ = profiles = [
        af.Model(kind)
        for kind in (al.lp_linear.Gaussian, al.lp_linear.Sersic) * 2
    ]
    for index, profile in enumerate(profiles):
        profile.centre = first.centre
        profile.ell_comps = first.ell_comps
        if index % 2 == 0:
            profile.sigma = 0.3 * (index + 1)
    return af.Model(al.lp_basis.Basis, profile_list=profiles, **others)


def dataset_from(psf=None, sizes=2, mask=None) -> al.Imaging:
    """The image with another PSF, number of sub-pixels or mask."""
    data = al.Imaging(
        data=imaging_without_mask().data,
        noise_map=imaging_without_mask().noise_map,
        psf=psf or imaging().psf,
    ).apply_mask(mask=mask or imaging().mask)
    return data.apply_over_sampling(over_sample_size_lp=sizes)
