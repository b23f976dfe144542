"""
The ways of calling a step of a likelihood, and which of them are compared.
"""

from collections.abc import Callable

import autofit as af
import jax
import jax.numpy as jnp

import autolens_patch

LABELS = {
    "pytree": "pytree (a ModelInstance)",
    "flat": "flat (a vector)",
    "together": "together (profiles of one kind, of a ModelInstance)",
    "arrays": "arrays (no parameters)",
}
WAYS = tuple(LABELS)
#: What is measured beside a `ModelInstance`, unless an option says otherwise.
BESIDE = "flat", "together"
COLOURS = {
    "pytree": "#2a6f97",
    "flat": "#e07a3f",
    "together": "#588157",
    "arrays": "#8d99ae",
}

RATIO = "pytree / flat"
TOGETHER = "together / pytree"
#: The two ways of each ratio, and its key in a JSON.
RATIOS = {
    RATIO: ("pytree", "flat", "ratios"),
    TOGETHER: ("together", "pytree", "ratios_together"),
}


def flat_from(function: Callable, model: af.Collection) -> Callable:
    """A function of a flat vector from one of an instance."""
    return lambda vector: function(model.instance_from_vector(vector, xp=jnp))


def together_from(function: Callable) -> Callable:
    """A function that evaluates profiles of one kind together while it is traced."""

    def together(*arguments):
        with autolens_patch.evaluate_together():
            return function(*arguments)

    return together


def value_and_grad_from(function: Callable, analysis: af.Analysis) -> Callable:
    """
    A function that returns the value and the gradient of a scalar function, which is
    differentiated as the analysis asks for: `Analysis.gradient_mode`.
    """
    mode = getattr(analysis, "gradient_mode", "reverse")
    if mode == "reverse":
        return jax.value_and_grad(function)
    # Releases of the libraries whose analyses have no mode do not have this either.
    from autofit.jax.gradient import value_and_grad_from

    return value_and_grad_from(function, mode)
