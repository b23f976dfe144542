"""
What is changed in PyAutoFit when the patch is imported.

Three functions are wrapped: the two with which every model builds instances, so that
each instance remembers the model that made it, and the constructor of ``af.Model``, so
that the class which it is given becomes a pytree. What they return is what they returned
before.

PyAutoFit has the last of these, commented out at the end of ``Model.__init__``::

    register_pytree_node(self.cls, self.instance_flatten, self.instance_unflatten)

With that call back in place (release 2026.10.26.1), it failed, and failed silently, for
these reasons:

- JAX keeps one registration a class, and this one is bound to *one model* of the class.
  After ``af.Model(Galaxy, mass=...)``, the galaxy of ``af.Model(Galaxy, light=...)``
  was flattened by the attributes of the first: its light was lost, without an error.
- Numbers can be given to ``af.Model`` too (a shapelet's ``n`` is an ``af.Model(int)``).
  With ``int`` registered, ``jax.jit(lambda x: x + 1)(5)`` was 0.
- Every constructor argument became a child, so a constant or a redshift was a leaf, which
  tracing makes a tracer, and a parameter shared by 20 profiles was 20 leaves.
- Every argument was read from the instance, but not every class keeps its arguments
  (``AttributeError``).

Here the class is registered with functions that know no model; the instance leads them
to its own.
"""

import functools
import inspect

import numpy as np

from autofit_patch.libraries import _internals
from autofit_patch.libraries._expected import check
from autofit_patch.libraries._internals import (
    AbstractPriorModel,
    Model,
    ModelInstance,
)
from autofit_patch.models._pytree import register_models
from autofit_patch.pytree._contents import is_tracer, slot_names
from autofit_patch.pytree._registration import already_registered, is_registered, register
from autofit_patch.pytree.by_hand._constructor import is_part_of
from autofit_patch.pytree.by_model._origin import ANY, Origin, building, is_building
from autofit_patch.pytree.by_model._state import LostModel, state_of


@functools.wraps(_internals.instance_for_arguments)
def instance_for_arguments(self, arguments, ignore_assertions=False, xp=np):
    if is_building(arguments):
        return _internals.instance_for_arguments(self, arguments, ignore_assertions, xp)
    with building(arguments):
        instance = _internals.instance_for_arguments(
            self, arguments, ignore_assertions, xp
        )
    remember(instance, self, arguments)
    return instance


@functools.wraps(_internals.instance_from_path_arguments)
def instance_from_path_arguments(self, path_arguments, ignore_assertions=False):
    with building(ANY):
        instance = _internals.instance_from_path_arguments(
            self, path_arguments, ignore_assertions
        )
    remember(
        instance,
        self,
        {self.object_for_path(path): value for path, value in path_arguments.items()},
    )
    return instance


@functools.wraps(_internals.model_init)
def model_init(self, cls, **kwargs):
    _internals.model_init(self, cls, **kwargs)
    if inspect.isclass(cls):
        register_class_of_instances(cls)


def remember(instance, model, arguments: dict):
    """Remember that a model made an instance from the given values of its priors."""
    if not is_registered(type(instance)):
        return
    try:
        state = state_of(model)
    except Exception as error:
        # Building instances must go on working, whatever a model holds.
        state = LostModel(f"its model cannot be copied: {error!r}")
    traced = any(map(is_tracer, arguments.values()))
    # A search uses its dictionary again.
    state.remember(instance, Origin(state, dict(arguments), traced=traced))


def parts_of(instance) -> dict:
    """The components of an instance of a collection, by name."""
    return {
        name: value
        for name, value in vars(instance).items()
        if is_part_of(instance, name, value)
    }


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
    ImportError
        If PyAutoFit is not as the patch knows it, or if the libraries' own registration
        came first.
    """
    check()
    if taken := _internals.classes_registered_by_the_libraries():
        raise ImportError(already_registered(taken))
    AbstractPriorModel.instance_for_arguments = instance_for_arguments
    AbstractPriorModel.instance_from_path_arguments = instance_from_path_arguments
    Model.__init__ = model_init
    register(
        ModelInstance,
        arguments_from=parts_of,
        make=ModelInstance,
        is_container=True,
    )
    register_models()
