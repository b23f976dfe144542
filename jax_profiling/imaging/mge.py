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

Run it from any folder, with `--help` for its options. The default run takes just under
four minutes on two CPU cores and writes a JSON and a figure to `jax_profiling/results`.

__Contents__

 - Options: what the command line can change.
 - Dataset, Model: what is fitted, and what is fitted to it.
 - Parameters By Name: reading, replacing and batching the leaves of an instance.
 - Reference: the same fit by NumPy, which every result is checked against.
 - Flat Vectors: the baseline.
 - Ray Tracing ... Log Likelihood: the steps of the likelihood.
 - Full Likelihood, Batch, Gradient: the likelihood under `jit`, `vmap` and `grad`.
 - Equality: all of them equal NumPy, for 20 instances.
 - Traces: no step is traced twice, whatever the instance.
 - Results: the JSON, the figure and the summary.
"""

import autolens_patch  # noqa: F401

# isort: split

from pathlib import Path

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
from autofit.non_linear.fitness import Fitness

from jax_profiling.checks import (
    GRADIENT_ATOL,
    GRADIENT_RTOL,
    assert_close,
    gradient_by_differences_from,
)
from jax_profiling.dataset import imaging_from
from jax_profiling.model import mge_model_from, vectors_near_truth_from
from jax_profiling.options import (
    add_timing_options,
    options_from,
    parser_from,
    positive_integer,
)
from jax_profiling.output import (
    environment_from,
    results_from,
    summary_from,
    write_from,
)
from jax_profiling.timing import profile_from, progress_from

FOLDER = Path(__file__).resolve().parents[1]

"""
__Options__

The libraries keep compiled functions on disk between runs. A compile time that is to be
reported must not be read from there, so the cache is switched off before anything is
compiled.
"""
parser = parser_from(
    description="Profile the JAX likelihood of an MGE lens model fitted to imaging.",
    examples=(
        "  python mge.py\n"
        "  python mge.py --instrument euclid --gaussians 30\n"
        "  python mge.py --batch 32 --repeats 301 --output results\n"
        "  python mge.py --quick"
    ),
    output=FOLDER / "results" / "imaging",
)
add_timing_options(parser)
parser.add_argument(
    "--gaussians",
    type=positive_integer,
    metavar="N",
    help="how many Gaussians each of the two galaxies has (default: 20; quick: 4)",
)
options = options_from(
    parser,
    defaults={"gaussians": 20, "batch": 8, "repeats": 101},
    quick_defaults={"gaussians": 4, "batch": 3, "repeats": 5},
)

jax.config.update("jax_enable_compilation_cache", False)

# Lowering and compiling take seconds. They are sampled most for the likelihood, where
# the ratios matter most, and once in a quick run. Lowering is Python, whose time varies
# most, and is sampled more often than compiling.
STEP_COMPILATIONS = 1 if options.quick else 2
LIKELIHOOD_COMPILATIONS = 1 if options.quick else 4
LIKELIHOOD_LOWERINGS = 0 if options.quick else 4

# A batch and a gradient take as long as many likelihoods: fewer calls are enough.
REPEATS_OF_LONG_CALLS = max(min(options.repeats, 5), options.repeats // 4)

TOTAL_INSTANCES = 20

environment = environment_from()
print(f"Device: {environment['device']}, XLA_FLAGS: {environment['xla_flags']}")

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

# Enough vectors that 20 batches, each one vector further on than the last, all differ.
vectors = vectors_near_truth_from(model, total=TOTAL_INSTANCES + options.batch - 1)

"""
__Parameters By Name__

A model makes an instance of every vector, outside any jitted function. From here on the
vectors are only needed for the baseline.
"""
instances = [model.instance_from_vector(vector=vector) for vector in vectors]
instance = instances[0]

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


def batch_from(instances: list[af.ModelInstance]) -> af.ModelInstance:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *instances)


batches = [
    batch_from(instances[start : start + options.batch])
    for start in range(TOTAL_INSTANCES)
]
broadcast_batch = jax.tree_util.tree_map(
    lambda leaf: jnp.broadcast_to(leaf, (options.batch, *jnp.shape(leaf))), instance
)
for batch in (batches[0], broadcast_batch):
    if batch.galaxies.lens.mass.einstein_radius.shape != (options.batch,):
        raise AssertionError("A batch does not have an axis for its instances.")

"""
__Reference__

The fit that every result below is compared with. It uses NumPy throughout, and solves
for the intensities of the Gaussians with another algorithm than the JAX likelihood.
"""
fit = al.FitImaging(dataset=dataset, tracer=al.Tracer(galaxies=list(instance.galaxies)))
reference_analysis = al.AnalysisImaging(dataset=dataset, use_jax=False)

print(f"NumPy log likelihoods of {len(instances)} instances ...", flush=True)
reference_log_likelihoods = np.array(
    [
        reference_analysis.log_likelihood_function(instance)
        for instance in progress_from(instances, "instances")
    ]
)

"""
__Flat Vectors__

The baseline, which is how searches call the likelihood today: the jitted function takes
a flat vector, and makes the instance inside the trace. `Fitness.call` does it for the
full likelihood; this does it for a step.
"""
analysis = al.AnalysisImaging(dataset=dataset, use_jax=True)
fitness = Fitness(model=model, analysis=analysis)


def flat_from(closure):
    return lambda vector: closure(model.instance_from_vector(vector=vector, xp=jnp))


def profile_parameter_step(name, closure):
    return profile_from(
        name,
        ways={
            "pytree": (closure, [(instance,) for instance in instances]),
            "flat": (flat_from(closure), [(vector,) for vector in vectors]),
        },
        repeats=options.repeats,
        compilations=STEP_COMPILATIONS,
    )


def profile_array_step(name, closure, *arrays):
    return profile_from(
        name,
        ways={"arrays": (closure, [arrays])},
        repeats=options.repeats,
        compilations=STEP_COMPILATIONS,
    )


print("Steps of the likelihood")

"""
__Ray Tracing__

The lens deflects the (y,x) coordinates of the image, in arcsec, to those of the source
plane: of the sub-pixels in the mask, and of the pixels around it whose light the PSF
blurs into it.

The closure is the pattern for every step that depends on parameters. It takes the
instance, and makes the tracer inside the trace.
"""


def ray_tracing(instance):
    tracer = al.Tracer(galaxies=list(instance.galaxies))
    return traced_grids_from(tracer, xp=jnp)


def traced_grids_from(tracer, xp):
    return [
        grid.over_sampled.array
        for image_grid in (dataset.grids.lp, dataset.grids.blurring)
        for grid in tracer.traced_grid_2d_list_from(grid=image_grid, xp=xp)
    ]


ray_tracing_step = profile_parameter_step("ray-tracing", ray_tracing)

for actual, desired in zip(
    ray_tracing_step(instance), traced_grids_from(fit.tracer, xp=np), strict=True
):
    assert_close(actual, desired, "Ray-tracing")

"""
__Mapping Matrix__

A column for every Gaussian, holding its image at unit intensity: the Gaussians of the
lens on the image's coordinates, those of the source on the traced ones. Its shape is
(pixels, Gaussians).

The inversion is the libraries' own. It computes a matrix when it is asked for.
"""


def inversion_from(instance):
    tracer = al.Tracer(galaxies=list(instance.galaxies))
    return al.TracerToInversion(dataset=dataset, tracer=tracer, xp=jnp).inversion


def mapping_matrix_from_params(instance):
    return inversion_from(instance).mapping_matrix


mapping_matrix_step = profile_parameter_step("mapping matrix", mapping_matrix_from_params)

assert_close(
    mapping_matrix_step(instance), fit.inversion.mapping_matrix, "The mapping matrix"
)

"""
__Blurred Mapping Matrix__

Every column of the mapping matrix, convolved with the PSF. It includes the light which
the PSF blurs into the mask from outside. Its shape is (pixels, Gaussians).
"""


def blurred_mm_from_params(instance):
    return inversion_from(instance).operated_mapping_matrix


blurred_mapping_matrix_step = profile_parameter_step(
    "blurred mapping matrix", blurred_mm_from_params
)

blurred_mapping_matrix = blurred_mapping_matrix_step(instance)
assert_close(
    blurred_mapping_matrix,
    fit.inversion.operated_mapping_matrix,
    "The blurred mapping matrix",
)

"""
__Data Vector__

The parameters have done their part: from here to the log likelihood a step takes the
arrays of the steps before it.

An inversion keeps each of its matrices once it has computed it. One that is given a
matrix continues from there, and so does a single step with the libraries' own code.
"""


def inversion_given(**matrices):
    inversion = al.Inversion(
        dataset=dataset, linear_obj_list=fit.inversion.linear_obj_list, xp=jnp
    )
    for name, matrix in matrices.items():
        setattr(inversion, name, matrix)
    return inversion


def data_vector_from(blurred_mapping_matrix):
    return inversion_given(operated_mapping_matrix=blurred_mapping_matrix).data_vector


data_vector_step = profile_array_step(
    "data vector", data_vector_from, blurred_mapping_matrix
)

data_vector = data_vector_step(blurred_mapping_matrix)
assert_close(data_vector, fit.inversion.data_vector, "The data vector")

"""
__Curvature Matrix__

The noise-weighted product of the blurred mapping matrix with itself, of shape
(Gaussians, Gaussians).
"""


def curvature_matrix_from(blurred_mapping_matrix):
    return inversion_given(
        operated_mapping_matrix=blurred_mapping_matrix
    ).curvature_matrix


curvature_matrix_step = profile_array_step(
    "curvature matrix", curvature_matrix_from, blurred_mapping_matrix
)

curvature_matrix = curvature_matrix_step(blurred_mapping_matrix)
assert_close(curvature_matrix, fit.inversion.curvature_matrix, "The curvature matrix")

"""
__Reconstruction__

The intensities of the Gaussians which fit the data best, none of them negative.

A Gaussian which is too narrow to leave light in any sub-pixel has an intensity that the
data say nothing about, and the two solvers leave different ones. Intensities are
therefore compared in units of their uncertainty, of which 1e-5 is no difference.
"""


def reconstruction_from(data_vector, curvature_matrix):
    return inversion_given(
        data_vector=data_vector, curvature_matrix=curvature_matrix
    ).reconstruction


reconstruction_step = profile_array_step(
    "positive reconstruction", reconstruction_from, data_vector, curvature_matrix
)

reconstruction = reconstruction_step(data_vector, curvature_matrix)
inverse_uncertainties = np.sqrt(np.diag(fit.inversion.curvature_matrix))
assert_close(
    reconstruction * inverse_uncertainties,
    fit.inversion.reconstruction * inverse_uncertainties,
    "The reconstruction",
    atol=1e-5,
)

"""
__Mapped Reconstruction__

The model image: the blurred images of the Gaussians, each times its intensity.
"""


def mapped_reconstruction_from(blurred_mapping_matrix, reconstruction):
    return al.util.inversion.mapped_reconstructed_data_via_mapping_matrix_from(
        mapping_matrix=blurred_mapping_matrix, reconstruction=reconstruction, xp=jnp
    )


mapped_reconstruction_step = profile_array_step(
    "mapped reconstruction",
    mapped_reconstruction_from,
    blurred_mapping_matrix,
    reconstruction,
)

mapped_reconstruction = mapped_reconstruction_step(blurred_mapping_matrix, reconstruction)
assert_close(
    mapped_reconstruction,
    fit.inversion.mapped_reconstructed_operated_data.array,
    "The mapped reconstruction",
)

"""
__Log Likelihood__

The chi-squared of the model image and the normalization of the noise.
"""


def log_likelihood_from(mapped_reconstruction):
    noise_map = dataset.noise_map.array
    residual_map = al.util.fit.residual_map_from(
        data=dataset.data.array, model_data=mapped_reconstruction
    )
    chi_squared_map = al.util.fit.chi_squared_map_from(
        residual_map=residual_map, noise_map=noise_map
    )
    return al.util.fit.log_likelihood_from(
        chi_squared=al.util.fit.chi_squared_from(chi_squared_map=chi_squared_map, xp=jnp),
        noise_normalization=al.util.fit.noise_normalization_from(
            noise_map=noise_map, xp=jnp
        ),
    )


log_likelihood_step = profile_array_step(
    "log likelihood", log_likelihood_from, mapped_reconstruction
)

assert_close(
    log_likelihood_step(mapped_reconstruction), fit.log_likelihood, "The log likelihood"
)

"""
__Full Likelihood__

All of the steps in one jitted function, which is the analysis's own: nothing is wrapped
around it.
"""
print("The likelihood as a whole")

likelihood = profile_from(
    "full likelihood",
    ways={
        "pytree": (
            analysis.log_likelihood_function,
            [(instance,) for instance in instances],
        ),
        "flat": (fitness.call, [(vector,) for vector in vectors]),
    },
    repeats=options.repeats,
    compilations=LIKELIHOOD_COMPILATIONS,
    lowerings=LIKELIHOOD_LOWERINGS,
)

"""
__Batch__

`jax.vmap` of the same function takes a batch of instances as it takes anything else: it
needs no `in_axes`, because every leaf of the batch has the new axis.
"""
batched_likelihood = profile_from(
    f"vmap of {options.batch}",
    ways={
        "pytree": (
            jax.vmap(analysis.log_likelihood_function),
            [(batch,) for batch in batches],
        ),
        "flat": (
            jax.vmap(fitness.call),
            [
                (jnp.stack(vectors[start : start + options.batch]),)
                for start in range(TOTAL_INSTANCES)
            ],
        ),
    },
    repeats=REPEATS_OF_LONG_CALLS,
    compilations=LIKELIHOOD_COMPILATIONS,
    lowerings=LIKELIHOOD_LOWERINGS,
)

"""
__Gradient__

The gradient of the log likelihood is an instance as well: each parameter's derivative
stands where the parameter stands. Compiling it takes long, and it is sampled once.
"""
value_and_grad = profile_from(
    "value and gradient",
    ways={
        "pytree": (
            jax.value_and_grad(analysis.log_likelihood_function),
            [(instance,) for instance in instances],
        ),
        "flat": (
            jax.value_and_grad(fitness.call),
            [(vector,) for vector in vectors],
        ),
    },
    repeats=REPEATS_OF_LONG_CALLS,
)

"""
__Equality__

The steps chained, the full likelihood and every member of every batch equal the NumPy
log likelihood of their own instance. This is also where every step meets 20 different
instances.
"""
flat_likelihood = likelihood.timings["flat"].jitted

print(f"Equality with NumPy of {TOTAL_INSTANCES} instances ...", flush=True)
for index in progress_from(range(TOTAL_INSTANCES), "instances"):
    blurred_mapping_matrix = blurred_mapping_matrix_step(instances[index])
    reconstruction = reconstruction_step(
        data_vector_step(blurred_mapping_matrix),
        curvature_matrix_step(blurred_mapping_matrix),
    )
    chained = log_likelihood_step(
        mapped_reconstruction_step(blurred_mapping_matrix, reconstruction)
    )
    reference = reference_log_likelihoods[index]
    assert_close(chained, reference, "The chain of steps")
    assert_close(likelihood(instances[index]), reference, "The full likelihood")
    assert_close(flat_likelihood(vectors[index]), reference, "The flat likelihood")
    assert_close(
        batched_likelihood(batches[index]),
        reference_log_likelihoods[index : index + options.batch],
        "The batched likelihood",
    )

    ray_tracing_step(instances[index])
    mapping_matrix_step(instances[index])
    value, gradient = value_and_grad(instances[index])
    assert_close(value, reference, "The value beside the gradient")

assert_close(
    batched_likelihood(broadcast_batch),
    np.full(options.batch, reference_log_likelihoods[0]),
    "The likelihood of a broadcast batch",
)

"""
Finite differences of the NumPy likelihood check the gradient of every parameter, by
name. A difference's step is chosen by how well neighbouring steps agree.
"""
print("Gradient by name, and its finite difference of the NumPy likelihood ...")
_, gradient = value_and_grad(instance)
differences, difference_errors = gradient_by_differences_from(
    lambda vector: reference_analysis.log_likelihood_function(
        model.instance_from_vector(vector=vector)
    ),
    vectors[0],
)

gradient_by_name = {}
for (path, derivative), difference, error in zip(
    jax.tree_util.tree_leaves_with_path(gradient),
    differences,
    difference_errors,
    strict=True,
):
    name = jax.tree_util.keystr(path)
    gradient_by_name[name] = {
        "gradient": float(derivative),
        "finite_difference": float(difference),
        "finite_difference_error": float(error),
    }
    print(f"  {name:<{name_width}}{derivative:>18.4f}{difference:>18.4f}")
    np.testing.assert_allclose(
        derivative,
        difference,
        rtol=GRADIENT_RTOL,
        atol=GRADIENT_ATOL,
        err_msg=f"The gradient of {name} differs from its finite difference",
    )

"""
__Traces__

Two instances of one model have the same structure, so a jitted function is traced for
the first and never again.
"""
profiles = [
    ray_tracing_step,
    mapping_matrix_step,
    blurred_mapping_matrix_step,
    data_vector_step,
    curvature_matrix_step,
    reconstruction_step,
    mapped_reconstruction_step,
    log_likelihood_step,
    likelihood,
    batched_likelihood,
    value_and_grad,
]
for profile in profiles:
    for way, timing in profile.timings.items():
        if timing.traces != 1:
            raise AssertionError(
                f"{profile.name} ({way}) was traced {timing.traces} times over "
                f"{TOTAL_INSTANCES} instances."
            )

"""
__Results__

The figure and the table show the two ways of every step side by side. Where the folder
holds the JSON of an earlier run with this instrument on this device, the change of
every ratio is printed before it is replaced.
"""
results = results_from(
    environment=environment,
    configuration={
        "instrument": options.instrument.name,
        "pixel_scale": options.instrument.pixel_scale,
        "pixels": dataset.data.shape[0],
        "sub_pixels": dataset.grids.lp.over_sampled.shape[0],
        "free_parameters": model.prior_count,
        "gaussians": options.gaussians,
        "batch": options.batch,
        "repeats": options.repeats,
        "instances": TOTAL_INSTANCES,
    },
    profiles=profiles,
    log_likelihoods={
        "numpy": reference_log_likelihoods[: options.batch].tolist(),
        "pytree": [float(likelihood(instances[i])) for i in range(options.batch)],
        "flat": [float(flat_likelihood(vectors[i])) for i in range(options.batch)],
        "vmap": np.asarray(batched_likelihood(batches[0])).tolist(),
    },
    gradient=gradient_by_name,
)

print()
print(summary_from(profiles))
print()
for path in write_from(results, profiles, folder=options.output, name="mge"):
    print(f"Wrote {path}")
