"""
The imaging dataset which a profiling script fits: simulated the first time, then loaded
from disk, masked and given its over-sampling.
"""

import json
from dataclasses import asdict
from pathlib import Path

import autolens as al

from jax_profiling.instruments import Instrument
from jax_profiling.simulators.imaging import simulate

MASK_RADIUS = 3.5  # arcsec

# Light and deflections change fastest at the lens's centre: 4x4 sub-pixels within 0.3
# arcsec of it, 2x2 within 0.6 arcsec, and none beyond.
OVER_SAMPLE_SIZES = [4, 2, 1]
OVER_SAMPLE_RADII = [0.3, 0.6]


def imaging_from(instrument: Instrument, folder: Path) -> al.Imaging:
    """
    The masked and over-sampled imaging of an instrument.

    Parameters
    ----------
    instrument
        The telescope which observes the lens.
    folder
        The folder which holds a folder for every instrument. A dataset which is not
        there yet is simulated and written to it.

    Raises
    ------
    ValueError
        If the dataset on disk was simulated for other settings of the instrument.
    """
    path = folder / instrument.name
    if not path.is_dir():
        print(f"Simulating the {instrument.name} dataset in {path}")
        simulate(instrument, path)

    simulated_for = json.loads((path / "instrument.json").read_text())
    if simulated_for != asdict(instrument):
        raise ValueError(
            f"{path} was simulated for {simulated_for}, and {instrument} is asked for: "
            "delete the folder to simulate it again."
        )

    dataset = al.Imaging.from_fits(
        data_path=path / "data.fits",
        noise_map_path=path / "noise_map.fits",
        psf_path=path / "psf.fits",
        pixel_scales=instrument.pixel_scale,
    )
    mask = al.Mask2D.circular(
        shape_native=dataset.shape_native,
        pixel_scales=dataset.pixel_scales,
        radius=MASK_RADIUS,
    )
    dataset = dataset.apply_mask(mask=mask)
    return dataset.apply_over_sampling(
        over_sample_size_lp=al.util.over_sample.over_sample_size_via_radial_bins_from(
            grid=dataset.grid,
            sub_size_list=OVER_SAMPLE_SIZES,
            radial_list=OVER_SAMPLE_RADII,
            centre_list=[(0.0, 0.0)],
        )
    )
