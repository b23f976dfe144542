"""Instances made by a model: points in that model."""
