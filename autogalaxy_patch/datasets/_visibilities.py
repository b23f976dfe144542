"""A Fourier transform of an image at baselines that may be traced."""

import copy
import functools

import autoarray as aa
import jax
import jax.numpy as jnp
import numpy as np
from autoarray.fit import fit_util

#: The transformers that can be given other baselines, and their settings.
SETTINGS = {aa.TransformerDFT: (), aa.TransformerNUFFT: ("eps", "chunk_size")}

RADIANS = np.pi / (180.0 * 3600.0)


def transformer_at(like, uv_wavelengths):
    """
    A transformer of other baselines.

    Parameters
    ----------
    like
        A transformer of which everything but the baselines is as in this one.
    uv_wavelengths
        The baselines in units of the wavelength, of shape (visibilities, 2). With another
        number of axes it belongs to more than one data set, and can transform nothing.
    """
    transformer = copy.copy(like)
    transformer.uv_wavelengths = uv_wavelengths
    is_known = isinstance(uv_wavelengths, (np.ndarray, jax.Array))
    if isinstance(like, aa.TransformerNUFFT) and is_known and uv_wavelengths.ndim == 2:
        xp = np if isinstance(uv_wavelengths, np.ndarray) else jnp
        # Fourier modes are counted from a pixel, and the libraries' grids from the centre
        # of the frame (the docstring of TransformerNUFFT has the recipe).
        phases = 2.0 * np.pi * RADIANS * like.grid.pixel_scales[0] * uv_wavelengths
        transformer._x, transformer._y = phases[:, 0], phases[:, 1]
        rows, columns = like.real_space_mask.shape_native
        half_y, half_x = 0.5 * (rows % 2 == 0), 0.5 * (columns % 2 == 0)
        transformer._shift = xp.exp(
            -1j * (half_x * transformer._x + half_y * transformer._y)
        )
    return transformer


def baselines_of(attributes: dict) -> dict:
    """Those attributes of a transformer that have an entry for each baseline."""
    names = ("uv_wavelengths", "_x", "_y", "_shift")
    return {name: value for name, value in attributes.items() if name in names}


def with_baselines(transformer, baselines: dict):
    """A transformer with others of what :func:`baselines_of` says of it."""
    transformer = copy.copy(transformer)
    vars(transformer).update(baselines)
    return transformer


def let_noise_be_traced():
    """
    Let ``FitInterferometer.noise_normalization``, which uses NumPy whatever the noise is,
    use JAX if that is JAX's.
    """
    original = fit_util.noise_normalization_complex_from
    if hasattr(original, "is_of_the_patch"):
        return

    @functools.wraps(original)
    def noise_normalization_complex_from(*, noise_map, xp=np):
        xp = jnp if isinstance(noise_map, jax.Array) else xp
        return original(noise_map=noise_map, xp=xp)

    noise_normalization_complex_from.is_of_the_patch = True
    fit_util.noise_normalization_complex_from = noise_normalization_complex_from
