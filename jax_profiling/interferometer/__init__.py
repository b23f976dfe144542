"""Profiling scripts for interferometer data."""
