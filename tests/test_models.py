"""A model is a pytree of the numbers of its priors (rule 8)."""

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import pytest
from conftest import lens_model_from
from jax.tree_util import keystr, tree_flatten_with_path, tree_leaves, tree_structure

PRIORS = [
    (af.UniformPrior(0.5, 2.0), [0.5, 2.0]),
    (af.LogUniformPrior(0.5, 2.0), [0.5, 2.0]),
    (af.GaussianPrior(mean=1.0, sigma=0.5), [1.0, 0.5]),
    (af.LogGaussianPrior(mean=1.0, sigma=0.5), [1.0, 0.5]),
    (af.TruncatedGaussianPrior(1.0, 0.5, 0.0, 2.0), [1.0, 0.5, 0.0, 2.0]),
]


def rebuilt_from(tree):
    return jax.tree.map(lambda leaf: leaf, tree)


@pytest.mark.parametrize("prior, numbers", PRIORS, ids=lambda p: type(p).__name__)
class TestPrior:
    def test_leaves_are_its_numbers(self, prior, numbers):
        assert tree_leaves(prior) == numbers

    def test_comes_back_the_same(self, prior, numbers):
        prior.width_modifier = af.RelativeWidthModifier(0.3)
        rebuilt = rebuilt_from(prior)
        assert type(rebuilt) is type(prior)
        assert rebuilt.id == prior.id
        assert rebuilt == prior
        assert rebuilt.width_modifier.value == 0.3
        for unit in (0.1, 0.5, 0.9):
            assert rebuilt.value_for(unit) == prior.value_for(unit)

    def test_with_other_numbers_is_that_prior(self, prior, numbers):
        changed = jax.tree.map(lambda number: number + 0.25, prior)
        expected = type(prior)(*(number + 0.25 for number in numbers))
        assert changed.id == prior.id
        assert changed.value_for(0.3) == expected.value_for(0.3)

    def test_value_can_be_traced_and_differentiated_by_the_numbers(self, prior, numbers):
        def value(prior):
            return prior.value_for(0.3, xp=jnp)

        assert jax.jit(value)(prior) == pytest.approx(prior.value_for(0.3), rel=1e-6)
        step = 1e-5
        for index, slope in enumerate(tree_leaves(jax.grad(value)(prior))):
            above, below = list(numbers), list(numbers)
            above[index] += step
            below[index] -= step
            above, below = type(prior)(*above), type(prior)(*below)
            expected = (above.value_for(0.3) - below.value_for(0.3)) / (2 * step)
            assert slope == pytest.approx(expected, rel=1e-4, abs=1e-8)

    def test_outline_says_what_is_missing(self, prior, numbers):
        outline = jax.tree.map(lambda number: None, prior)
        assert tree_structure(prior) == tree_structure(
            jax.tree.map(lambda number: 0, prior)
        )
        with pytest.raises(AttributeError, match=f"{type(prior).__name__} has no"):
            outline.factor  # noqa: B018


def test_rejected_limits_make_an_outline():
    flipped = jax.tree.map(lambda number: -number, af.UniformPrior(0.0, 1.0))
    assert (flipped.lower_limit, flipped.upper_limit) == (0.0, -1.0)


def test_leaves_of_a_model_are_named_and_in_the_order_of_the_parameters(model):
    names = [keystr(path) for path, _ in tree_flatten_with_path(model)[0]]
    assert ".galaxies.lens.mass.einstein_radius.upper_limit" in names
    order = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in names))
    assert order == ["." + ".".join(path) for path in model.unique_prior_paths]


def test_model_comes_back_with_the_same_priors_shared_where_they_were(model):
    rebuilt = rebuilt_from(model)
    assert rebuilt.prior_count == 15
    assert rebuilt.unique_prior_paths == model.unique_prior_paths
    ids = [prior.id for prior in rebuilt.priors_ordered_by_id]
    assert ids == [prior.id for prior in model.priors_ordered_by_id]
    gaussians = rebuilt.galaxies.lens.bulge.profile_list
    assert gaussians[0].centre.centre_0 is gaussians[1].centre.centre_0
    assert rebuilt.galaxies.lens.redshift == 0.5
    assert rebuilt.info == model.info
    assert rebuilt is not model


def test_models_that_differ_have_different_structure(model):
    structure = tree_structure(model)
    assert tree_structure(rebuilt_from(model)) == structure
    assert tree_structure(lens_model_from()) != structure  # other prior ids
    changed = rebuilt_from(model)
    changed.galaxies.lens.redshift = 0.6
    assert tree_structure(changed) != structure


def test_model_through_jit(model):
    out = jax.jit(lambda model: jax.tree.map(lambda number: 2.0 * number, model))(model)
    assert type(out) is af.Collection
    assert out.galaxies.lens.mass.einstein_radius.upper_limit == 16.0
    assert out.random_instance is not None
    assert out.prior_count == 15

    def width(model):
        prior = model.galaxies.lens.mass.einstein_radius
        return prior.upper_limit - prior.lower_limit

    gradient = jax.jit(jax.grad(width))(model)
    assert gradient.galaxies.lens.mass.einstein_radius.lower_limit == -1.0


def test_instance_inside_a_trace_of_a_traced_model(model):
    def radius(model, units):
        vector = model.vector_from_unit_vector(units, xp=jnp)
        instance = model.instance_from_vector(vector, xp=jnp)
        return instance.galaxies.lens.mass.einstein_radius

    found = jax.jit(radius)(model, jnp.full(15, 0.25))
    assert found == pytest.approx(2.0)  # a uniform prior from 0 to 8


def test_assertions_go_along():
    model = af.Collection(a=af.UniformPrior(0.0, 1.0), b=af.UniformPrior(0.0, 1.0))
    model.add_assertion(model.a < model.b)
    rebuilt = rebuilt_from(model)
    assert len(rebuilt.assertions) == 1
    with pytest.raises(af.exc.FitException):
        rebuilt.instance_from_vector([0.9, 0.1])
    rebuilt.instance_from_vector([0.1, 0.9])
    without = af.Collection(a=model.a, b=model.b)
    assert tree_structure(without) != tree_structure(model)


@pytest.mark.parametrize(
    "model, leaves",
    [
        (af.Model(al.mp.Isothermal, centre=(0.0, 0.0)), None),
        (af.Collection(a=af.UniformPrior(0.0, 1.0)), [0.0, 1.0]),
        (af.Collection(), []),
        (af.Array(shape=(2,), prior=af.UniformPrior(0.0, 1.0)), [0.0, 1.0] * 2),
        (af.TuplePrior(x_0=af.UniformPrior(0.0, 1.0), x_1=2.0), [0.0, 1.0]),
        (af.Model(al.Galaxy, redshift=0.5, mass=al.mp.Isothermal), None),
    ],
    ids=["model", "collection", "empty", "array", "tuple", "galaxy"],
)
def test_every_kind_of_model_goes_through_jit(model, leaves):
    out = jax.jit(lambda model: model)(model)
    assert type(out) is type(model)
    assert tree_leaves(out) == tree_leaves(model)
    assert leaves is None or tree_leaves(model) == leaves
    assert tree_structure(out) == tree_structure(model)
