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
    The oldest and the newest release of the libraries that can be patched.
register
    Makes the objects of a class pytrees.
explain
    Prints why JAX sees an object as it does.
"""

from autofit_patch.libraries._versions import TESTED_VERSIONS, check_versions

check_versions("autonerves", "autofit")

from autofit_patch.libraries._backend import avoid_hang, use_double_precision  # noqa: E402

use_double_precision()
avoid_hang()

from autofit_patch.libraries._patch import apply  # noqa: E402
from autofit_patch.pytree._explain import explain  # noqa: E402
from autofit_patch.pytree._registration import register  # noqa: E402

apply()

__all__ = ["TESTED_VERSIONS", "explain", "register"]
