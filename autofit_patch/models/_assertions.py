"""The assertions of a model, and how far values are from holding them."""

import jax.numpy as jnp

from autofit_patch.libraries._internals import (
    AbstractPriorModel,
    CompoundAssertion,
    GreaterThanLessThanEqualAssertion,
)


def assertions_of(model) -> list:
    """The assertions of a model and of its components, each once."""
    found = {id(assertion): assertion for assertion in model.assertions}
    for _, value in model.items():
        if isinstance(value, AbstractPriorModel):
            found |= {id(assertion): assertion for assertion in assertions_of(value)}
    return list(found.values())


def violation(assertions: list, arguments: dict):
    """
    How far values are from holding all assertions.

    Unlike the boolean of PyAutoFit it has a gradient, which leads back.

    Parameters
    ----------
    assertions
        From :func:`assertions_of`.
    arguments
        The value of each prior, or an array of values.

    Returns
    -------
    Zero where all hold. Elsewhere above zero, by as much as what is to be the lower
    exceeds what is to be the greater.
    """
    total = jnp.zeros(())
    for assertion in assertions:
        for simple in comparisons_of(assertion):
            total = total + violation_of_one(simple, arguments)
    return total


def comparisons_of(assertion) -> list:
    if isinstance(assertion, CompoundAssertion):
        return [
            each
            for part in (assertion.assertion_1, assertion.assertion_2)
            for each in comparisons_of(part)
        ]
    return [assertion]


def violation_of_one(assertion, arguments: dict):
    if isinstance(assertion, bool):  # a comparison of numbers, made when it was added
        return jnp.where(assertion, 0.0, 1.0)
    values = [
        side(arguments, ignore_assertions=True, xp=jnp)
        for side in (assertion.left_for_arguments, assertion.right_for_arguments)
    ]
    excess = jnp.asarray(values[0] - values[1], dtype=float)
    may_be_equal = isinstance(assertion, GreaterThanLessThanEqualAssertion)
    holds = excess <= 0.0 if may_be_equal else excess < 0.0
    # Of a comparison with what is no number nothing is known but that it does not hold.
    known = jnp.where(jnp.isfinite(excess), excess, 0.0)
    return jnp.where(holds, 0.0, known + jnp.finfo(float).tiny)
