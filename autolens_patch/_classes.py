"""Which classes of PyAutoLens are given to JAX."""

import autolens as al

import autofit_patch


def apply():
    """
    Patch PyAutoLens.

    Raises
    ------
    ValueError
        If the libraries' own registration came first.
    """
    autofit_patch.register(al.Tracer)
