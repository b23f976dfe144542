"""Data sets of many lenses as one pytree."""

from collections.abc import Sequence

import autolens as al
import jax
import numpy as np

from autofit_patch import batch
from autogalaxy_patch.datasets import FramedImaging


def groups(datasets: Sequence) -> list[list[int]]:
    """
    Which data sets can be evaluated by one compiled program.

    Parameters
    ----------
    datasets
        Data sets: ``al.Imaging`` or ``al.Interferometer``.

    Returns
    -------
    The positions of those of equal structure (mask, pixel scale, over-sampling, shape of
    the PSF, number of visibilities), group by group, the largest first.

    Raises
    ------
    TypeError
        If one is no data set.
    """
    found: dict[tuple, list[int]] = {}
    for index, dataset in enumerate(datasets):
        if not isinstance(dataset, (al.Imaging, al.Interferometer)):
            raise TypeError(
                f"data set {index} is a {type(dataset).__name__}: an al.Imaging or an "
                "al.Interferometer was expected"
            )
        leaves, structure = jax.tree.flatten(dataset)
        shapes = tuple(map(np.shape, leaves))
        found.setdefault((structure, shapes), []).append(index)
    return sorted(found.values(), key=lambda group: (-len(group), group))


def stack(datasets: Sequence):
    """
    One data set whose arrays have a leading axis for the lenses.

    Parameters
    ----------
    datasets
        Data sets of equal structure (see :func:`groups`).

    Returns
    -------
    A data set of the same class, to be given to ``batch.map`` and ``jax.vmap``;
    ``batch.unstack`` takes it apart.

    Raises
    ------
    TypeError
        If one is no data set.
    ValueError
        If there are none, or their structures differ: it says into how many groups they
        fall, and in what these differ.
    """
    datasets = list(datasets)
    first, *others = groups(datasets) or [[]]
    if others:
        kinds = [
            f"  {len(group)} like data set {group[0]}"
            + (f", whose {differences(datasets[first[0]], datasets[group[0]])} differs")
            * (group is not first)
            for group in (first, *others)
        ]
        raise ValueError(
            f"{len(datasets)} data sets are of {len(kinds)} structures, each of which is "
            "a stack of its own (survey.groups says which are which). If only masks "
            "differ, survey.common_frame makes them one.\n" + "\n".join(kinds[:10])
        )
    return batch.stack(datasets)


def differences(one, other) -> str:
    """In what two data sets differ but for their numbers."""
    if type(one) is not type(other):
        return "class"
    mine, others = (jax.tree.structure(each).node_data()[1] for each in (one, other))
    names = mine.differences(others)
    if "data" in names and np.any(np.asarray(one.mask) != np.asarray(other.mask)):
        return "mask"
    return " and ".join(names) or "shape"


def common_frame(datasets: Sequence) -> list:
    """
    Images whose masks differ, in a mask that all have in common.

    Parameters
    ----------
    datasets
        ``al.Imaging`` data sets of frames of one shape, pixel scale and origin, whose
        PSFs have one shape, and whose over-sampling is the same where masks overlap.

    Returns
    -------
    The images, in order, of equal structure. The mask has all pixels that are in the mask
    of one of them. The log likelihood of each is what it is in its own mask
    (:func:`likelihood`), for all models but those with a pixelization.

    Raises
    ------
    ValueError
        If the frames or the over-sampling differ, or an image has a PSF at a higher
        resolution.
    """
    datasets = list(datasets)
    for index, dataset in enumerate(datasets):
        if not isinstance(dataset, al.Imaging):
            raise ValueError(
                f"data set {index} is a {type(dataset).__name__}: only images have masks "
                "that can be made one"
            )
        if type(dataset) not in (al.Imaging, FramedImaging):
            raise ValueError(
                f"data set {index} is a {type(dataset).__name__}, of which what it has "
                "more than an al.Imaging would be lost in a common frame"
            )
        if dataset.noise_covariance_matrix is not None:
            raise ValueError(
                f"data set {index} has a noise_covariance_matrix, which common_frame "
                "does not support"
            )
        mask, first = dataset.mask, datasets[0].mask
        frame = mask.shape_native, mask.pixel_scales, mask.origin
        if frame != (first.shape_native, first.pixel_scales, first.origin):
            raise ValueError(
                f"the frame of data set {index} has the shape, pixel scale and origin "
                f"{frame}, and that of data set 0 has others: cut them out alike"
            )
        if dataset.psf is not None and dataset.psf.convolve_over_sample_size > 1:
            raise ValueError(
                f"the PSF of data set {index} has a higher resolution than its image, "
                "which common_frame does not support"
            )
    outside = np.all([np.asarray(dataset.mask) for dataset in datasets], axis=0)
    mask = al.Mask2D(
        mask=outside,
        pixel_scales=datasets[0].pixel_scales,
        origin=datasets[0].mask.origin,
    )
    sizes = [
        common_sizes_from(datasets, name, mask)
        for name in ("over_sample_size_lp", "over_sample_size_pixelization")
    ]
    return [FramedImaging(dataset, mask, sizes) for dataset in datasets]


def common_sizes_from(datasets: list, name: str, mask) -> np.ndarray:
    """The numbers of sub-pixels of all images, for each pixel of the common mask."""
    common = np.zeros(mask.shape_native)
    for index, dataset in enumerate(datasets):
        sizes = np.asarray(getattr(dataset, name).native.array)
        inside = ~np.asarray(dataset.mask)
        if (inside & (common > 0) & (common != sizes)).any():
            raise ValueError(
                f"the {name} of data set {index} differs from that of one before it in a "
                "pixel that both have: give them the same over-sampling"
            )
        common[inside] = sizes[inside]
    return common[~np.asarray(mask)]
