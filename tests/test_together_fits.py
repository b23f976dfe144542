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

#: A solver of positions takes seconds to compile. Those of these fits are that of
#: "positions, solved", and the deflections of these fluxes are those of "fluxes".
SLOW = (
    *("positions, all pairs", "positions, repeated pairs", "time delays"),
    *("fluxes, solved", "positions in the source, solved"),
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


@pytest.mark.parametrize("name", [n for n in CASES if n not in (*LIMITS, *SLOW)])
def test_likelihood_is_that_of_one_by_one_and_of_numpy(name):
    case = CASES[name]()
    together, plain = together_and_plain(likelihood_of(case), case.instance_from())
    assert together == pytest.approx(plain, rel=1e-12)
    assert together == pytest.approx(numpy_likelihood_of(case), rel=1e-8)


#: Lenses of several masses of a kind, in one plane and in two.
MASSES = {"halo": al.mp.IsothermalSph, "clump": al.mp.IsothermalSph}


def clump() -> af.Model:
    return af.Model(al.Galaxy, redshift=0.5, mass=al.mp.IsothermalSph)


def many_masses(source: dict, redshift: float = 0.5) -> af.Collection:
    """A lens of three spheres, of which two share their centre, and three of others."""
    model = lens_model_from(source, dict(MASSES))
    model.galaxies.lens.clump.centre = model.galaxies.lens.halo.centre
    for index in range(3):
        galaxy = af.Model(al.Galaxy, redshift=redshift, mass=al.mp.IsothermalSph)
        setattr(model.galaxies, f"galaxy_{index}", galaxy)
    return model


def regularized(profiles, regularization=al.reg.Constant):
    return af.Model(
        al.lp_basis.Basis, profile_list=profiles, regularization=regularization
    )


def mixed_profiles() -> list:
    """Gaussians and Sersics in turn."""
    profiles = [
        af.Model(cls)
        for cls in (al.lp_linear.Gaussian, al.lp_linear.Sersic) * 2
    ]
    for index, profile in enumerate(profiles[::2]):
        profile.sigma = 0.3 * (index + 1)
    return profiles
