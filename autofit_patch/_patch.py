"""
What is changed in PyAutoFit when the patch is imported.

Two functions are wrapped: the one with which every model builds instances, so that each
instance remembers the model that made it, and the constructor of ``af.Model``, so that
the class which it is given becomes a pytree. What they return is what they returned
before.

PyAutoFit has the second of these, commented out at the end of ``Model.__init__``: a call
of ``register_pytree_node(self.cls, self.instance_flatten, self.instance_unflatten)``.
It could not work, for these reasons:

- JAX keeps one registration a class, and this one is bound to *one model* of the class:
  every other model of it was flattened by the attributes of the first.
- ``instance_flatten`` makes every constructor argument a child: constants, integers,
  strings and redshifts became leaves that JAX rejects or traces, and a parameter shared
  by many components became as many leaves.
- ``instance_flatten`` reads every argument from the instance, but not every class keeps
  its arguments.
- A function, or ``int`` and ``float``, can be given to ``af.Model`` too, and were
  registered like the rest: from then on every number was a node.
- It imported JAX whenever PyAutoFit was imported.

Here, the class is registered with functions that know no model, and the instance leads
to its own.
"""

import functools
import inspect
import logging

import numpy as np

from autofit_patch import _internals
from autofit_patch._contents import slot_names
from autofit_patch._internals import (
    AbstractPriorModel,
    DeferredInstance,
    Model,
    ModelInstance,
)
from autofit_patch._model import register_models
from autofit_patch._origin import Origin, building, is_building, set_origin
from autofit_patch._pytree import already_registered, register
from autofit_patch._structure import state_of

logger = logging.getLogger(__name__)


@functools.wraps(_internals.instance_for_arguments)
def instance_for_arguments(self, arguments, ignore_assertions=False, xp=np):
    if is_building(arguments):
        return _internals.instance_for_arguments(
            self, arguments, ignore_assertions, xp
        )
    with building(arguments):
        instance = _internals.instance_for_arguments(
            self, arguments, ignore_assertions, xp
        )
    remember(instance, self, arguments)
    return instance


@functools.wraps(_internals.model_init)
def model_init(self, cls, **kwargs):
    _internals.model_init(self, cls, **kwargs)
    if inspect.isclass(cls):
        register_class_of_instances(cls)


def remember(instance, model, arguments: dict):
    """Remember that a model made an instance from the given values of its priors."""
    if isinstance(instance, DeferredInstance):
        return
    set_origin(instance, Origin(state_of(model), arguments))


def register_class_of_instances(cls: type):
    """
    Make a class that was given to ``af.Model`` a pytree, where its instances are objects
    with attributes: numbers, and whatever JAX takes apart already, stay what they are.
    """
    if issubclass(cls, (float, int, str, list, tuple, dict)):
        return
    if "__dict__" in dir(cls) or slot_names(cls):
        register(cls)


def apply():
    """
    Patch PyAutoFit.

    Raises
    ------
    RuntimeError
        If PyAutoFit is not as the patch knows it.
    ImportError
        If the libraries' own registration came first.
    """
    _internals.check()
    if taken := _internals.classes_registered_by_the_libraries():
        raise ImportError(already_registered(taken))
    AbstractPriorModel.instance_for_arguments = instance_for_arguments
    Model.__init__ = model_init
    register(
        ModelInstance,
        arguments_from=lambda instance: instance.dict,
        make=ModelInstance,
        is_container=True,
    )
    register_models()
