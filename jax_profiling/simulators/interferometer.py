"""
Simulator: Interferometer
=========================

Simulates the visibilities that the interferometer scripts fit: the lens of
`simulators/imaging.py`, observed for eight hours with antennas at random places. It takes
a second, so nothing is written to disk.
"""

import autolens as al
import numpy as np

from jax_profiling.dataset import MASK_RADIUS
from jax_profiling.instruments import Array
from jax_profiling.simulators.imaging import HALF_WIDTH, NOISE_SEED, true_tracer_from

# The lens is this far above the celestial equator, in radians.
DECLINATION = 0.5

# How far the Earth turns while the lens is observed, in radians.
HOUR_ANGLES = (-np.pi / 3.0, np.pi / 3.0)


def uv_wavelengths_from(array: Array) -> np.ndarray:
    """
    The baselines of every two antennas, as seen from the lens while the Earth turns.

    An antenna pair that is (x, y) apart in the plane of the equator traces an ellipse;
    equation (4.1) of Thompson, Moran & Swenson 2017 (doi:10.1007/978-3-319-44431-4)
    without a component along the Earth's axis.

    Returns
    -------
    Shape (visibilities, 2), in wavelengths.
    """
    random = np.random.default_rng(NOISE_SEED)
    radius = 0.5 * array.longest_baseline * np.sqrt(random.uniform(size=array.antennas))
    angle = random.uniform(0.0, 2.0 * np.pi, size=array.antennas)
    antennas = radius * np.array([np.cos(angle), np.sin(angle)])
    first, second = np.triu_indices(array.antennas, k=1)
    x, y = antennas[:, first] - antennas[:, second]
    hour = np.linspace(*HOUR_ANGLES, array.snapshots)[:, np.newaxis]
    u = x * np.sin(hour) + y * np.cos(hour)
    v = np.sin(DECLINATION) * (y * np.sin(hour) - x * np.cos(hour))
    return np.stack([u.ravel(), v.ravel()], axis=-1)


def interferometer_from(array: Array, transformer_class: type) -> al.Interferometer:
    """
    The visibilities of the simulated lens, the noise fixed.

    Parameters
    ----------
    array
        The antennas.
    transformer_class
        What transforms images to visibilities when the dataset is fitted. The simulated
        ones are those of a direct Fourier transform, whatever it is.
    """
    pixels = 2 * round(HALF_WIDTH / array.pixel_scale)
    image = {"shape_native": (pixels, pixels), "pixel_scales": array.pixel_scale}
    uv_wavelengths = uv_wavelengths_from(array)
    simulator = al.SimulatorInterferometer(
        uv_wavelengths=uv_wavelengths,
        exposure_time=300.0,
        noise_sigma=array.noise_sigma,
        noise_seed=NOISE_SEED,
        transformer_class=al.TransformerDFT,
    )
    simulated = simulator.via_tracer_from(
        tracer=true_tracer_from(), grid=al.Grid2D.uniform(**image)
    )
    return al.Interferometer(
        data=simulated.data,
        noise_map=simulated.noise_map,
        uv_wavelengths=uv_wavelengths,
        real_space_mask=al.Mask2D.circular(radius=MASK_RADIUS, **image),
        transformer_class=transformer_class,
    )
