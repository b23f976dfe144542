"""
Which functions of PyAutoArray and PyAutoGalaxy are replaced, under JAX and as long as
profiles are evaluated together.
"""

from types import SimpleNamespace

import autoarray as aa
import autogalaxy as ag
import jax
import jax.numpy as jnp
import numpy as np
from autoarray.inversion.inversion import inversion_util
from autoarray.inversion.inversion.imaging.abstract import AbstractInversionImaging
from autoarray.operators.over_sampling.over_sampler import OverSampler
from autogalaxy.profiles.light.linear import (
    LightProfileLinear,
    LightProfileLinearObjFuncList,
)
from autogalaxy.profiles.light.operated.abstract import LightProfileOperated

from autofit_patch.pytree._made import holds_tracer
from autogalaxy_patch.together._binning import binned, binning_of
from autogalaxy_patch.together._convolution import frame_from
from autogalaxy_patch.together._evaluate import (
    listed,
    shared_by_cores,
    stacked,
    with_array,
)
from autogalaxy_patch.together._linear import curvature_from
from autogalaxy_patch.together._sum import (
    Sum,
    each_of,
    light_profiles_of,
    mass_profiles_of,
)
from autogalaxy_patch.together._switch import overrides, replaces
from autogalaxy_patch.together._transform import matrix_from

QUANTITIES = "deflections_yx_2d_from", "convergence_2d_from", "potential_2d_from"
IMAGES = "image_2d_from", "image_2d_unbinned_from"


def mass_of_galaxy(original, self, grid, xp=np, **kwargs):
    profiles = mass_profiles_of(self)
    return original(Sum(profiles) if profiles else self, grid=grid, xp=xp)


def mass_of_galaxies(original, self, grid, xp=np, **kwargs):
    profiles = each_of(mass_profiles_of, self)
    return original(Sum(profiles) if profiles else self, grid=grid, xp=xp)


def mass_of_basis(original, self, grid, xp=np, **kwargs):
    has_mass = len(self.mass_profile_list) > 0
    return original(Sum(self.profile_list) if has_mass else self, grid=grid, xp=xp)


def owner_of(cls: type, name: str) -> type:
    """The class that a class has a function from: itself, or a base in newer releases."""
    return next(base for base in cls.__mro__ if name in vars(base))


for _name in QUANTITIES:
    for _owner, _function in {
        owner_of(ag.Galaxy, _name): mass_of_galaxy,
        ag.Galaxies: mass_of_galaxies,
        ag.lp_basis.Basis: mass_of_basis,
    }.items():
        replaces("autogalaxy", _owner, _name, "self", "grid", "xp", "kwargs")(_function)


def image_of_galaxy(original, self, grid, xp=np, operated_only=None):
    profiles = light_profiles_of(self)
    image = Sum(profiles) if profiles else self
    return original(image, grid=grid, xp=xp, operated_only=operated_only)


def image_of_galaxies(original, self, grid, xp=np, operated_only=None):
    profiles = each_of(light_profiles_of, self)
    image = Sum(profiles) if profiles else self
    return original(image, grid=grid, xp=xp, operated_only=operated_only)


for _name in IMAGES:
    for _owner, _function in {
        ag.Galaxy: image_of_galaxy,
        ag.Galaxies: image_of_galaxies,
    }.items():
        replaces(
            *("autogalaxy", _owner, _name),
            *("self", "grid", "xp", "operated_only"),
        )(_function)


@replaces(
    *("autogalaxy", ag.Galaxy, "image_2d_list_from"),
    *("self", "grid", "xp", "operated_only"),
)
def images_of_galaxy(original, self, grid, xp=np, operated_only=None):
    return listed(
        lambda profile: profile.image_2d_from(
            grid=grid, xp=xp, operated_only=operated_only
        ),
        light_profiles_of(self),
    )


@replaces(
    *("autogalaxy", ag.Galaxies, "image_2d_list_from"),
    *("self", "grid", "xp", "operated_only"),
)
def images_of_galaxies(original, self, grid, xp=np, operated_only=None):
    return listed(
        lambda galaxy: galaxy.image_2d_from(
            grid=grid, xp=xp, operated_only=operated_only
        ),
        self,
    )


@replaces(
    *("autogalaxy", ag.lp_basis.Basis, "image_2d_from"),
    *("self", "grid", "xp", "operated_only", "kwargs"),
)
def image_of_basis(original, self, grid, xp=np, operated_only=None, **kwargs):
    profiles = nonlinear(self.light_profile_list)
    image = Sum(profiles) if profiles else self
    return original(image, grid=grid, xp=xp, operated_only=operated_only, **kwargs)


def nonlinear(profiles) -> list:
    """The light profiles whose intensities are not solved for."""
    return [each for each in profiles if not isinstance(each, LightProfileLinear)]


@replaces(
    *("autogalaxy", ag.lp_basis.Basis, "image_2d_list_from"),
    *("self", "grid", "xp", "operated_only", "kwargs"),
)
def images_of_basis(original, self, grid, xp=np, operated_only=None, **kwargs):
    profiles = self.light_profile_list
    images = iter(
        listed(
            lambda profile: profile.image_2d_from(
                grid=grid, xp=xp, operated_only=operated_only, **kwargs
            ),
            nonlinear(profiles),
        )
    )
    linear = [each for each in profiles if isinstance(each, LightProfileLinear)]
    if not linear:
        return list(images)
    # The libraries have zeros for these.
    zeros = original(
        SimpleNamespace(light_profile_list=linear),
        *(grid, xp, operated_only),
        **kwargs,
    )
    zeros = iter(zeros)
    return [
        next(zeros if isinstance(each, LightProfileLinear) else images)
        for each in profiles
    ]


@replaces(
    "autogalaxy",
    LightProfileLinearObjFuncList,
    "mapping_matrix",
    "self",
)
def mapping_matrix(original, self):
    images = stacked(
        lambda profile: image_from(profile, self.grid, self._xp),
        self.light_profile_list,
    )
    return images.T


def image_from(profile, grid, xp):
    """The image of a light profile, of shape (pixels,)."""
    return profile.image_2d_from(grid=grid, xp=xp).slim.array


@replaces(
    "autogalaxy",
    LightProfileLinearObjFuncList,
    "operated_mapping_matrix_override",
    "self",
)
def operated_mapping_matrix_override(original, self):
    psf, profiles = self.psf, self.light_profile_list
    if (
        psf is None
        or isinstance(profiles[0], LightProfileOperated)
        or self.blurring_grid is None
        or not is_blurred_by_fft(psf, self.settings.use_mixed_precision)
    ):
        return original(self)
    frame = frame_from(psf, self.grid.mask)
    images = stacked(
        lambda profile: frame.blurred(
            image_from(profile, self.grid, self._xp),
            image_from(profile, self.blurring_grid, self._xp),
        ),
        profiles,
    )
    return images.T


@replaces(
    "autoarray",
    AbstractInversionImaging,
    "operated_mapping_matrix_list",
    "self",
)
def operated_mapping_matrix_list(original, self):
    matrices = original(self)
    dtypes = {matrix.dtype for matrix in matrices}
    if len(matrices) < 2 or len(dtypes) > 1 or not shared_by_cores():
        return matrices
    # The columns of one matrix, which XLA would otherwise write twice: apart for what is
    # reconstructed of each linear object, and all of them for the curvature.
    total = jax.lax.optimization_barrier(jnp.hstack(matrices))
    ends = np.cumsum([matrix.shape[1] for matrix in matrices])
    return jnp.split(total, ends[:-1], axis=1)


@replaces(
    *("autoarray", inversion_util, "curvature_matrix_via_mapping_matrix_from"),
    *("mapping_matrix", "noise_map", "add_to_curvature_diag"),
    *("no_regularization_index_list", "settings", "xp"),
)
def curvature_matrix(original, mapping_matrix, noise_map, *unnamed, **named):
    noise = getattr(noise_map, "array", noise_map)
    settings = named.get("settings")
    if (
        unnamed
        or settings is None
        or settings.use_mixed_precision
        or mapping_matrix.dtype != float
        or holds_tracer([noise, vars(settings)])
    ):
        return original(mapping_matrix, noise_map, *unnamed, **named)
    # Not as an array of JAX, which would be one of the present trace: derivatives may be
    # taken after it.
    return curvature_from(
        lambda matrix: original(matrix, noise_map, **named),
        *(mapping_matrix, np.asarray(noise)),
    )


def is_blurred_by_fft(psf, use_mixed_precision: bool) -> bool:
    """Whether the images of a PSF are blurred by FFTs of their own resolution."""
    return (
        psf.convolve_over_sample_size == 1
        and not overrides(type(psf))
        and psf.use_fft
        and not use_mixed_precision
        # The libraries shift the image by a pixel then, under JAX, which is theirs.
        and psf.kernel.shape_native != (1, 1)
    )


@replaces(
    *("autoarray", aa.Convolver, "convolved_image_from"),
    *("self", "image", "blurring_image", "jax_method", "use_mixed_precision"),
    *("mask", "xp"),
)
def convolved_image_from(
    original,
    self,
    image,
    blurring_image,
    jax_method="direct",
    use_mixed_precision=False,
    mask=None,
    xp=np,
):
    if blurring_image is None or not is_blurred_by_fft(self, use_mixed_precision):
        return original(
            self, image, blurring_image, jax_method, use_mixed_precision, mask, xp
        )
    images = image, blurring_image
    numbers = [each.array for each in images]
    if not holds_tracer(numbers) and not any(map(np.any, numbers)):
        # All light is solved for.
        return with_array(image, jnp.zeros(len(image)))
    if holds_tracer([*numbers, self.kernel.array]):
        frame = frame_from(self, image.mask)
        blurred = frame.blurred(*(jnp.asarray(each.array) for each in images))
        return aa.Array2D(values=blurred, mask=image.mask)
    # What is known is blurred now, once.
    known = [with_array(each, np.asarray(each.array)) for each in images]
    blurred = original(self, *known)
    return with_array(blurred, jnp.asarray(blurred.array))


@replaces("autoarray", OverSampler, "binned_array_2d_from", "self", "array", "xp")
def binned_array_2d_from(original, self, array, xp=np):
    binning = None if self.sub_is_uniform else binning_of(self)
    if binning is None:
        return original(self, array, xp)
    values = binned(getattr(getattr(array, "slim", array), "array", array), binning)
    return aa.Array2D(values=values, mask=self.mask)


def transformed_mapping_matrix(original, self, mapping_matrix, xp=np):
    matrix = matrix_from(self) if mapping_matrix.dtype == float else None
    if matrix is None:
        return original(self, mapping_matrix, xp=xp)
    return matrix @ mapping_matrix


def visibilities_from(original, self, image, xp=np):
    is_own = np.array_equal(image.mask, self.real_space_mask)
    matrix = matrix_from(self) if is_own and image.dtype == float else None
    if matrix is None:
        return original(self, image, xp=xp)
    return aa.Visibilities(visibilities=matrix @ image.slim.array)


for _owner in aa.TransformerNUFFT, aa.TransformerDFT:
    replaces(
        *("autoarray", _owner, "transform_mapping_matrix"),
        *("self", "mapping_matrix", "xp"),
    )(transformed_mapping_matrix)
    replaces("autoarray", _owner, "visibilities_from", "self", "image", "xp")(
        visibilities_from
    )
