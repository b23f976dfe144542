"""Data sets as pytrees, whose leaves are what was observed."""

from autogalaxy_patch.datasets._framed import FramedImaging
from autogalaxy_patch.datasets._register import register_datasets

__all__ = ["FramedImaging", "register_datasets"]
