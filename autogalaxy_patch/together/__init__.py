"""
Profiles of one kind are evaluated together: traced and compiled once a kind.

``_groups`` finds the kinds and what their profiles share, ``_once`` computes that once,
``_evaluate`` does both for a function of a profile, and ``_sum`` stands in for many
profiles. ``_convolution`` and ``_binning`` are linear maps whose transposes are as fast.
``_replaced`` lists which functions of the libraries use them, ``_switch`` when they do.
"""

import sys

from autofit_patch.libraries._required import relying_on
from autogalaxy_patch.together import _switch


def evaluate_together(on: bool = True) -> _switch.Together:
    """
    Evaluate profiles of one kind together, from here on.

    Profiles that differ in nothing but their numbers are traced and compiled once, and
    what they share (the transform of the grid to their centre and ellipticity, above all)
    is computed once. So the time to compile a likelihood grows with the kinds of its
    profiles, not with their number. Values and gradients are the same, but for rounding.

    It acts under JAX only, in the thread that calls it. Jitted functions that were called
    before are traced again at their next call; what was compiled ahead of time
    (``jax.jit(f).lower(x).compile()``, a function of ``autofit_patch.batch.map`` that was
    called already) stays as it is.

    Parameters
    ----------
    on
        Whether they are evaluated together, or one by one as the libraries do it.

    Returns
    -------
    A context manager that ends it, or puts back what was before.

    Raises
    ------
    ImportError
        If a function of the libraries that is replaced is not as it was in the releases
        that the patch was tested with.

    Examples
    --------
    >>> autolens_patch.evaluate_together()
    >>> likelihood = jax.jit(analysis.log_likelihood_function)

    or for a few lines only:

    >>> with autolens_patch.evaluate_together():
    ...     jax.jit(analysis.log_likelihood_function)(instance)
    """
    with relying_on("autogalaxy"):
        from autogalaxy_patch.together import _replaced  # noqa: F401
    if "autolens" in sys.modules and "autolens_patch" in sys.modules:
        with relying_on("autolens"):
            from autolens_patch import _together  # noqa: F401
    _switch.apply()
    return _switch.Together(on)
