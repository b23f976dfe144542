"""
A model as the structure of its instances.

An instance made by a model is a point in that model: its leaves are the values of the
model's free parameters, and everything else about it is the model. A
:class:`ModelStructure` is that everything else, in the form that JAX wants it: it can be
compared, hashed and read, and it makes instances from leaves.
"""

import hashlib
import threading
import weakref

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import GetAttrKey

from autofit_patch.libraries._internals import (
    AbstractPriorModel,
    Array,
    Constant,
    Model,
    Prior,
    TuplePrior,
    frozen_cache_of,
    instance_for_arguments,
)
from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree._contents import is_immutable, key_from
from autofit_patch.pytree.by_hand._arguments import deepcopy
from autofit_patch.pytree.by_model._layout import (
    UNREAD,
    Layout,
    is_concrete_scalar,
    same_number,
    specified_by,
)
from autofit_patch.pytree.by_model._origin import Origin, building, set_origin
from autofit_patch.pytree.by_model._snapshot import Snapshot


class Description:
    """
    A component of a model, by value: what it makes, from which components.

    Parameters
    ----------
    cls
        The class that the component makes, or the kind of component.
    items
        The names and the descriptions of its components, or the positions of free
        parameters, or the keys of constants.
    """

    __slots__ = ("cls", "items")

    def __init__(self, cls, items):
        self.cls = cls
        self.items = items

    def __eq__(self, other):
        return (
            isinstance(other, Description)
            and self.cls is other.cls
            and self.items == other.items
        )

    def lines(self, indent: str = ""):
        """The description as text, one component a line."""
        for name, item, text in self.items:
            if isinstance(item, Description):
                yield f"{indent}{name}: {item.cls.__name__}"
                yield from item.lines(indent + "  ")
            else:
                yield f"{indent}{name} = {text}"


def description_from(model, item_from) -> Description:
    """
    Describe a model by value.

    Parameters
    ----------
    model
        The model, or a component of it.
    item_from
        Returns, from a prior, what it is compared by, and a text for people.
    """
    items = []
    for name, value in components_of(model):
        if isinstance(value, Prior):
            items.append((name, *item_from(value)))
        elif isinstance(value, (AbstractPriorModel, TuplePrior)):
            items.append((name, description_from(value, item_from), ""))
        else:
            value = value.value if isinstance(value, Constant) else value
            items.append((name, key_from(value), text_from(value)))
    cls = model.cls if isinstance(model, Model) else type(model)
    if isinstance(model, Array):
        items.append(("shape", model.shape, repr(model.shape)))
    return Description(cls, tuple(items))


def components_of(model):
    """The names and components of a model, of a tuple of priors or of an expression."""
    if isinstance(model, TuplePrior):
        return [(name, value) for name, value in model.tuples]
    if isinstance(model, Array):
        return [(str(index), model[index]) for index in model.indices]
    operands = [
        name
        for name in ("left", "right", "prior")
        if isinstance(getattr(type(model), name, None), property)
    ]
    if operands:
        return [(name, getattr(model, name)) for name in operands]
    return specified_by(model)


def text_from(value) -> str:
    """A constant as a short text for people, complete for numbers and strings."""
    if isinstance(value, (str, bool, int, float, type(None), tuple, np.generic)):
        return repr(value)
    if isinstance(value, type) or callable(value):
        return getattr(value, "__qualname__", repr(value))
    if isinstance(value, (np.ndarray, jax.Array)):
        digest = hashlib.blake2b(np.asarray(value).tobytes(), digest_size=4)
        return f"array{value.shape} {digest.hexdigest()}"
    return type(value).__name__


class ModelStructure:
    """
    Everything about the instances of a model but the values of its free parameters.

    Two structures are equal if the models are: the same classes, attribute names and
    constants, and the same components sharing the same parameters. No id takes part, so
    models built twice by the same code have equal structures, in one process or in two.

    Parameters
    ----------
    model
        The model. It is kept, so it must not be edited afterwards.

    Attributes
    ----------
    names
        The name of each free parameter: its path in the model, joined by dots.
    keys
        The same as the keys that JAX prints.
    priors
        The prior of each free parameter.
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
        self.state = ModelState(structure=self)

    def __eq__(self, other):
        return self is other or (
            isinstance(other, ModelStructure)
            and self._hash == other._hash
            and self._description == other._description
        )

    def __hash__(self):
        return self._hash

    def __repr__(self):
        return f"model of {len(self.names)} parameters\n{self._text}\n"

    def __reduce__(self):
        return structure_from, (self._model,)

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

    def layout_from(self, origin: Origin) -> Layout:
        """
        Where the parameters are in the model's instances.

        Parameters
        ----------
        origin
            Where an instance of the model came from, needed the first time only: it has
            values from which the model can make instances. If they are not numbers
            (tracers, say), the medians of the priors take their place.
        """
        if self._layout is None:
            leaves = origin.leaves
            if leaves is None or not all(map(is_concrete_scalar, leaves)):
                leaves = self._model.physical_values_from_prior_medians
            # Objects of their own, and not zero or one or a default of the class, which
            # an attribute can be for reasons of its own.
            leaves = [np.float64(leaf) for leaf in leaves]
            with _looking_at_a_model:
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
        if self._derives:
            derived = self._layout.derived_objects_of(instance)
            # Of an object that can be edited in place, identity tells nothing.
            if all(map(is_immutable, derived)):
                origin.derived_objects = derived
        set_origin(instance, origin)

    def instance_from(self, leaves):
        """
        The instance with the given leaves (JAX calls this to unflatten).

        Numbers make an instance through the model, with the constructors that made the
        first one. Anything else makes an outline, see
        :meth:`autofit_patch.pytree.by_model._layout.Layout.outline`.

        Parameters
        ----------
        leaves
            One a free parameter, in the model's order.
        """
        leaves = tuple(leaves)
        if not all(map(is_number, leaves)):
            return self._outline_from(leaves, "its leaves are not single numbers")
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            instance = self.instance_via_constructors_from(leaves)
            origin = Origin(self.state, leaves)
            origin.watch(instance)
            set_origin(instance, origin)
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
        read = [UNREAD] * len(self.names)
        self.layout_from(Origin(self.state, leaves)).read(instance, read)
        return read

    def keeps(self, instance, leaves) -> bool:
        """Whether an instance holds the leaves it was made from as they are."""
        return all(
            held is UNREAD or same_number(held, leaf)
            for held, leaf in zip(self.kept_by(instance, leaves), leaves, strict=True)
        )

    def _outline_from(self, leaves, reason: str):
        layout = self.layout_from(Origin(self.state, None))
        instance = layout.outline(leaves, reason)
        set_origin(instance, Origin(self.state, leaves, outline=True))
        return instance


class ModelState:
    """
    A model as it was when it made an instance, and its structure, found when asked for.

    Parameters
    ----------
    model
        The model, of which a copy is kept: it may be edited afterwards.
    structure
        Instead of a model, a structure.
    """

    __slots__ = (
        *("_frozen_cache", "_snapshot", "_model", "_priors", "_structure"),
        "__weakref__",
    )

    def __init__(self, model=None, structure=None):
        self._structure = structure
        self._priors = None
        if model is not None:
            self._frozen_cache = frozen_cache_of(model)
            self._snapshot = Snapshot(model, opaque=(Prior,))
            self._model = deepcopy(model)

    def is_of(self, model) -> bool:
        """Whether the model has not been edited since."""
        frozen_cache = frozen_cache_of(model)
        if frozen_cache is not None and frozen_cache is self._frozen_cache:
            return True
        return self._snapshot.holds()

    @property
    def priors(self) -> list:
        """The model's own priors, in the order of its parameters."""
        if self._priors is None:
            with _looking_at_a_model:
                self._priors = self._model.priors_ordered_by_id
        return self._priors

    def remember(self, instance, origin: Origin):
        """Remember where an instance of the model came from, when it is made."""
        if self._structure is None:
            set_origin(instance, origin)
        else:
            self._structure.remember(instance, origin)

    @property
    def structure(self) -> ModelStructure:
        """The structure of its instances, which an equal model may have had before."""
        if self._structure is None:
            self._structure = structure_from(self._model)
        return self._structure


#: PyAutoFit's walk through a model is not made for two threads.
_looking_at_a_model = threading.RLock()

_structures: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_states = Beside()
_states_by_model_id: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def structure_from(model) -> ModelStructure:
    """
    The structure of a model's instances: the same object for equal models, so that
    comparing two costs nothing.
    """
    with _looking_at_a_model:
        structure = ModelStructure(model)
        known = _structures.setdefault(structure, weakref.ref(structure))()
    return structure if known is None else known


def state_of(model) -> ModelState:
    """The state of a model now: the same object until the model is edited."""
    state = _states.get(model)
    if state is not None and state.is_of(model):
        return state
    state = _states_by_model_id[model.id] = ModelState(model)
    _states.set(model, state)
    return state


def state_of_copy(instance) -> ModelState | None:
    """
    The state of the model that made what an instance is a copy of, if any.

    PyAutoFit gives an instance of a collection the id of the model, and a copy or a
    pickle has it too. Two models may share an id, so the instance must be compared with
    what the model makes before this is believed.
    """
    return _states_by_model_id.get(instance.id)


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


def has_mutable_constant(model) -> bool:
    """Whether a model holds a constant that an instance could change in place."""
    todo = [model]
    while todo:
        for _, value in components_of(todo.pop()):
            if isinstance(value, (AbstractPriorModel, TuplePrior)):
                todo.append(value)
            elif not isinstance(value, Prior) and not is_immutable(value):
                return True
    return False
