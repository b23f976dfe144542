"""
The telescopes whose imaging the profiling scripts fit.

An instrument decides how many pixels fall inside the mask, and so how much work every
step of a likelihood does: from about 4000 pixels (`euclid`) to about 385000 (`ao`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Instrument:
    """
    What the simulator and the mask need to know about a telescope.

    Parameters
    ----------
    name
        The name used on the command line, in folders and in results.
    pixel_scale
        The width of a pixel, in arcsec.
    psf_sigma
        The standard deviation of the Gaussian PSF, in arcsec.
    exposure_time
        The exposure time, in seconds.
    sky_level
        The background sky, in electrons per second per pixel.
    """

    name: str
    pixel_scale: float
    psf_sigma: float
    exposure_time: float
    sky_level: float

    @property
    def psf_shape(self) -> tuple[int, int]:
        """
        The shape of the PSF kernel in pixels: odd, and out to five sigma, where a
        Gaussian has fallen far below the noise.
        """
        width = 2 * round(5.0 * self.psf_sigma / self.pixel_scale) + 1
        return (width, width)


INSTRUMENTS = {
    instrument.name: instrument
    for instrument in (
        Instrument("hst", 0.05, 0.05, exposure_time=2000.0, sky_level=0.1),
        Instrument("euclid", 0.1, 0.07, exposure_time=2260.0, sky_level=0.1),
        Instrument("jwst", 0.03, 0.025, exposure_time=2000.0, sky_level=0.1),
        Instrument("ao", 0.01, 0.02, exposure_time=3600.0, sky_level=1.0),
    )
}

# Coarse pixels make a dataset that a continuous-integration job fits in seconds. It is
# no telescope, so it is not among the instruments a user can name.
QUICK = Instrument("quick", 0.2, 0.14, exposure_time=2000.0, sky_level=0.1)


@dataclass(frozen=True)
class Array:
    """
    What the simulator needs to know about an interferometer.

    Parameters
    ----------
    name
        The name used on the command line and in results.
    pixel_scale
        The width of a pixel of the image that is transformed to visibilities, in arcsec.
    antennas
        The number of antennas.
    longest_baseline
        The diameter of the array, in wavelengths.
    snapshots
        How often the baselines are sampled while the Earth turns.
    noise_sigma
        The standard deviation of each part of a visibility, in Jy.
    """

    name: str
    pixel_scale: float
    antennas: int
    longest_baseline: float
    snapshots: int
    noise_sigma: float

    @property
    def visibilities(self) -> int:
        """The number of visibilities: one for every two antennas and snapshot."""
        return self.snapshots * self.antennas * (self.antennas - 1) // 2


ARRAYS = {"sma": Array("sma", 0.1, 8, 3e5, snapshots=10, noise_sigma=0.5)}
QUICK_ARRAY = Array("quick", 0.2, 8, 3e5, snapshots=2, noise_sigma=0.5)
