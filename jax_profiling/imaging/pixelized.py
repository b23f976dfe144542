"""
The likelihood of imaging whose source is reconstructed on a mesh, step by step.

`pixelization.py` and `delaunay.py` differ in their mesh. What follows from it is the same
and reads, from top to bottom, as the likelihood does.
"""

import argparse
from pathlib import Path

import autofit as af
import autolens as al
import jax.numpy as jnp
import numpy as np

from jax_profiling.checks import STEPS
from jax_profiling.dataset import imaging_from
from jax_profiling.inversion import InversionProfiler
from jax_profiling.model import vectors_near_truth_from
from jax_profiling.options import add_size, add_timing_options, parser_from
from jax_profiling.profiler import LikelihoodProfiler

FOLDER = Path(__file__).resolve().parents[1]

#: The weights of a mesh have a kink wherever one of the many sub-pixels passes from a
#: pixel of the mesh to the next. A finite difference is the derivative if its step is so
#: short that none does.
SHORT_STEPS = (1e-7, 3e-8, 1e-8)


def pixelized_parser_from(
    script: str, description: str, mesh_shape: str
) -> argparse.ArgumentParser:
    """
    The parser of a script.

    Parameters
    ----------
    script
        The name of the script.
    description
        What it does, in a sentence.
    mesh_shape
        What `--mesh-shape` is the side of.
    """
    parser = parser_from(
        description=description,
        examples=(
            f"  python {script}.py\n"
            f"  python {script}.py --instrument hst --mesh-shape 30\n"
            f"  python {script}.py --trace profile --memory\n"
            f"  python {script}.py --quick"
        ),
        output=FOLDER / "results" / "imaging",
        instrument="euclid",
    )
    add_timing_options(parser, batch=4, repeats=31)
    add_size(parser, "--mesh-shape", mesh_shape, 20, 5)
    add_size(parser, "--gaussians", "how many Gaussians the lens galaxy has", 20, 2)
    return parser


def pixelized_dataset_from(options: argparse.Namespace) -> al.Imaging:
    """The imaging that a script fits."""
    dataset = imaging_from(
        instrument=options.instrument, folder=FOLDER / "dataset" / "imaging"
    )
    print(
        f"Dataset: {options.instrument.name}, {options.instrument.pixel_scale} arcsec "
        f"per pixel, {dataset.data.shape[0]} pixels in the mask"
    )
    return dataset


def difference_steps(name: str) -> tuple[float, ...]:
    """The steps of a finite difference: short if the parameter deflects light."""
    return SHORT_STEPS if ".mass." in name or ".shear." in name else STEPS


def profile_pixelized(
    name: str,
    model: af.Collection,
    dataset: al.Imaging,
    options: argparse.Namespace,
    adapt_images: al.AdaptImages | None = None,
) -> None:
    """
    Profiles the log evidence of a pixelized source, and writes the results.

    Parameters
    ----------
    name
        The name of the script.
    model
        The model, from `pixelized_model_from`.
    dataset
        The imaging.
    options
        The command line.
    adapt_images
        The image-plane mesh grid, for a mesh that needs one.
    """
    vectors = vectors_near_truth_from(model, options.instances + options.batch - 1)
    shared = {"dataset": dataset, "adapt_images": adapt_images}
    profiler = LikelihoodProfiler(
        name=name,
        model=model,
        analysis=al.AnalysisImaging(use_jax=True, **shared),
        reference_analysis=al.AnalysisImaging(use_jax=False, **shared),
        vectors=vectors,
        options=options,
        difference_steps=difference_steps,
    )
    fit = profiler.reference_analysis.fit_from(instance=profiler.instance)
    inversion = InversionProfiler(profiler, dataset, fit)
    pixels = fit.inversion.linear_obj_list[-1].params
    print(f"Model: {model.prior_count} free parameters, {pixels} pixels in the mesh")

    """
    __Ray Tracing__

    The (y,x) coordinates of the sub-pixels in the mask, and of the mesh if it begins in
    the image, are deflected to the source plane. In arcsec.
    """

    def source_plane_grids_from(instance, xp):
        to_inversion = inversion.to_inversion_from(instance, xp)
        (mesh_grid,) = to_inversion.traced_mesh_grid_pg_list[-1]
        return to_inversion.traced_grid_2d_list_of_inversion[-1], mesh_grid

    def arrays_from(data_grid, mesh_grid):
        grids = [data_grid.array, data_grid.over_sampled.array]
        return grids if mesh_grid is None else [*grids, mesh_grid.array]

    def ray_tracing(instance, xp=jnp):
        return arrays_from(*source_plane_grids_from(instance, xp))

    profiler.parameter_step(
        "ray-tracing", ray_tracing, ray_tracing(profiler.instance, xp=np)
    )

    """
    __Border Relocation__

    Coordinates outside the border of the source plane, to which the centre of a lens is
    traced, are moved to its edge.
    """

    def border_relocation(instance, xp=jnp):
        data_grid, mesh_grid = source_plane_grids_from(instance, xp)
        relocator = dataset.grids.border_relocator
        relocated = relocator.relocated_grid_from(grid=data_grid, xp=xp)
        if mesh_grid is not None:
            mesh_grid = relocator.relocated_mesh_grid_from(
                grid=data_grid, mesh_grid=mesh_grid, xp=xp
            )
        return arrays_from(relocated, mesh_grid)

    profiler.parameter_step(
        "border relocation",
        border_relocation,
        border_relocation(profiler.instance, xp=np),
    )

    """
    __Mapper__

    The pixels of the mesh that each sub-pixel belongs to, and with what weights.
    """

    def mapper_arrays_from(inversion):
        mapper = inversion.linear_obj_list[-1]
        return [mapper.pix_weights_for_sub_slim_index, mapper.mapping_matrix]

    profiler.parameter_step(
        "mapper",
        lambda instance: mapper_arrays_from(inversion.inversion_from(instance)),
        mapper_arrays_from(fit.inversion),
    )

    """
    __Blurred Mapping Matrix__

    A column for every Gaussian of the lens and every pixel of the mesh, convolved with
    the PSF; of shape (pixels, Gaussians + mesh pixels).
    """
    inversion.from_instance("operated_mapping_matrix", "blurred mapping matrix")

    """
    __Regularization Matrix__

    How neighbouring pixels of the mesh are held together; of shape (Gaussians + mesh
    pixels, Gaussians + mesh pixels), with zeros for the Gaussians.
    """
    inversion.from_instance("regularization_matrix", "regularization matrix")

    """
    __Linear System__

    From here on, a step takes the arrays of the steps before it.
    """
    blurred = ("operated_mapping_matrix",)
    inversion.from_arrays("data_vector", "data vector", blurred)
    inversion.from_arrays("curvature_matrix", "curvature matrix", blurred)
    inversion.from_arrays(
        "curvature_reg_matrix",
        "curvature + regularization",
        ("curvature_matrix", "regularization_matrix"),
    )
    inversion.reconstruction("curvature_reg_matrix")

    """
    __Log Evidence__

    The model image, how far it is from the data, and what its freedom costs.
    """
    inversion.log_determinants()
    inversion.mapped_reconstruction()
    inversion.log_evidence()

    """
    __Full Likelihood__

    The analysis's own function of an instance, of a batch of them, and its gradient; then
    the same checks as in `mge.py`.
    """
    profiler.whole()
    profiler.check_values(inversion.chained)
    profiler.check_gradient()
    profiler.check_traces()
    profiler.write(
        pixel_scale=options.instrument.pixel_scale,
        pixels=dataset.data.shape[0],
        sub_pixels=dataset.grids.pixelization.over_sampled.shape[0],
        gaussians=options.gaussians,
        mesh_shape=options.mesh_shape,
        mesh_pixels=pixels,
    )
