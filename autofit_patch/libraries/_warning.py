"""Warnings about the line of the user's code that led here."""

import warnings
from pathlib import Path

#: Code that no user has written.
OTHER_CODE = (
    *(
        str(Path(__file__).parents[2] / package)
        for package in ("autofit_patch", "autogalaxy_patch", "autolens_patch")
    ),
    "<frozen importlib",
)


def warn(message: str):
    """Warn about the line of a script at which the patch was imported or used."""
    warnings.warn(message, stacklevel=2, skip_file_prefixes=OTHER_CODE)
