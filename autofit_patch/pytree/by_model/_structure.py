"""
A model as the structure of its instances.

An instance made by a model is a point in that model: its leaves are the values of the
model's free parameters, and everything else about it is the model. A
:class:`ModelStructure` is that everything else, in the form that JAX wants it: it can be
compared, hashed and read, and it makes instances from leaves.
"""

import hashlib
import inspect
import threading

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import GetAttrKey

from autofit_patch.libraries._internals import instance_for_arguments
from autofit_patch.pytree._contents import is_atomic, is_tracer
from autofit_patch.pytree._copies import deepcopy
from autofit_patch.pytree._keys import is_concrete_scalar, same_number
from autofit_patch.pytree.by_model._description import (
    description_from,
    has_mutable_constant,
)
from autofit_patch.pytree.by_model._layout import Layout
from autofit_patch.pytree.by_model._origin import Origin, building, set_origin
from autofit_patch.pytree.by_model._outline import outline_from
from autofit_patch.pytree.by_model._reading import (
    UNREAD,
    derived_objects_of,
    read,
)

#: PyAutoFit's walk through a model is not made for two threads.
looking_at_a_model = threading.RLock()


class ModelStructure:
    """
    Everything about the instances of a model but the values of its free parameters.

    Two structures are equal if the models are: the same classes, attribute names and
    constants, and the same components sharing the same parameters. No id takes part, so
    models built twice by the same code have equal structures, in one process or in two.

    Parameters
    ----------
    model
        The model. The structure owns it from now on: see
        :func:`autofit_patch.pytree.by_model._state.structure_owning`.

    Attributes
    ----------
    names
        The name of each free parameter: its path in the model, joined by dots.
    keys
        The same as the keys that JAX prints.
    priors
        The prior of each free parameter.
    state
        The state of a model whose instances have this structure.
    """

    def __init__(self, model):
        model.freeze()
        self._model = model
        self.priors = tuple(model.priors_ordered_by_id)
        paths = model.unique_prior_paths
        self.names = tuple(".".join(map(str, path)) for path in paths)
        self.keys = tuple(GetAttrKey(name) for name in self.names)
        index_of = {prior: index for index, prior in enumerate(self.priors)}
        self._index_of = index_of
        self._description = description_from(model, self._item_from)
        self._text = "\n".join(self._description.lines())
        digest = hashlib.blake2b(self._text.encode(), digest_size=8)
        self._hash = int.from_bytes(digest.digest(), "big", signed=True) >> 1
        self._layout = None
        self._derives = False
        self._copies_constants = has_mutable_constant(model)
        self.state = None

    def __eq__(self, other):
        if self is other:
            return True
        if not isinstance(other, ModelStructure):
            return NotImplemented
        return self._hash == other._hash and self._description == other._description

    def __hash__(self):
        return self._hash

    def __repr__(self):
        return f"model of {len(self.names)} parameters\n{self._text}\n"

    def __reduce__(self):
        from autofit_patch.pytree.by_model._state import structure_owning

        return structure_owning, (self._model,)

    def __deepcopy__(self, memo):
        return self

    def _item_from(self, prior):
        """A prior by its place among the free parameters, or by id if it has none."""
        index = self._index_of.get(prior)
        if index is None:
            return ("no free parameter", prior.id), "<no free parameter>"
        return ("parameter", index), f"<{self.names[index]}>"

    def instance_via_constructors_from(self, leaves):
        """The instance that the model makes from the values of its parameters."""
        model = deepcopy(self._model) if self._copies_constants else self._model
        xp = jnp if any(isinstance(leaf, jax.Array) for leaf in leaves) else np
        arguments = dict(zip(self.priors, leaves, strict=True))
        with building(arguments):
            return instance_for_arguments(model, arguments, ignore_assertions=True, xp=xp)

    @property
    def layout(self) -> Layout:
        """Where the parameters are in the model's instances."""
        return self.layout_from(None)

    def layout_from(self, leaves) -> Layout:
        """
        Where the parameters are in the model's instances.

        Parameters
        ----------
        leaves
            Values from which the model can make instances, needed the first time only.
            If they are not numbers (tracers, say), the medians of the priors take their
            place.
        """
        if self._layout is None:
            if leaves is None or not all(map(is_concrete_scalar, leaves)):
                leaves = self._model.physical_values_from_prior_medians
            # Objects of their own, and not zero or one or a default of the class, which
            # an attribute can be for reasons of its own.
            leaves = [np.float64(leaf) for leaf in leaves]
            with looking_at_a_model:
                try:
                    self._layout = self._layout_at([shifted(leaf) for leaf in leaves])
                except Exception:
                    # A value at a limit, which a constructor rejects a little beyond it.
                    self._layout = self._layout_at(leaves)
        return self._layout

    def _layout_at(self, leaves) -> Layout:
        """The layout found from the instance with the given leaves."""
        return Layout(
            self._model,
            self.instance_via_constructors_from(leaves),
            self.instance_via_constructors_from(leaves),
            dict(zip(self.priors, leaves, strict=True)),
            self._index_of,
        )

    def takes_note_of_deriving(self):
        """
        From now on, keep with every new instance what the constructors derived for it.
        It is another for each, and to see whether it was edited by making the instance
        again takes as long as making it.
        """
        self._derives = True

    def remember(self, instance, origin: Origin):
        """Remember where an instance came from, when it is made."""
        if self._derives and not origin.traced:
            self.keep_derived(instance, origin)
        set_origin(instance, origin)

    def keep_derived(self, instance, origin: Origin):
        """
        Keep with an instance what the constructors derived from what it was made with.
        """
        derived = derived_objects_of(self._layout, instance)
        # Of an object that can be edited in place, identity tells nothing; and what leads
        # back to the instance would keep it.
        if all(map(is_atomic, derived)):
            origin.derived_objects = derived

    def instance_from(self, leaves):
        """
        The instance with the given leaves (JAX calls this to unflatten).

        Numbers make an instance through the model, with the constructors that made the
        first one. Anything else makes an outline, see
        :func:`autofit_patch.pytree.by_model._outline.outline_from`.

        Parameters
        ----------
        leaves
            One a free parameter, in the model's order.
        """
        leaves = tuple(leaves)
        if not are_numbers(leaves):
            return self._outline_from(leaves, "its leaves are not single numbers")
        leaves = tuple(map(leaf_from, leaves))
        if any(map(is_tracer, leaves)):
            instance = self._traced_from(leaves)
            self.remember(instance, Origin(self.state, leaves, traced=True))
            return instance
        try:
            instance = self.instance_via_constructors_from(leaves)
        except Exception as error:
            # Gradients and steps need not be a point of the model. What was rejected
            # is kept for whoever reads what only the constructor could have derived.
            reason = f"a constructor rejected its values ({error!r})"
            return self._outline_from(leaves, reason)
        if not self.keeps(instance, leaves):
            return self._outline_from(leaves, "a constructor changed its values")
        self.remember(instance, Origin(self.state, leaves))
        return instance

    def _traced_from(self, leaves):
        """The instance with the given leaves, some of which are tracers."""
        try:
            return self.instance_via_constructors_from(leaves)
        except CONCRETE_VALUE_NEEDED as error:
            names = self._untraceable_names(leaves)
            raise jax.errors.JAXTypeError(
                "JAX cannot trace "
                + (", ".join(names) or "a parameter")
                + ", which a constructor needs as a Python number (it is evaluated with "
                "NumPy when the object is made). Fix this in the model: "
                + "; ".join(f"model.{name} = {value!r}" for name, value in names.items())
                + f"\nThe constructor said: {str(error).strip().splitlines()[0]}"
            ) from error

    def _untraceable_names(self, leaves) -> dict:
        """
        The names of the parameters that cannot be traced even if no other is, with the
        defaults of the constructors, or the medians of the priors where there are none.
        """
        medians = [np.float64(v) for v in self._model.physical_values_from_prior_medians]
        names = {}
        for index, name in enumerate(self.names):

            def made(leaf, index=index):
                some = [*medians[:index], leaf, *medians[index + 1 :]]
                self.instance_via_constructors_from(some)
                return leaf

            try:
                jax.eval_shape(made, medians[index])
            except CONCRETE_VALUE_NEEDED:
                default = default_from(self._model, name)
                names[name] = medians[index].item() if default is None else default
        return names

    def kept_by(self, instance, leaves) -> list:
        """
        What an instance holds of its free parameters, ``UNREAD`` where it does not.

        Parameters
        ----------
        instance
            An instance as the constructors made it.
        leaves
            What they made it from.
        """
        found = [UNREAD] * len(self.names)
        read(self.layout_from(leaves), instance, found)
        return found

    def keeps(self, instance, leaves) -> bool:
        """Whether an instance holds the leaves it was made from as they are."""
        return all(
            held is UNREAD or same_number(held, leaf)
            for held, leaf in zip(self.kept_by(instance, leaves), leaves, strict=True)
        )

    def _outline_from(self, leaves, reason: str):
        instance = outline_from(self.layout, leaves, reason)
        set_origin(instance, Origin(self.state, leaves, outline=True))
        return instance


#: What JAX raises where a number is needed and a tracer is given.
CONCRETE_VALUE_NEEDED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


def default_from(model, name: str):
    """The default of a constructor's argument, by its path in a model, if it has one."""
    *path, argument = name.split(".")
    try:
        cls = model.object_for_path(path).cls
        default = inspect.signature(cls).parameters[argument].default
    except Exception:
        # It goes into advice only: a path that leads to no class has no default.
        return None
    return default if isinstance(default, (int, float)) else None


def shifted(leaf: float) -> float:
    """A number a little further from zero, and never zero."""
    return leaf + (1e-6 if leaf >= 0.0 else -1e-6) * (1.0 + abs(leaf))


def is_number(leaf) -> bool:
    """Whether a leaf can be the value of a parameter: one real number, or a tracer."""
    if isinstance(leaf, (float, np.floating)):
        return True
    return (
        isinstance(leaf, (jax.Array, np.ndarray, np.integer))
        and leaf.shape == ()
        and any(jnp.issubdtype(leaf.dtype, kind) for kind in (jnp.floating, jnp.integer))
    )


def are_numbers(leaves) -> bool:
    """
    Whether leaves can be the values of parameters. Python integers can be, beside other
    numbers; nothing but integers are the axes of a batch.
    """
    return all(is_number(leaf) or type(leaf) is int for leaf in leaves) and (
        not leaves or any(map(is_number, leaves))
    )


def leaf_from(value):
    """
    A leaf as JAX should get it: a Python number as a NumPy one, since JAX compiles a
    function once for each of the two.
    """
    plain = type(value) is float or isinstance(value, (int, np.integer))
    return np.float64(value) if plain else value
