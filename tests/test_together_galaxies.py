"""
Galaxies, planes and tracers evaluated together: the figures are those of one by one, and
of NumPy.
"""

import autofit as af
import autogalaxy as ag
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import together_and_plain

import autofit_patch

MASK = al.Mask2D.circular(
    shape_native=(9, 9), pixel_scales=0.4, radius=1.3, centre=(0.2, -0.2)
)

GRIDS = {
    "4x4 sub-pixels": al.Grid2D.from_mask(mask=MASK, over_sample_size=4),
    "different numbers of sub-pixels": al.Grid2D.from_mask(
        mask=MASK,
        over_sample_size=al.Array2D(
            np.random.default_rng(1).choice([1, 2, 4], MASK.pixels_in_mask), mask=MASK
        ),
    ),
    "points": al.Grid2DIrregular([(1.0, 0.4), (-0.7, -1.3), (0.2, 0.3)]),
}


def gaussians_from(count: int, cls=al.lp.Gaussian, **others) -> list:
    return [
        cls(centre=(0.1, 0.05), ell_comps=(0.1, 0.02), sigma=0.2 * (i + 1), **others)
        for i in range(count)
    ]


def mixed_basis() -> al.lp_basis.Basis:
    """Gaussians and Sersics in turn, with Gaussians of another centre."""
    first, second, third = gaussians_from(3, intensity=0.3)
    return al.lp_basis.Basis(
        profile_list=[
            first,
            al.lp.Sersic(effective_radius=0.7, intensity=0.2),
            second,
            al.lp.Sersic(effective_radius=0.4, intensity=0.4),
            al.lp.Gaussian(centre=(0.2, 0.1), sigma=0.9),
            third,
        ]
    )


def mass_basis(more: float = 0.0) -> al.lp_basis.Basis:
    radii = (0.2, 0.3, 0.1 + more)
    masses = [al.mp.IsothermalSph(centre=(0.3, -0.2), einstein_radius=r) for r in radii]
    return al.lp_basis.Basis(profile_list=masses)


def galaxy_from(redshift: float, index: float, **others) -> al.Galaxy:
    """A galaxy whose light is of two kinds in turn."""
    return al.Galaxy(
        redshift=redshift,
        bulge=al.lp.Sersic(centre=(0.1 * index, 0.03), effective_radius=0.5),
        dot=al.lp.ExponentialSph(centre=(0.1 * index, 0.03), effective_radius=0.2),
        disk=al.lp.Sersic(centre=(0.1 * index, 0.03), effective_radius=0.8 + 0.1 * index),
        mass=al.mp.IsothermalSph(centre=(0.0, 0.1 * index), einstein_radius=0.3),
        clump=al.mp.IsothermalSph(centre=(0.5, 0.1 * index), einstein_radius=0.1),
        **others,
    )


OPERATED = {
    "psf": al.lp_operated.Gaussian(centre=(0.07, 0.03), sigma=0.3),
    "psf_wing": al.lp_operated.Gaussian(centre=(0.07, 0.03), sigma=0.6),
}

PARTS = {
    "a galaxy": lambda: galaxy_from(0.5, 1, basis=mixed_basis(), masses=mass_basis()),
    "a galaxy of one profile": lambda: al.Galaxy(
        redshift=0.5, light=al.lp.Sersic(), mass=al.mp.IsothermalSph()
    ),
    "a galaxy of nothing": lambda: al.Galaxy(redshift=0.5),
    "a galaxy with linear light": lambda: galaxy_from(
        0.5, 1, linear=al.lp_linear.Gaussian(), lines=al.lp_linear.Gaussian(sigma=0.4)
    ),
    "a galaxy with operated light": lambda: galaxy_from(0.5, 1, **OPERATED),
    "galaxies of one plane": lambda: ag.Galaxies(
        [galaxy_from(0.5, 1), galaxy_from(0.5, 2, **OPERATED), al.Galaxy(redshift=0.5)]
    ),
    "a galaxy with bases of mass alone": lambda: galaxy_from(
        0.5, 1, one=mass_basis(), two=mass_basis(), three=mass_basis(0.1)
    ),
    "a tracer of three planes": lambda: al.Tracer(
        [
            *(galaxy_from(0.5, 1), galaxy_from(0.5, 2)),
            *(galaxy_from(0.8, 3, masses=mass_basis()), galaxy_from(0.8, 4, **OPERATED)),
            *(galaxy_from(1.5, 5), galaxy_from(1.5, 6)),
        ]
    ),
}


def figures_of(obj, grid, xp) -> list:
    """All that the libraries sum or list over the profiles of galaxies."""
    arguments = {"grid": grid, "xp": xp}
    figures = [
        obj.image_2d_from(**arguments),
        *obj.image_2d_list_from(**arguments),
        obj.deflections_yx_2d_from(**arguments),
        obj.convergence_2d_from(**arguments),
        obj.potential_2d_from(**arguments),
    ]
    if isinstance(obj, al.Tracer):
        figures += obj.traced_grid_2d_list_from(**arguments)
    else:
        figures += [
            obj.image_2d_from(operated_only=only, **arguments) for only in (False, True)
        ]
    return [xp.asarray(getattr(figure, "array", figure)) for figure in figures]


#: How far the libraries' Gaussians are on NumPy from what they are on JAX.
NUMPY = 1e-6


def assert_same(found, expected, rtol: float):
    assert len(found) == len(expected)
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        scale = np.max(np.abs(other), initial=0.0)
        np.testing.assert_allclose(
            *(one, other), rtol=rtol, atol=rtol * scale, err_msg=f"figure {index}"
        )


@pytest.mark.parametrize(
    ("part", "grid"),
    [(part, "different numbers of sub-pixels") for part in PARTS]
    + [("a galaxy with operated light", grid) for grid in ("4x4 sub-pixels", "points")],
)
def test_figures_are_those_of_one_by_one_and_of_numpy(part, grid):
    obj, grid = PARTS[part](), GRIDS[grid]
    together, plain = together_and_plain(lambda obj: figures_of(obj, grid, jnp), obj)
    assert_same(together, plain, 1e-12)
    assert_same(together, figures_of(obj, grid, np), NUMPY)


class Shifted(al.mp.IsothermalSph):
    """It gives the constructor of its base another radius."""

    def __init__(self, centre=(0.0, 0.0), einstein_radius=1.0):
        super().__init__(centre=centre, einstein_radius=2.0 * einstein_radius)


def with_another_sigma(profile):
    profile.sigma = 1.1 * profile.sigma
    return profile


#: Constants of a dPIE whose only parameter is its velocity dispersion.
OF_SIGMA = {
    **{"r_core": 0.3, "r_cut": 5.0, "H0": 67.66, "Om0": 0.30966},
    **{"redshift_object": 0.5, "redshift_source": 1.0},
}

#: Classes, what is done to one of their profiles in a trace, and their constants.
OF_MODELS = {
    "a base is given something else": (Shifted, lambda profile: profile, {}),
    "a parameter was set": (al.mp.dPIEMassSph, with_another_sigma, OF_SIGMA),
}


@pytest.mark.parametrize("case", OF_MODELS)
def test_profiles_that_their_constructors_would_not_make_again_are_as_one_by_one(case):
    cls, edit, constants = OF_MODELS[case]
    profiles = {
        key: af.Model(cls, centre=(0.1 * index, 0.0), **constants)
        for index, key in enumerate("abc")
    }
    model = af.Collection(lens=af.Model(al.Galaxy, redshift=0.5, **profiles))
    instance = model.instance_from_vector([0.7, 0.8, 0.9])

    def deflections(instance):
        edit(instance.lens.b)
        grid = GRIDS["points"]
        return instance.lens.deflections_yx_2d_from(grid=grid, xp=jnp).array

    for function in (deflections, jax.jacfwd(deflections)):
        leaves = map(jax.tree.leaves, together_and_plain(function, instance))
        for one, other in zip(*leaves, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def linear_light_from(profiles, psf=None, xp=jnp, **settings):
    """The columns of linear light before and after they are blurred."""
    grid = GRIDS["different numbers of sub-pixels"]
    if psf is None:
        blurring_grid = None
    else:
        # A PSF of finer pixels blurs the sub-pixels that it is given for.
        size = psf.convolve_over_sample_size
        if size > 1:
            grid = al.Grid2D.from_mask(mask=MASK, over_sample_size=size)
        blurring_grid = al.Grid2D.from_mask(
            mask=MASK.derive_mask.blurring_from(kernel_shape_native=(3, 3)),
            over_sample_size=size,
        )
    linear = al.LightProfileLinearObjFuncList(
        grid=grid,
        blurring_grid=blurring_grid,
        psf=psf,
        light_profile_list=profiles,
        regularization=None,
        settings=al.Settings(**settings),
        xp=xp,
    )
    if psf is None:
        return [linear.mapping_matrix]
    return [linear.mapping_matrix, linear.operated_mapping_matrix_override]


def psf_from(size=(3, 3), use_fft=True, **others) -> al.Convolver:
    kernel = np.random.default_rng(1).uniform(size=size)
    scale = 0.4 / others.get("convolve_over_sample_size", 1)
    kernel = al.Array2D.no_mask(kernel, pixel_scales=scale)
    return al.Convolver(kernel=kernel, use_fft=use_fft, **others)


LINEAR = [
    al.lp_linear.Gaussian(centre=(0.07, 0.03), sigma=0.3),
    al.lp_linear.Sersic(effective_radius=0.7),
    al.lp_linear.Gaussian(centre=(0.07, 0.03), sigma=0.6),
    al.lp_linear.Sersic(effective_radius=0.4),
    al.lp_linear.Gaussian(centre=(0.2, 0.1), sigma=0.9),
]

#: Light profiles, and what else columns of linear light are made with.
COLUMNS = {
    "mixed": (LINEAR, {}),
    "one": (LINEAR[:1], {}),
    "the same twice": ([LINEAR[0], LINEAR[1], LINEAR[0]], {}),
    "operated": (
        [al.lp_linear_operated.Gaussian((0.07, 0.03), sigma=s) for s in (0.3, 0.5)],
        {},
    ),
    "mixed precision": (LINEAR[:3], {"use_mixed_precision": True}),
    "no PSF": (LINEAR, {"psf": None}),
    "PSF of finer pixels": (LINEAR, {"psf": psf_from(convolve_over_sample_size=2)}),
    "PSF in real space": (LINEAR[:3], {"psf": psf_from(use_fft=False)}),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_of_linear_light_are_in_the_order_of_the_profiles(case):
    profiles, others = COLUMNS[case]
    others = {"psf": psf_from()} | others
    together, plain = together_and_plain(
        lambda profiles: linear_light_from(profiles, **others), profiles
    )
    assert [each.dtype for each in together] == [each.dtype for each in plain]
    assert_same(together, plain, 1e-12)
    assert_same(together, linear_light_from(profiles, xp=np, **others), NUMPY)


@autofit_patch.register
class Doubled(al.Galaxy):
    """A galaxy that does something in its own way."""

    def deflections_yx_2d_from(self, grid, xp=np, **kwargs):
        return 2.0 * super().deflections_yx_2d_from(grid=grid, xp=xp)

    def image_2d_from(self, grid, xp=np, operated_only=None):
        return 2.0 * super().image_2d_from(grid=grid, xp=xp, operated_only=operated_only)


@autofit_patch.register
class Unlensed(al.Tracer):
    """A tracer that does something in its own way."""

    def traced_grid_2d_list_from(self, grid, xp=np, plane_index_limit=None):
        return [grid] * (1 + plane_index_limit)

    def deflections_yx_2d_from(self, grid, xp=np):
        return ag.Galaxies(self.galaxies).deflections_yx_2d_from(grid=grid, xp=xp)


@pytest.mark.parametrize("make", [ag.Galaxies, al.Tracer, Unlensed])
def test_classes_of_users_do_things_in_their_own_way(make):
    grid = al.Grid2D.uniform(shape_native=(3, 3), pixel_scales=1.0)
    galaxies = [
        cls(
            redshift,
            mass=al.mp.IsothermalSph(centre=(0.1 * redshift, 0.05)),
            light=al.lp.SersicSph(centre=(0.1, 0.05 * redshift)),
        )
        for cls in (Doubled, al.Galaxy)
        for redshift in (0.5, 1.0)
    ]

    def figures(galaxies):
        made = make(galaxies)
        return [
            made.deflections_yx_2d_from(grid=grid, xp=jnp).array,
            made.image_2d_from(grid=grid, xp=jnp).array,
        ]

    together, plain = together_and_plain(figures, galaxies)
    for found, expected in zip(together, plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def overriding(cls, name, changed):
    """A class of a user's whose function returns something else."""

    def function(self, *args, **kwargs):
        return changed(getattr(super(own, self), name)(*args, **kwargs))

    own = type(f"My{cls.__name__}", (cls,), {name: function})
    return own


def twice(images) -> list:
    return [2.0 * image for image in images]


GRID = al.Grid2D.uniform(shape_native=(4, 4), pixel_scales=0.4)


def lights(scale, cls=al.lp.Gaussian) -> list:
    return [cls(ell_comps=(0.1, 0.05), sigma=scale * factor) for factor in (1.0, 2.0)]


def image_of(light, xp):
    return light.image_2d_from(grid=GRID, xp=xp).array


def image_of_galaxy(scale, xp, within=lambda galaxy: galaxy):
    galaxy = overriding(al.Galaxy, "image_2d_list_from", twice)
    first, second = lights(scale)
    return image_of(within(galaxy(0.5, first=first, second=second)), xp)


def image_of_galaxies(scale, xp):
    galaxies = overriding(ag.Galaxies, "image_2d_list_from", twice)
    return image_of(galaxies([al.Galaxy(0.5, light=each) for each in lights(scale)]), xp)


def image_of_basis(scale, xp):
    basis = overriding(al.lp_basis.Basis, "image_2d_list_from", twice)
    return image_of(basis(profile_list=lights(scale)), xp)


def convergence_of_what_has_no_mass(scale, xp):
    galaxy = overriding(al.Galaxy, "has", lambda _: False)
    masses = {
        f"mass_{factor}": al.mp.IsothermalSph(einstein_radius=scale * factor)
        for factor in (1, 2)
    }
    galaxies = ag.Galaxies([galaxy(0.5, **masses)])
    return galaxies.convergence_2d_from(grid=GRID, xp=xp).array


def columns_of(cls, scale, xp, psf=None):
    mask = al.Mask2D.circular(shape_native=(9, 9), pixel_scales=0.4, radius=1.0)
    blurring = mask.derive_mask.blurring_from(kernel_shape_native=(3, 3))
    linear = cls(
        grid=al.Grid2D.from_mask(mask, over_sample_size=1),
        blurring_grid=al.Grid2D.from_mask(blurring, over_sample_size=1),
        psf=psf,
        light_profile_list=lights(scale, al.lp_linear.Gaussian),
        regularization=None,
        xp=xp,
    )
    return linear.operated_mapping_matrix_override if psf else linear.mapping_matrix


def columns_of_linear_light(scale, xp):
    functions = al.LightProfileLinearObjFuncList
    return columns_of(overriding(functions, "_image_slim_list_from", twice), scale, xp)


def columns_blurred_by_a_psf(scale, xp):
    psf = overriding(al.Convolver, "convolved_image_from", lambda image: 2.0 * image)
    kernel = np.random.default_rng(1).uniform(size=(3, 3))
    kernel = al.Array2D.no_mask(kernel, pixel_scales=0.4)
    psf = psf(kernel=kernel, use_fft=True)
    return columns_of(al.LightProfileLinearObjFuncList, scale, xp, psf)


OVERRIDES = {
    "galaxy": image_of_galaxy,
    "galaxy of galaxies": lambda scale, xp: image_of_galaxy(
        scale, xp, lambda galaxy: ag.Galaxies([galaxy, al.Galaxy(0.5)])
    ),
    "galaxies": image_of_galaxies,
    "basis": image_of_basis,
    "galaxy without mass": convergence_of_what_has_no_mass,
    "linear light": columns_of_linear_light,
    "PSF": columns_blurred_by_a_psf,
}


@pytest.mark.parametrize("name", OVERRIDES)
def test_whatever_a_class_of_a_user_overrides_is_kept(name):
    function = OVERRIDES[name]
    together, plain = together_and_plain(lambda scale: function(scale, jnp), 0.5)
    np.testing.assert_allclose(together, plain, rtol=1e-12, atol=1e-14)
    if name != "PSF":  # the libraries' columns on NumPy are not of this function
        np.testing.assert_allclose(together, function(0.5, np), rtol=1e-10, atol=1e-12)
