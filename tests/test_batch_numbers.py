"""Batches take what is at hand, and hold the numbers that a single instance has."""

from collections import namedtuple

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pandas
import pytest

from autofit_patch import batch

RADIUS = "einstein_radius"
NAMES = ["centre.centre_0", "centre.centre_1", RADIUS]
VECTORS = [[0, 1, 1], [1, 0, 2]]
TABLE = pandas.DataFrame(VECTORS, columns=NAMES)


@pytest.fixture(scope="module")
def model():
    return af.Model(al.mp.IsothermalSph)


@pytest.fixture
def instance(model):
    return model.instance_from_vector([0.0, 1.0, 1.0])


@pytest.fixture
def instances(model):
    return batch.instances_from(model, np.array(VECTORS, float))


def energy(profile):
    """A function of one member, of which the constructor derives the slope."""
    return profile.einstein_radius**2 * profile.slope + profile.centre[0]


def energies_by_hand(vectors):
    """The same, and its gradients, from vectors of numbers: the slope is 2."""
    vectors = np.asarray(vectors, float)
    gradients = np.stack([np.ones(len(vectors)), np.zeros(len(vectors))], axis=1)
    values = 2.0 * vectors[:, 2] ** 2 + vectors[:, 0]
    return values, np.c_[gradients, 4.0 * vectors[:, 2]]


def assert_batch_of(instances, vectors, dtype=np.float64):
    """The batch has these vectors and can be differentiated, one by one and mapped."""
    leaves = jax.tree.leaves(instances)
    assert {leaf.dtype for leaf in leaves} == {np.dtype(dtype)}
    np.testing.assert_array_equal(np.stack(leaves, axis=1), np.asarray(vectors, dtype))
    expected, gradients = energies_by_hand(vectors)
    both = jax.value_and_grad(energy)
    for mapped in (batch.map(both)(instances), loop(both, instances)):
        np.testing.assert_allclose(mapped[0], expected, rtol=1e-6)
        leaves = jax.tree.leaves(mapped[1])
        np.testing.assert_allclose(np.stack(leaves, axis=1), gradients, rtol=1e-6)


def loop(function, instances):
    """The function of each member, without ``batch.map``."""
    return batch.stack([function(member) for member in batch.unstack(instances)])


@pytest.mark.parametrize(
    "vectors",
    [
        VECTORS,
        [tuple(vector) for vector in VECTORS],
        [[0, True, 1.0], [True, 0, 2]],
        np.array(VECTORS),
        np.array(VECTORS, np.uint8),
        np.array(VECTORS, object),
        np.array(VECTORS, ">i4"),
        np.array(VECTORS, ">f8"),
        np.array(VECTORS, np.longdouble),
        jnp.array(VECTORS),
        [jnp.array(vector) for vector in VECTORS],
        pandas.DataFrame(VECTORS),
        pandas.DataFrame(VECTORS, dtype="Int64"),
        [row for _, row in pandas.DataFrame(VECTORS).iterrows()],
        (vector for vector in VECTORS),
    ],
    ids=["lists", "tuples", "mixed", "int", "uint8", "object", "big-endian int"]
    + ["big-endian float", "long double", "JAX", "JAX vectors", "table"]
    + ["nullable table", "rows", "generator"],
)
def test_vectors_of_any_kind_become_float64(model, vectors):
    assert_batch_of(batch.instances_from(model, vectors), VECTORS)


def test_booleans_are_numbers_as_in_a_single_instance(model):
    made = batch.instances_from(model, [[False, True, True]])
    single = model.instance_from_vector([False, True, True])
    assert jax.tree.leaves(single) == [0.0, 1.0, 1.0]
    assert_batch_of(made, [jax.tree.leaves(single)])
    assert_batch_of(batch.instances_from(model, np.ones((2, 3), bool)), np.ones((2, 3)))


@pytest.mark.parametrize("xp", [np, jnp])
def test_single_precision_stays_as_in_a_single_instance(model, xp):
    vectors = xp.array(VECTORS, np.float32)
    assert_batch_of(batch.instances_from(model, vectors), VECTORS, np.float32)
    single = model.instance_from_vector(vectors[0])
    assert {leaf.dtype for leaf in jax.tree.leaves(single)} == {np.dtype(np.float32)}


def test_columns_of_a_table_are_taken_by_name(model, instances):
    table = batch.table(instances, np.zeros(2))[["value", RADIUS, *NAMES[:2]]]
    assert_batch_of(batch.instances_from(model, table), VECTORS)
    rows = [row for _, row in table.iterrows()]
    assert_batch_of(batch.instances_from(model, rows), VECTORS)
    row = TABLE[NAMES[::-1]].iloc[1]
    replaced = batch.replace(batch.take(instances, 0), row)
    assert jax.tree.leaves(replaced) == VECTORS[1]
    grid = batch.grid(replaced, TABLE[[RADIUS]])
    assert_batch_of(grid, [[1, 0, 1], [1, 0, 2]])


def test_vectors_edited_later_do_not_change_a_batch(model):
    vectors = np.array(VECTORS, float)
    made = batch.instances_from(model, vectors)
    vectors += 1.0
    assert_batch_of(made, VECTORS)


def test_model_can_be_edited_after_a_batch_was_made():
    model = af.Model(al.mp.IsothermalSph)
    made = batch.instances_from(model, VECTORS)
    model.einstein_radius = 1.0
    assert model.prior_count == 2
    assert_batch_of(made, VECTORS)


@pytest.mark.parametrize(
    "value",
    [2, np.int32(2), np.uint8(2), np.array(2), jnp.array(2), 2.0, np.array(2.0, ">f8")],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'dtype', '')}",
)
def test_replacing_by_any_number_keeps_an_instance(instance, value):
    replaced = batch.replace(instance, {RADIUS: value})
    assert replaced.slope == 2.0  # only the constructor derives it
    assert replaced.einstein_radius.dtype == np.float64
    assert jax.grad(energy)(replaced).einstein_radius == 8.0
    assert replaced.centre == instance.centre


def test_replacing_by_true_is_replacing_by_one(instance):
    replaced = batch.replace(instance, {RADIUS: True})
    assert replaced.slope == 2.0
    assert replaced.einstein_radius.dtype == np.float64
    assert replaced.einstein_radius == 1.0


@pytest.mark.parametrize(
    "values",
    [[3, 4], (3, 4.0), range(3, 5), np.array([3, 4]), jnp.array([3, 4])]
    + [pandas.Series([3, 4]), [np.float64(3), jnp.array(4)], np.array([3, 4], object)],
    ids=["list", "tuple", "range", "int", "JAX int", "series", "scalars", "object"],
)
def test_values_of_a_batch_are_replaced_by_lists_and_arrays(instances, values):
    replaced = batch.replace(instances, {RADIUS: values})
    assert_batch_of(replaced, [[0, 1, 3], [1, 0, 4]])


def test_values_of_a_batch_are_replaced_by_a_generator(instances):
    replaced = batch.replace(instances, {RADIUS: (i for i in (3, 4))})
    assert_batch_of(replaced, [[0, 1, 3], [1, 0, 4]])


@pytest.mark.parametrize(
    "values",
    [[1, 2], (1, 2.0), range(1, 3), np.array([1, 2]), jnp.array([1, 2])]
    + [pandas.Series([1, 2]), np.array([1, 2], object), np.array([1, 2], ">f8")],
    ids=["list", "tuple", "range", "int", "JAX int", "series", "object", "big-endian"],
)
def test_grid_of_any_numbers_is_float64(instance, values):
    grid = batch.grid(instance, {RADIUS: values, NAMES[0]: (i for i in (5, 6))})
    assert_batch_of(grid, [[5, 1, 1], [6, 1, 1], [5, 1, 2], [6, 1, 2]])


def test_numbers_are_cast_while_being_traced(model, instance, instances):
    def traced(number, vectors, one, many):
        return (
            batch.instances_from(model, vectors),
            batch.instances_from(model, [[number, 0, 1], [0, 1, number]]),
            batch.replace(one, {RADIUS: number}).slope * number,
            batch.replace(many, {RADIUS: [number, 5]}),
            batch.grid(one, {RADIUS: vectors[0], NAMES[0]: [7, 8]}),
            batch.take(many, vectors[0, 1]),
        )

    jitted = jax.jit(traced)(3, np.array(VECTORS), instance, instances)
    vectors, numbers, six, replaced, grid, taken = jitted
    assert_batch_of(vectors, VECTORS)
    assert_batch_of(numbers, [[3, 0, 1], [0, 1, 3]])
    assert six == 6.0
    assert_batch_of(replaced, [[0, 1, 3], [1, 0, 5]])
    expected = [[7, 1, 0], [8, 1, 0], [7, 1, 1], [8, 1, 1], [7, 1, 1], [8, 1, 1]]
    assert_batch_of(grid, expected)
    assert jax.tree.leaves(taken) == VECTORS[1]
    assert taken.slope == 2.0


def test_leaves_that_are_no_real_numbers_keep_their_kind(instance):
    tree = {"n": 3, "flag": False, "label": "a", "key": jax.random.key(0), "x": 1.0}
    key = jax.random.key(7)
    new = {"n": 4, "flag": True, "label": "b", "key": key, "x": 2}
    replaced = batch.replace(tree, {f"['{name}']": new[name] for name in new})
    assert replaced == new
    assert [type(replaced[name]) for name in ("n", "flag", "label")] == [int, bool, str]
    # As equinox takes them to say which leaves to differentiate.
    where = batch.replace(jax.tree.map(lambda _: False, instance), {RADIUS: True})
    assert [leaf is True for leaf in jax.tree.leaves(where)] == [False, False, True]
    grid = batch.grid(tree, {"['n']": [4, 5], "['label']": ["b", "c"]})
    assert grid["n"].tolist() == [4, 4, 5, 5]
    assert grid["label"].tolist() == ["b", "c", "b", "c"]
    keys = jax.random.split(key, 2)
    grid = batch.grid(tree, {"['key']": keys, "['x']": [1, 2]})
    for place, (index, x) in enumerate([(0, 1.0), (0, 2.0), (1, 1.0), (1, 2.0)]):
        assert grid["key"][place] == keys[index]
        assert grid["x"][place] == x


MASKED = np.ma.masked_array([1.0, 2.0], mask=[True, False])
REFUSED = {
    "str": ("12", "an array of dtype <U2"),
    "strings": (["1", "2"], "an array of dtype <U1"),
    "None": ([None, 1.0], "None of type NoneType"),
    "complex": ([1j, 2.0], "an array of dtype complex128"),
    "set": ({1, 2}, r"\{1, 2\} of type set"),
    "dates": (np.zeros(2, "M8[s]"), r"dtype datetime64\[s\]"),
    "spans": (np.zeros(2, "m8[s]"), r"dtype timedelta64\[s\]"),
    "records": (np.zeros(2, [("a", float)]), r"dtype \[\('a'"),
    "keys": (jax.random.split(jax.random.key(0), 2), "dtype key<fry>"),
    "missing": ([pandas.NA, 1.0], "<NA> of type NAType"),
}


@pytest.mark.parametrize("values, given", REFUSED.values(), ids=REFUSED)
def test_what_is_no_real_number_is_refused(model, instance, instances, values, given):
    message = f"{RADIUS} expected real numbers, and was given .*{given}"
    with pytest.raises(TypeError, match=message):
        batch.grid(instance, {RADIUS: values})
    with pytest.raises(TypeError, match=message):
        batch.replace(instances, {RADIUS: values})
    message = "instances_from expected real numbers, and was given "
    with pytest.raises(TypeError, match=message):
        batch.instances_from(model, values)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda m, i, b: batch.instances_from(m, [0.0, 0.0, 1.0]),
            ValueError,
            r"given shape \(3,\): a batch of one vector is \[vector\]",
        ),
        (
            lambda m, i, b: batch.instances_from(m, [[0.0, 0.0, 1.0], [0.0]]),
            ValueError,
            "instances_from was given values of different lengths",
        ),
        (
            lambda m, i, b: batch.instances_from(m, np.ma.masked_equal(VECTORS, 2)),
            ValueError,
            "instances_from was given masked values",
        ),
        (
            lambda m, i, b: batch.instances_from(m, TABLE[[RADIUS]].assign(x=0, y=0)),
            ValueError,
            "without a column 'centre.centre_0': it has 1 of the 3 parameters",
        ),
        (
            lambda m, i, b: batch.grid(i, {RADIUS: MASKED}),
            ValueError,
            "einstein_radius was given masked values",
        ),
        (lambda m, i, b: batch.grid(i, [1.0]), TypeError, "by name.*was given a list"),
        (lambda m, i, b: batch.replace(i, 2.0), TypeError, "by name.*was given a float"),
        (
            lambda m, i, b: batch.replace(b, {RADIUS: 2.0}),
            ValueError,
            r"np.full\(\(2,\), value\) gives every member the same",
        ),
        (
            lambda m, i, b: batch.replace(b, {RADIUS: [2.0]}),
            ValueError,
            r"shape \(1,\). A batch has one value for each member",
        ),
        (lambda m, i, b: batch.take(b, [[0, 1]]), IndexError, r"of shape \(1, 2\)"),
        (lambda m, i, b: batch.take(b, True), IndexError, "indices of one axis"),
        (lambda m, i, b: batch.size(2.0), ValueError, "what was given is a single numb"),
        (lambda m, i, b: batch.table(b, 2.0), ValueError, "what was given is a single"),
    ],
)
def test_wrong_values_are_named(model, instance, instances, call, error, message):
    with pytest.raises(error, match=message):
        call(model, instance, instances)


Pair = namedtuple("Pair", "one, two")
SINGLE = {
    "instance": (lambda i: i, "IsothermalSph"),
    "collection": (lambda i: af.ModelInstance({"a": i, "b": i}), "ModelInstance"),
    "batch": (lambda i: batch.stack([i, i]), "IsothermalSph"),
    "dict": (lambda i: {"a": i, "b": i}, "dict"),
    "named tuple": (lambda i: Pair(i, i), "Pair"),
    "str": (lambda i: "ab", "str"),
    "set": (lambda i: {1.0, 2.0}, "set"),
    "number": (lambda i: 3.0, "float"),
    "None": (lambda i: None, "NoneType"),
    "array of a number": (lambda i: np.array(1.0), "ndarray"),
    "table": (lambda i: TABLE, "DataFrame"),
}


@pytest.mark.parametrize("given, name", SINGLE.values(), ids=SINGLE)
def test_stack_refuses_what_is_no_list_of_instances(instance, given, name):
    with pytest.raises(TypeError, match=f"a list of instances, and was given one {name}"):
        batch.stack(given(instance))


@pytest.mark.parametrize(
    "given",
    [
        tuple,
        iter,
        lambda members: (member for member in members),
        lambda members: dict(enumerate(members)).values(),
        lambda members: pandas.Series(members),
        lambda members: np.fromiter(members, dtype=object),
    ],
    ids=["tuple", "iterator", "generator", "values", "series", "array"],
)
def test_stack_takes_whatever_has_an_order(instance, instances, given):
    members = batch.unstack(instances)
    assert_batch_of(batch.stack(given(members)), VECTORS)


@pytest.mark.parametrize(
    "members, error, message",
    [
        (
            [{"a": object()}],
            TypeError,
            r"\['a'\] is <object object.* no array of numbers",
        ),
        ([object()], TypeError, "what was given is <object object"),
        (
            [jax.random.key(0), jax.random.key(0, impl="rbg")],
            ValueError,
            "different dtypes, of which no array can be made: key<fry>, key<rbg>",
        ),
        ([{"k": jax.random.key(0)}, {"k": 1.0}], ValueError, r"\['k'\] of different dty"),
    ],
    ids=["object", "root", "implementations", "key and number"],
)
def test_leaves_that_do_not_stack_are_named(members, error, message):
    with pytest.raises(error, match=message):
        batch.stack(members)


@pytest.mark.parametrize(
    "members, values, expected",
    [
        ({"x": 1}, {"x": 2, "value.x": 3}, {"x": 1, "value.x": 3, "value.value.x": 2}),
        ({"x": 1, "value.x": 2}, {"x": 3}, {"value.x": 2, "x": 1, "value.value.x": 3}),
        ({"value": 1}, 2, {"value": 1, "value.value": 2}),
        (
            {"a": np.array([1, 2]), "a[0]": 3},
            None,
            {"a[0]": 1, "a[1]": 2, "value.a[0]": 3},
        ),
        (
            {"x": 1},
            {"a": np.array([2, 3]), "a[1]": 4},
            {"x": 1, "a[0]": 2, "a[1]": 3, "value.a[1]": 4},
        ),
        (
            {"x": 1, "value.x": 2},
            {"x": 3, "value.x": 4},
            {"value.x": 2, "x": 1, "value.value.x": 4, "value.value.value.x": 3},
        ),
        ({"x": 1}, (), {"x": 1}),
        ({"x": 1}, {"nothing": None}, {"x": 1}),
    ],
)
def test_no_column_of_a_table_is_lost(members, values, expected):
    def of_three(tree):
        return jax.tree.map(lambda leaf: np.stack([leaf] * 3), tree)

    table = batch.table(of_three(members), of_three(values))
    assert [*table.columns] == [*expected]
    for index in range(3):
        assert table.iloc[index].to_dict() == expected


def test_keys_of_random_numbers_go_into_a_table_as_their_data():
    keys = jax.random.split(jax.random.key(1), 3)
    table = batch.table({"seed": keys, "x": np.arange(3.0)})
    assert [*table.columns] == ["seed[0]", "seed[1]", "x"]
    np.testing.assert_array_equal(table.to_numpy()[:, :2], jax.random.key_data(keys))


def test_members_with_keys_are_taken():
    keys = jax.random.split(jax.random.key(1), 3)
    members = {"seed": keys, "x": np.arange(3.0)}
    assert batch.take(members, 2)["seed"] == keys[2]
    assert (batch.take(members, [0, 2])["seed"] == keys[np.array([0, 2])]).all()
    for index, member in enumerate(batch.unstack(members)):
        assert member["seed"] == keys[index]
        assert member["x"] == index
    stacked = batch.stack(batch.unstack(members))
    assert (stacked["seed"] == keys).all()
    with pytest.raises(IndexError, match="out of bounds"):
        batch.take(members, 3)
