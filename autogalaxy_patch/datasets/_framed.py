"""Images of one frame, whose own masks differ."""

import copy

import autoarray as aa
import jax.numpy as jnp
import numpy as np

#: The noise of what is in the frame, and outside of the mask: nothing weighs less.
OUTSIDE = 1e30


class FramedImaging(aa.Imaging):
    """
    An image whose mask is larger than the pixels that count: those outside have a noise
    of 1e30, and are evaluated as the libraries evaluate the surroundings of a mask, at
    the centre of each pixel.

    It is a pytree as ``Imaging`` is. Its log likelihood is that of the image in its own
    mask once ``noise_normalization_outside`` is subtracted. Its grid for pixelizations is
    that of the larger mask.

    Parameters
    ----------
    like
        The image in its own mask.
    mask
        The larger mask.
    over_sample_size
        The numbers of sub-pixels along a side in its pixels, for light profiles and for
        pixelizations.
    """

    def __init__(self, like: aa.Imaging, mask: aa.Mask2D, over_sample_size: tuple):
        inside = ~np.asarray(like.mask)
        places = inside[~np.asarray(mask)]

        def framed(array, outside: float):
            values = np.full(places.shape, outside)
            values[places] = np.asarray(array.slim.array)
            return aa.Array2D(values=values, mask=mask)

        psf = like.psf
        super().__init__(
            data=framed(like.data, 0.0),
            noise_map=framed(like.noise_map, OUTSIDE),
            psf=psf if psf is None else aa.Convolver(psf.kernel, use_fft=psf._use_fft),
            over_sample_size_lp=aa.Array2D(values=over_sample_size[0], mask=mask),
            over_sample_size_pixelization=aa.Array2D(
                values=over_sample_size[1], mask=mask
            ),
            use_normalized_psf=False,
        )
        frame_grids(self)

    @property
    def noise_normalization_outside(self):
        """What the pixels that do not count add to the noise normalization."""
        noise = self.noise_map.array
        count = (noise == OUTSIDE).sum()
        return count * np.log(2.0 * np.pi * OUTSIDE**2)


def frame_grids(dataset: FramedImaging):
    """Give a framed image the grid on which its light is evaluated."""
    grids = copy.copy(dataset.grids)
    plain = grids.lp
    if isinstance(plain, FramedGrid):
        plain = plain.plain
    grids._lp = FramedGrid(plain, dataset.noise_map.array == OUTSIDE)
    dataset.grids = grids


class FramedGrid(aa.Grid2D):
    """
    A grid whose sub-pixels are at the centres of their pixels, for some of these.

    Parameters
    ----------
    plain
        The grid whose sub-pixels are all where they are.
    outside
        For which pixels they are not, of shape (pixels,).
    """

    def __init__(self, plain: aa.Grid2D, outside):
        vars(self).update(vars(plain))
        self.plain, self.outside = plain, outside

    @property
    def over_sampled(self):
        sizes = np.asarray(self.over_sample_size.array).astype(int)
        pixel_of = np.repeat(np.arange(len(sizes)), sizes**2)
        xp = np if isinstance(self.outside, np.ndarray) else jnp
        return aa.Grid2DIrregular(
            xp.where(
                self.outside[pixel_of][:, None],
                xp.asarray(numbers_of(self.plain))[pixel_of],
                xp.asarray(numbers_of(self.plain.over_sampled)),
            ),
            xp=xp,
        )

    def subtracted_and_rotated_from(self, offset, angle, xp=np):
        # The libraries do this outside of the trace if they can.
        moved = self.plain.subtracted_and_rotated_from(offset=offset, angle=angle, xp=xp)
        return FramedGrid(moved, self.outside)


def numbers_of(grid):
    return getattr(grid, "array", grid)
