"""The densities of instances, and the coordinates in which their priors are normal."""

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autofit.non_linear.fitness import Fitness
from fit_cases import CASES
from scipy.stats import kstest, norm

from autofit_patch import batch, posterior


class Named(af.UniformPrior):
    """A prior of a user's own, whose values are those of the libraries'."""


class Logistic(af.GaussianPrior):
    """One that has values of its own at the shares of its probability."""

    def value_for(self, unit, xp=np):
        return self.mean + self.sigma * xp.log(unit / (1.0 - unit))

    def unit_value_for(self, value):
        return 1.0 / (1.0 + jnp.exp(-(value - self.mean) / self.sigma))


PRIORS = {
    "uniform": af.UniformPrior(1.0, 3.0),
    "uniform, below zero": af.UniformPrior(-3.0, -1.0),
    "log-uniform": af.LogUniformPrior(1e-6, 1e6),
    "Gaussian": af.GaussianPrior(1.0, 0.3),
    "log-Gaussian": af.LogGaussianPrior(-1.0, 0.5),
    "truncated": af.TruncatedGaussianPrior(1.0, 0.3, 0.2, 1.5),
    "truncated below": af.TruncatedGaussianPrior(1.0, 0.3, 0.9),
    "truncated above": af.TruncatedGaussianPrior(1.0, 0.3, upper_limit=0.9),
    "truncated nowhere": af.TruncatedGaussianPrior(1.0, 0.3),
    "truncated above the mean": af.TruncatedGaussianPrior(1.0, 0.3, 1.2, 1.4),
    "truncated below the mean": af.TruncatedGaussianPrior(1.0, 0.3, 0.1, 0.6),
    "truncated far away": af.TruncatedGaussianPrior(1.0, 0.3, 3.0, 4.0),
    "of a user's class": Named(1.0, 3.0),
}
each_prior = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)


class Line:
    def __init__(self, slope=1.0):
        self.slope = slope


def model_of(prior) -> af.Collection:
    return af.Collection(line=af.Model(Line, slope=prior))


def space_and_function(prior):
    """A prior's space, and the value at a coordinate."""
    model = model_of(prior)
    space = posterior.prior_space(model)
    structure = jax.tree.structure(model.instance_from_prior_medians())
    return space, lambda z: space.forward(jax.tree.unflatten(structure, [z])).line.slope


@each_prior
def test_value_is_that_of_the_prior_at_the_normal_probability(prior):
    _, forward = space_and_function(prior)
    z = np.linspace(-5.0, 5.0, 21)
    own = np.array([prior.value_for(unit) for unit in norm.cdf(z)])
    if prior is PRIORS["truncated far away"]:
        # PyAutoFit's own has lost its digits there.
        a, b = (np.array(prior.limits) - prior.mean) / prior.sigma
        shares = norm.sf(a) + norm.cdf(z) * (norm.sf(b) - norm.sf(a))
        own = prior.mean + prior.sigma * norm.isf(shares)
    np.testing.assert_allclose(forward(z), own, rtol=1e-10)


@each_prior
def test_tails_are_finite_in_order_and_come_back(prior):
    space, forward = space_and_function(prior)
    z = np.linspace(-37.0, 37.0, 149)
    values = np.asarray(forward(z))
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0.0).all()
    assert (values >= prior.lower_limit).all()
    assert (values <= prior.upper_limit).all()
    back = space.inverse(batch.instances_from(model_of(prior), values[:, None]))
    np.testing.assert_allclose(space.forward(back).line.slope, values, rtol=1e-10)
    slopes = jax.vmap(jax.grad(forward))(z)
    assert np.isfinite(slopes).all()
    assert (slopes >= 0.0).all()


@each_prior
def test_coordinate_comes_back_and_gradients_are_finite_differences(prior):
    space, forward = space_and_function(prior)
    z = np.array([-3.0, -1.0, -1e-9, 0.0, 1e-9, 0.5, 2.0])
    instances = batch.instances_from(model_of(prior), np.asarray(forward(z))[:, None])
    # A value far from zero in units of its spread has lost digits of its coordinate.
    np.testing.assert_allclose(space.inverse(instances).line.slope, z, atol=1e-9)
    slopes = jax.vmap(jax.grad(forward))(z)
    differences = (forward(z + 1e-5) - forward(z - 1e-5)) / 2e-5
    np.testing.assert_allclose(slopes, differences, rtol=1e-4)

    def inverse(value):
        instance = model_of(prior).instance_from_vector([value], xp=jnp)
        return space.inverse(instance).line.slope

    space = posterior.prior_space(model_of(prior))
    values = forward(z)
    there = jax.vmap(
        jax.grad(
            lambda value: jax.tree.leaves(
                space.inverse(jax.tree.unflatten(jax.tree.structure(instances), [value]))
            )[0]
        )
    )(values)
    np.testing.assert_allclose(there * slopes, 1.0, rtol=1e-6)


def test_prior_with_values_of_its_own_keeps_them():
    space, forward = space_and_function(Logistic(1.0, 0.3))
    z = np.linspace(-5.0, 5.0, 21)
    values = 1.0 + 0.3 * (norm.logcdf(z) - norm.logsf(z))
    np.testing.assert_allclose(forward(z), values, rtol=1e-10)
    batch_of_values = batch.instances_from(model_of(Logistic(1.0, 0.3)), values[:, None])
    np.testing.assert_allclose(space.inverse(batch_of_values).line.slope, z, atol=1e-8)


@pytest.mark.parametrize("name", ["Gaussian", "log-Gaussian"])
def test_priors_without_limits_are_linear_in_their_coordinate(name):
    _, forward = space_and_function(PRIORS[name])
    values = forward(np.array([-200.0, 0.0, 200.0]))
    values = np.log(values) if name == "log-Gaussian" else values
    np.testing.assert_allclose(np.diff(values), 200.0 * PRIORS[name].sigma, rtol=1e-12)


def everything() -> af.Collection:
    """A model with shared, compound, tuple and array priors, and every kind of one."""
    lines = [af.Model(Line, slope=prior) for prior in list(PRIORS.values())[:5]]
    masses = [af.Model(al.mp.IsothermalSph), af.Model(al.mp.IsothermalSph)]
    masses[1].centre = masses[0].centre
    array = af.Array((2, 2), prior=af.TruncatedGaussianPrior(0.5, 0.3, 0.0, 1.0))
    follows = af.Model(Line, slope=2.0 * lines[0].slope + lines[3].slope)
    return af.Collection(lines=lines, masses=masses, array=array, follows=follows)


def vectors_of(model, total=5) -> np.ndarray:
    units = np.random.default_rng(1).uniform(0.1, 0.9, (total, model.prior_count))
    return np.array([model.vector_from_unit_vector(list(unit)) for unit in units])


def test_log_prior_is_that_of_pyautofit():
    model = everything()
    log_prior = posterior.log_prior(model)
    vectors = vectors_of(model)
    expected = [sum(model.log_prior_list_from_vector(vector)) for vector in vectors]
    instances = list(map(model.instance_from_vector, vectors))
    np.testing.assert_allclose(
        [jax.jit(log_prior)(instance) for instance in instances], expected, rtol=1e-10
    )
    np.testing.assert_allclose(
        log_prior(batch.instances_from(model, vectors)), expected, rtol=1e-10
    )
    assert len(set(expected)) == len(vectors)


@pytest.mark.parametrize("name", [n for n in PRIORS if n not in ("Gaussian",)])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_outside_its_limits_a_prior_is_impossible_and_flat(name, side):
    prior = PRIORS[name]
    limit = prior.lower_limit if side < 0.0 else prior.upper_limit
    if not np.isfinite(limit):
        return
    model = model_of(prior)
    for value in (limit + side, limit + 1e-9 * side, 1e9 * side):
        value, gradient = jax.value_and_grad(posterior.log_prior(model))(
            model.instance_from_vector([value], ignore_assertions=True)
        )
        assert value == -np.inf
        assert gradient.line.slope == 0.0


def test_coordinates_have_the_names_of_the_model_and_go_through_jax():
    model = everything()
    space = posterior.prior_space(model)
    instance = model.instance_from_vector(vectors_of(model)[0])
    z = space.inverse(instance)
    assert jax.tree.structure(z) == jax.tree.structure(instance)
    expected = norm.ppf(model.lines[0].slope.unit_value_for(instance.lines[0].slope))
    assert z.lines[0].slope == pytest.approx(expected, rel=1e-10)
    assert z.masses[0].centre[1] == z.masses[1].centre[1] != z.masses[1].centre[0]

    def density(z):
        return space.log_prior(z) + space.forward(z).follows.slope

    gradient = jax.jit(jax.grad(density))(z)
    follows = jax.grad(lambda z: space.forward(z).follows.slope)(z)
    np.testing.assert_allclose(
        jax.tree.leaves(gradient),
        np.array(jax.tree.leaves(follows)) - np.array(jax.tree.leaves(z)),
        rtol=1e-12,
    )
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), z)
    for one, other in zip(
        jax.tree.leaves(jax.vmap(space.forward)(several)),
        jax.tree.leaves(space.forward(several)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-14)


def test_value_at_a_limit_has_a_finite_coordinate_and_one_outside_is_an_error():
    model = model_of(PRIORS["uniform"])
    space = posterior.prior_space(model)
    for value, z in ((1.0, -37.0), (3.0, 37.0)):
        found = space.inverse(model.instance_from_vector([value])).line.slope
        assert found == pytest.approx(z)
    outside = model.instance_from_vector([3.5])
    with pytest.raises(ValueError, match=r"line\.slope = 3\.5 has no coordinate"):
        space.inverse(outside)
    assert np.isnan(jax.jit(space.inverse)(outside).line.slope)


def with_assertions() -> af.Collection:
    model = af.Collection(
        low=af.Model(Line, slope=af.UniformPrior(0.0, 2.0)),
        high=af.Model(Line, slope=af.UniformPrior(0.0, 2.0)),
        top=af.Model(Line, slope=af.UniformPrior(0.0, 3.0)),
    )
    model.add_assertion(model.low.slope < model.high.slope)
    model.high.add_assertion((model.high.slope < model.top.slope) < 2.5)
    return model


def holds(model, vector) -> bool:
    try:
        model.instance_from_vector(vector)
    except af.exc.FitException:
        return False
    return True


def test_violated_assertions_are_penalised_where_pyautofit_raises():
    model = with_assertions()
    vectors = np.random.default_rng(1).uniform(0.0, [2.0, 2.0, 3.0], (60, 3))
    vectors[0] = [1.0, 1.0, 2.0]  # not below, but equal
    held = np.array([holds(model, vector) for vector in vectors])
    assert 10 < held.sum() < 50
    free = with_assertions()
    for each in (free, free.high):
        each.assertions = []
    instances = batch.instances_from(free, vectors)
    densities = jax.jit(posterior.log_prior(model))(as_points_of(model, instances))
    np.testing.assert_array_equal(densities > -1e14, held)
    np.testing.assert_array_equal(densities[held], 0.0)


def as_points_of(model, instances):
    """Instances of a model with the same parameters, as those of another one."""
    structure = jax.tree.structure(model.instance_from_vector([0.5, 1.0, 1.5]))
    return jax.tree.unflatten(structure, jax.tree.leaves(instances))


def test_gradient_of_a_violated_assertion_leads_back():
    model = with_assertions()
    gradient_at = jax.jit(jax.grad(posterior.log_prior(model)))
    instance = as_points_of(model, [1.8, 0.7, 0.4])
    for _ in range(1000):
        gradient = gradient_at(instance)
        if not any(jax.tree.leaves(gradient)):
            break
        instance = jax.tree.map(lambda x, g: x + 2e-18 * g, instance, gradient)
    assert holds(model, jax.tree.leaves(instance))


def ellipse() -> af.Model:
    """A model of which a fifth of the prior is outside of the disk of ``ell_comps``."""
    model = af.Model(al.mp.Isothermal, centre=(0.0, 0.0), einstein_radius=1.0)
    model.ell_comps.ell_comps_0 = af.UniformPrior(-1.0, 1.0)
    model.ell_comps.ell_comps_1 = af.UniformPrior(-1.0, 1.0)
    return model


class Flat(af.Analysis):
    def log_likelihood_function(self, instance):
        return 0.0 * instance.ell_comps[0]


def test_ellipticities_outside_of_their_disk_are_penalised_and_led_back():
    model = ellipse()
    space = posterior.prior_space(model)
    log_posterior = space.log_posterior(Flat(use_jax=True))
    with pytest.raises(af.exc.FitException):  # what the libraries do there
        model.instance_from_vector([0.9, -0.8])
    structure = jax.tree.structure(model.instance_from_vector([0.5, -0.4]))
    outside = jax.tree.unflatten(structure, [norm.ppf(0.95), norm.ppf(0.1)])
    value, gradient = jax.jit(jax.value_and_grad(log_posterior))(outside)
    distance = np.hypot(0.9, 0.8) - 0.999
    np.testing.assert_allclose(value, -1e15 * (1.0 + distance))
    first, second = jax.tree.leaves(gradient)
    assert first < 0.0 < second
    inside = jax.tree.unflatten(structure, [norm.ppf(0.75), norm.ppf(0.3)])
    np.testing.assert_allclose(log_posterior(inside), space.log_prior(inside))


def test_ellipticities_are_drawn_inside_of_their_disk():
    model = ellipse()
    space = posterior.prior_space(model)
    squares = sum(leaf**2 for leaf in jax.tree.leaves(space.forward(space.draw(500, 1))))
    assert squares.max() < 0.999**2
    # Uniformly: the share inside of half of the radius is a quarter.
    assert abs(np.mean(squares < 0.25 * 0.999**2) - 0.25) < 0.08


def test_likelihood_of_coordinates_is_the_posterior_less_the_prior():
    case_model = model_of(PRIORS["uniform"])
    space = posterior.prior_space(case_model)

    class Likelihood(af.Analysis):
        def log_likelihood_function(self, instance):
            return -((instance.line.slope - 2.2) ** 2)

    z = space.inverse(case_model.instance_from_vector([1.7]))
    np.testing.assert_allclose(
        space.log_likelihood(Likelihood(use_jax=True))(z), -(0.5**2), rtol=1e-12
    )


@each_prior
def test_draws_have_the_distribution_of_the_prior(prior):
    space, _ = space_and_function(prior)
    z = space.draw(2000, seed=1)
    values = np.asarray(space.forward(z).line.slope)
    if prior is PRIORS["truncated far away"]:
        return  # PyAutoFit's own distribution has lost its digits there
    units = np.array([prior.unit_value_for(value) for value in values])
    assert kstest(units, "uniform").pvalue > 0.01
    np.testing.assert_array_equal(space.draw(2000, seed=1).line.slope, z.line.slope)


def test_draws_hold_all_assertions():
    model = with_assertions()
    space = posterior.prior_space(model)
    values = space.forward(space.draw(300, seed=1))
    for vector in np.array(jax.tree.leaves(values)).T:
        assert holds(model, vector)
    assert np.unique(values.low.slope).shape == (300,)
    model.add_assertion(model.low.slope > 2.5)
    with pytest.raises(RuntimeError, match="0 hold the assertions"):
        posterior.prior_space(model).draw(10, seed=1)


class Analysis(af.Analysis):
    """A likelihood that is NaN, and has NaN for a gradient, where it is impossible."""

    def log_likelihood_function(self, instance):
        xp = jnp if self._use_jax else np
        return -xp.sum(xp.sqrt(instance.line.slope - 1.0))


def test_log_posterior_is_what_searches_maximise():
    case = CASES["galaxy image, linear light"]()
    analysis = case.analysis_from(use_jax=True)
    fitness = Fitness(model=case.model, analysis=analysis, fom_is_log_likelihood=False)
    instance = case.instance_from()
    vector = jnp.array(jax.tree.leaves(instance))
    log_posterior = jax.jit(posterior.log_posterior(case.model, analysis))
    expected = float(fitness.call(vector))
    assert log_posterior(instance) == pytest.approx(expected, rel=1e-10)


def test_posterior_of_coordinates_is_the_likelihood_and_their_normal_densities():
    case = CASES["galaxy image, linear light"]()
    analysis = case.analysis_from(use_jax=True)
    instance = case.instance_from()
    space = posterior.prior_space(case.model)
    z = space.inverse(instance)
    coordinates = np.array(jax.tree.leaves(z))
    units = [
        prior.unit_value_for(float(value))
        for prior, value in zip(
            case.model.priors_ordered_by_id, jax.tree.leaves(instance), strict=True
        )
    ]
    np.testing.assert_allclose(coordinates, norm.ppf(units), rtol=1e-8)
    likelihood = analysis.log_likelihood_function(instance)
    expected = float(likelihood) + norm.logpdf(coordinates).sum()
    value = jax.jit(space.log_posterior(analysis))(z)
    assert value == pytest.approx(expected, rel=1e-10)


def test_posterior_of_coordinates_leads_back_from_violated_assertions():
    model = with_assertions()
    space = posterior.prior_space(model)
    analysis = Analysis(use_jax=True)
    analysis.log_likelihood_function = lambda instance: jnp.sqrt(
        instance.high.slope - instance.low.slope
    )
    z = space.inverse(as_points_of(model, [1.5, 0.5, 2.0]))
    value, gradient = jax.jit(jax.value_and_grad(space.log_posterior(analysis)))(z)
    assert value == pytest.approx(-1e15 * 2.0)
    assert gradient.low.slope < 0.0 < gradient.high.slope


def test_likelihood_that_does_not_count_leaves_no_trace_in_the_gradient():
    model = model_of(PRIORS["uniform"])
    log_posterior = posterior.log_posterior(model, Analysis(use_jax=True))
    value, gradient = jax.jit(jax.value_and_grad(log_posterior))(
        model.instance_from_vector([0.5])
    )
    assert value == -np.inf
    assert gradient.line.slope == 0.0
    value, gradient = jax.value_and_grad(log_posterior)(model.instance_from_vector([2.0]))
    assert value == -1.0
    assert gradient.line.slope == -0.5


@pytest.mark.parametrize(
    "function",
    [
        posterior.log_prior,
        posterior.prior_space,
        lambda model: posterior.log_posterior(model, None),
    ],
    ids=["log_prior", "prior_space", "log_posterior"],
)
def test_what_is_no_model_is_refused(function):
    instance = model_of(PRIORS["uniform"]).instance_from_prior_medians()
    with pytest.raises(
        TypeError, match="expected a model, and was given a ModelInstance"
    ):
        function(instance)


def test_instance_of_another_model_is_refused():
    model, other = model_of(PRIORS["uniform"]), everything()
    edited = model.instance_from_prior_medians()
    edited.line.colour = 2.0
    for wrong in (other.instance_from_vector(vectors_of(other)[0]), edited, 2.0):
        for function in (
            posterior.log_prior(model),
            posterior.prior_space(model).inverse,
            posterior.prior_space(model).forward,
        ):
            with pytest.raises(ValueError, match=r"whose leaves are line\.slope"):
                function(wrong)


def test_model_that_is_edited_later_changes_nothing():
    model = model_of(af.UniformPrior(0.0, 2.0))
    instance = model.instance_from_vector([0.5])
    space, log_prior = posterior.prior_space(model), posterior.log_prior(model)
    before = space.inverse(instance).line.slope
    model.line.slope = af.GaussianPrior(5.0, 0.1)
    assert space.inverse(instance).line.slope == before
    assert log_prior(instance) == 0.0
