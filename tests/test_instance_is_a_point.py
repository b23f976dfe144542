"""An instance made by a model is a point in that model (rules 1, 4 and 5)."""

import functools
import pickle

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import VECTOR, json_from_python, lens_model_from
from jax.tree_util import keystr, tree_flatten_with_path, tree_leaves, tree_structure


class Line:
    def __init__(self, slope=1.0, intercept=0.0):
        self.slope = slope
        self.intercept = intercept


def line_model_from(**priors):
    return af.Model(
        Line,
        **{"slope": af.UniformPrior(0.0, 5.0), "intercept": af.UniformPrior(-1.0, 1.0)}
        | priors,
    )


def test_leaves_are_the_free_parameters_in_the_order_of_the_model(instance):
    assert tree_leaves(instance) == list(VECTOR)


def test_key_paths_are_the_paths_of_the_model(model, instance):
    paths = [keystr(path) for path, _ in tree_flatten_with_path(instance)[0]]
    assert paths == ["." + ".".join(path) for path in model.unique_prior_paths]
    assert ".galaxies.lens.mass.einstein_radius" in paths


@pytest.mark.parametrize(
    "make",
    [
        lambda model: model.instance_from_vector(VECTOR),
        lambda model: model.instance_from_vector(list(VECTOR)),
        lambda model: model.instance_from_unit_vector([0.5] * 15),
        lambda model: model.instance_from_prior_medians(),
        lambda model: model.random_instance_from_priors_within_limits(0.45, 0.55),
        lambda model: model.instance_for_arguments(
            dict(zip(model.priors_ordered_by_id, VECTOR, strict=True))
        ),
        lambda model: model.instance_from_path_arguments(
            dict(zip(model.unique_prior_paths, VECTOR, strict=True))
        ),
    ],
    ids=["vector", "list", "unit", "medians", "random", "arguments", "paths"],
)
def test_every_way_to_make_an_instance_makes_a_point(model, instance, make):
    made = make(model)
    assert len(tree_leaves(made)) == 15
    assert tree_structure(made) == tree_structure(instance)


def test_an_instance_that_is_no_collection_is_a_point_too():
    model = line_model_from()
    instance = model.instance_from_vector([2.0, 0.5])
    assert type(instance) is Line
    paths = [keystr(path) for path, _ in tree_flatten_with_path(instance)[0]]
    assert paths == [".slope", ".intercept"]
    doubled = jax.tree.map(lambda leaf: 2.0 * leaf, instance)
    assert (type(doubled), doubled.slope, doubled.intercept) == (Line, 4.0, 1.0)


def test_fixed_in_one_model_and_free_in_another_in_either_order():
    def gradient(model, vector):
        function = jax.grad(lambda line: line.slope * line.intercept**2)
        return function(model.instance_from_vector(vector))

    for _ in range(2):
        fixed = gradient(line_model_from(intercept=3.0), [2.0])
        assert tree_leaves(fixed) == [9.0]
        free = gradient(line_model_from(), [2.0, 3.0])
        assert (free.slope, free.intercept) == (9.0, 12.0)


def test_shared_parameter_is_one_leaf_whose_gradient_sums_over_the_copies():
    shared = af.UniformPrior(0.0, 5.0)
    model = af.Collection(
        a=line_model_from(slope=shared), b=line_model_from(slope=shared)
    )
    instance = model.instance_from_vector([2.0, 0.1, 0.2])
    assert len(tree_leaves(instance)) == 3

    def function(instance):
        return 3.0 * instance.a.slope + 5.0 * instance.b.slope

    gradient = jax.grad(function)(instance)
    assert gradient.a.slope == gradient.b.slope == 8.0


def test_gaussians_of_a_basis_share_centre_and_ellipticity(instance):
    def function(instance):
        return sum(
            (index + 1.0) * gaussian.centre[0]
            for index, gaussian in enumerate(instance.galaxies.lens.bulge.profile_list)
        )

    gradient = jax.grad(function)(instance)
    for gaussian in gradient.galaxies.lens.bulge.profile_list:
        assert gaussian.centre == (1.0 + 2.0 + 3.0, 0.0)


def test_structure_of_instances_of_one_model_is_equal_and_hashes_equal(model):
    structures = [
        tree_structure(model.instance_from_vector(VECTOR + 1e-3 * k)) for k in range(5)
    ]
    assert len(set(structures)) == 1
    assert all(structure == structures[0] for structure in structures)


def test_structure_of_models_built_twice_is_equal_and_hashes_equal(instance):
    other = lens_model_from().instance_from_vector(VECTOR)
    assert tree_structure(other) == tree_structure(instance)
    assert hash(tree_structure(other)) == hash(tree_structure(instance))


def test_objects_in_a_model_are_compared_by_what_they_hold(instance):
    def structure_from(index):
        model = af.Model(
            al.Galaxy,
            redshift=0.5,
            light=al.lp_linear.Sersic(sersic_index=index),
            mass=al.mp.IsothermalSph,
        )
        return tree_structure(model.instance_from_vector([0.0, 0.0, 1.0]))

    assert structure_from(3.0) == structure_from(3.0)
    assert hash(structure_from(3.0)) == hash(structure_from(3.0))
    assert structure_from(3.0) != structure_from(4.0)


def test_label_of_a_class_of_its_own_is_a_constant():
    class Named:
        def __init__(self, value=1.0, label="a"):
            self.value = value
            self.label = label

    def structure_from(label):
        model = af.Collection(
            named=Named(label=label), line=line_model_from(slope=1.0, intercept=2.0)
        )
        return tree_structure(model.instance_from_vector([]))

    assert structure_from("a") != structure_from("b")


def test_structure_is_the_same_in_another_process(instance):
    _, structure = tree_structure(instance).node_data()
    text, hashed = json_from_python(
        """
        from conftest import VECTOR, lens_model_from
        import jax, json
        lens_model_from()  # ids need not agree
        instance = lens_model_from().instance_from_vector(VECTOR)
        _, structure = jax.tree_util.tree_structure(instance).node_data()
        print(json.dumps([repr(structure), hash(structure)]))
        """,
        PYTHONHASHSEED="12345",
    )
    assert (text, hashed) == (repr(structure), hash(structure))
    assert pickle.loads(pickle.dumps(structure)) == structure


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.galaxies.lens, "redshift", 0.6),
        lambda model: setattr(model.galaxies.lens.mass, "einstein_radius", 1.6),
        lambda model: setattr(model.galaxies.lens, "shear", None),
        lambda model: setattr(model.galaxies.lens, "extra", al.mp.MassSheet),
        lambda model: setattr(model.galaxies.lens, "mass", af.Model(al.mp.IsothermalSph)),
        lambda model: setattr(
            model.galaxies.lens.shear,
            "gamma_1",
            model.galaxies.lens.shear.gamma_2,
        ),
    ],
    ids=["constant", "fixed", "removed", "added", "class", "shared"],
)
def test_structure_of_a_different_model_differs(instance, change):
    model = lens_model_from()
    change(model)
    other = model.instance_from_prior_medians()
    assert len(tree_leaves(other)) == model.prior_count
    assert tree_structure(other) != tree_structure(instance)


def test_structure_holds_no_ids_tokens_or_counters(instance):
    text = str(tree_structure(instance))
    for word in ("id", "pytree_token", "item_number", "_frozen_cache"):
        assert f" {word} =" not in text


def test_structure_reads_as_the_model_and_shows_what_is_shared(instance):
    text = str(tree_structure(instance))
    assert "redshift = 0.5" in text
    assert "mass: Isothermal" in text
    name = "galaxies.lens.bulge.profile_list.2.centre.centre_0"
    assert text.count(f"centre_0 = <{name}>") == 3


@pytest.mark.parametrize("freeze", [False, True], ids=["unfrozen", "frozen"])
def test_jitted_function_is_traced_once_for_a_hundred_instances(freeze):
    traces = []

    @jax.jit
    def function(instance):
        traces.append(1)
        return instance.galaxies.lens.mass.einstein_radius

    for _ in range(2):
        model = lens_model_from()
        if freeze:
            model.freeze()
        for k in range(50):
            vector = VECTOR + 1e-3 * k
            vector = list(map(float, vector)) if k % 2 else vector
            value = function(model.instance_from_vector(vector))
            assert value == pytest.approx(1.6 + 1e-3 * k)
    assert len(traces) == 1


def test_model_edited_after_an_instance_was_made_leaves_the_instance_alone():
    model = line_model_from()
    before = model.instance_from_vector([2.0, 0.5])
    model.intercept = 0.25
    after = model.instance_from_vector([2.0])
    assert tree_leaves(before) == [2.0, 0.5]
    assert tree_leaves(after) == [2.0]
    assert after.intercept == 0.25


def test_frozen_model_edited_between_two_freezes_is_seen():
    model = line_model_from()
    model.freeze()
    assert len(tree_leaves(model.instance_from_vector([2.0, 0.5]))) == 2
    model.unfreeze()
    model.intercept = 0.25
    model.freeze()
    assert tree_leaves(model.instance_from_vector([2.0])) == [2.0]


def test_values_that_an_instance_was_made_with_are_its_own_models():
    """Two equal models share one structure, and their priors have different ids."""
    halo = {"centre": (0.0, 0.0), "redshift_object": 0.5, "redshift_source": 1.0}
    for mass in (1e11, 2e11, 3e11):
        prior = af.LogUniformPrior(1e8, 1e13)
        model = af.Model(al.mp.NFWMCRLudlowSph, mass_at_200=prior, **halo)
        instance = model.instance_from_vector([mass])
        instance.mass_at_200 = 2.0 * mass  # needs what the instance was made with
        assert tree_leaves(instance) == [2.0 * mass]


def test_model_without_free_parameters():
    model = af.Collection(line=line_model_from(slope=1.0, intercept=2.0))
    instance = model.instance_from_vector([])
    assert tree_leaves(instance) == []
    out = jax.jit(lambda instance: instance)(instance)
    assert (out.line.slope, out.line.intercept) == (1.0, 2.0)


def test_constant_object_shared_with_the_model_is_not_changed_through_an_instance():
    model = af.Collection(
        galaxy=af.Model(al.Galaxy, redshift=0.5, mass=al.mp.IsothermalSph()),
        line=line_model_from(),
    )
    instance = model.instance_from_vector([1.0, 0.0])
    rebuilt = jax.tree.map(lambda leaf: leaf, instance)
    rebuilt.galaxy.mass.einstein_radius = 7.0
    again = jax.tree.map(lambda leaf: leaf, instance)
    assert again.galaxy.mass.einstein_radius == 1.0


def test_instance_made_while_another_one_is_built_is_a_point_of_its_own():
    inner_model, made = line_model_from(), []

    class Outer:
        def __init__(self, value=1.0):
            self.value = value
            made.append(inner_model.instance_from_vector([value, 0.5]))

    model = af.Collection(outer=af.Model(Outer, value=af.UniformPrior(0.0, 1.0)))
    assert tree_leaves(model.instance_from_vector([0.25])) == [0.25]
    expected = tree_structure(inner_model.instance_from_vector([0.25, 0.5]))
    assert tree_structure(made[0]) == expected


def test_array_prior_and_expression_of_priors():
    model = af.Collection(
        array=af.Array(shape=(2, 2), prior=af.UniformPrior(0.0, 1.0)),
        line=line_model_from(),
    )
    model.line.intercept = 2.0 * model.line.slope
    values = np.array([0.1, 0.2, 0.3, 0.4, 1.5])
    order = dict(zip(model.priors_ordered_by_id, values, strict=True))
    instance = model.instance_from_vector(values)
    assert tree_leaves(instance) == list(values)
    doubled = jax.tree.map(lambda leaf: 2.0 * leaf, instance)
    np.testing.assert_array_equal(doubled.array, 2.0 * instance.array)
    assert (
        doubled.line.intercept
        == 2.0 * doubled.line.slope
        == 4.0 * order[model.line.slope]
    )
    gradient = jax.grad(lambda i: i.line.intercept + i.array[1, 1])(instance)
    assert sorted(map(float, tree_leaves(gradient))) == [0.0, 0.0, 0.0, 1.0, 2.0]


def test_parameter_shared_by_an_array_and_a_number():
    shared = af.UniformPrior(0.0, 1.0)
    array = af.Array(shape=(2,))
    array[0], array[1] = af.UniformPrior(0.0, 1.0), shared
    model = af.Collection(line=line_model_from(slope=shared, intercept=1.0), array=array)
    instance = model.instance_from_vector([0.25, 0.75])
    assert tree_leaves(instance) == [0.25, 0.75]

    def function(instance):
        return 3.0 * instance.line.slope + 5.0 * jnp.sum(instance.array)

    assert jax.jit(function)(instance) == pytest.approx(function(instance))
    assert sorted(map(float, tree_leaves(jax.grad(function)(instance)))) == [5.0, 8.0]


def test_many_instances_do_not_accumulate():
    from autofit_patch.pytree.by_model import _origin

    model = line_model_from()
    before = len(_origin._origins)
    for k in range(100):
        tree_leaves(model.instance_from_vector([0.01 * k, 0.0]))
    assert len(_origin._origins) <= before + 1


def test_leaves_are_float64(instance):
    assert all(jnp.result_type(leaf) == jnp.float64 for leaf in tree_leaves(instance))


class Callable:
    def __init__(self, factor=2.0):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x


def module_function(x):
    return x


@pytest.mark.parametrize(
    "constant",
    [
        lambda: Callable(),
        lambda: af.ex.Gaussian(),
        lambda: Callable(3.0).__call__,
        lambda: functools.partial(module_function, Callable()),
        lambda: module_function,
        lambda: (Callable(), [Callable()]),
        lambda: np.sin,
    ],
    ids=["object", "profile", "method", "partial", "function", "in a tuple", "ufunc"],
)
def test_constant_that_can_be_called_is_compared_by_what_it_holds(constant):
    traces = []

    @jax.jit
    def traced(instance):
        traces.append(1)
        return instance.x

    for _ in range(2):
        model = af.Collection(x=af.UniformPrior(0.0, 1.0))
        vars(model)["constant"] = constant()
        for x in (0.25, 0.5):
            assert traced(model.instance_from_vector([x])) == x
    assert len(traces) == 1


def test_constants_that_can_be_called_and_differ_are_not_the_same():
    structures = []
    for factor in (2.0, 3.0):
        model = af.Collection(x=af.UniformPrior(0.0, 1.0))
        vars(model)["constant"] = Callable(factor)
        structures.append(tree_structure(model.instance_from_vector([0.5])))
    assert structures[0] != structures[1]


class TestModelOfAHierarchy:
    @pytest.fixture
    def model(self):
        factor = af.HierarchicalFactor(
            af.GaussianPrior,
            mean=af.GaussianPrior(100.0, 10.0),
            sigma=af.TruncatedGaussianPrior(10.0, 5.0, 0.0, 100.0),
        )
        for _ in range(2):
            factor.add_drawn_variable(af.GaussianPrior(100.0, 10.0))
        return af.FactorGraphModel(factor).global_prior_model

    def log_likelihood(self, instance):
        return sum(
            part.distribution_model.message(part.drawn_prior, xp=jnp)
            for part in (instance[0], instance[1])
        )

    def test_has_one_leaf_for_each_parameter(self, model):
        structures = []
        for scale in (1.0, 1.1):
            instance = model.instance_from_vector(scale * np.array([99, 8, 104, 95.0]))
            assert len(tree_leaves(instance)) == model.prior_count == 4
            structures.append(tree_structure(instance))
        assert structures[0] == structures[1]

    def test_gradient_is_that_of_the_vector(self, model):
        vector = np.array([99.0, 8.0, 104.0, 95.0])
        instance = model.instance_from_vector(vector)

        def of_vector(vector):
            return self.log_likelihood(model.instance_from_vector(vector, xp=jnp))

        expected = np.array(
            [
                (of_vector(vector + step) - of_vector(vector - step)) / 2e-5
                for step in 1e-5 * np.eye(4)
            ]
        )
        gradient = jax.jit(jax.grad(self.log_likelihood))(instance)
        np.testing.assert_allclose(tree_leaves(gradient), expected, rtol=1e-6)


@pytest.mark.parametrize("first, second", [(np, jnp), (jnp, np)], ids=["numpy", "jax"])
@pytest.mark.parametrize("shape", [(2,), ()])
def test_equal_arrays_of_numpy_and_of_jax_are_not_the_same_constant(first, second, shape):
    class Tabled:
        def __init__(self, slope=1.0, table=None):
            self.slope = slope
            self.table = table

    for xp in (first, second):
        slope = af.UniformPrior(0.0, 5.0)
        model = af.Collection(
            a=af.Model(Tabled, slope=slope, table=xp.zeros(shape)),
            b=af.Model(Tabled, slope=slope, table=2.0),
        )
        instance = model.instance_from_vector([0.3])
        gradient = jax.grad(lambda i: 2.0 * i.a.slope + 3.0 * i.b.slope)(instance)
        assert len(tree_leaves(instance)) == 1
        assert gradient.a.slope == gradient.b.slope == 5.0
