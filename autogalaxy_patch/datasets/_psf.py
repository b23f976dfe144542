"""A PSF whose numbers may be traced, or have an axis for data sets."""

import autoarray as aa
import jax.numpy as jnp
import numpy as np
from autoarray.operators.convolver import ConvolverState


class Geometry:
    """
    What the libraries derive from a mask and the shape of a kernel, made once for all
    kernels of the shape.

    Parameters
    ----------
    convolver
        A convolver with a kernel of the shape.
    """

    def __init__(self, convolver: aa.Convolver):
        kernel = convolver.kernel
        self._convolver = aa.Convolver(
            kernel=aa.Array2D.no_mask(
                values=np.ones(kernel.shape_native),
                pixel_scales=kernel.pixel_scales,
                origin=kernel.origin,
            ),
            use_fft=convolver._use_fft,
            convolve_over_sample_size=convolver.convolve_over_sample_size,
        )
        self._made = None, None

    def state_from(self, mask) -> ConvolverState:
        """The state of a convolver for a mask, whose kernel is no one's."""
        made_for, state = self._made
        if made_for is not mask:
            state = self._convolver.state_from(mask=mask)
            self._made = mask, state
        return state


class State(ConvolverState):
    """
    The state of a convolver whose kernel is transformed when that is asked for.

    Parameters
    ----------
    geometry
        The state of a kernel of the same shape.
    kernel
        The kernel.
    """

    def __init__(self, geometry: ConvolverState, kernel):
        of_its_kernel = ("fft_kernel", "fft_kernel_mapping", "fft_kernel_c64")
        vars(self).update(
            {k: v for k, v in vars(geometry).items() if k not in of_its_kernel}
        )
        self.kernel = kernel

    @property
    def fft_kernel(self):
        kernel = self.kernel.native.array
        xp = np if isinstance(kernel, np.ndarray) else jnp
        return xp.fft.rfft2(kernel, s=self.fft_shape)

    @property
    def fft_kernel_mapping(self):
        return self.fft_kernel[:, :, None]

    @property
    def fft_kernel_c64(self):
        return self.fft_kernel.astype(np.complex64)


class Convolver(aa.Convolver):
    """
    A convolver whose kernel is a leaf.

    Parameters
    ----------
    like
        A convolver of which everything but the kernel is as in this one.
    kernel
        The kernel, an ``Array2D`` of the same shape.
    geometry
        What depends on the shape alone.
    mask
        The mask of the data set.
    """

    def __init__(self, like: aa.Convolver, kernel, geometry: Geometry, mask):
        vars(self).update(vars(like))
        self.kernel = kernel
        self._geometry, self._mask = geometry, mask
        self._state = None

    def state_from(self, mask) -> State:
        return State(self._geometry.state_from(mask), self.kernel)

    def _over_sampled_state_from(self, mask=None) -> State:
        return self.state_from(self._mask if mask is None else mask)
