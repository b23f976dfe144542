"""What JAX traced of a function, with the functions that it calls."""

from collections.abc import Iterable, Iterator

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr


def equations_in(equations: Iterable) -> Iterator:
    """Equations, and those of the functions that they call, each once."""
    seen, left = set(), [equations]
    while left:
        for equation in left.pop():
            yield equation
            for function in functions_in(equation):
                if id(function) not in seen:
                    seen.add(id(function))
                    left.append(function.eqns)


def functions_in(equation) -> list:
    """The functions that an equation calls. (JAX's ``subjaxprs``, public since 0.11.)"""
    found = jax.tree.leaves([*equation.params.values()])
    found = [each.jaxpr if isinstance(each, ClosedJaxpr) else each for each in found]
    return [each for each in found if isinstance(each, Jaxpr)]
