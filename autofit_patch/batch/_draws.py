"""
Whether the random numbers of members depend on how many are evaluated at once.
"""

from autofit_patch.libraries._jaxpr import equations_in

#: What draws for a batch by one key, or cannot be vectorised, and what holds functions
#: that cannot be looked into.
DRAW_IN_ONE_GO = {"rng_bit_generator", "rng_uniform", "call_hi_primitive"}


def draws_in_one_go(jaxpr) -> bool:
    """
    Whether what a function draws may depend on how many members are evaluated at once.

    Only JAX's generator ``threefry2x32`` draws for each member of a batch what it draws
    for it alone; ``rbg`` and ``unsafe_rbg`` draw by the key of the first (`jax.random`,
    "Advanced RNG configuration"), and nothing is known of a user's own.
    """
    return any(map(is_draw_in_one_go, equations_in(jaxpr.eqns)))


def is_draw_in_one_go(equation) -> bool:
    """Whether what an equation draws may depend on that."""
    name = equation.primitive.name
    if not name.startswith("random_"):
        return name in DRAW_IN_ONE_GO
    inputs = [str(variable.aval) for variable in equation.invars]
    return any(each.startswith("key<") and "key<fry>" not in each for each in inputs)
