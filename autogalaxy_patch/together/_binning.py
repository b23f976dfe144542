"""The mean of the sub-pixels of each pixel, where their numbers differ."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from autofit_patch.pytree._beside import Beside
from autogalaxy_patch.together._linear import permuted

_binnings = Beside()


@dataclass(frozen=True)
class Binning:
    """
    Pixels sorted by their number of sub-pixels, so that those of one number are a block.

    Parameters
    ----------
    sub_pixels
        The order of the sub-pixels, of shape (sub-pixels,).
    blocks
        How many pixels have how many sub-pixels.
    pixels
        Where each pixel is in the sorted order, of shape (pixels,).
    """

    sub_pixels: np.ndarray
    blocks: tuple[tuple[int, int], ...]
    pixels: np.ndarray


def binning_of(over_sampler) -> Binning:
    """The binning of an over-sampler (``autoarray.OverSampler``), made once."""
    binning = _binnings.get(over_sampler)
    if binning is None:
        totals = np.square(np.asarray(over_sampler.sub_size.array).astype(int))
        order = np.argsort(totals, kind="stable")
        starts = np.cumsum(totals) - totals
        sub_pixels = np.concatenate(
            [np.arange(starts[pixel], starts[pixel] + totals[pixel]) for pixel in order]
        )
        sizes, counts = np.unique(totals, return_counts=True)
        blocks = tuple(zip(counts.tolist(), sizes.tolist(), strict=True))
        binning = Binning(
            sub_pixels.astype(np.int32), blocks, np.argsort(order).astype(np.int32)
        )
        _binnings.set(over_sampler, binning)
    return binning


def binned(values, binning: Binning):
    """
    The mean of each pixel's sub-pixels.

    Parameters
    ----------
    values
        Of shape (sub-pixels,).

    Returns
    -------
    Shape (pixels,).
    """
    values = permuted(values, binning.sub_pixels)
    means, start = [], 0
    for pixels, size in binning.blocks:
        stop = start + pixels * size
        means.append(values[start:stop].reshape(pixels, size).mean(axis=1))
        start = stop
    return permuted(jnp.concatenate(means), binning.pixels)
