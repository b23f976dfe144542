"""Which classes of PyAutoLens are given to JAX."""

import autolens as al

from autofit_patch import register


def apply():
    """
    Patch PyAutoLens.

    Raises
    ------
    ValueError
        If the libraries' own registration came first.
    """
    register(al.Tracer)
