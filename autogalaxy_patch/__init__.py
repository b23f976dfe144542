"""
Galaxies, profiles, pixelizations and regularizations as JAX pytrees.

Importing this package patches PyAutoFit (:mod:`autofit_patch`) and gives JAX the classes
of PyAutoGalaxy: at once if it is imported already, or else right after it is. There is no
code for any one profile: every class below a few bases is registered, those that are
defined later included.
"""

import autofit_patch  # noqa: F401
from autofit_patch.libraries._hooks import when_imported
from autofit_patch.libraries._required import relying_on
from autofit_patch.libraries._versions import check_versions
from autogalaxy_patch.together import evaluate_together

__all__ = ["evaluate_together"]


def _apply():
    """
    Patch PyAutoGalaxy, once it is imported.

    Raises
    ------
    ImportError
        If it is not as the patch knows it, or if the libraries' own registration came
        first.
    """
    with relying_on("autogalaxy"):
        from autogalaxy_patch import _classes, _expected
    _expected.check()
    _classes.apply()


def _small_model():
    """The model with which newer releases of PyAutoGalaxy are checked."""
    from autogalaxy_patch import _expected

    return _expected.small_model()


check_versions("autoarray", "autogalaxy")
when_imported("autogalaxy", _apply, _small_model)
