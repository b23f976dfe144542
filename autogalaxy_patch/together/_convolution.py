"""
Blurring many images with one PSF.

It is what ``Convolver.convolved_image_from`` does to one image, with three differences:
images move to and from the frame of the FFT by gathers, the frame is no larger than it
must be, and on a CPU one image is blurred after another, as one fits its cache.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft

from autogalaxy_patch.together._permutation import permuted


class Frame:
    """
    Where the pixels of an image are in the frame of the FFT.

    A pixel of the mask gets light from pixels within the kernel's reach. If all of these,
    and all pixels that have light, lie within one period of the FFT, then no two of them
    are taken for each other: what wraps around falls outside of the mask.

    Parameters
    ----------
    mask, blurring_mask
        The pixels that are blurred, and those around them, of one shape.
    kernel
        The PSF, of shape (ky, kx).
    """

    def __init__(self, mask, blurring_mask, kernel: np.ndarray):
        pixels = np.stack(mask.slim_to_native_tuple, axis=1)
        around = np.stack(blurring_mask.slim_to_native_tuple, axis=1)
        # The libraries' centre of the kernel, also where its shape is even.
        centre = (np.array(kernel.shape) - 1) // 2
        before = np.array(kernel.shape) - 1 - centre
        lit = np.concatenate([pixels, around])
        first = np.minimum(lit.min(axis=0), pixels.min(axis=0) - before)
        last = np.maximum(lit.max(axis=0), pixels.max(axis=0) + centre)
        self.shape = tuple(
            scipy.fft.next_fast_len(int(length), real=True)
            for length in last - first + 1
        )
        rows, columns = (lit - first).T
        places = rows * self.shape[1] + columns
        self.total = self.shape[0] * self.shape[1]
        dark = np.setdiff1d(np.arange(self.total), places)
        #: Which pixel of (image, blurring image, darkness) is at each place.
        self.order = np.argsort(np.concatenate([places, dark]))
        self.pixels = len(pixels)
        framed = np.zeros(self.shape)
        framed[: kernel.shape[0], : kernel.shape[1]] = kernel
        self.kernel = np.fft.rfft2(np.roll(framed, -centre, axis=(0, 1)))

    def blurred(self, image, blurring_image):
        """
        The blurred image.

        Parameters
        ----------
        image, blurring_image
            The light in the pixels of the mask and around them, of shape (pixels,) and
            (blurring pixels,).
        """
        darkness = jnp.zeros(self.total - len(image) - len(blurring_image))
        lit = jnp.concatenate([image, blurring_image, darkness])
        framed = permuted(lit, self.order).reshape(self.shape)
        spectrum = self.kernel * jnp.fft.rfft2(framed)
        blurred = jnp.fft.irfft2(spectrum, s=self.shape).reshape(-1)
        return permuted(blurred, np.argsort(self.order))[: self.pixels]


def blurred_images_from(images, blurring_images, frame: Frame):
    """
    Images blurred by a PSF.

    Parameters
    ----------
    images, blurring_images
        Of shape (images, pixels) and (images, blurring pixels).
    frame
        Where the pixels are.

    Returns
    -------
    Shape (images, pixels).
    """
    return over_images()(lambda pair: frame.blurred(*pair), (images, blurring_images))


def over_images():
    """
    How a function is evaluated for many images.

    One image and its spectrum fit the cache of a CPU, forty do not. A GPU is faster with
    all of them at once: one image does not fill it.
    """
    if jax.default_backend() == "cpu":
        return jax.lax.map
    return lambda function, images: jax.vmap(function)(images)


def frame_from(convolver, mask) -> Frame:
    """The frame of a convolver (``autoarray.Convolver``) for the pixels of a mask."""
    state = convolver.state_from(mask=mask)
    return Frame(state.mask, state.blurring_mask, state.kernel.native.array)
