"""What a data set is but for its numbers."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import autoarray as aa
import jax
import numpy as np
from autoarray.abstract_ndarray import AbstractNDArray
from autoarray.mask.abstract_mask import Mask
from jax.tree_util import GetAttrKey

from autofit_patch.pytree._keys import key_from
from autogalaxy_patch.datasets import _psf, _visibilities


@dataclass(frozen=True)
class Kind:
    """
    What is to be known of a class of data sets.

    Attributes
    ----------
    leaves
        The attributes whose numbers are leaves.
    derived
        The attributes which the libraries derive from others.
    rebuild
        A function of a data set whose leaves are in place, and its structure, which
        derives what depends on them.
    """

    leaves: tuple[str, ...]
    derived: tuple[str, ...]
    rebuild: Callable


class DatasetStructure:
    """
    The structure of a data set: its mask and the shapes of what was observed, compared by
    value.

    Parameters
    ----------
    dataset
        The data set. What it holds is not kept, but for its grids of coordinates.
    kind
        What is to be known of its class.

    Attributes
    ----------
    parts
        What is compared, by the names of the attributes.
    """

    def __init__(self, dataset, kind: Kind):
        self._kind = kind
        self._frame = object.__new__(type(dataset))
        self.parts = {}
        for name, value in vars(dataset).items():
            if name in kind.leaves:
                value = without_numbers(value)
                self.parts[name] = key_of(value)
            elif name not in kind.derived:
                self.parts[name] = key_of(value)
            setattr(self._frame, name, value)
        if getattr(dataset, "transformer", None) is not None:
            self.parts["transformer"] = key_of(dataset.transformer)
        self.keys = tuple(map(GetAttrKey, kind.leaves))
        self._key = type(dataset), tuple(sorted(self.parts.items()))
        self.geometry = None

    def dataset_from(self, numbers):
        """
        The data set whose leaves are given numbers.

        Parameters
        ----------
        numbers
            The leaves: arrays as in the data set, or whatever JAX puts into a tree.
        """
        dataset = copy.copy(self._frame)
        for name, leaf in zip(self._kind.leaves, numbers, strict=True):
            setattr(dataset, name, with_numbers(getattr(dataset, name), leaf))
        self._kind.rebuild(dataset, self)
        return dataset

    def psf_of(self, dataset) -> _psf.Convolver:
        """The convolver of a data set that has this structure."""
        if self.geometry is None:
            self.geometry = _psf.Geometry(dataset.psf)
        kernel = dataset.psf.kernel
        return _psf.Convolver(self._frame.psf, kernel, self.geometry, dataset.mask)

    def differences(self, other: "DatasetStructure") -> list[str]:
        """The names of the attributes that differ from those of another."""
        names = {**self.parts, **other.parts}
        return [n for n in names if self.parts.get(n) != other.parts.get(n)]

    def __eq__(self, other):
        return isinstance(other, DatasetStructure) and self._key == other._key

    def __hash__(self):
        return hash(self._key)

    def __repr__(self):
        mask = self._frame.mask if hasattr(self._frame, "data") else None
        pixels = "" if mask is None else f", {int((~np.asarray(mask)).sum())} pixels"
        return f"{type(self._frame).__name__}({', '.join(self._kind.leaves)}{pixels})"


class OfJax:
    """
    An array of the libraries whose parts are those of its numbers, as they are where the
    numbers are NumPy's. (The libraries make arrays of their own of the parts of JAX's,
    which JAX's functions do not take.)
    """

    def __getitem__(self, item):
        part = self._array[item]
        return self.with_new_array(part) if isinstance(item, slice) else part

    def __reduce__(self):
        return copy_from, (class_of(self), vars(self))


@cache
def of_jax(cls: type) -> type:
    """The class of an array whose numbers are JAX's."""
    return type(cls.__name__, (OfJax, cls), {"__module__": cls.__module__})


def class_of(array: AbstractNDArray) -> type:
    """The libraries' class of an array."""
    cls = type(array)
    return cls.__mro__[2] if issubclass(cls, OfJax) else cls


def copy_from(cls: type, attributes: dict):
    """The array that was pickled."""
    array = object.__new__(of_jax(cls))
    vars(array).update(attributes)
    return array


def numbers_of(value):
    """The numbers of an attribute: those of an array, or of the kernel of a PSF."""
    if isinstance(value, aa.Convolver):
        value = value.kernel
    return value.array if isinstance(value, AbstractNDArray) else value


def with_numbers(value, numbers):
    """An attribute with other numbers."""
    if isinstance(value, aa.Convolver):
        convolver = copy.copy(value)
        convolver.kernel = with_numbers(value.kernel, numbers)
        return convolver
    if isinstance(value, AbstractNDArray):
        cls = class_of(value)
        array = object.__new__(of_jax(cls) if isinstance(numbers, jax.Array) else cls)
        vars(array).update(vars(value))
        array._array = numbers
        return array
    return numbers


def without_numbers(value):
    """An attribute of which the numbers, and the header of their file, are left out."""
    if value is None:
        return None
    emptied = with_numbers(value, None)
    if isinstance(emptied, aa.Convolver):
        emptied._state = None
        emptied.kernel.header = None
    elif isinstance(emptied, AbstractNDArray):
        emptied.header = None
    return emptied


def key_of(value):
    """What is compared of an attribute."""
    if isinstance(value, Mask):
        key = value.pixel_scales, value.origin, value.shape, value.array.tobytes()
        return type(value), key
    if isinstance(value, AbstractNDArray):
        mask = vars(value).get("mask")
        return class_of(value), key_of(mask), key_from(value.array)
    if isinstance(value, aa.Convolver):
        settings = value._use_fft, value.convolve_over_sample_size
        return aa.Convolver, key_of(value.kernel), settings
    if type(value) in _visibilities.SETTINGS:
        names = _visibilities.SETTINGS[type(value)]
        return type(value), tuple(getattr(value, name) for name in names)
    return key_from(value)
