"""
A check on a small model: what a newer release must still do.

It takes a few milliseconds, compiles nothing and leaves JAX as it was, not even
computing: functions are traced, and NumPy evaluates the gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import autofit as af
import jax
import numpy as np

from autofit_patch.libraries._required import refusal


@dataclass(frozen=True)
class SmallModel:
    """
    A model, and what is known of its instances.

    Parameters
    ----------
    library
        The library whose classes are in it.
    make
        Makes an instance from a vector.
    vector
        A point in the model.
    names
        The name of each leaf.
    loss
        A function of an instance: a product of its parameters, and of what the
        constructors derive from them.
    gradient
        Its gradient in ``vector``.
    """

    library: str
    make: Callable
    vector: tuple[float, ...]
    names: tuple[str, ...]
    loss: Callable
    gradient: tuple[float, ...]

    def instance(self, factor: float = 1.0):
        """The instance in a multiple of ``vector``."""
        return self.make([factor * value for value in self.vector])


def leaves(small: SmallModel) -> tuple[Any, Any]:
    return tuple(jax.tree.leaves(small.instance())), small.vector


def names_of_leaves(small: SmallModel) -> tuple[Any, Any]:
    paths, _ = jax.tree_util.tree_flatten_with_path(small.instance())
    return tuple(jax.tree_util.keystr(path) for path, _ in paths), small.names


def round_trip(small: SmallModel) -> tuple[Any, Any]:
    """Leaves that were doubled go through the constructors again."""
    instance, doubled = small.instance(), small.instance(2.0)
    rebuilt = jax.tree.map(lambda leaf: 2.0 * leaf, instance)
    same = jax.tree.structure(rebuilt) == jax.tree.structure(instance)
    found = type(rebuilt).__name__, same, small.loss(rebuilt)
    return found, (type(doubled).__name__, True, small.loss(doubled))


def one_trace(small: SmallModel) -> tuple[Any, Any]:
    traces = []

    def traced(instance):
        traces.append(instance)
        return small.loss(instance)

    jitted = jax.jit(traced)
    for factor in (1.0, 2.0):
        jitted.trace(small.instance(factor))
    return len(traces), 1


def gradient(small: SmallModel) -> tuple[Any, Any]:
    def slopes(instance):
        return jax.tree.leaves(jax.grad(small.loss)(instance))

    instance = small.instance()
    jaxpr = jax.make_jaxpr(slopes)(instance)
    found = evaluated(jaxpr.jaxpr, jaxpr.consts, jax.tree.leaves(instance))
    if found is None:
        found = slopes(instance)
    return tuple(round(float(value), 9) for value in found), small.gradient


#: How NumPy does what is in the gradient of a product.
OPERATIONS = {"mul": np.multiply, "add_any": np.add, "add": np.add}


def evaluated(jaxpr, constants, values) -> list | None:
    """
    What a traced function returns, without starting a backend of JAX, or ``None`` if
    there is an operation in it that is none of ``OPERATIONS``.
    """
    variables = (*jaxpr.constvars, *jaxpr.invars)
    known = dict(zip(variables, (*constants, *values), strict=True))

    def read(variable):
        return variable.val if hasattr(variable, "val") else known[variable]

    for equation in jaxpr.eqns:
        operation = OPERATIONS.get(equation.primitive.name)
        if operation is None:
            return None
        (variable,) = equation.outvars
        known[variable] = operation(*map(read, equation.invars))
    return [*map(read, jaxpr.outvars)]


#: What is checked, by name. Each function returns what it found and what it expected.
PARTS = {
    "leaves": leaves,
    "names of the leaves": names_of_leaves,
    "round trip through the constructors": round_trip,
    "number of traces for two instances": one_trace,
    "gradient": gradient,
}


def check(small: SmallModel):
    """
    Check that the instances of a small model are points in it.

    Raises
    ------
    ImportError
        If one of ``PARTS`` is not as expected.
    """
    for name, part in PARTS.items():
        try:
            found, expected = part(small)
        except Exception as error:
            reason = f"in the check of a small model, the {name} failed with {error!r}"
            raise ImportError(refusal(small.library, reason)) from error
        if found != expected:
            reason = (
                f"in the check of a small model, the {name} should be {expected!r}, and "
                f"is {found!r}"
            )
            raise ImportError(refusal(small.library, reason))


class Box:
    """A class of a user: its constructor derives an attribute."""

    def __init__(self, width=1.0, height=1.0, depth=1.0):
        self.width = width
        self.height = height
        self.area = width * height
        self.depth = depth


def small_model() -> SmallModel:
    """A model of PyAutoFit alone, with a parameter that two components share."""
    priors = [af.UniformPrior(lower_limit=0.0, upper_limit=10.0) for _ in range(3)]
    width, height, shared = priors
    model = af.Collection(
        first=af.Model(Box, width=width, height=height, depth=shared),
        second=af.Model(Box, width=shared, height=2.0, depth=3.0),
    )
    return SmallModel(
        library="autofit",
        make=model.instance_from_vector,
        vector=(0.5, 3.0, 2.0),
        names=(".first.width", ".first.height", ".second.width"),
        loss=lambda instance: instance.first.area * instance.second.area,
        gradient=(12.0, 2.0, 3.0),
    )
