"""Scripts that simulate the datasets which the profiling scripts fit."""
