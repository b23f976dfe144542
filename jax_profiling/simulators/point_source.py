"""
Simulator: Point Source
=======================

Simulates what the point-source scripts fit: the positions of the images of a point behind
a cluster of galaxies. It takes a second, so nothing is written to disk.
"""

import autofit as af
import autolens as al
import numpy as np

from jax_profiling.instruments import Instrument
from jax_profiling.simulators.imaging import NOISE_SEED

# The name that pairs the positions with the component of the model that explains them.
POINT_NAME = "point"

# The side of the square that is searched for images, in arcsec. It holds every image of
# the simulated cluster, with room.
FIELD_OF_VIEW = 60.0


def point_solver_from(
    instrument: Instrument, grid_shape: int, precision: int = 50
) -> al.PointSolver:
    """
    The solver of the lens equation, for data and model alike.

    Parameters
    ----------
    instrument
        The telescope.
    grid_shape
        How many of the triangles which the search begins with are on a side of the
        field. The images beside a galaxy are found if its Einstein radius exceeds the
        side of a triangle.
    precision
        Into how many parts of a pixel of the telescope it locates an image.
    """
    return al.PointSolver.for_grid(
        grid=al.Grid2D.uniform(
            shape_native=(grid_shape, grid_shape),
            pixel_scales=FIELD_OF_VIEW / grid_shape,
        ),
        pixel_scale_precision=instrument.pixel_scale / precision,
    )


def point_dataset_from(
    instrument: Instrument, truth: af.ModelInstance, solver: al.PointSolver
) -> al.PointDataset:
    """
    The observed positions of all images, with noise of a fixed seed.

    Parameters
    ----------
    instrument
        The telescope; a position is as uncertain as its pixels are wide.
    truth
        The simulated cluster, with the point as `galaxies.source.point`.
    solver
        What finds the images.
    """
    positions = solver.solve(
        tracer=al.Tracer(galaxies=list(truth.galaxies)),
        source_plane_coordinate=truth.galaxies.source.point.centre,
    )
    noise = np.random.default_rng(NOISE_SEED).normal(size=positions.shape)
    return al.PointDataset(
        name=POINT_NAME,
        positions=positions.array + instrument.pixel_scale * noise,
        positions_noise_map=instrument.pixel_scale,
        redshift=truth.galaxies.source.redshift,
    )
