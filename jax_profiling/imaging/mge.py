"""
Profiling: MGE imaging likelihood
=================================

Times the JAX likelihood of a strong lens step by step: a lens galaxy with a multi
Gaussian expansion (MGE) for its light, an isothermal mass distribution and an external
shear, and a source galaxy with an MGE, fitted to CCD imaging.

It is also the example to start from when writing another profiling script. Its pattern
is that **a jitted function takes the model instance**, the object which
`log_likelihood_function` takes everywhere else. With `import autolens_patch`, an
instance is a JAX pytree whose leaves are the free parameters of its model, one each and
in the order of the model. `jax.jit`, `jax.vmap` and `jax.grad` therefore take it as it
is, and what comes back (a batch, a gradient) has the same names:

    instance = model.instance_from_vector(vector)
    likelihood = jax.jit(analysis.log_likelihood_function)

    likelihood(instance)
    jax.grad(likelihood)(instance).galaxies.lens.mass.einstein_radius

No step below unpacks a flat vector of parameters. The older way, where a vector enters
the jitted function and becomes an instance inside it, is measured beside the new one in
the same run, so that every time comes with its ratio.

A third way is measured too: with `autolens_patch.evaluate_together()`, profiles that
differ only in their numbers, as the Gaussians of an MGE do, are traced and compiled once,
and what they share is computed once. Values and gradients are the same. Use it whenever a
model has many profiles of a kind, and above all before asking for a gradient.

Run it from any folder, with `--help` for its options. The default run takes about
four minutes on two CPU cores and writes a JSON and a figure to `jax_profiling/results`.

__Contents__

 - Options: what the command line can change.
 - Dataset, Model: what is fitted, and what is fitted to it.
 - Parameters By Name: reading, replacing and batching the leaves of an instance.
 - Reference: the same fit by NumPy, which every result is checked against.
 - Ray Tracing ... Log Likelihood: the steps of the likelihood.
 - Full Likelihood: under `jit`, `vmap` and `grad`.
 - Checks: all of it equals NumPy, for all instances, and is traced once.
 - Results: the JSON, the figure and the summary.

What every profiling script does to a likelihood is in `jax_profiling/profiler.py`, and
what is done to one with linear light in `jax_profiling/inversion.py`.
"""

import autolens_patch  # noqa: F401

# isort: split

from pathlib import Path

import autolens as al
import jax
import jax.numpy as jnp
import numpy as np

from jax_profiling.dataset import imaging_from
from jax_profiling.inversion import InversionProfiler, traced_grids_from
from jax_profiling.model import mge_model_from, vectors_near_truth_from
from jax_profiling.options import (
    GAUSSIANS,
    add_size,
    add_timing_options,
    options_from,
    parser_from,
)
from jax_profiling.profiler import LikelihoodProfiler

FOLDER = Path(__file__).resolve().parents[1]

"""
__Options__
"""
parser = parser_from(
    description="Profile the JAX likelihood of an MGE lens model fitted to imaging.",
    examples=(
        "  python mge.py\n"
        "  python mge.py --instrument euclid --gaussians 30\n"
        "  python mge.py --batch 32 --repeats 301 --output results\n"
        "  python mge.py --trace profile --memory --explain\n"
        "  python mge.py --quick"
    ),
    output=FOLDER / "results" / "imaging",
)
add_timing_options(parser, batch=8, repeats=101)
add_size(parser, *GAUSSIANS)
options = options_from(parser)

"""
__Dataset__

Imaging of a simulated lens, in a circular mask of 3.5 arcsec, with over-sampling where
the lens is brightest. The first run with an instrument simulates its dataset.
"""
dataset = imaging_from(
    instrument=options.instrument, folder=FOLDER / "dataset" / "imaging"
)
print(
    f"Dataset: {options.instrument.name}, {options.instrument.pixel_scale} arcsec per "
    f"pixel, {dataset.data.shape[0]} pixels in the mask"
)

"""
__Model__

All 15 parameters are free: the centre and ellipticity of each MGE, which its Gaussians
share, and the mass and the shear.
"""
model = mge_model_from(total_gaussians=options.gaussians)

# One vector for each instance that is checked, and enough that batches which begin with
# each of them all differ.
vectors = vectors_near_truth_from(model, total=options.instances + options.batch - 1)

"""
__Parameters By Name__

A model makes an instance of every vector, outside any jitted function. From here on the
vectors are only needed for the baseline.
"""
instance = model.instance_from_vector(vector=vectors[0])

"""
Reading: a parameter is an attribute. JAX knows the same names, so a loop over all the
parameters needs no list of them.
"""
parameters = {
    jax.tree_util.keystr(path): value
    for path, value in jax.tree_util.tree_leaves_with_path(instance)
}
print(f"Model: {len(parameters)} free parameters")
name_width = max(map(len, parameters))
for name, value in parameters.items():
    print(f"  {name:<{name_width}}{value:>10.4f}")

if len(parameters) != model.prior_count:
    raise AssertionError(
        f"The instance has {len(parameters)} leaves and its model "
        f"{model.prior_count} free parameters."
    )
np.testing.assert_array_equal(list(parameters.values()), vectors[0])

"""
Replacing: `jax.tree.map` makes a new instance, and its sibling with paths makes one
where only the named parameter differs. Setting the attribute works too; do it on an
instance that nothing else uses, for it changes that very object.
"""
heavier = jax.tree_util.tree_map_with_path(
    lambda path, leaf: (
        1.01 * leaf if jax.tree_util.keystr(path).endswith(".einstein_radius") else leaf
    ),
    instance,
)
heavier_by_attribute = model.instance_from_vector(vector=vectors[0])
heavier_by_attribute.galaxies.lens.mass.einstein_radius *= 1.01

np.testing.assert_array_equal(
    jax.tree.leaves(heavier), jax.tree.leaves(heavier_by_attribute)
)

"""
Batching: a batch is an instance whose leaves have one more axis. The first one stacks
different instances, the second repeats a single one.
"""
batches = [
    jax.tree.map(lambda *leaves: jnp.stack(leaves), instance, heavier),
    jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, *jnp.shape(leaf))), instance),
]
for batch in batches:
    if batch.galaxies.lens.mass.einstein_radius.shape != (2,):
        raise AssertionError("A batch does not have an axis for its instances.")

"""
__Reference__

The fit that the steps are compared with uses NumPy throughout, and solves for the
intensities of the Gaussians with another algorithm than the JAX likelihood.

The older way, the baseline, is `Fitness.call` for the full likelihood. For a step, the
profiler makes the instance of a vector inside the trace in the same way.
"""
analysis = al.AnalysisImaging(dataset=dataset, use_jax=True)
profiler = LikelihoodProfiler(
    name="mge",
    model=model,
    analysis=analysis,
    reference_analysis=al.AnalysisImaging(dataset=dataset, use_jax=False),
    vectors=vectors,
    options=options,
)
fit = al.FitImaging(dataset=dataset, tracer=al.Tracer(galaxies=list(instance.galaxies)))
inversion = InversionProfiler(profiler, dataset, fit)

print("Steps of the likelihood")

"""
__Ray Tracing__

The lens deflects the (y,x) coordinates of the image, in arcsec, to those of the source
plane: of the sub-pixels in the mask, and of the pixels around it whose light the PSF
blurs into it.

The closure is the pattern for every step that depends on parameters. It takes the
instance, and makes the tracer inside the trace.
"""


grids = [dataset.grids.lp, dataset.grids.blurring]


def ray_tracing(instance):
    tracer = al.Tracer(galaxies=list(instance.galaxies))
    return traced_grids_from(tracer, grids, xp=jnp)


profiler.parameter_step(
    "ray-tracing", ray_tracing, reference=traced_grids_from(fit.tracer, grids, xp=np)
)

"""
__Mapping Matrix__

A column for every Gaussian, holding its image at unit intensity: the Gaussians of the
lens on the image's coordinates, those of the source on the traced ones. Its shape is
(pixels, Gaussians).
"""
inversion.mapping_matrix()

"""
__Blurred Mapping Matrix__

Every column of the mapping matrix, convolved with the PSF. It includes the light which
the PSF blurs into the mask from outside. Its shape is (pixels, Gaussians).
"""
inversion.from_instance("operated_mapping_matrix", "blurred mapping matrix")

"""
__Data Vector__

The parameters have done their part: from here to the log likelihood a step takes the
arrays of the steps before it. The data vector is the noise-weighted product of the data
with each column; its shape is (Gaussians,).
"""
inversion.from_arrays("data_vector", "data vector", ("operated_mapping_matrix",))

"""
__Curvature Matrix__

The noise-weighted product of the blurred mapping matrix with itself, of shape
(Gaussians, Gaussians).
"""
inversion.from_arrays(
    "curvature_matrix", "curvature matrix", ("operated_mapping_matrix",)
)

"""
__Reconstruction__

The intensities of the Gaussians which fit the data best, none of them negative.
"""
inversion.reconstruction()

"""
__Mapped Reconstruction__

The model image: the blurred images of the Gaussians, each times its intensity.
"""
inversion.mapped_reconstruction()

"""
__Log Likelihood__

The chi-squared of the model image and the normalization of the noise.
"""
inversion.log_likelihood()

"""
__Full Likelihood__

All of the steps in one jitted function, which is the analysis's own: nothing is wrapped
around it. Then `jax.vmap` of it, which takes a batch of instances, and
`jax.value_and_grad`, whose gradient is an instance as well.
"""
profiler.whole()

"""
__Checks__

The steps one after another, the full likelihood and every member of every batch equal
the NumPy log likelihood of their own instance, for all instances; every derivative
equals its finite difference; and no function was traced twice.
"""
profiler.check_values(inversion.chained)
profiler.check_gradient()
profiler.check_traces()

"""
__Results__

The figure and the table show the ways of every step side by side. Where the folder
holds the JSON of an earlier run with this instrument on this device, the change of
every ratio is printed before it is replaced.
"""
profiler.write(
    pixel_scale=options.instrument.pixel_scale,
    pixels=dataset.data.shape[0],
    sub_pixels=dataset.grids.lp.over_sampled.shape[0],
    gaussians=options.gaussians,
)
