"""
A function over a batch axis, with everything that does not depend on it computed once.

``jax.vmap`` leaves what does not depend on the batch without a batch axis, but XLA fuses
it into each of its uses again: forty Gaussians of one geometry would transform the grid
forty times. So it is computed first, and kept by an optimization barrier.
"""

from collections.abc import Callable

import jax
from jax.extend.core import Literal

from autofit_patch.libraries._jaxpr import equations_in


class Row:
    """
    What is left of a function once all is computed that does not need its arguments.

    Parameters
    ----------
    jaxpr
        What JAX traced of the function.
    rest
        The equations that are left.
    known
        The values of what was computed.

    Attributes
    ----------
    bytes
        The size of the largest array that it computes.
    """

    def __init__(self, jaxpr, rest: list, known: dict):
        self._jaxpr, self._rest, self._known = jaxpr, rest, known
        self.bytes = largest_array_in(rest)

    def __call__(self, *row):
        values = self._known | dict(zip(self._jaxpr.invars, row, strict=True))
        for equation in self._rest:
            evaluate(equation, values)
        return read(self._jaxpr.outvars[0], values)


def split(function: Callable, *batched) -> Row:
    """
    Compute what a function does not need its arguments for.

    Parameters
    ----------
    function
        A function that JAX can trace, of one row of each array, returning one array.
    batched
        Arrays whose first axis is the batch.

    Returns
    -------
    A function of one row of each array, which does the rest.
    """
    rows = [jax.ShapeDtypeStruct(array.shape[1:], array.dtype) for array in batched]
    closed = jax.make_jaxpr(function)(*rows)
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    unknown, rest = set(jaxpr.invars), []
    computed = {}
    for equation in jaxpr.eqns:
        if any(variable in unknown for variable in variables_of(equation)):
            rest.append(equation)
            unknown.update(equation.outvars)
        else:
            evaluate(equation, known)
            computed |= {variable: known[variable] for variable in equation.outvars}

    needed = {variable for equation in rest for variable in variables_of(equation)}
    kept = [variable for variable in computed if variable in needed]
    if kept:
        values = jax.lax.optimization_barrier([computed[variable] for variable in kept])
        known.update(zip(kept, values, strict=True))
    return Row(jaxpr, rest, known)


def largest_array_in(equations: list) -> int:
    """The size of the largest array that equations compute, in bytes."""
    arrays = [
        variable.aval
        for equation in equations_in(equations)
        for variable in equation.outvars
        if isinstance(variable.aval, jax.core.ShapedArray)
    ]
    return max((array.size * array.dtype.itemsize for array in arrays), default=0)


def variables_of(equation) -> list:
    """The inputs of an equation that are not written out as numbers."""
    return [atom for atom in equation.invars if not isinstance(atom, Literal)]


def read(atom, values: dict):
    return atom.val if isinstance(atom, Literal) else values[atom]


def evaluate(equation, values: dict):
    """Do what an equation says, as ``jax.core.eval_jaxpr`` does with all of them."""
    parameters = equation.primitive.get_bind_params(equation.params)
    # Before JAX 0.10, the functions that an equation calls come first, apart.
    functions, parameters = (
        parameters if isinstance(parameters, tuple) else ((), parameters)
    )
    inputs = [read(atom, values) for atom in equation.invars]
    with equation.ctx.manager:
        outputs = equation.primitive.bind(*functions, *inputs, **parameters)
    if not equation.primitive.multiple_results:
        outputs = [outputs]
    values.update(zip(equation.outvars, outputs, strict=True))
