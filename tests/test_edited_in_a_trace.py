"""What is edited inside a trace is noticed there as it is outside (rules 7 and 10)."""

import copy

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import tree_leaves

import autofit_patch


class Disc:
    """It derives its area."""

    def __init__(self, radius=1.0, factor=3.0):
        self.radius = radius
        self.factor = factor
        self.area = factor * radius**2


class Scaling:
    """It keeps something else than it is given."""

    def __init__(self, slope=1.0):
        self.slope = 2.0 * slope


for _cls in (Disc, Scaling):
    autofit_patch.register(_cls)


def prior():
    return af.UniformPrior(0.0, 10.0)


def rebuilt_from(tree):
    return jax.tree.map(lambda leaf: leaf, tree)


def disc_from(kind: str, radius):
    """A disc in a trace, the tree that it is part of, and how to find it there."""
    if kind == "by hand":
        disc = Disc(radius)
        return disc, lambda tree: tree
    model = af.Model(Disc, radius=prior(), factor=3.0)
    if kind != "of its own model":
        model = af.Collection(disc=model)
    instance = model.instance_from_vector([radius], xp=jnp)
    if kind == "rebuilt":
        instance = rebuilt_from(instance)
    if kind == "part of an instance":
        return instance.disc, lambda tree: tree
    return instance, lambda tree: getattr(tree, "disc", tree)


KINDS = ["by hand", "of its own model", "of a model", "rebuilt", "part of an instance"]


@pytest.mark.parametrize("kind", KINDS)
class TestDerivedAttribute:
    @pytest.mark.parametrize(
        "inner",
        [
            rebuilt_from,
            jax.jit(lambda tree: tree),
            lambda tree: jax.vmap(lambda _: tree)(jnp.arange(2.0)),
            jax.checkpoint(lambda tree: tree),
        ],
        ids=["map", "jit", "vmap", "checkpoint"],
    )
    def test_that_was_set_is_an_error_naming_it(self, kind, inner):
        @jax.jit
        def function(radius):
            tree, find = disc_from(kind, radius)
            find(tree).area = 2.0 * find(tree).area
            return find(inner(tree)).area

        with pytest.raises(ValueError, match=r"(?s)Disc holds area = .*derives.*area"):
            function(2.0)

    def test_follows_a_parameter_that_was_set(self, kind):
        @jax.jit
        def function(radius):
            tree, find = disc_from(kind, radius)
            find(tree).radius = 2.0 * radius
            return find(rebuilt_from(tree)).area

        assert function(2.0) == 48.0


def test_argument_that_a_constructor_changes_is_an_error_if_it_was_set():
    def figure(edit):
        @jax.jit
        def function(slope):
            scaling = Scaling(slope)
            if edit:
                scaling.slope = 5.0 * slope
            return rebuilt_from(scaling).slope

        return function(1.0)

    assert figure(edit=False) == 2.0
    with pytest.raises(ValueError, match=r"(?s)Scaling.*from which its constructor"):
        figure(edit=True)


def test_dictionary_of_arguments_can_be_used_again():
    model = af.Model(Disc, radius=prior(), factor=3.0)
    (radius,) = model.priors

    @jax.jit
    def function(x):
        arguments, discs = {}, []
        for factor in (1.0, 2.0, 3.0):
            arguments[radius] = factor * x
            discs.append(model.instance_for_arguments(arguments))
        return [rebuilt_from(disc).radius for disc in discs]

    assert function(1.0) == [1.0, 2.0, 3.0]


def test_shared_parameter_set_at_one_place_becomes_two():
    shared = prior()
    model = af.Collection(
        a=af.Model(Disc, radius=shared, factor=3.0),
        b=af.Model(Disc, radius=shared, factor=3.0),
    )

    @jax.jit
    def function(radius):
        instance = model.instance_from_vector([radius], xp=jnp)
        instance.b = Disc(5.0 * radius)
        slopes = jax.grad(lambda i: i.a.radius + 10.0 * i.b.radius)(instance)
        return slopes.a.radius, slopes.b.radius

    assert function(1.0) == (1.0, 10.0)


def test_entry_of_a_tuple_that_was_set_is_a_new_value_of_its_parameter():
    model = af.Model(al.mp.IsothermalSph)

    @jax.jit
    def function(vector):
        profile = model.instance_from_vector(vector, xp=jnp)
        profile.centre = (profile.centre[0], 7.0 * vector[1])
        return jnp.array(tree_leaves(profile))

    np.testing.assert_allclose(function(np.array([1.0, 2.0, 3.0])), [1.0, 14.0, 3.0])


def test_array_of_parameters_comes_back_from_a_trace():
    shared = prior()
    array = af.Array(shape=(3,), prior=prior())
    array[1] = shared
    model = af.Collection(array=array, disc=af.Model(Disc, radius=shared, factor=3.0))

    @jax.jit
    def function(vector):
        instance = model.instance_from_vector(vector, xp=jnp)
        instance.disc.factor = 3.0
        return rebuilt_from(instance)

    vector = np.arange(1.0, model.prior_count + 1.0)
    out, expected = function(vector), model.instance_from_vector(vector)
    assert len(tree_leaves(out)) == model.prior_count == 3
    np.testing.assert_allclose(out.array, expected.array)
    assert out.disc.area == expected.disc.area


EDITS = {
    "value of a constant": lambda m: setattr(m.disc.factor, "value", 5.0),
    "array in place": lambda m: m.array.__setitem__(0, 5.0),
    "component deleted": lambda m: delattr(m, "other"),
    "component taken out": lambda m: vars(m).pop("other"),
    "entry of a tuple": lambda m: setattr(m.mass.centre, "centre_0", 0.5),
    "through the dictionary": lambda m: vars(m.disc).update(factor=af.Constant(5.0)),
}


@pytest.mark.parametrize("frozen", [False, True], ids=["unfrozen", "frozen"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_model_that_was_edited_in_place_makes_other_instances(edit, frozen):
    if frozen and edit is EDITS["through the dictionary"]:
        pytest.skip("past what freezing forbids")
    model = af.Collection(
        disc=af.Model(Disc, radius=prior(), factor=3.0),
        mass=af.Model(al.mp.IsothermalSph),
        other=af.Model(Disc, radius=prior(), factor=1.0),
    )
    model.array = np.ones(2)
    if frozen:
        model.freeze()

    def through_a_trace(vector):
        return jax.jit(lambda v: rebuilt_from(model.instance_from_vector(v, xp=jnp)))(
            vector
        )

    vector = np.full(model.prior_count, 3.0)
    before = model.instance_from_vector(vector)
    kept = rebuilt_from(before)
    through_a_trace(vector)
    edit(model)
    vector = np.full(model.prior_count, 3.0)
    made = model.instance_from_vector(vector)
    for out in (through_a_trace(vector), rebuilt_from(made)):
        assert out.disc.area == made.disc.area
        assert list(out.array) == list(made.array)
        assert tuple(out.mass.centre) == tuple(made.mass.centre)
        assert hasattr(out, "other") == hasattr(made, "other")
    # What was made earlier is what it was.
    assert kept.disc.factor == rebuilt_from(kept).disc.factor == 3.0
    assert hasattr(rebuilt_from(kept), "other")
    assert list(rebuilt_from(kept).array) == [1.0, 1.0]


MOVES = {
    "alias": lambda g: setattr(g, "a", g.b),
    "copy": lambda g: setattr(g, "a", copy.copy(g.b)),
    "deep copy": lambda g: setattr(g, "a", copy.deepcopy(g.b)),
    "swap": lambda g: vars(g).update(a=g.b, b=g.a),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_component_that_was_moved_is_read_where_it_is_now(move):
    profile = al.mp.IsothermalSph
    model = af.Collection(galaxy=af.Model(al.Galaxy, redshift=0.5, a=profile, b=profile))
    instance = model.instance_from_vector([0.1, 0.2, 1.0, 0.3, 0.4, 2.0])

    def moved(instance):
        move(instance.galaxy)
        return rebuilt_from(instance)

    def radius(instance):
        return moved(instance).galaxy.a.einstein_radius

    assert jax.jit(radius)(instance) == 2.0
    assert jax.jit(moved)(instance).galaxy.a.centre[0] == 0.3
    gradient = jax.jit(jax.grad(radius))(instance)
    found = gradient.galaxy.a.einstein_radius, gradient.galaxy.b.einstein_radius
    assert found == (0.0, 1.0)


def test_array_that_was_moved_is_read_where_it_is_now():
    model = af.Collection(
        a=af.Array(shape=(2,), prior=prior()), b=af.Array(shape=(2,), prior=prior())
    )

    @jax.jit
    def function(vector):
        instance = model.instance_from_vector(vector, xp=jnp)
        instance.a = instance.b
        return rebuilt_from(instance).a

    assert list(function(np.array([1.0, 2.0, 3.0, 4.0]))) == [3.0, 4.0]


class Centred:
    """It has a centre, which its constructor is given as an array."""

    def __init__(self, centre=None):
        self.centre = centre


class Pair:
    """It finds its part under several names, and by a property."""

    def __init__(self, part=None, aliases=("_alias", "twins")):
        for name in aliases:
            setattr(self, name, [part] if name == "twins" else part)
        if "part" not in aliases:
            self.part = part


class Finder:
    """It keeps its part in a private attribute only."""

    def __init__(self, part=None):
        self._part = part

    @property
    def part(self):
        return self._part


class Lister:
    """It keeps its part in a list only."""

    def __init__(self, part=None):
        self._parts = [part]

    @property
    def part(self):
        return self._parts[0]


def centred_from(shared):
    centre = af.Array((2,))
    centre[0], centre[1] = shared, prior()
    return af.Model(Centred, centre=centre)


@pytest.mark.parametrize("cls", [Pair, Finder, Lister])
def test_shared_parameter_of_an_object_with_several_names_stays_one(cls):
    shared = prior()
    part = centred_from(shared)
    model = af.Collection(holder=af.Model(cls, part=part), radius=shared)

    @jax.jit
    def function(vector):
        instance = model.instance_from_vector(vector, xp=jnp)
        slopes = jax.grad(lambda i: 2.0 * i.holder.part.centre[0] + 3.0 * i.radius)(
            instance
        )
        return jnp.array(tree_leaves(slopes))

    assert sorted(function(jnp.array([1.0, 2.0])).tolist()) == [0.0, 5.0]


@pytest.mark.parametrize("cls", [Pair, Finder, Lister])
def test_object_with_several_names_that_was_replaced_has_its_own_values(cls):
    shared = prior()
    model = af.Collection(
        a=af.Model(cls, part=centred_from(shared)),
        b=af.Model(cls, part=centred_from(prior())),
    )

    @jax.jit
    def function(vector):
        instance = model.instance_from_vector(vector, xp=jnp)
        instance.a = instance.b
        return rebuilt_from(instance).a.part.centre

    vector = jnp.array([1.0, 2.0, 3.0, 4.0])
    b = model.instance_from_vector(vector, xp=jnp).b.part.centre
    assert function(vector).tolist() == b.tolist()


@pytest.mark.parametrize("in_an_array", [False, True])
def test_model_with_a_traced_constant_makes_points(in_an_array):
    def model_from(constant):
        shared = prior()
        factor = jnp.array([constant, 2.0])[0] if in_an_array else constant
        return af.Collection(
            a=af.Model(Disc, radius=shared, factor=factor),
            b=af.Model(Disc, radius=shared, factor=factor),
        )

    @jax.jit
    def function(constant):
        instance = model_from(constant).instance_from_vector([1.0], xp=jnp)
        slopes = jax.grad(lambda i: i.a.radius + 10.0 * i.b.radius)(instance)
        return jnp.array(tree_leaves(slopes)), rebuilt_from(instance).b.area

    slopes, area = function(3.0)
    assert slopes.tolist() == [11.0]
    assert area == 3.0


def test_derivative_with_respect_to_a_traced_constant_is_kept():
    def area(constant):
        model = af.Model(Disc, radius=prior(), factor=constant)
        instance = model.instance_from_vector([2.0], xp=jnp)
        return jax.jit(lambda i: i.area)(instance)

    assert jax.grad(area)(3.0) == 4.0


class Restless:
    """What it keeps of its argument is another tracer each time that it is asked."""

    def __init__(self, radius=1.0):
        self._radius = radius

    @property
    def radius(self):
        return self._radius + 0.0


def test_instance_that_nobody_edited_is_never_taken_for_an_edited_one():
    shared = prior()
    model = af.Collection(a=af.Model(Restless, radius=shared), radius=shared)

    @jax.jit
    def function(radius):
        instance = model.instance_from_vector([radius], xp=jnp)
        slopes = jax.grad(lambda i: 2.0 * i.a.radius + 3.0 * i.radius)(instance)
        return slopes.radius

    with pytest.raises(ValueError, match=r"(?s)nobody edited.*radius has several values"):
        function(1.0)


class Changed(Disc):
    """It gives the constructor of its base something else than it is given."""

    def __init__(self, radius=1.0, factor=3.0):
        super().__init__(radius=factor * radius, factor=factor)


@pytest.mark.parametrize("kind", ["by hand", "part of an instance"])
def test_argument_that_a_base_is_given_changed_is_never_changed_again(kind):
    # One for which nothing changes is taken apart first, and its class is known then.
    tree_leaves(Changed(2.0, factor=1.0))
    model = af.Collection(disc=af.Model(Changed, radius=prior(), factor=2.0))

    @jax.jit
    def radii(radius):
        if kind == "by hand":
            disc = Changed(radius, factor=2.0)
        else:
            disc = model.instance_from_vector([radius], xp=jnp).disc
        held = [disc.radius]
        for _ in range(3):
            try:
                disc = rebuilt_from(disc)
            except ValueError as error:
                assert "Changed cannot be made again" in str(error)
            held.append(disc.radius)
        return held

    assert radii(3.0) == [6.0] * 4


class Parts:
    """What it derives can be edited in place."""

    def __init__(self, radius=1.0, is_ring=False):
        self.radius = radius
        self.is_ring = is_ring
        self.disc = Disc(radius)
        self.radii = [radius, 2.0 * radius]
        if is_ring:
            self.hole = 0.5 * radius


IN_PLACE = {
    "object": lambda parts: setattr(parts.disc, "radius", 7.0),
    "list": lambda parts: parts.radii.append(7.0),
}


@pytest.mark.parametrize("edit", IN_PLACE.values(), ids=IN_PLACE)
def test_derived_value_that_was_edited_in_place_is_an_error(edit):
    model = af.Collection(parts=af.Model(Parts, radius=prior(), is_ring=False))

    @jax.jit
    def function(radius):
        parts = model.instance_from_vector([radius], xp=jnp).parts
        rebuilt_from(parts)
        edit(parts)
        return rebuilt_from(parts).radius

    with pytest.raises(ValueError, match=r"(?s)this Parts holds .* derives"):
        function(1.0)


def test_attribute_that_was_added_is_kept_if_others_of_its_class_derive_it():
    model = af.Collection(
        ring=af.Model(Parts, radius=prior(), is_ring=True),
        parts=af.Model(Parts, radius=prior(), is_ring=False),
    )

    @jax.jit
    def function(radius):
        instance = model.instance_from_vector([radius, radius], xp=jnp)
        rebuilt_from(instance.ring)
        parts = instance.parts
        parts.hole = 7.0 * radius
        for _ in range(3):
            parts = rebuilt_from(parts)
        return parts.hole

    assert function(2.0) == 14.0


def test_derived_value_that_was_set_before_an_object_became_a_constant_is_an_error():
    @jax.jit
    def function(radius):
        disc = Disc(radius)
        disc.area = 7.0 * radius
        model = af.Collection(disc=disc, other=prior())
        return rebuilt_from(model.instance_from_vector([radius], xp=jnp).disc).area

    with pytest.raises(ValueError, match=r"(?s)this Disc holds area.* derives"):
        function(1.0)
