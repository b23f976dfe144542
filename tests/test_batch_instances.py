"""Batches are made, taken apart and written down by name."""

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pandas
import pytest
from lens import VECTOR

from autofit_patch import batch

RADIUS = "galaxies.lens.mass.einstein_radius"
SHEAR = "galaxies.lens.shear.gamma_1"


@pytest.fixture(scope="module")
def vectors():
    noise = np.random.default_rng(1).normal(size=(5, len(VECTOR)))
    return VECTOR + 0.01 * noise


@pytest.fixture
def instances(model, vectors):
    return batch.instances_from(model, vectors)


def assert_same(one, two):
    assert jax.tree.structure(one) == jax.tree.structure(two)
    for mine, other in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_batch_of_vectors_is_that_of_their_instances(model, vectors, instances):
    separate = [model.instance_from_vector(vector) for vector in vectors]
    assert isinstance(instances, af.ModelInstance)
    assert_same(instances, batch.stack(separate))
    for index, instance in enumerate(separate):
        radius = instances.galaxies.lens.mass.einstein_radius[index]
        assert radius == instance.galaxies.lens.mass.einstein_radius
        assert_same(batch.take(instances, index), instance)


def test_unstacking_makes_the_instances_again(model, vectors, instances):
    members = batch.unstack(instances)
    assert len(members) == batch.size(instances) == 5
    for member, vector in zip(members, vectors, strict=True):
        assert_same(member, model.instance_from_vector(vector))
        assert member.galaxies.lens.mass.slope == 2.0  # the constructor derives it
    assert_same(batch.stack(members), instances)


@pytest.mark.parametrize(
    "indices, expected",
    [
        (slice(1, 3), [1, 2]),
        ([3, 0, 3], [3, 0, 3]),
        (np.array([True, False, False, False, True]), [0, 4]),
        ([], []),
        (range(2), [0, 1]),
        (-1, 4),
    ],
    ids=["slice", "list", "mask", "nothing", "range", "last"],
)
def test_take_takes_what_numpy_takes(instances, vectors, indices, expected):
    taken = batch.take(instances, indices)
    np.testing.assert_array_equal(
        np.stack(jax.tree.leaves(taken), axis=-1), vectors[expected]
    )


def test_empty_batch(model):
    instances = batch.instances_from(model, [])
    assert batch.size(instances) == 0
    assert batch.unstack(instances) == []
    assert instances.galaxies.lens.mass.einstein_radius.shape == (0,)


def test_leaves_keep_their_dtypes_and_shapes():
    trees = [
        {"a": np.float32(i), "n": np.int32(i), "flag": i > 1, "grid": jnp.ones((2, 3))}
        for i in range(3)
    ]
    stacked = batch.stack(trees)
    for name, dtype in {"a": "float32", "n": "int32", "flag": "bool"}.items():
        assert stacked[name].dtype == dtype
        assert stacked[name].shape == (3,)
    assert stacked["grid"].shape == (3, 2, 3)
    assert_same(batch.take(stacked, 2), jax.tree.map(np.asarray, trees[2]))


def test_objects_made_by_hand_are_stacked():
    lenses = [
        al.Galaxy(redshift=0.5, mass=al.mp.Isothermal(einstein_radius=radius))
        for radius in (1.0, 2.0)
    ]
    stacked = batch.stack(lenses)
    np.testing.assert_array_equal(stacked.mass.einstein_radius, [1.0, 2.0])
    assert batch.unstack(stacked)[1].mass.einstein_radius == 2.0


def test_names_are_those_of_the_model(model, instance):
    expected = [".".join(path) for path in model.unique_prior_paths]
    assert batch.names(instance) == expected


def test_replace_changes_what_is_named_and_nothing_else(instance):
    replaced = batch.replace(instance, {RADIUS: 1.7, SHEAR: 0.5})
    values = dict(zip(batch.names(instance), VECTOR, strict=True))
    values |= {RADIUS: 1.7, SHEAR: 0.5}
    assert jax.tree.leaves(replaced) == [*values.values()]
    assert replaced.galaxies.lens.mass.einstein_radius == 1.7
    assert instance.galaxies.lens.mass.einstein_radius == 1.6


def test_replace_follows_a_shared_parameter(model, instance):
    name = batch.names(instance)[0]
    assert name.endswith("centre.centre_0")
    bulge = batch.replace(instance, {name: 0.3}).galaxies.lens.bulge
    assert {profile.centre[0] for profile in bulge.profile_list} == {0.3}


def test_replace_under_jit_is_differentiable(instance):
    def radius_of(value):
        return batch.replace(instance, {RADIUS: value}).galaxies.lens.mass.einstein_radius

    assert jax.jit(jax.grad(lambda value: radius_of(value) ** 2))(3.0) == 6.0


def test_replace_in_a_batch_takes_one_value_a_member(instances):
    values = np.arange(5.0)
    replaced = batch.replace(instances, {RADIUS: values})
    np.testing.assert_array_equal(replaced.galaxies.lens.mass.einstein_radius, values)


def test_grid_is_every_combination(instance):
    radii, gammas = np.linspace(1.5, 1.7, 3), np.linspace(-0.1, 0.1, 4)
    grid = batch.grid(instance, {RADIUS: radii, SHEAR: gammas})
    assert batch.size(grid) == 12
    for index, member in enumerate(batch.unstack(grid)):
        expected = batch.replace(
            instance, {RADIUS: radii[index // 4], SHEAR: gammas[index % 4]}
        )
        assert_same(member, expected)


def test_table_has_a_column_for_every_parameter(instances, vectors, tmp_path):
    values = np.arange(5.0)
    table = batch.table(instances, {"log_likelihood": values})
    assert [*table.columns] == [*batch.names(instances), "log_likelihood"]
    np.testing.assert_array_equal(table.to_numpy(), np.c_[vectors, values])
    table.to_csv(tmp_path / "table.csv", index=False)
    read = pandas.read_csv(tmp_path / "table.csv")
    np.testing.assert_allclose(read[RADIUS], table[RADIUS], rtol=1e-14)


def test_table_takes_any_values(instances):
    value, gradient = np.arange(5.0), jax.tree.map(np.negative, instances)
    assert batch.table(instances, value)["value"].tolist() == value.tolist()
    table = batch.table(instances, (value, gradient))
    np.testing.assert_array_equal(table[f"[1].{RADIUS}"], -table[RADIUS])
    table = batch.table(instances, gradient)
    np.testing.assert_array_equal(table[f"value.{RADIUS}"], -table[RADIUS])
    table = batch.table(instances, {"image": np.arange(20.0).reshape(5, 2, 2)})
    assert table["image[1, 0]"].tolist() == [2.0, 6.0, 10.0, 14.0, 18.0]
    assert [*batch.table(instances).columns] == batch.names(instances)


def test_vectors_that_violate_an_assertion_are_refused():
    model = af.Model(al.mp.Isothermal)
    model.add_assertion(model.einstein_radius < 1.0)
    vector = [0.0, 0.0, 0.0, 0.0, 0.5]
    assert batch.size(batch.instances_from(model, [vector])) == 1
    with pytest.raises(af.exc.FitException, match="assertion"):
        batch.instances_from(model, [vector, [0.0, 0.0, 0.0, 0.0, 1.5]])


def other_model_instance():
    model = af.Collection(galaxies=af.Collection(lens=af.Model(al.Galaxy, redshift=0.5)))
    model.galaxies.lens.shear = af.Model(al.mp.ExternalShear)
    return model.instance_from_vector([0.1, 0.2])


def same_names_other_constant():
    def instance_from(redshift):
        lens = af.Model(al.Galaxy, redshift=redshift, mass=al.mp.IsothermalSph)
        return lens.instance_from_vector([0.0, 0.0, 1.0])

    return [instance_from(0.5), instance_from(0.6)]


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda i, b: batch.stack([]), ValueError, "was given none"),
        (
            lambda i, b: batch.stack([i, other_model_instance()]),
            ValueError,
            "only instance 0 has galaxies.lens.bulge",
        ),
        (
            lambda i, b: batch.stack(same_names_other_constant()),
            ValueError,
            "classes or constants differ",
        ),
        (
            lambda i, b: batch.stack([{"a": np.ones(2)}, {"a": np.ones(3)}]),
            ValueError,
            r"\['a'\] of different shapes: \(2,\), \(3,\)",
        ),
        (lambda i, b: batch.size(i), ValueError, "single number"),
        (lambda i, b: batch.unstack(i), ValueError, "single number"),
        (lambda i, b: batch.size({}), ValueError, "has none"),
        (
            lambda i, b: batch.size({"a": np.ones(2), "b": np.ones(3)}),
            ValueError,
            r"\['a'\] has 2 and \['b'\] has 3",
        ),
        (lambda i, b: batch.take(b, 5), IndexError, "out of bounds"),
        (
            lambda i, b: batch.replace(i, {"galaxies.lens.mass.einstein_radii": 1.0}),
            KeyError,
            f"the nearest of 15 are:.*{RADIUS}",
        ),
        (
            lambda i, b: batch.grid(i, {"gamma": [1.0]}),
            KeyError,
            r"there is no parameter 'gamma'.*shear\.gamma_1",
        ),
        (
            lambda i, b: batch.replace(i, {RADIUS: np.ones(3)}),
            ValueError,
            r"shape \(\), and was given a value of shape \(3,\)",
        ),
        (lambda i, b: batch.grid(i, {RADIUS: 1.0}), ValueError, "as one axis"),
        (lambda i, b: batch.grid(b, {RADIUS: [1.0]}), ValueError, "expected an instance"),
        (
            lambda i, b: batch.table(b, np.ones(3)),
            ValueError,
            "has 5 members, but the values are of 3",
        ),
    ],
)
def test_wrong_input_is_named(instance, instances, call, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        call(instance, instances)


@pytest.mark.parametrize("shape", [(3, 14), (15,), (2, 15, 1)])
def test_vectors_of_the_wrong_shape_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"shape \(n, 15\).*was given shape"):
        batch.instances_from(model, np.zeros(shape))


def test_instances_are_made_from_a_model_only(instance):
    with pytest.raises(TypeError, match="expected a model, and was given a ModelInst"):
        batch.instances_from(instance, np.zeros((1, 15)))
