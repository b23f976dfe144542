"""
BFGS and Levenberg-Marquardt, by optimistix
===========================================

BFGS minimises minus the log posterior, a function of a model instance.
Levenberg-Marquardt is given what its squares are made of, the normalised residuals of the
fit and those of the priors: an array and a model instance. Both find the same maximum:

    python jax_profiling/inference/optimistix_fit.py
"""

import autolens_patch  # noqa: F401

# isort: split

import autofit as af
import jax
import numpy as np
import optimistix as optx

from jax_profiling.inference.problem import draws_around, problem_from, report

model, space, log_posterior, residuals = problem_from()
z = space.inverse(model.instance_from_prior_medians())

found = {
    "BFGS": optx.minimise(
        lambda z, _: -log_posterior(z), optx.BFGS(rtol=1e-6, atol=1e-6), z
    ),
    "Levenberg-Marquardt": optx.least_squares(
        lambda z, _: residuals(z), optx.LevenbergMarquardt(rtol=1e-6, atol=1e-6), z
    ),
}
for name, solution in found.items():
    assert isinstance(solution.value, af.ModelInstance)
    steps = int(solution.stats["num_steps"])
    draws = draws_around(solution.value)
    report(f"{name}, {steps} steps", draws)

np.testing.assert_allclose(
    *(jax.tree.leaves(solution.value) for solution in found.values()), atol=1e-4
)
