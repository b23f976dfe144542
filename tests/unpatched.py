"""
What the libraries compute without the patch: the reference of the tests.

The functions are called in a process of their own, see :func:`asked`.
"""

import functools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import autolens  # noqa: F401  (before JAX, so that arrays are float64)
import jax
import jax.numpy as jnp
import numpy as np
from catalogue import classes, methods_of, model_from, object_from


@functools.cache
def subject(name: str):
    cls = classes()[name]
    return cls, model_from(cls), methods_of(cls)


def made(name: str, by_model: bool, vector, xp=np):
    """An object of a class from the values of its model's parameters."""
    cls, model, _ = subject(name)
    if not by_model:
        return object_from(cls, model, vector)
    instance = model.instance_from_vector(vector, xp=xp)
    return instance if isinstance(instance, cls) else cls(galaxies=list(instance))


@functools.cache
def transformed(name: str, method: str, by_model: bool, transformation: str):
    """A method as a function of the vector of parameters, transformed by JAX."""
    compute = subject(name)[2][method]

    def figure(vector):
        return jnp.asarray(compute(made(name, by_model, vector, jnp), jnp))

    if transformation == "jax":
        return figure
    if transformation == "jit":
        return jax.jit(figure)
    if transformation == "vmap":
        return jax.vmap(figure)
    return jax.grad(lambda vector, weights: jnp.vdot(weights, figure(vector)))


def figure(name, method, by_model, transformation, *arguments):
    """
    What the libraries compute, or why they do not.

    Returns
    -------
    The figure and ``None``, or ``None`` and the name of the error.
    """
    try:
        if transformation == "numpy":
            compute = subject(name)[2][method]
            return np.asarray(compute(made(name, by_model, *arguments), np)), None
        compute = transformed(name, method, by_model, transformation)
        return np.asarray(compute(*map(jnp.asarray, arguments))), None
    except Exception as error:
        return None, type(error).__name__


@functools.cache
def process() -> ProcessPoolExecutor:
    """The process without the patch, started when it is first asked."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def asked(*question):
    """The answer of :func:`figure` in the process without the patch."""
    return process().submit(figure, *question).result(timeout=300)
