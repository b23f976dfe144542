"""
Profiling: point source in the image plane
==========================================

Times the JAX likelihood of the positions at which a point behind a cluster of galaxies is
seen: a dark halo, ten galaxies whose masses follow from their luminosities, and a point
source. A solver finds the images of the point, and each observed position is compared
with all of them.

As in `imaging/mge.py`, a jitted function takes the `ModelInstance`. Two things matter
here that a single lens does not have. One pair of parameters, `scaling_relation`, drives
all galaxies: it is two leaves of the instance, however many galaxies there are. And what
deflects light is derived: the constructor of a galaxy's mass makes its strength `b0` from
a velocity dispersion and a cosmology. JAX gets the parameters, and the instance that it
makes of them has the `b0` that belongs to them.
"""

import autolens_patch  # noqa: F401

# isort: split

from pathlib import Path

import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
from autoarray.structures.triangles.shape import Point

from jax_profiling.checks import STEPS, FollowedImages
from jax_profiling.cluster import cluster_model_from, vectors_from_priors
from jax_profiling.options import (
    add_size,
    add_timing_options,
    options_from,
    parser_from,
)
from jax_profiling.profiler import LikelihoodProfiler
from jax_profiling.simulators.point_source import (
    POINT_NAME,
    point_dataset_from,
    point_solver_from,
)

FOLDER = Path(__file__).resolve().parents[1]

"""
__Options__
"""
parser = parser_from(
    description="Profile the JAX likelihood of a point source behind a cluster.",
    examples=(
        "  python image_plane.py\n"
        "  python image_plane.py --instrument jwst --galaxies 50\n"
        "  python image_plane.py --trace profile --memory\n"
        "  python image_plane.py --quick"
    ),
    output=FOLDER / "results" / "point_source",
)
add_timing_options(parser, batch=8, repeats=101)
add_size(parser, "--galaxies", "how many galaxies are on the scaling relation", 10, 2)
add_size(
    parser,
    "--grid-shape",
    "how many triangles of the solver are on a side of the field",
    300,
    120,
)
add_size(
    parser,
    "--precision",
    "into how many parts of a pixel of the telescope the solver locates an image",
    50,
    1,
)
options = options_from(parser)

"""
__Model, Dataset__

The images of the simulated cluster, observed with an uncertainty of a pixel.
"""
model = cluster_model_from(total_galaxies=options.galaxies)
solver = point_solver_from(options.instrument, options.grid_shape, options.precision)
dataset = point_dataset_from(
    options.instrument, truth=model.instance_from_prior_medians(), solver=solver
)
print(
    f"Dataset: {options.instrument.name}, {len(dataset.positions)} positions, each to "
    f"{options.instrument.pixel_scale} arcsec"
)

vectors = vectors_from_priors(model, total=options.instances + options.batch - 1)
instance = model.instance_from_vector(vector=vectors[0])

"""
All galaxies have one leaf for the velocity dispersion. When JAX makes an instance of
other leaves, they follow, with everything that their constructors derive.
"""
faster = jax.tree_util.tree_map_with_path(
    lambda path, leaf: (
        2.0 * leaf if jax.tree_util.keystr(path) == ".scaling_relation.sigma" else leaf
    ),
    instance,
)
print(f"Model: {model.prior_count} free parameters, {options.galaxies} galaxies")
_, *galaxies, _ = zip(instance.galaxies, faster.galaxies, strict=True)
for before, after in galaxies:
    # The strength of a mass is proportional to the square of its velocity dispersion.
    np.testing.assert_allclose(after.mass.sigma, 2.0 * before.mass.sigma, rtol=1e-12)
    np.testing.assert_allclose(after.mass.b0, 4.0 * before.mass.b0, rtol=1e-12)

"""
__Gradient__

A solver halves triangles until they are small, so the images that it finds move in steps:
no finite difference of its likelihood is a derivative. The derivative which the libraries
give JAX is that of the images as roots of the lens equation (Lombardi 2024,
https://arxiv.org/abs/2406.15280, equation 30). The finite differences are therefore those
of a likelihood whose images are such roots, found anew for every vector by SciPy.
"""


def tracer_from(instance):
    return al.Tracer(galaxies=list(instance.galaxies))


def centre_from(instance):
    return instance.galaxies.source.point.centre


followed = FollowedImages(solver, tracer_from(instance), centre_from(instance))


def difference_steps(name: str) -> tuple[float, ...]:
    """Longer for velocity dispersions (km/s) and the position angle (degrees)."""
    longer = name.endswith((".sigma", ".angle_pos"))
    return tuple(100.0 * step for step in STEPS) if longer else STEPS


fitted = {"dataset": dataset, "fit_positions_cls": al.FitPositionsImagePairAll}
profiler = LikelihoodProfiler(
    name="image_plane",
    model=model,
    analysis=al.AnalysisPoint(solver=solver, use_jax=True, **fitted),
    reference_analysis=al.AnalysisPoint(solver=solver, use_jax=False, **fitted),
    difference_analysis=al.AnalysisPoint(solver=followed, use_jax=False, **fitted),
    vectors=vectors,
    options=options,
    difference_steps=difference_steps,
)

print("Steps of the likelihood")

"""
__Ray Tracing__

The search for images begins with triangles that cover the field. The (y,x) coordinates
of their vertices, in arcsec, are deflected to the source plane.
"""
first_step = next(
    solver.steps(tracer_from(instance), shape=Point(*centre_from(instance)), xp=np)
)
vertices = al.Grid2DIrregular(first_step.initial_triangles.vertices)


def ray_tracing(instance, xp=jnp):
    grids = tracer_from(instance).traced_grid_2d_list_from(grid=vertices, xp=xp)
    return grids[-1].array


profiler.parameter_step("ray-tracing", ray_tracing, ray_tracing(instance, xp=np))

"""
__Images__

The solver keeps the triangles that contain the point once they are traced to the source
plane, halves their sides, and so on. Under JAX its result has room for twenty images, of
which those that are not there are infinite.
"""


def images(instance, xp=jnp):
    return solver.solve(tracer_from(instance), centre_from(instance), xp=xp).array


def sorted_images(positions):
    """The images that are there, from left to right; shape (images, 2), in arcsec."""
    positions = np.asarray(positions)
    found = positions[np.isfinite(positions).all(axis=1)]
    return found[np.lexsort(found.T)]


images_step = profiler.parameter_step(
    "images", images, sorted_images(images(instance, xp=np)), compared=sorted_images
)

"""
__Log Likelihood__

Each observed position may be any of the images.
"""


class FitOfImages(al.FitPositionsImagePairAll):
    """The fit of images that were found before, whatever the tracer and the solver."""

    # In place of the property that finds them.
    model_data = None


def log_likelihood(positions):
    fit = FitOfImages(
        name=POINT_NAME,
        data=dataset.positions,
        noise_map=dataset.positions_noise_map,
        tracer=tracer_from(instance),
        solver=solver,
        xp=jnp,
    )
    fit.model_data = al.Grid2DIrregular(positions)
    return fit.log_likelihood


likelihood_step = profiler.array_step(
    "log likelihood",
    log_likelihood,
    [images_step(instance)],
    reference=profiler.reference_log_likelihoods[0],
)

"""
__Full Likelihood, Checks, Results__
"""
profiler.whole()
profiler.check_values(lambda instance: likelihood_step(images_step(instance)))
profiler.check_gradient()
profiler.check_traces()
profiler.write(
    positions=len(dataset.positions),
    galaxies=options.galaxies,
    grid_shape=options.grid_shape,
    solver_precision=solver.pixel_scale_precision,
)
