"""
An instance is a point in its model, and JAX can see that.

Importing this package makes PyAutoFit's model instances, models and priors JAX pytrees,
in place::

    import autofit_patch
    import autofit as af

    instance = model.instance_from_vector(vector)
    jax.jit(function)(instance)
    jax.grad(function)(instance).gaussian.sigma

``autolens_patch`` and ``autogalaxy_patch`` import it and add their own classes.

Attributes
----------
TESTED_VERSIONS
    The oldest and the newest release of the libraries that the patch was tested with.
register
    Makes the objects of a class pytrees.
explain
    Prints why JAX sees an object as it does.
"""

from autofit_patch.libraries._required import relying_on
from autofit_patch.libraries._versions import (
    TESTED_VERSIONS,
    check_versions,
    tell_of_newer,
)

check_versions("autonerves", "autofit", "jax")

# What the libraries want of JAX it reads once, when it is imported: double precision, and
# the folder in which what was compiled is kept for later runs.
with relying_on("autonerves"):
    import autonerves  # noqa: F401

with relying_on("jax"):
    from autofit_patch.libraries._backend import avoid_hang, use_double_precision

use_double_precision()
avoid_hang()

with relying_on("autofit"):
    from autofit_patch.libraries._check import small_model as _small_model
    from autofit_patch.libraries._hooks import when_imported
    from autofit_patch.libraries._patch import apply as _apply
    from autofit_patch.pytree._explain import explain
    from autofit_patch.pytree._registration import register

when_imported("autofit", _apply, _small_model)
tell_of_newer()

__all__ = ["TESTED_VERSIONS", "explain", "register"]
