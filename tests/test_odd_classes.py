"""
Classes with odd constructors are taken apart right, or not at all.

An object of each is given to JAX made by hand, alone and inside another object, and made
by a model: alone, in a collection, and as an attribute of another model. What it computes
there is compared with what a new object, made from the same numbers, computes.
"""

import abc
import copy
import dataclasses
import functools
import logging
from typing import NamedTuple

import autofit as af
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import tree_leaves, tree_structure

import autofit_patch

BY_HAND = ("by hand", "in an object")
BY_MODEL = ("model", "collection", "attribute")


class Case(NamedTuple):
    cls: type
    numbers: dict
    constants: dict
    ways: tuple

    def make(self, numbers: dict):
        """An object of the class, made by calling it."""
        if self.cls is PositionalOnly:
            return self.cls(*numbers.values())
        return self.cls(**numbers, **self.constants)

    def figure(self, values) -> float:
        return float(self.make(dict(zip(self.numbers, values, strict=True))).figure())

    def slopes(self, step=1e-5) -> np.ndarray:
        """The derivatives of the figure by the numbers, by finite differences."""
        values = np.array([*self.numbers.values()])
        steps = step * np.eye(len(values))
        return np.array(
            [
                (self.figure(values + step_) - self.figure(values - step_)) / (2 * step)
                for step_ in steps
            ]
        )


CASES = []


def case(constants=None, ways=BY_HAND + BY_MODEL, **numbers):
    """Add a class to the table, with the numbers and constants that it is made from."""

    def add(cls):
        CASES.append(Case(autofit_patch.register(cls), numbers, constants or {}, ways))
        return cls

    return add


@autofit_patch.register
class Holder:
    def __init__(self, part=None):
        self.part = part


class Disc:
    def __init__(self, radius=1.0):
        self.radius = radius
        self.area = radius**2

    def figure(self):
        return self.area


@case(size=2.0)
class Validating(Disc):
    def __init__(self, size=1.0):
        if not isinstance(size, jax.core.Tracer) and not 0.0 < size < 5.0:
            raise ValueError("a size is between 0 and 5")
        super().__init__(radius=size)
        self.size = size


@case(size=2.0)
class Logging(Disc):
    def __init__(self, size=1.0):
        logging.getLogger(__name__).debug("made with %s", size)
        super().__init__(radius=size)
        self.size = size
        self.log = [f"made a {type(self).__name__}"]


@case(size=2.0)
class Counting(Disc):
    made = 0

    def __init__(self, size=1.0):
        super().__init__(radius=size)
        Counting.made += 1
        self.serial = Counting.made
        self.size = size


@case(size=2.0)
class Caching:
    def __init__(self, size=1.0):
        self.size = size
        self._cache = {}

    def figure(self):
        return self._cache.setdefault("figure", self.size**2)


@case(size=2.0, factor=3.0)
class Renaming(Disc):
    """The base class has another name for the argument, and the only attribute."""

    def __init__(self, size=1.0, factor=1.0):
        super().__init__(radius=factor * size)


@case(size=2.0)
class RenamingTwice(Renaming):
    def __init__(self, size=1.0):
        super().__init__(size, factor=3.0)


@case(slope=2.0, offset=3.0)
class KeywordOnly:
    def __init__(self, *, slope=1.0, offset=0.0):
        self.slope = slope
        self.offset = offset
        self.product = slope * offset

    def figure(self):
        return self.product


@case(slope=2.0, offset=3.0, ways=BY_HAND)  # PyAutoFit gives all arguments by name
class PositionalOnly(KeywordOnly):
    def __init__(self, slope=1.0, /, offset=0.0):
        super().__init__(slope=slope, offset=offset)


@case(slope=2.0)
class AnyArguments:
    def __init__(self, slope=1.0, *others):
        self.slope = slope
        self.others = others
        self.total = slope**2 + sum(others)

    def figure(self):
        return self.total


@case(slope=2.0, extra=3.0, more=0.5)
class AnyKeywords:
    def __init__(self, slope=1.0, **keywords):
        self.slope = slope
        for name, value in keywords.items():
            setattr(self, name, value)

    def figure(self):
        return self.slope * self.extra**2 * self.more


@case(slope=2.0, extra=3.0, ways=BY_MODEL)
class HiddenKeywords:
    def __init__(self, slope=1.0, **options):
        self.slope = slope
        self.options = options

    def figure(self):
        return self.slope * self.options["extra"]


@case(slope=2.0)
class Slots:
    __slots__ = ("slope", "square", "__weakref__")

    def __init__(self, slope=1.0):
        self.slope = slope
        self.square = slope**2

    def figure(self):
        return self.square


@case(slope=2.0, more=3.0)
class SlotsAndDictionary(Slots):
    def __init__(self, slope=1.0, more=1.0):
        super().__init__(slope)
        self.more = more

    def figure(self):
        return self.square * self.more


@case(slope=2.0)
class ReadByProperty:
    def __init__(self, slope=1.0):
        self._slope = slope

    @property
    def slope(self):
        return self._slope

    def figure(self):
        return self._slope**2


@case(slope=2.0)
class SetByProperty:
    def __init__(self, slope=1.0):
        self.slope = slope

    @property
    def slope(self):
        return self._values["slope"]

    @slope.setter
    def slope(self, value):
        self._values = {"slope": value}

    def figure(self):
        return self.slope**2


@case(scale=2.0)
class MethodNamedAsTheArgument:
    def __init__(self, scale=1.0):
        self._kept = scale

    def scale(self):
        return self._kept

    def figure(self):
        return self._kept**2


@case(slope=2.0)
class CachedProperty:
    def __init__(self, slope=1.0):
        self.slope = slope

    @functools.cached_property
    def square(self):
        return self.slope**2

    def figure(self):
        return self.square


@case(slope=2.0, offset=3.0)
@dataclasses.dataclass
class Data:
    slope: float = 1.0
    offset: float = 0.0

    def figure(self):
        return self.slope**2 * self.offset


@case(slope=2.0, offset=3.0)
@dataclasses.dataclass(frozen=True)
class FrozenData:
    slope: float = 1.0
    offset: float = 0.0

    def figure(self):
        return self.slope**2 * self.offset


@case(slope=2.0, offset=3.0)
@dataclasses.dataclass(slots=True, kw_only=True, weakref_slot=True)
class SlotData:
    slope: float
    offset: float

    def figure(self):
        return self.slope**2 * self.offset


@case(slope=2.0, offset=3.0)
@dataclasses.dataclass
class DerivingData:
    slope: float = 1.0
    offset: float = 0.0
    product: float = dataclasses.field(init=False)

    def __post_init__(self):
        self.product = self.slope**2 * self.offset

    def figure(self):
        return self.product


@case(slope=2.0, offset=3.0)
@dataclasses.dataclass
class ForgettingData:
    slope: float
    offset: dataclasses.InitVar[float]
    product: float = dataclasses.field(init=False)

    def __post_init__(self, offset):
        self.product = self.slope**2 * offset

    def figure(self):
        return self.product


@case(slope=2.0)
class Converting:
    def __init__(self, slope=1.0):
        self.slope = jnp.asarray(slope)

    def figure(self):
        return self.slope**2


@case(slope=2.0, ways=BY_MODEL)
class Scaling:
    def __init__(self, slope=1.0):
        self.slope = 2.0 * slope

    def figure(self):
        return self.slope**2


@case(slope=-2.0, ways=BY_MODEL)
class Absolute:
    def __init__(self, slope=1.0):
        self.slope = abs(slope)
        self.sign = slope / abs(slope)

    def figure(self):
        return self.slope**2 * self.sign


@case(slope=2.0, ways=BY_MODEL)
class DefaultOfTheClass:
    slope = 2.0

    def __init__(self, slope=1.0):
        self._slope = slope

    def figure(self):
        return self._slope**2


@case(slope=2.0)
class EqualToAnything:
    def __init__(self, slope=1.0):
        self.slope = slope

    def __eq__(self, other):
        return True

    def figure(self):
        return self.slope**2


@case(slope=2.0)
class NeverCompared(EqualToAnything):
    def __eq__(self, other):
        raise RuntimeError("not to be compared")

    def __hash__(self):
        raise RuntimeError("not to be hashed")


@case(slope=2.0)
class ReadByGetattr:
    def __init__(self, slope=1.0):
        self._kept = {"slope": slope}

    def __getattr__(self, name):
        if name != "slope":
            raise AttributeError(name)
        return self._kept[name]

    def figure(self):
        return self.slope**2


@case(slope=2.0, ways=BY_MODEL)
class AnythingByGetattr:
    def __init__(self, slope=1.0):
        self._kept = slope

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return 0.0

    def figure(self):
        return self._kept**2


@case(slope=2.0)
class ReadOnly:
    def __init__(self, slope=1.0):
        vars(self).update(slope=slope, square=slope**2)

    def __setattr__(self, name, value):
        raise AttributeError("read only")

    def figure(self):
        return self.square


class MadeByNew:
    def __new__(cls, slope=1.0):
        self = super().__new__(cls)
        self.slope = slope
        self.square = slope**2
        return self

    def figure(self):
        return self.square


# Early releases of PyAutoFit take the ``cls`` of ``__new__`` for a parameter of the
# model, and put it in place of the class: no model of such a class can be made with them.
MODEL_KEEPS_ITS_CLASS = af.Model(MadeByNew).cls is MadeByNew
case(slope=2.0, ways=BY_HAND + BY_MODEL if MODEL_KEEPS_ITS_CLASS else BY_HAND)(MadeByNew)


class Shape(abc.ABC):
    @abc.abstractmethod
    def figure(self): ...


@case(slope=2.0)
class Abstract[Number](Shape):
    def __init__(self, slope=1.0):
        self.slope = slope

    def figure(self):
        return self.slope**2


@case(slope=2.0, constants={"none": None, "power": 3, "flag": True, "text": "square"})
class Options:
    def __init__(self, slope=1.0, none=None, power=2, flag=False, text=""):
        self.slope = slope
        self.none = none
        self.power = power
        self.flag = flag
        self.text = text

    def figure(self):
        return self.slope**self.power * len(self.text) if self.flag else self.none


# PyAutoFit takes a class for a component of the model, and makes an object of it.
@case(slope=2.0, constants={"kind": Disc, "function": jnp.square}, ways=BY_HAND)
class Callables:
    def __init__(self, slope=1.0, kind=Data, function=jnp.sin):
        self.slope = slope
        self.kind = kind
        self.function = function

    def figure(self):
        return self.function(self.slope) * self.kind(self.slope).area


def tree_from(case: Case, way: str, values=None):
    """What is given to JAX."""
    values = [*case.numbers.values()] if values is None else [*values]
    if way in BY_HAND:
        obj = case.make(dict(zip(case.numbers, values, strict=True)))
        return Holder(obj) if way == "in an object" else obj
    priors = {name: af.UniformPrior(-10.0, 10.0) for name in case.numbers}
    model = af.Model(case.cls, **priors, **case.constants)
    if way == "collection":
        model = af.Collection(part=model)
    elif way == "attribute":
        model = af.Model(Holder, part=model)
    return model.instance_from_vector(values)


def object_in(tree):
    return tree.part if isinstance(tree, (Holder, af.ModelInstance)) else tree


def figure_of(tree):
    return object_in(tree).figure()


TABLE = [
    pytest.param(case, way, id=f"{case.cls.__name__}-{way}")
    for case in CASES
    for way in case.ways
]
over_all_classes = pytest.mark.parametrize("case, way", TABLE)


@over_all_classes
def test_round_trip_gives_an_equal_object(case, way):
    tree = tree_from(case, way)
    leaves, structure = jax.tree.flatten(tree)
    assert leaves == [*case.numbers.values()]
    rebuilt = jax.tree.unflatten(structure, leaves)
    assert type(rebuilt) is type(tree)
    assert type(object_in(rebuilt)) is case.cls
    assert figure_of(rebuilt) == figure_of(tree) == case.figure(case.numbers.values())
    assert jax.tree.flatten(rebuilt) == (leaves, structure)


@over_all_classes
def test_what_is_derived_follows_a_changed_number(case, way):
    changed = jax.tree.map(lambda leaf: 1.5 * leaf, tree_from(case, way))
    expected = case.figure(1.5 * value for value in case.numbers.values())
    assert figure_of(changed) == pytest.approx(expected, rel=1e-12)


@over_all_classes
def test_jitted_value_and_gradient_are_those_of_the_class_and_traced_once(case, way):
    traces = []

    @jax.jit
    @jax.value_and_grad
    def function(tree):
        traces.append(1)
        return figure_of(tree)

    value, gradient = function(tree_from(case, way))
    assert value == pytest.approx(case.figure(case.numbers.values()), rel=1e-12)
    np.testing.assert_allclose(tree_leaves(gradient), case.slopes(), rtol=1e-7)
    other = [1.5 * value for value in case.numbers.values()]
    value, _ = function(tree_from(case, way, other))
    assert value == pytest.approx(case.figure(other), rel=1e-12)
    assert len(traces) == 1


@over_all_classes
def test_batch_computes_what_its_members_do(case, way):
    values = np.array([*case.numbers.values()])
    batch = jax.tree.map(
        lambda *leaves: jnp.stack(leaves),
        *(tree_from(case, way, factor * values) for factor in (1.0, 1.5)),
    )
    expected = [case.figure(values), case.figure(1.5 * values)]
    np.testing.assert_allclose(jax.vmap(figure_of)(batch), expected, rtol=1e-12)


@over_all_classes
def test_outline_comes_back_as_it_is(case, way):
    tree = tree_from(case, way)
    marks = [object() for _ in case.numbers]
    outline = jax.tree.unflatten(tree_structure(tree), marks)
    assert type(object_in(outline)) is case.cls
    assert jax.tree.flatten(outline) == (marks, tree_structure(tree))


class Unkept:
    def __init__(self, slope=1.0):
        self.square = slope**2

    def figure(self):
        return self.square


autofit_patch.register(Unkept)


@autofit_patch.register
class Growing:
    def __init__(self, values):
        values.append(1.0)
        self.values = values


@autofit_patch.register
class GrowingNames:
    def __init__(self, names):
        names.append("one")
        self.names = names


@autofit_patch.register
class ScalingInPlace:
    def __init__(self, values):
        values *= 2.0
        self.values = values


@autofit_patch.register
class SlotsOnly:
    """An object which nothing can be remembered of: it has no weak references."""

    __slots__ = ("slope", "square")

    def __init__(self, slope=1.0):
        self.slope = slope
        self.square = slope**2


@autofit_patch.register
@dataclasses.dataclass
class DefaultOfTheField:
    slope: float
    offset: dataclasses.InitVar[float] = 1.0
    product: float = dataclasses.field(init=False)

    def __post_init__(self, offset):
        self.product = self.slope * offset


def outline_of_slots():
    return jax.tree.map(lambda leaf: None, SlotsOnly(2.0))


def unmade(cls, **attributes):
    """An object that was made without its constructor."""
    obj = object.__new__(cls)
    vars(obj).update(attributes)
    return obj


UNKNOWABLE = [
    (lambda: unmade(Unkept, square=4.0), TypeError, "'slope' is not kept"),
    (lambda: Scaling(2.0), ValueError, r"slope = 4\.0.*slope = 8\.0"),
    (lambda: Absolute(-2.0), ValueError, r"sign = -1\.0.*sign = 1\.0"),
    (lambda: DefaultOfTheClass(3.0), ValueError, r"_slope = 3\.0.*_slope = 2\.0"),
    (lambda: AnythingByGetattr(3.0), ValueError, r"_kept = 3\.0.*_kept = 0\.0"),
    (lambda: DefaultOfTheField(2.0, 3.0), ValueError, r"product = 6\.0.*product = 2\.0"),
    (lambda: HiddenKeywords(2.0, extra=3.0), ValueError, "options = "),
    (lambda: Growing([2.0]), ValueError, "values = .*makes values = "),
    (lambda: GrowingNames(["two"]), ValueError, "names = .*makes names = "),
    (lambda: ScalingInPlace(np.ones(2)), ValueError, "values = .*makes values = "),
    (lambda: outline_of_slots(), ValueError, "rejects what it holds"),
]


@pytest.mark.parametrize("make, error, match", UNKNOWABLE)
@pytest.mark.parametrize("inside", [False, True], ids=["by hand", "in an object"])
def test_object_that_cannot_be_made_again_is_an_error_naming_it(
    make, error, match, inside
):
    obj = make()
    held = copy.deepcopy({name: getattr(obj, name, None) for name in dir_of(obj)})
    for _ in range(2):
        with pytest.raises(error, match=f"(?s){type(obj).__name__}.*{match}"):
            tree_leaves(Holder(obj) if inside else obj)
    for name, value in held.items():
        np.testing.assert_array_equal(getattr(obj, name, None), value)


def dir_of(obj):
    return [*getattr(obj, "__dict__", ()), *getattr(obj, "__slots__", ())]


@autofit_patch.register
class ToFloat:
    def __init__(self, slope=1.0):
        self.slope = float(slope)


@autofit_patch.register
class ToArray:
    def __init__(self, slope=1.0):
        self.slope = np.asarray(slope)


@autofit_patch.register
class Comparing:
    def __init__(self, slope=1.0):
        if slope < 0.0:
            raise ValueError("negative")
        self.slope = slope


NEEDS_NUMBERS = [
    Case(cls, {"slope": 2.0}, {}, ()) for cls in (ToFloat, ToArray, Comparing)
]


@pytest.mark.parametrize("case", NEEDS_NUMBERS, ids=lambda case: case.cls.__name__)
@pytest.mark.parametrize("way", BY_HAND + BY_MODEL)
def test_constructor_that_needs_numbers_works_outside_a_trace_only(case, way):
    tree = tree_from(case, way)
    assert tree_leaves(tree) == [2.0]
    changed = jax.tree.map(lambda leaf: 1.5 * leaf, tree)
    assert (type(object_in(changed)), object_in(changed).slope) == (case.cls, 3.0)
    with pytest.raises(jax.errors.JAXTypeError):
        jax.jit(lambda tree: object_in(tree).slope)(tree)


def new_model_from(cls, first):
    """
    A model of a class that is like another, of which JAX saw one instance. (Equal models
    share what was found out about the first.)
    """
    new = type(cls.__name__, (cls,), {})
    model = af.Collection(part=af.Model(new, slope=af.UniformPrior(-10.0, 10.0)))
    tree_leaves(model.instance_from_vector([first]))
    return model


@pytest.mark.parametrize(
    "cls, first",
    [(Scaling, 0.0), (Scaling, 1.0), (Absolute, 1.0), (Absolute, -1.0)]
    + [(DefaultOfTheClass, 2.0), (DefaultOfTheClass, 1.0)],
)
@pytest.mark.parametrize("transform", ["jit", "jit of grad", "vmap", "tree.map"])
def test_what_a_constructor_keeps_does_not_depend_on_the_first_instance(
    cls, first, transform
):
    model = new_model_from(cls, first)
    values = [-3.0, 1.5, 2.0]
    instances = [model.instance_from_vector([value]) for value in values]
    assert [tree_leaves(instance) for instance in instances] == [[v] for v in values]
    expected = [cls(value).figure() for value in values]
    if transform == "jit":
        found = [jax.jit(figure_of)(instance) for instance in instances]
    elif transform == "vmap":
        batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *instances)
        found = jax.vmap(figure_of)(batch)
    elif transform == "jit of grad":
        gradient = jax.jit(jax.grad(figure_of))
        found = [tree_leaves(gradient(instance))[0] for instance in instances]
        expected = [Case(cls, {"slope": v}, {}, ()).slopes()[0] for v in values]
    else:
        doubled = jax.tree.map(lambda leaf: 2.0 * leaf, instances[1])
        found, expected = figure_of(doubled), cls(3.0).figure()
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_attribute_that_was_set_to_what_its_constructor_would_not_keep_is_an_error():
    model = new_model_from(Absolute, 1.0)
    instance = model.instance_from_vector([2.0])
    instance.part.slope = 3.0
    assert figure_of(jax.tree.map(lambda leaf: leaf, instance)) == 9.0
    instance.part.slope = -3.0
    with pytest.raises(ValueError, match=r"(?s)Absolute.*slope = -3\.0"):
        tree_leaves(instance)


def test_number_that_was_set_is_kept_beside_one_that_the_constructor_changed():
    model = af.Collection(
        part=af.Model(Absolute, slope=af.UniformPrior(-10.0, 10.0)),
        other=af.Model(Disc, radius=af.UniformPrior(0.0, 10.0)),
    )
    tree_leaves(model.instance_from_vector([1.0, 1.0]))
    instance = model.instance_from_vector([-2.0, 1.0])
    instance.other.radius = 3.0
    assert tree_leaves(instance) == [-2.0, 3.0]
    assert jax.jit(lambda i: i.part.sign * i.other.area)(instance) == -9.0


def test_copy_of_what_a_constructor_changed_is_made_from_what_it_was_given():
    model = new_model_from(Scaling, 0.0)
    twin = copy.deepcopy(model.instance_from_vector([1.0]))
    assert tree_leaves(twin) == [1.0]
    assert jax.tree.map(lambda leaf: leaf, twin).part.slope == 2.0


@autofit_patch.register
class Named:
    def __init__(self, slope=1.0, names=(), table=None):
        self.slope = slope
        self.names = names
        self.table = table


@pytest.mark.parametrize("transform", [jax.jit, lambda f: lambda t: jax.tree.map(f, t)])
def test_list_that_comes_out_of_jax_is_not_the_one_that_comes_out_next(transform):
    named = Named(2.0, names=["a"], table={"rows": ["b"]})
    function = transform(lambda tree: tree)
    out = function(named)
    out.names.append("c")
    out.table["rows"].append("d")
    assert (named.names, named.table) == (["a"], {"rows": ["b"]})
    again = function(named)
    assert (again.names, again.table) == (["a"], {"rows": ["b"]})


def test_defaults_that_are_no_floats_come_back_as_they_were():
    options = jax.tree.map(lambda leaf: 2.0 * leaf, Options(1.0))
    assert vars(options) == vars(Options(2.0))
    assert type(options.power) is int
    callables = jax.tree.map(lambda leaf: 2.0 * leaf, Callables(1.0))
    assert callables.kind is Data
    assert callables.function is jnp.sin


def test_caches_that_were_filled_are_no_part_of_an_object():
    filled, new = Caching(2.0), Caching(2.0)
    assert filled.figure() == 4.0
    assert tree_structure(filled) == tree_structure(new)
    assert jax.tree.map(lambda leaf: 1.5 * leaf, filled).figure() == 9.0
    read, unread = CachedProperty(2.0), CachedProperty(2.0)
    assert read.square == 4.0
    assert tree_structure(read) == tree_structure(unread)
    assert jax.tree.map(lambda leaf: 1.5 * leaf, read).square == 9.0


@pytest.mark.parametrize("frozen", [False, True], ids=["mutable", "frozen"])
@pytest.mark.parametrize("slots", [False, True], ids=["dictionary", "slots"])
def test_class_made_by_attrs(frozen, slots):
    attrs = pytest.importorskip("attrs")

    @autofit_patch.register
    @attrs.define(frozen=frozen, slots=slots)
    class Line:
        slope: float
        offset: float = 0.0
        product: float = attrs.field(init=False)

        def __attrs_post_init__(self):
            object.__setattr__(self, "product", self.slope**2 * self.offset)

        def figure(self):
            return self.product

    case = Case(Line, {"slope": 2.0, "offset": 3.0}, {}, ())
    # PyAutoFit sets an attribute on what it makes, which slots that are frozen refuse.
    for way in BY_HAND if frozen and slots else BY_HAND + BY_MODEL:
        tree = tree_from(case, way)
        assert tree_leaves(tree) == [2.0, 3.0]
        assert figure_of(jax.tree.map(lambda leaf: 1.5 * leaf, tree)) == 3.0**2 * 4.5
        gradient = jax.jit(jax.grad(figure_of))(tree)
        np.testing.assert_allclose(tree_leaves(gradient), case.slopes(), rtol=1e-7)


def test_gradient_whose_attribute_is_not_the_leaf_is_warned_of():
    with pytest.warns(UserWarning, match=r"(?s)Scaling.*'slope'.*tree_leaves_with_path"):
        model = new_model_from(Scaling, 0.0)
    gradient = jax.grad(lambda instance: instance.part.slope**2)(
        model.instance_from_vector([3.0])
    )
    assert tree_leaves(gradient) == [24.0]
