"""Data sets as pytrees, whose leaves are what was observed."""

from autogalaxy_patch.datasets._framed import LEAST_OUTSIDE, FramedImaging
from autogalaxy_patch.datasets._register import register_datasets

__all__ = ["LEAST_OUTSIDE", "FramedImaging", "register_datasets"]
