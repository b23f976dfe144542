"""Data sets as pytrees: what was observed is their leaves, what it was observed on is not."""

from autogalaxy_patch.datasets._framed import FramedImaging
from autogalaxy_patch.datasets._register import register_datasets

__all__ = ["FramedImaging", "register_datasets"]
