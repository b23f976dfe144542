"""
Profiles of one kind are evaluated together: traced and compiled once a kind.

``_groups`` finds the kinds and what their profiles share, ``_once`` computes that once,
``_evaluate`` does both for a function of a profile, and ``_sum`` stands in for many
profiles. ``_convolution``, ``_binning`` and ``_transform`` are linear maps whose
transposes are as fast. ``_replaced`` lists which functions of the libraries use them,
``_switch`` when they do.
"""

import importlib
import sys

import numpy as np
from wrapt import register_post_import_hook

from autofit_patch.libraries._required import relying_on
from autogalaxy_patch.together import _switch


def evaluate_together(on: bool = True) -> _switch.Together:
    """
    Evaluate profiles of one kind together, from here on.

    Profiles that differ in nothing but their numbers are traced and compiled once, and
    what they share (the transform of the grid to their centre and ellipticity, above all)
    is computed once. So the time to compile a likelihood grows with the kinds of its
    profiles, not with their number. Values and gradients are the same, but for rounding.

    It acts under JAX only, in all threads of the process, and not in processes that it
    starts. In a ``with`` block it ends with the block, and acts in one thread only; so it
    does in a function that ``@evaluate_together()`` decorates. Within a block, a call
    that opens none has no effect there. Blocks that are open at once in one thread (of
    generators, of asynchronous tasks) see one another, and must end in reverse order.
    Jitted functions and functions of ``autofit_patch.batch.map`` that were called before
    are traced again at their next call; what was compiled ahead of time
    (``jax.jit(f).lower(x).compile()``) stays as it is.

    Parameters
    ----------
    on
        Whether they are evaluated together, or one by one as the libraries do it.

    Returns
    -------
    A context manager and decorator, for a ``with`` block and a function.

    Raises
    ------
    TypeError
        If ``on`` is not a boolean.
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
    if not isinstance(on, (bool, np.bool_)):
        raise TypeError(
            f"evaluate_together expected True or False, and was given {on!r}, a "
            f"{type(on).__name__}. It is called before what is to be traced: "
            "autolens_patch.evaluate_together(); jax.jit(function)(instance)"
        )
    _replace_in("autogalaxy", "autogalaxy_patch.together._replaced")
    if "autolens_patch" in sys.modules:
        _replace_in("autolens", "autolens_patch._together")
    return _switch.Together(bool(on))


def _replace_in(library: str, module: str):
    """
    Replace the functions of a library that a module lists: now, or once it is imported,
    so that it is still the user who decides in which order the libraries are imported.
    """

    def hook(_):
        with relying_on(library):
            importlib.import_module(module)
        _switch.apply()

    register_post_import_hook(hook, library)
