"""
Profiling: MGE interferometer likelihood
========================================

The model of `imaging/mge.py`, fitted to visibilities: every Gaussian's image is
transformed to the baselines of an interferometer, by a non-uniform fast Fourier transform
(NUFFT) or by a direct one (DFT).

As in `imaging/mge.py`, a jitted function takes the `ModelInstance`.
"""

import autolens_patch  # noqa: F401

# isort: split

from pathlib import Path

import autolens as al
import jax.numpy as jnp
import numpy as np

from jax_profiling.instruments import ARRAYS, QUICK_ARRAY
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
from jax_profiling.simulators.interferometer import interferometer_from

FOLDER = Path(__file__).resolve().parents[1]
TRANSFORMERS = {"nufft": al.TransformerNUFFT, "dft": al.TransformerDFT}

"""
__Options__
"""
parser = parser_from(
    description="Profile the JAX likelihood of an MGE lens model fitted to visibilities.",
    examples=(
        "  python mge.py\n"
        "  python mge.py --transformer dft --gaussians 30\n"
        "  python mge.py --quick"
    ),
    output=FOLDER / "results" / "interferometer",
    instrument="sma",
    instruments=ARRAYS,
    quick=QUICK_ARRAY,
)
add_timing_options(parser, batch=8, repeats=101)
parser.add_argument(
    "--transformer",
    choices=TRANSFORMERS,
    default="nufft",
    help="how images become visibilities (default: %(default)s)",
)
add_size(parser, *GAUSSIANS)
options = options_from(parser)

"""
__Dataset, Model__
"""
dataset = interferometer_from(options.instrument, TRANSFORMERS[options.transformer])
print(
    f"Dataset: {options.instrument.name}, {options.instrument.visibilities} "
    f"visibilities, {dataset.real_space_mask.pixels_in_mask} pixels in the mask"
)
model = mge_model_from(total_gaussians=options.gaussians)
profiler = LikelihoodProfiler(
    name="mge" if options.transformer == "nufft" else f"mge-{options.transformer}",
    model=model,
    analysis=al.AnalysisInterferometer(dataset=dataset, use_jax=True),
    reference_analysis=al.AnalysisInterferometer(dataset=dataset, use_jax=False),
    vectors=vectors_near_truth_from(model, total=options.instances + options.batch - 1),
    options=options,
)
fit = profiler.reference_analysis.fit_from(instance=profiler.instance)
inversion = InversionProfiler(profiler, dataset, fit)

print("Steps of the likelihood")

"""
__Ray Tracing__

The (y,x) coordinates of the image's pixels, in arcsec, in the image and source planes.
"""


def ray_tracing(instance):
    tracer = al.Tracer(galaxies=list(instance.galaxies))
    return traced_grids_from(tracer, [dataset.grids.lp], xp=jnp)


profiler.parameter_step(
    "ray-tracing",
    ray_tracing,
    reference=traced_grids_from(fit.tracer, [dataset.grids.lp], xp=np),
)

"""
__Mapping Matrix__

A column for every Gaussian, holding its image at unit intensity; of shape (pixels,
Gaussians).
"""
inversion.mapping_matrix()

"""
__Transformed Mapping Matrix__

Every column as complex visibilities; of shape (visibilities, Gaussians).
"""
inversion.from_instance("operated_mapping_matrix", "transformed mapping matrix")

"""
__Linear System__

As for imaging, of the real and imaginary parts of the visibilities.
"""
transformed = ("operated_mapping_matrix",)
inversion.from_arrays("data_vector", "data vector", transformed)
inversion.from_arrays("curvature_matrix", "curvature matrix", transformed)
inversion.reconstruction()

"""
__Log Likelihood__

The chi-squared follows from the matrices: model visibilities need not be made.
"""


def log_likelihood_from(data_vector, curvature_matrix, reconstruction):
    given = inversion.inversion_given(
        data_vector=data_vector,
        curvature_matrix=curvature_matrix,
        reconstruction=reconstruction,
    )
    return al.util.fit.log_likelihood_from(
        chi_squared=given.fast_chi_squared, noise_normalization=fit.noise_normalization
    )


inversion.from_arrays(
    "log_likelihood",
    "log likelihood",
    ("data_vector", "curvature_matrix", "reconstruction"),
    log_likelihood_from,
    reference=fit.figure_of_merit,
)

"""
__Full Likelihood, Checks, Results__
"""
profiler.whole()
profiler.check_values(inversion.chained)
profiler.check_gradient()
profiler.check_traces()
profiler.write(
    pixel_scale=options.instrument.pixel_scale,
    pixels=int(dataset.real_space_mask.pixels_in_mask),
    visibilities=options.instrument.visibilities,
    transformer=options.transformer,
    gaussians=options.gaussians,
)
