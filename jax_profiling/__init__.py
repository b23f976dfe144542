"""
Profiling scripts for JAX likelihoods which take a model instance, and the modules that
the scripts share.
"""
