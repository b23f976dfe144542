"""Which classes of PyAutoLens are given to JAX."""

import autolens as al

from autofit_patch import register
from autofit_patch.pytree._registration import register_below
from autolens_patch._fits import register_parts_of_fits


def apply():
    """
    Patch PyAutoLens.

    Raises
    ------
    ValueError
        If the libraries' own registration came first.
    """
    register(al.Tracer)
    register_below(al.Tracer)
    register_parts_of_fits()
