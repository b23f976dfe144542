"""Which classes of data sets are given to JAX."""

import autoarray as aa
import jax
from autoarray.abstract_ndarray import _pytree_registered_classes

from autofit_patch.libraries._internals import tell_the_libraries
from autofit_patch.pytree._registration import register_below, subclasses_of
from autogalaxy_patch.datasets._framed import FramedImaging, frame_grids
from autogalaxy_patch.datasets._structure import DatasetStructure, Kind, numbers_of
from autogalaxy_patch.datasets._visibilities import (
    SETTINGS,
    let_noise_be_traced,
    transformer_at,
)


def rebuild_imaging(dataset, structure):
    if dataset.psf is not None:
        dataset.psf = structure.psf_of(dataset)


def rebuild_framed(dataset, structure):
    rebuild_imaging(dataset, structure)
    frame_grids(dataset)


def rebuild_interferometer(dataset, structure):
    dataset.transformer = transformer_at(dataset.transformer, dataset.uv_wavelengths)


KINDS = {
    FramedImaging: Kind(("data", "noise_map", "psf"), ("grids",), rebuild_framed),
    aa.Imaging: Kind(("data", "noise_map", "psf"), ("grids",), rebuild_imaging),
    aa.Interferometer: Kind(
        ("data", "noise_map", "uv_wavelengths"),
        ("grids", "transformer"),
        rebuild_interferometer,
    ),
}


def register_datasets():
    """Give JAX the data sets of images and of visibilities."""
    let_noise_be_traced()
    for base in KINDS:
        for cls in subclasses_of(base):
            register_dataset(cls)
        register_below(base, register_dataset)


def register_dataset(cls: type):
    """
    Make the data sets of a class pytrees. Registering it again is harmless.

    Their leaves are the numbers that were observed, as the arrays in which the libraries
    have them; what the libraries derive from these is derived again, in the trace.
    """

    if cls in _pytree_registered_classes:
        return
    kind = next(KINDS[base] for base in cls.__mro__ if base in KINDS)

    def flattened(dataset):
        refuse(dataset)
        numbers = [numbers_of(getattr(dataset, name)) for name in kind.leaves]
        return numbers, DatasetStructure(dataset, kind)

    def flattened_with_keys(dataset):
        numbers, structure = flattened(dataset)
        return list(zip(structure.keys, numbers, strict=True)), structure

    jax.tree_util.register_pytree_with_keys(
        cls, flattened_with_keys, DatasetStructure.dataset_from, flattened
    )
    tell_the_libraries(cls)


def refuse(dataset):
    """Raise an error for a data set that would go on with what others' numbers gave."""
    name = type(dataset).__name__
    if getattr(dataset, "sparse_operator", None) is not None:
        raise ValueError(
            f"this {name} has a sparse_operator, which was computed from its noise map "
            "and cannot be computed in a trace: as a pytree, a data set has none (make "
            "it again without apply_sparse_operator)"
        )
    transformer = getattr(dataset, "transformer", None)
    if transformer is not None and type(transformer) not in SETTINGS:
        raise ValueError(
            f"this {name} has a {type(transformer).__name__}, which cannot be given "
            "other baselines: as a pytree, a data set has one of the transformers "
            f"{', '.join(cls.__name__ for cls in SETTINGS)}"
        )
