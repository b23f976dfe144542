"""
Profiling: pixelized source, rectangular mesh
=============================================

Times the JAX log evidence of a strong lens step by step: a lens galaxy with a multi
Gaussian expansion (MGE) for its light, an isothermal mass distribution and an external
shear, and a source galaxy that is reconstructed on a rectangular mesh, which adapts to
where the lens magnifies. Fitted to CCD imaging.

As in `mge.py`, a jitted function takes the `ModelInstance`. The steps are those of
`pixelized.py`.
"""

import autolens_patch  # noqa: F401

# isort: split

import autolens as al

from jax_profiling.imaging.pixelized import (
    pixelized_dataset_from,
    pixelized_parser_from,
    profile_pixelized,
)
from jax_profiling.model import pixelized_model_from
from jax_profiling.options import options_from

parser = pixelized_parser_from(
    script="pixelization",
    description="Profile the JAX log evidence of a source on a rectangular mesh.",
    mesh_shape="the pixels on each side of the mesh",
)
options = options_from(parser)

"""
__Model__

The mesh has a fixed shape, and no parameter of its own. How strongly neighbouring pixels
are held together, the coefficient of the regularization, is free.
"""
model = pixelized_model_from(
    total_gaussians=options.gaussians,
    mesh=al.mesh.RectangularBilinearAdaptDensity(
        shape=(options.mesh_shape, options.mesh_shape)
    ),
    regularization=al.reg.Constant,
)

profile_pixelized(
    name="pixelization",
    model=model,
    dataset=pixelized_dataset_from(options),
    options=options,
)
