"""
What the leaves of a batch can be: numbers, and typed keys of random numbers.
"""

from collections.abc import Iterator
from functools import cache
from numbers import Real

import jax
import jax.numpy as jnp
import numpy as np
import pandas

from autofit_patch.batch._names import name_from
from autofit_patch.pytree._contents import is_tracer


def is_key(value) -> bool:
    """Whether a value is a key that ``jax.random.key`` made, or an array of these."""
    return (
        not isinstance(value, np.ndarray)  # found out faster than the rest
        and isinstance(value, jax.Array)
        and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    )


def data_from(leaf):
    """The numbers of a leaf: those of a key of random numbers, or itself."""
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def on_host(tree):
    """
    The same with NumPy arrays for JAX's, from which members are faster to take. What is
    traced stays as it is, and so do keys of random numbers, which NumPy does not know.
    """
    return jax.tree.map(
        lambda leaf: leaf if is_tracer(leaf) or is_key(leaf) else np.asarray(leaf),
        tree,
    )


def numbers_from(values, what: str):
    """
    Values of parameters as a single instance has them.

    Parameters
    ----------
    values
        Numbers, in an array, a list, a generator or a pandas object, of any shape; traced
        ones too.
    what
        What they are values of, for the message of an error.

    Returns
    -------
    An array of floats or, of a number, a scalar. Integers and booleans are float64, and
    floats keep the precision that they have. What JAX has given or traces stays JAX's;
    anything else is a copy.

    Raises
    ------
    TypeError
        If something among them is not a real number.
    ValueError
        If they do not form an array, or some of them are masked.
    """
    if isinstance(values, Iterator):
        values = list(values)
    if isinstance(values, (list, tuple)) and any(map(is_tracer, jax.tree.leaves(values))):
        values = jnp.asarray(values)
    if isinstance(values, jax.Array):
        if values.dtype == bool or jnp.issubdtype(values.dtype, jnp.integer):
            return values.astype(float)
        if jnp.issubdtype(values.dtype, jnp.floating):
            return values
        raise TypeError(not_real(what, f"an array of dtype {values.dtype}"))
    if np.ma.is_masked(values):
        raise ValueError(
            f"{what} was given masked values, and a parameter has a value in every "
            "member. Give the masked ones a value with filled(...)."
        )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{what} was given values of different lengths, which form no array ({error})"
        ) from error
    if array.dtype == object:
        for value in array.flat:
            if not isinstance(value, (Real, np.bool_)):
                raise TypeError(
                    not_real(what, f"{value!r} of type {type(value).__name__}")
                )
    elif array.dtype.kind not in "biu" and not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(not_real(what, f"an array of dtype {array.dtype}"))
    # JAX has no floats longer than these, and the bytes in one order only.
    short = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize <= 8
    return array.astype(native(array.dtype) if short else np.float64)[()]


def not_real(what: str, given: str) -> str:
    """The message for a value that no parameter can have."""
    return f"{what} expected real numbers, and was given {given}"


def native(dtype) -> np.dtype:
    """A dtype with its bytes in the order of this machine; FITS files have another."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def values_for(leaf, values, name: str):
    """
    New values for a leaf: numbers as of a parameter, where it is a real number.

    For any other leaf (a flag, a label, a key of random numbers) values are taken as they
    are, but for lists, which become arrays.
    """
    if isinstance(leaf, (float, np.floating)) or (
        isinstance(leaf, (np.ndarray, jax.Array))
        and jnp.issubdtype(leaf.dtype, jnp.floating)
    ):
        return numbers_from(values, name)
    if isinstance(values, Iterator):
        values = list(values)
    if isinstance(values, (list, tuple, range, pandas.Series)):
        return np.asarray(values)
    return values


def array_of_members(leaf, name):
    """
    A leaf of a batch as JAX takes it, on the host.

    Parameters
    ----------
    leaf
        Anything.
    name
        Returns what it is called in the message of an error.

    Returns
    -------
    A NumPy array, or keys of random numbers as they are.

    Raises
    ------
    TypeError
        If JAX has no such numbers.
    """
    if is_key(leaf):
        return leaf
    if isinstance(leaf, np.ma.MaskedArray) and np.ma.is_masked(leaf):
        raise TypeError(
            f"{name()} has masked values, which JAX does not know: give them a value "
            "with filled(...), or keep the mask as another leaf"
        )
    array = np.asarray(leaf)
    if not array.dtype.isnative and array.dtype.fields is None:
        array = array.astype(native(array.dtype))
    if not is_for_jax(array.dtype):
        given = leaf if array.dtype == object and not array.shape else array.dtype
        raise TypeError(
            f"{name()} is {given!r}: a function that JAX compiles takes arrays of numbers"
            " or booleans. Leave out of the batch what it does not compute with, and make"
            " a batch of separate instances with batch.stack."
        )
    if not jax.config.jax_enable_x64:
        return array.astype(jax.dtypes.canonicalize_dtype(array.dtype), copy=False)
    return array


@cache
def is_for_jax(dtype) -> bool:
    """Whether JAX has arrays of a NumPy dtype."""
    try:
        jax.typeof(np.empty(0, dtype))
    except TypeError:
        return False
    return dtype.kind != "T"  # strings, which can be traced but not compiled


def called(path) -> str:
    """The name of a leaf in a message, also if it is the whole tree."""
    return name_from(path) or "what was given"
