"""
Blurring many images with one PSF.

It is what ``Convolver.convolved_image_from`` does to one image, with three differences:
images move to and from the frame of the FFT by gathers, the frame is no larger than it
must be, and on a CPU one image is blurred after another, as one fits its cache.
"""

import jax.numpy as jnp
import numpy as np
import scipy.fft

from autofit_patch.pytree._beside import Beside
from autogalaxy_patch.together._linear import gathered, linear_map, permuted

_frames = Beside()


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
        The PSF, of shape (ky, kx), which may be traced.
    """

    def __init__(self, mask, blurring_mask, kernel):
        pixels = np.stack(mask.slim_to_native_tuple, axis=1)
        around = np.stack(blurring_mask.slim_to_native_tuple, axis=1)
        # The libraries' centre of the kernel, also where its shape is even.
        centre = (np.array(kernel.shape) - 1) // 2
        before = np.array(kernel.shape) - 1 - centre
        lit = np.concatenate([pixels, around])
        first = np.minimum(lit.min(axis=0), pixels.min(axis=0) - before)
        last = np.maximum(lit.max(axis=0), pixels.max(axis=0) + centre)
        self.shape = tuple(
            scipy.fft.next_fast_len(int(length), real=True) for length in last - first + 1
        )
        rows, columns = (lit - first).T
        places = rows * self.shape[1] + columns
        self.total = self.shape[0] * self.shape[1]
        dark = np.setdiff1d(np.arange(self.total), places)
        #: Where in the frame the pixels are, those around them, and all that is dark.
        self.places = np.concatenate([places, dark]).astype(np.int32)
        #: Which of these is at each place.
        self.order = np.argsort(self.places).astype(np.int32)
        self.pixels = len(pixels)
        self.is_known = isinstance(kernel, np.ndarray)
        xp = np if self.is_known else jnp
        beyond = np.array(self.shape) - kernel.shape
        framed = xp.pad(kernel, [(0, beyond[0]), (0, beyond[1])])
        self.kernel = xp.fft.rfft2(xp.roll(framed, -centre, axis=(0, 1)))

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
        if not self.is_known:
            # What depends on the kernel too is no linear map of the image alone.
            return self.convolved(lit, self.kernel, permuted)[: self.pixels]
        return linear_map(
            lambda lit: self.convolved(lit, self.kernel),
            # The transpose of a convolution is one with the reversed kernel.
            lambda lit: self.convolved(lit, np.conj(self.kernel)),
            lit,
        )[: self.pixels]

    def convolved(self, lit, kernel, gathered=gathered):
        """
        A convolution of the frame.

        Parameters
        ----------
        lit
            The values of the pixels, of those around them, and of the rest of the frame.
        kernel
            The spectrum of the kernel.
        gathered
            What puts values into another order.
        """
        framed = gathered(lit, self.order).reshape(self.shape)
        spectrum = kernel * jnp.fft.rfft2(framed)
        convolved = jnp.fft.irfft2(spectrum, s=self.shape)
        return gathered(convolved.reshape(-1), self.places)


def frame_from(convolver, mask) -> Frame:
    """
    The frame of a convolver (``autoarray.Convolver``) for the pixels of a mask, made once
    for each state that the convolver keeps.
    """
    state = convolver.state_from(mask=mask)
    frame = _frames.get(state)
    if frame is None:
        frame = Frame(state.mask, state.blurring_mask, state.kernel.native.array)
        _frames.set(state, frame)
    return frame
