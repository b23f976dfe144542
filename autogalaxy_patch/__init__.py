"""
Galaxies, profiles, pixelizations and regularizations as JAX pytrees.

Importing this package patches PyAutoFit (:mod:`autofit_patch`) and gives JAX the classes
of PyAutoGalaxy. There is no code for any one profile: every class below a few bases is
registered, those that are defined later included.
"""

from autofit_patch.libraries._versions import check_versions

check_versions("autoarray", "autogalaxy")

from autogalaxy_patch._classes import apply  # noqa: E402

apply()
