"""
Fits evaluated together: the likelihoods are those of one by one, and of NumPy.
"""

from functools import partial

import autofit as af
import autogalaxy as ag
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import together_and_plain
from fit_cases import (
    CASES,
    IMAGE,
    VALUES,
    Case,
    basis,
    galaxy_image_fit,
    galaxy_model_from,
    image_fit,
    imaging,
    lens_model_from,
)

import autolens_patch
from autogalaxy_patch.together import _evaluate

#: What the libraries cannot do under JAX, as ``test_fits.py`` says.
LIMITS = ("positions, pairs", "ellipse of free size")

#: A solver of positions takes seconds to compile, and asks for the deflections that
#: "positions in the source" has. The others are parts of those that are compared, or have
#: no profiles.
LEFT_OUT = (
    *("positions, solved", "ellipse", "ellipse with a multipole"),
    *("image, Delaunay mesh", "galaxy image, rectangular mesh"),
    *("positions, all pairs", "positions, repeated pairs", "time delays"),
    *("positions in the source, solved", "fluxes, solved", "time delays, solved"),
    *("image, rectangular mesh", "image, mesh of the density", "image with a sky"),
    *("image, linear light", "reduced shear", "galaxy visibilities, rectangular mesh"),
)

#: "sigma" is that of a profile which is not in any of the cases.
VALUES.setdefault("sigma", 0.5)

#: The fits that are compared with one by one too: NumPy differs by more than rounding.
PLAIN = (
    *("image, linear light and mesh", "visibilities, linear light"),
    *("galaxy image", "galaxy image, linear light", "masses in two planes"),
    *("mixed basis", "different numbers of sub-pixels", "mixed precision"),
    "PSF of finer pixels",
)


@pytest.fixture(autouse=True)
def images_that_do_not_fit_the_cache(monkeypatch):
    """Two of these small images are taken for as many as do."""
    monkeypatch.setattr(_evaluate, "at_once_from", lambda bytes_of_a_row: 2)


def likelihood_of(case: Case):
    analysis = case.analysis_from(use_jax=True)
    return lambda instance: analysis.log_likelihood_function(instance)


def numpy_likelihood_of(case: Case) -> float:
    analysis = case.analysis_from(use_jax=False)
    return analysis.log_likelihood_function(case.instance_from())


def assert_likelihood_is_the_same(case: Case, plain: bool, rtol: float = 1e-8):
    likelihood, instance = likelihood_of(case), case.instance_from()
    with autolens_patch.evaluate_together():
        together = float(jax.jit(likelihood)(instance))
    assert together == pytest.approx(float(numpy_likelihood_of(case)), rel=rtol)
    if plain:
        assert together == pytest.approx(float(jax.jit(likelihood)(instance)), rel=1e-12)


@pytest.mark.parametrize("name", [n for n in CASES if n not in (*LIMITS, *LEFT_OUT)])
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


def basis_from(profiles, **others) -> af.Model:
    """A basis whose profiles share a centre, and each kind of them an ellipticity."""
    profiles = [af.Model(profile) for profile in profiles]
    first = {}
    for index, profile in enumerate(profiles):
        profile.centre = profiles[0].centre
        profile.ell_comps = first.setdefault(profile.cls, profile).ell_comps
        if hasattr(profile, "sigma"):
            profile.sigma = 0.2 * (index + 1)
    return af.Model(al.lp_basis.Basis, profile_list=profiles, **others)


GAUSSIANS = [al.lp_linear.Gaussian] * 3
MIXED = [al.lp_linear.Gaussian, al.lp_linear.Sersic] * 2


def galaxy_fit(profiles=GAUSSIANS, regularization=None, others=None, **settings) -> Case:
    """
    A fit of a galaxy's image.

    Parameters
    ----------
    profiles, regularization
        Those of a basis.
    others
        The other light of the galaxy.
    settings
        Those of the dataset, the analysis and its solver: a PSF, the numbers of
        sub-pixels, a mask.
    """
    model = galaxy_model_from(
        basis=basis_from(profiles, regularization=regularization), **(others or {})
    )
    precision = al.Settings(use_mixed_precision=settings.pop("mixed", False))
    dataset = dataset_from(**settings)
    return Case(model, partial(ag.AnalysisImaging, dataset, settings=precision))


def dataset_from(psf=None, mask=None, **others) -> al.Imaging:
    """The image, as it is if the fit of a galaxy has nothing else to be fitted with."""
    everything = imaging().data.native
    return al.Imaging(
        data=al.Array2D.no_mask(everything.array, pixel_scales=IMAGE["pixel_scales"]),
        noise_map=al.Array2D.full(0.1, **IMAGE),
        psf=psf or psf_from((3, 3)),
        **{"over_sample_size_lp": 2, **others},
    ).apply_mask(mask=mask or al.Mask2D.circular(radius=1.2, **IMAGE))


def psf_from(size, pixel_scales=0.3, **others) -> al.Convolver:
    kernel = np.random.default_rng(1).uniform(size=size)
    kernel = al.Array2D.no_mask(kernel, pixel_scales=pixel_scales)
    return al.Convolver(kernel=kernel, **{"use_fft": True, **others})


def different_sizes() -> al.Array2D:
    sizes = np.random.default_rng(1).choice([1, 2, 4], IMAGE["shape_native"])
    return al.Array2D.no_mask(sizes, pixel_scales=IMAGE["pixel_scales"])


#: Fits whose profiles are evaluated together in other ways than those of ``CASES``.
OTHERS = {
    "masses in two planes": lambda: image_fit(many_masses({"light": al.lp.Sersic}, 0.8)),
    "visibilities of many masses": lambda: Case(
        many_masses({"bulge": basis()}), CASES["visibilities"]().analysis_from
    ),
    "positions of many masses": lambda: Case(
        many_masses({"point": al.ps.Point}),
        CASES["positions in the source"]().analysis_from,
    ),
    "shear of many masses": lambda: Case(many_masses({}), CASES["shear"]().analysis_from),
    "mixed basis": lambda: galaxy_fit(MIXED),
    "regularized basis": lambda: galaxy_fit(regularization=al.reg.Constant),
    "operated light beside linear light": lambda: galaxy_fit(
        others={"psf": al.lp_linear_operated.Gaussian, "wing": al.lp_operated.Gaussian}
    ),
    "standard light beside linear light": lambda: galaxy_fit(
        others={"bulge": al.lp.Sersic, "disk": al.lp.Sersic}
    ),
    "operated basis": lambda: galaxy_fit([al.lp_linear_operated.Gaussian] * 3),
    "4x4 sub-pixels": lambda: galaxy_fit(over_sample_size_lp=4),
    "different numbers of sub-pixels": lambda: galaxy_fit(
        over_sample_size_lp=different_sizes()
    ),
    "even, oblong PSF": lambda: galaxy_fit(psf=psf_from((4, 3))),
    "PSF of finer pixels": lambda: galaxy_fit(
        psf=psf_from((3, 3), 0.15), convolve_over_sample_size_lp=2
    ),
    "mixed precision": lambda: galaxy_fit(mixed=True),
}


@pytest.mark.parametrize("name", OTHERS)
def test_likelihood_of_profiles_of_a_kind_is_that_of_one_by_one(name):
    # In single precision NumPy has numbers of its own.
    rtol = 1e-4 if name == "mixed precision" else 1e-8
    assert_likelihood_is_the_same(OTHERS[name](), plain=name in PLAIN, rtol=rtol)


def test_gradients_of_a_batch_are_those_of_one_by_one():
    case = CASES["galaxy image, linear light"]()
    instances = [case.instance_from(factor) for factor in (1.0, 1.05)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *instances)
    together, plain = together_and_plain(
        jax.vmap(jax.value_and_grad(likelihood_of(case))), batch
    )
    assert len(set(together[0].tolist())) == 2
    for found, expected in zip(*map(jax.tree.leaves, (together, plain)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize(
    "name",
    [
        *("galaxy image, linear light", "visibilities, linear light"),
        *("visibilities, rectangular mesh", "galaxy visibilities"),
    ],
)
def test_gradient_of_a_jitted_likelihood_is_that_of_one_by_one(name):
    case = CASES[name]()
    likelihood, gradients = likelihood_of(case), []
    for on in (True, False):
        with autolens_patch.evaluate_together(on):
            gradient = jax.grad(jax.jit(lambda instance: likelihood(instance)))
            gradients.append(np.array(jax.tree.leaves(gradient(case.instance_from()))))
    scale = np.abs(gradients[1]).max()
    assert scale > 0.0
    np.testing.assert_allclose(*gradients, rtol=1e-8, atol=1e-9 * scale)


def test_hessian_is_that_of_one_by_one():
    """Of light that is not solved for: the libraries' solver has no second derivative."""
    case = galaxy_image_fit(bulge=ag.lp.Gaussian, disk=ag.lp.Gaussian)
    leaves, structure = jax.tree.flatten(case.instance_from())
    likelihood = likelihood_of(case)

    def function(vector):
        return likelihood(jax.tree.unflatten(structure, list(vector)))

    together, plain = together_and_plain(jax.hessian(function), jnp.array(leaves))
    assert np.abs(plain).min() > 0.0
    scale = np.abs(plain).max()
    np.testing.assert_allclose(together, plain, rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize("mixed", [False, True])
def test_matrices_of_linear_objects_are_those_of_one_by_one(mixed):
    case = CASES["image, linear light and mesh"]()
    analysis = case.analysis_from(use_jax=True)
    analysis.settings = al.Settings(use_mixed_precision=mixed)

    def matrices(instance):
        return analysis.fit_from(instance).inversion.operated_mapping_matrix_list

    together, plain = together_and_plain(matrices, case.instance_from())
    assert len(together) == len(plain) > 1
    for found, expected in zip(together, plain, strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(
            found, expected, rtol=1e-5 if mixed else 1e-9, atol=1e-9
        )
