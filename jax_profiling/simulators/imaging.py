"""
Simulator: Imaging
==================

Simulates the imaging that the profiling scripts fit: a strong lens whose lens galaxy
has a Sersic bulge, an elliptical isothermal mass distribution and an external shear,
and whose source galaxy has a Sersic bulge.

The profiling scripts call `simulate` when they do not find a dataset, so running this
script by hand is only needed to make the datasets beforehand.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import autolens as al

from jax_profiling.instruments import INSTRUMENTS, Instrument

DATASET_FOLDER = Path(__file__).resolve().parents[1] / "dataset" / "imaging"

# Half of the image's width, in arcsec: the mask of 3.5 arcsec, and around it the pixels
# whose light the PSF blurs into the mask.
HALF_WIDTH = 4.5

NOISE_SEED = 1


def true_tracer_from() -> al.Tracer:
    """
    The simulated strong lens: the lens galaxy at redshift 0.5, the source at 1.0.

    Returns
    -------
    The tracer; angles in arcsec, intensities in electrons per second per pixel.
    """
    lens = al.Galaxy(
        redshift=0.5,
        bulge=al.lp.Sersic(
            centre=(0.01, -0.005),
            ell_comps=(0.05, 0.03),
            intensity=0.4,
            effective_radius=0.6,
            sersic_index=3.0,
        ),
        mass=al.mp.Isothermal(
            centre=(0.0, 0.005), ell_comps=(0.08, -0.04), einstein_radius=1.6
        ),
        shear=al.mp.ExternalShear(gamma_1=0.04, gamma_2=-0.03),
    )
    source = al.Galaxy(
        redshift=1.0,
        bulge=al.lp.Sersic(
            centre=(0.04, 0.07),
            ell_comps=(-0.1, 0.12),
            intensity=0.3,
            effective_radius=0.2,
            sersic_index=1.0,
        ),
    )
    return al.Tracer(galaxies=[lens, source])


def simulate(instrument: Instrument, folder: Path) -> None:
    """
    Simulates a dataset and writes `data.fits`, `noise_map.fits`, `psf.fits` and
    `instrument.json` to a folder.

    The folder appears complete or not at all: everything is written to a temporary
    folder which is then renamed, so that a second process never reads half a dataset.

    Parameters
    ----------
    instrument
        The telescope which observes the lens.
    folder
        The folder to make. Where another process makes it first, that one is kept: the
        seed of the noise is fixed, so the two are equal.
    """
    pixels = 2 * round(HALF_WIDTH / instrument.pixel_scale)
    grid = al.Grid2D.uniform(
        shape_native=(pixels, pixels),
        pixel_scales=instrument.pixel_scale,
        over_sample_size=8,
    )
    psf = al.Convolver.from_gaussian(
        shape_native=instrument.psf_shape,
        pixel_scales=instrument.pixel_scale,
        sigma=instrument.psf_sigma,
        normalize=True,
    )
    simulator = al.SimulatorImaging(
        exposure_time=instrument.exposure_time,
        background_sky_level=instrument.sky_level,
        psf=psf,
        noise_seed=NOISE_SEED,
    )
    dataset = simulator.via_tracer_from(tracer=true_tracer_from(), grid=grid)

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        complete = Path(temporary) / folder.name
        complete.mkdir()
        for name, array in (
            ("data", dataset.data),
            ("noise_map", dataset.noise_map),
            ("psf", dataset.psf.kernel),
        ):
            al.output_to_fits(
                values=array.native,
                file_path=complete / f"{name}.fits",
            )
        (complete / "instrument.json").write_text(
            json.dumps(asdict(instrument), indent=2) + "\n"
        )
        try:
            complete.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Simulate the imaging of a strong lens for one instrument.",
        epilog="example: python jax_profiling/simulators/imaging.py --instrument jwst",
    )
    parser.add_argument(
        "--instrument",
        choices=INSTRUMENTS,
        default="hst",
        help="the telescope (default: %(default)s)",
    )
    arguments = parser.parse_args()

    dataset_folder = DATASET_FOLDER / arguments.instrument
    if dataset_folder.exists():
        shutil.rmtree(dataset_folder)
    simulate(INSTRUMENTS[arguments.instrument], dataset_folder)
    print(f"Wrote {dataset_folder}")
