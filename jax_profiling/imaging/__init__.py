"""Profiling scripts for models that are fitted to imaging."""
