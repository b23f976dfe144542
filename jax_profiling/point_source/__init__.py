"""Profiles of likelihoods of point sources."""
