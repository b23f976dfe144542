"""
Profiling: pixelized source, Delaunay mesh
==========================================

The same as `pixelization.py` with a mesh of triangles: a grid of points in the image is
traced to the source plane, where the points become the corners of the triangles. The
mesh is therefore finer where the lens magnifies.

Which points are joined is found by Qhull in Python, outside what JAX compiles, once for
each member of a batch. The gradient is that of the triangles as they are: it does not see
an edge flip.
"""

import autolens_patch  # noqa: F401

# isort: split

import autolens as al

from jax_profiling.dataset import MASK_RADIUS
from jax_profiling.imaging.pixelized import (
    pixelized_dataset_from,
    pixelized_parser_from,
    profile_pixelized,
)
from jax_profiling.model import pixelized_model_from
from jax_profiling.options import options_from

# Points on a circle around the mask, where the reconstruction is held at zero.
EDGE_POINTS = 30

parser = pixelized_parser_from(
    script="delaunay",
    description="Profile the JAX log evidence of a source on a Delaunay mesh.",
    mesh_shape="the side of the square of points laid over the image, of which those in "
    "the mask are corners of triangles",
)
options = options_from(parser)
dataset = pixelized_dataset_from(options)

"""
__Mesh__

The points in the image are made once, before anything is traced, as the libraries'
workspace makes them, and reach the analysis as `AdaptImages`.
"""
mesh_grid = al.image_mesh.Overlay(
    shape=(options.mesh_shape, options.mesh_shape)
).image_plane_mesh_grid_from(mask=dataset.mask)
points = len(mesh_grid)
mesh_grid = al.image_mesh.append_with_circle_edge_points(
    image_plane_mesh_grid=mesh_grid,
    centre=dataset.mask.mask_centre,
    radius=MASK_RADIUS + dataset.mask.pixel_scale / 2.0,
    n_points=EDGE_POINTS,
)

"""
__Model__
"""
model = pixelized_model_from(
    total_gaussians=options.gaussians,
    mesh=al.mesh.Delaunay(pixels=points, zeroed_pixels=EDGE_POINTS),
    regularization=al.reg.ConstantSplit,
)

profile_pixelized(
    name="delaunay",
    model=model,
    dataset=dataset,
    options=options,
    adapt_images=al.AdaptImages(
        galaxy_name_image_plane_mesh_grid_dict={"('galaxies', 'source')": mesh_grid}
    ),
)
