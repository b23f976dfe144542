"""Which classes of PyAutoLens are given to JAX."""

import autolens as al
from autoarray.abstract_ndarray import register_instance_pytree
from autolens.point.fit.abstract import AbstractFitPoint

from autofit_patch import register
from autofit_patch._internals import tell_the_libraries
from autofit_patch._pytree import subclasses_of

#: What the parts of a point-source fit have from the analysis, not from the instance.
CONSTANTS = ("name", "solver", "use_jax", "positions", "_data", "_noise_map")


def apply():
    """
    Patch PyAutoLens.

    Raises
    ------
    ValueError
        If the libraries' own registration came first.
    """
    register(al.Tracer)
    # As the libraries do it when an analysis fits; but they leave out some of the parts,
    # and the solver of others, so that not every fit could leave a jitted function.
    for cls in subclasses_of(AbstractFitPoint):
        register_instance_pytree(cls, no_flatten=CONSTANTS)
        tell_the_libraries(cls)
