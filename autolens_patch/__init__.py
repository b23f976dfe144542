"""
Strong lens models as JAX pytrees.

``import autolens_patch`` is the one line that a script needs, before or after ``import
autofit`` and ``import autolens``. It patches PyAutoFit and PyAutoGalaxy too
(:mod:`autofit_patch`, :mod:`autogalaxy_patch`).
"""

import autogalaxy_patch  # noqa: F401
from autofit_patch.libraries._versions import check_versions

check_versions("autolens")

from autolens_patch._classes import apply  # noqa: E402
from autolens_patch._cosmology import trace_cosmology  # noqa: E402

__all__ = ["trace_cosmology"]

apply()
