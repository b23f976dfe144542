"""
Whether the objects of a class can be trusted under JAX.

:class:`Proof` compares what a class's objects compute through ``jit``, ``vmap`` and
``grad`` with what the same constructor and method compute on NumPy, without the patch
where that is needed. What it finds is a row of ``docs/coverage.md``.
"""

import functools
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import unpatched
from catalogue import UNLIKE, classes, methods_of, model_from, object_from
from jax.extend.core import jaxpr_as_fun
from jax.tree_util import keystr, tree_flatten_with_path

#: The two ways to an object.
WAYS = ("model", "hand")

#: Whether programs of more than ``LONG`` operations are compiled, batched and
#: differentiated too. Some take a minute: those of decompositions into Gaussians.
LONG = 300
THOROUGH = int(os.environ.get("CLASS_EXAMPLES", "1")) > 1

#: Two arrays agree to this, relative to the largest number in them. (A decomposition
#: into Gaussians is a sum of numbers a million times larger: the order in which they are
#: added, which XLA chooses, changes it by up to ``SUMS``.)
ROUND_TRIP, NUMPY, LIBRARIES, SUMS, DIFFERENCES = 1e-12, 1e-8, 1e-6, 1e-5, 1e-4


#: Why an object without numbers cannot be batched or differentiated.
NO_NUMBERS = "it has no numbers"

#: What are numbers in an object.
NUMBERS = (np.ndarray, np.number, jax.Array, int, float)


_proved: set = set()


def agree(figure, reference, rtol: float) -> bool:
    """Whether two arrays are equal within a tolerance relative to the largest number."""
    figure, reference = np.asarray(figure), np.asarray(reference)
    if figure.shape != reference.shape:
        return False
    finite = np.abs(reference[np.isfinite(reference)])
    scale = finite.max(initial=0.0)
    return np.allclose(figure, reference, rtol=rtol, atol=rtol * scale, equal_nan=True)


def words_of(name: str) -> tuple:
    """
    The words of a leaf's name, alike for an object made by a model and by hand:
    ``.0.mass.centre.centre_1`` is ``.galaxies[0].mass.centre[1]``.
    """
    words = re.findall(r"\w+", name)
    words = [
        word.rpartition("_")[2] if before and word.startswith(f"{before}_") else word
        for before, word in zip([None, *words], words, strict=False)
    ]
    return tuple(words[1:] if words[:1] == ["galaxies"] else words)


def leaves_of(obj) -> dict:
    """An object's leaves by their names, see :func:`words_of`."""
    leaves, _ = tree_flatten_with_path(obj)
    return {words_of(keystr(path)): leaf for path, leaf in leaves}


def text_of(jaxpr) -> tuple:
    """The operations of what JAX traced, and its constants."""
    return str(jaxpr), *(np.asarray(constant).tobytes() for constant in jaxpr.consts)


def held_by(obj, name: str = "", inside: tuple = ()) -> dict:
    """
    What an object and all objects in it hold, by where they hold it.

    Parameters
    ----------
    obj
        The object, or anything in it.
    name
        Where it is.
    inside
        The objects that it is in.

    Returns
    -------
    Numbers and arrays as they are, and of everything else what kind of thing it is.
    """
    if any(obj is outer for outer in inside):
        return {name: "what it is in"}
    if isinstance(obj, (str, bool, type)):
        return {name: repr(obj)}
    if isinstance(obj, NUMBERS) and not hasattr(obj, "__dict__"):
        return {name: obj}
    held = {name: type(obj)}
    if isinstance(obj, float):
        held[f"{name} itself"] = float(obj)
    items = dict(enumerate(obj)) if isinstance(obj, (list, tuple)) else {}
    items |= obj if isinstance(obj, dict) else getattr(obj, "__dict__", {})
    if not isinstance(obj, (list, tuple, dict)) and not hasattr(obj, "__dict__"):
        held[name] = obj
    for key, value in items.items():
        if key not in UNLIKE:
            held |= held_by(value, f"{name}.{key}", (*inside, obj))
    return held


def held_in_a_trace(obj) -> tuple:
    """
    What the object holds that JAX makes of an object's leaves, see :func:`held_by`, and
    how the numbers follow from the leaves.
    """
    others, structure = {}, jax.tree.structure(obj)
    leaves = leaves_of(obj)

    def numbers(by_name):
        held = held_by(jax.tree.unflatten(structure, [by_name[n] for n in leaves]))
        numbers = {name: x for name, x in held.items() if isinstance(x, NUMBERS)}
        others.update((name, x) for name, x in held.items() if name not in numbers)
        others["numbers"] = list(numbers)
        return numbers

    jaxpr = jax.make_jaxpr(numbers)(leaves)
    return *text_of(jaxpr), others, sorted(leaves)


class Proof:
    """
    What holds for one class.

    Parameters
    ----------
    name
        The name of the class in the catalogue.
    """

    def __init__(self, name: str):
        self.name = name
        self.cls = classes()[name]
        self.model = model_from(self.cls)
        self.methods = methods_of(self.cls)
        self.names = [".".join(path) for path in self.model.unique_prior_paths]
        if issubclass(self.cls, float):
            self.names = [""]  # it is a leaf itself
        self._works = {}
        self._figures = {}
        self._programs = {}
        self._differences = {}

    def vector_from(self, units) -> np.ndarray:
        """The values of the parameters at a place in the unit cube of their priors."""
        return np.array(self.model.vector_from_unit_vector(units), dtype=float)

    def made(self, way: str, vector):
        if way == "hand":
            return object_from(self.cls, self.model, vector)
        instance = self.model.instance_from_vector(vector)
        if isinstance(instance, self.cls):
            return instance
        return self.cls(galaxies=list(instance))

    # -- What works -----------------------------------------------------------------

    def works(self, way: str, transformation: str) -> dict:
        """
        Which methods can be transformed by JAX.

        Returns
        -------
        By the name of each method ``None``, or the error that it raises, with the patch
        as without.
        """
        key = way, transformation
        if key not in self._works:
            vector = self.vector_from(self.regular(0))
            self._works[key] = {
                method: self._error_of(method, way, transformation, vector)
                for method in self.methods
            }
        return self._works[key]

    def regular(self, seed: int):
        return np.random.default_rng(seed).uniform(0.2, 0.8, self.model.prior_count)

    def _error_of(self, method: str, way: str, transformation: str, vector):
        if transformation in ("vmap", "grad") and not self.names:
            return NO_NUMBERS
        if transformation != "numpy" and way == "hand" and self.is_one_object:
            return self.works("model", transformation)[method]
        if transformation != "numpy":
            earlier = "numpy" if transformation == "jit" else "jit"
            if error := self.works(way, earlier)[method]:
                return error
        is_quick = transformation in ("numpy", "jit")
        if not (is_quick or THOROUGH or self._length(way, method) < LONG):
            return None
        if not is_quick and self._is_proved(way, transformation, method):
            return None
        arguments = [vector]
        if transformation == "vmap":
            arguments = [np.stack([vector] * 2)]
        try:
            self._try(method, transformation, self.made(way, vector))
        except Exception as error:
            if transformation == "grad":
                arguments.append(self.weights(method, vector))
            _, reason = unpatched.asked(
                self.name, method, way == "model", transformation, *arguments
            )
            if reason is None:
                raise AssertionError(
                    f"{self.name}.{method} by {way} fails under {transformation}, and "
                    f"the libraries without the patch do not: {error!r}"
                ) from error
            return reason
        return None

    def _try(self, method: str, transformation: str, obj):
        """Transform a method by JAX, without compiling it."""
        jitted = self.jitted[method]
        if transformation == "numpy":
            self.methods[method](obj, np)
        elif transformation == "jit":
            jitted.trace(obj)
        elif transformation == "vmap":
            batch = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), obj)
            jax.eval_shape(jax.vmap(jitted), batch)
        else:
            jax.eval_shape(jax.grad(lambda obj: jnp.sum(jitted(obj))), obj)

    @functools.cached_property
    def jitted(self) -> dict:
        """Each method as a jitted function of an object."""

        def jitted_from(compute):
            return jax.jit(lambda obj: jnp.asarray(compute(obj, jnp)))

        return {name: jitted_from(compute) for name, compute in self.methods.items()}

    @functools.cached_property
    def is_one_object(self) -> bool:
        """
        Whether JAX makes the same object, of leaves with the same names and values, of
        what is made by a model and of what is made by hand: one that holds the same, in a
        trace. What a method computes of one of them it computes of both then, and to
        trace and run them twice would prove nothing.
        """
        vector = self.vector_from(self.regular(0))
        by_model, by_hand = (self.made(way, vector) for way in WAYS)
        if leaves_of(by_model) != leaves_of(by_hand):
            return False
        try:
            return held_in_a_trace(by_model) == held_in_a_trace(by_hand)
        except jax.errors.JAXTypeError:
            return False  # one of them cannot be made in a trace: `works` says why

    def _program(self, way: str, method: str) -> tuple:
        """What JAX traces for a method: the operations, and the names of the leaves."""
        key = way, method
        if key not in self._programs:
            obj = self.made(way, self.vector_from(self.regular(0)))
            jaxpr = self.jitted[method].trace(obj).jaxpr
            self._programs[key] = method, *text_of(jaxpr), tuple(leaves_of(obj))
        return self._programs[key]

    def _unproved(self, way: str, transformation: str) -> list:
        """
        The working methods of which JAX did not trace the same program before, for
        another class (``lmp.Sersic`` and ``mp.Sersic`` have the same mass), or for the
        other way to the object.
        """
        methods = self.working(way, transformation)
        if way == "hand" and self.is_one_object:
            return []
        return [
            method
            for method in methods
            if THOROUGH
            or (
                (transformation == "jit" or self._length(way, method) < LONG)
                and not self._is_proved(way, transformation, method)
            )
        ]

    def _is_proved(self, way: str, transformation: str, method: str) -> bool:
        return (transformation, self._program(way, method)) in _proved

    def _length(self, way: str, method: str) -> int:
        obj = self.made(way, self.vector_from(self.regular(0)))
        return len(self.jitted[method].trace(obj).jaxpr.eqns)

    def _prove(self, way: str, transformation: str, method: str):
        _proved.add((transformation, self._program(way, method)))

    def working(self, way: str, transformation: str) -> tuple:
        return tuple(m for m, e in self.works(way, transformation).items() if e is None)

    @functools.cached_property
    def is_traced(self) -> bool:
        """Whether JAX traces a method."""
        return any(self.working(way, "jit") for way in WAYS)

    # -- What it computes -----------------------------------------------------------

    def numpy(self, method: str, vector):
        """A method of the object made by hand, by its constructor, on NumPy."""
        key = method, tuple(vector)
        if key not in self._figures:
            self._figures[key] = np.asarray(
                self.methods[method](self.made("hand", vector), np)
            )
        return self._figures[key]

    def is_valid(self, vector) -> bool:
        """Whether the constructor accepts these values, and the figures are finite."""
        try:
            figures = [self.numpy(m, vector) for m in self.working("hand", "numpy")]
        except Exception:
            # The libraries have many errors for values that they do not take. If no
            # values were valid, hypothesis would say so.
            return False
        return all(np.isfinite(figure).all() for figure in figures)

    def weights(self, method: str, vector):
        """Random weights that make one number of a figure, each part alike in size."""
        figure = self.numpy(method, vector)
        scale = np.abs(figure).max(initial=0.0) or 1.0
        return np.random.default_rng(2).uniform(0.5, 1.5, figure.shape) / scale

    def assert_round_trip(self, way: str, vector):
        """An object comes back from its leaves with the same figures."""
        obj = self.made(way, vector)
        leaves, structure = jax.tree.flatten(obj)
        back = jax.tree.unflatten(structure, leaves)
        assert type(back) is type(obj)
        assert jax.tree.leaves(back) == leaves
        assert jax.tree.structure(self.made(way, vector)) == structure
        for method in self.working(way, "numpy"):
            compute = self.methods[method]
            figure = compute(back, np)
            assert agree(figure, self.numpy(method, vector), ROUND_TRIP) or agree(
                figure, compute(obj, np), ROUND_TRIP
            ), f"{self.name}.{method} by {way} changes in a round trip at {vector}"

    def assert_jit(self, way: str, vectors):
        if way == "hand" and self.is_one_object:
            for vector in vectors:
                by_model, by_hand = (leaves_of(self.made(way, vector)) for way in WAYS)
                assert by_model == by_hand
            return
        for method in self._unproved(way, "jit"):
            # One vector does for what takes a minute to run operation by operation.
            is_long = not THOROUGH and self._length(way, method) >= LONG
            for vector in vectors[:1] if is_long else vectors:
                figure = self._jitted_figure(method, self.made(way, vector))
                self._assert_agrees(figure, method, way, "jit", vector)
            self._prove(way, "jit", method)

    def _jitted_figure(self, method: str, obj):
        """
        What a jitted method computes. A long program is run operation by operation, but
        for a thorough proof.
        """
        jaxpr = self.jitted[method].trace(obj).jaxpr
        if THOROUGH or len(jaxpr.eqns) < LONG:
            return self.jitted[method](obj)
        with jax.disable_jit():
            (figure,) = jaxpr_as_fun(jaxpr)(*jax.tree.leaves(obj))
        return figure

    def assert_vmap(self, way: str, vectors):
        methods = self._unproved(way, "vmap")
        if not methods:
            return
        batch = jax.tree.map(
            lambda *leaves: jnp.stack(leaves), *(self.made(way, v) for v in vectors)
        )
        figures = jax.vmap(
            lambda obj: {m: jnp.asarray(self.methods[m](obj, jnp)) for m in methods}
        )(batch)
        for index, vector in enumerate(vectors):
            for method in methods:
                figure = figures[method][index]
                self._assert_agrees(figure, method, way, "vmap", vector)
        for method in methods:
            self._prove(way, "vmap", method)

    def _assert_agrees(self, figure, method, way, transformation, vector):
        reference = self.numpy(method, vector)
        if agree(figure, reference, NUMPY):
            return
        # The libraries may differ between NumPy and JAX, which is theirs: what they have
        # on JAX is the reference then.
        for theirs_by in ("jax", "jit"):
            theirs, error = unpatched.asked(
                self.name, method, way == "model", theirs_by, vector
            )
            assert error is None
            if agree(figure, theirs, SUMS):
                return
        raise AssertionError(
            f"{self.name}.{method} by {way} under {transformation} at {vector}: "
            f"{figure}, NumPy {reference}, the libraries on JAX {theirs}"
        )

    def assert_gradient(self, way: str, vector):
        """The gradient by each named leaf is that of the constructor and the method."""
        for method in self._unproved(way, "grad"):
            weights = self.weights(method, vector)

            def total(obj, compute=self.methods[method], weights=weights):
                return jnp.vdot(weights, jnp.asarray(compute(obj, jnp)))

            by_name = leaves_of(jax.grad(total)(self.made(way, vector)))
            gradient = np.array([by_name[words_of(name)] for name in self.names])
            # By the relative change of each parameter, so that all are alike in size.
            units = np.maximum(np.abs(vector), 0.03)
            if agree(
                gradient * units,
                self.differences(method, vector, weights, units),
                DIFFERENCES,
            ):
                self._prove(way, "grad", method)
                continue
            theirs, _ = unpatched.asked(
                self.name, method, way == "model", "grad", vector, weights
            )
            assert theirs is not None and agree(gradient, theirs, LIBRARIES), (
                f"{self.name}.{method} by {way} under grad at {vector}: {gradient}, the "
                f"libraries {theirs}"
            )
            self._prove(way, "grad", method)

    def differences(self, method, vector, weights, units):
        """Finite differences of constructor and method, of fourth order, by parameter."""
        key = method, tuple(vector)
        if key not in self._differences:
            steps = 1e-3 * units

            def total(index, factor):
                step = np.zeros_like(vector)
                step[index] = factor * steps[index]
                return np.vdot(weights, self.numpy(method, vector + step))

            self._differences[key] = np.array(
                [
                    (8 * (total(i, 1) - total(i, -1)) - (total(i, 2) - total(i, -2)))
                    / (12e-3)
                    for i in range(len(vector))
                ]
            )
        return self._differences[key]

    # -- What is said of it ---------------------------------------------------------

    def row(self) -> list[str]:
        """The class's row of the table in ``docs/coverage.md``."""
        cells = {
            "by model": self._cell([("model", "numpy")]),
            "by hand": self._cell([("hand", "numpy")]),
            **{
                transformation: self._cell([(way, transformation) for way in WAYS])
                for transformation in ("jit", "vmap", "grad")
            },
        }
        return [f"`{self.name}`", *cells.values(), "; ".join(self._reasons())]

    def _cell(self, keys) -> str:
        """Whether all, some or none of the methods work."""
        errors = [error for key in keys for error in self.works(*key).values()]
        if set(errors) == {NO_NUMBERS}:
            return "-"
        if not any(errors):
            return "yes"
        return "no" if all(errors) else "some"

    def _reasons(self):
        """Why methods do not work, each where it fails first."""
        for method in self.methods:
            told = {}
            for way in WAYS:
                for transformation in ("numpy", "jit", "vmap", "grad"):
                    error = self.works(way, transformation)[method]
                    if error and error != NO_NUMBERS:
                        told[way] = f"{error} under {transformation}"
                        break
            if len(set(told.values())) == 1 and len(told) == len(WAYS):
                yield f"{method}: {told['hand']}"
            else:
                yield from (f"{method} by {way}: {text}" for way, text in told.items())


@functools.cache
def proof_of(name: str) -> Proof:
    return Proof(name)
