"""Images of one frame, whose own masks differ."""

import copy

import autoarray as aa
import jax.numpy as jnp
import numpy as np

from autogalaxy_patch.datasets._structure import numbers_of

#: The noise of what is in the frame, and outside of the mask: to a double, it weighs
#: nothing. (Its square is a number in single precision too.)
OUTSIDE = 1e15

#: Noise above this is that of what is outside; it may have been scaled.
LEAST_OUTSIDE = 1e12


FIRST = (
    "an image in a common frame keeps its own mask in its noise map, which {} would "
    "lose: apply it to the images, and then make the common frame"
)


class FramedImaging(aa.Imaging):
    """
    An image whose mask is larger than the pixels that count: those outside have a noise
    of 1e15, and are evaluated as the libraries evaluate the surroundings of a mask, at
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
        xp = np if isinstance(noise, np.ndarray) else jnp
        outside = noise > LEAST_OUTSIDE
        of_each = xp.log(2.0 * np.pi * xp.where(outside, noise, 1.0) ** 2)
        return xp.where(outside, of_each, 0.0).sum()

    def apply_over_sampling(self, *args, **kwargs):
        raise ValueError(FIRST.format("over-sampling"))

    def apply_noise_scaling(self, *args, **kwargs):
        raise ValueError(FIRST.format("scaling of the noise"))


def frame_grids(dataset: FramedImaging):
    """Give a framed image the grid on which its light is evaluated."""
    grids = copy.copy(dataset.grids)
    plain = grids.lp
    if isinstance(plain, FramedGrid):
        plain = plain.plain
    grids._lp = FramedGrid(plain, dataset.noise_map.array > LEAST_OUTSIDE)
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
