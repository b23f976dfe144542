"""From the prior to the posterior, stage by stage."""

import gc
import pickle
import sys
import weakref

import autofit as af
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pipeline_cases import CASES, UNTOUCHED, Analysis, Case, Numbers, normal

from autofit_patch import batch, posterior
from autofit_patch.posterior import _sample, _variational

each_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def pipelines():
    return {
        name: posterior.Pipeline(case.model(), case.analysis())
        for name, case in CASES.items()
    }


@pytest.fixture(scope="module")
def optima(pipelines):
    return {
        name: pipeline.optimise(pipeline.starts(8, seed=1), steps=200)
        for name, pipeline in pipelines.items()
    }


def values_of(instance) -> np.ndarray:
    return np.stack([np.asarray(leaf) for leaf in jax.tree.leaves(instance)])


@each_case
def test_draws_have_the_moments_of_the_posterior(name, pipelines, optima):
    pipeline = pipelines[name]
    _, means, deviations = CASES[name].moments()
    draws = pipeline.sample(pipeline.laplace(optima[name].best), most=3000, seed=1)
    drawn = values_of(pipeline.space.forward(draws.points))
    assert draws.effective.min() >= 1000.0
    assert draws.rhat.max() < 1.01
    errors = deviations / np.sqrt(draws.effective)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=1) - means), 4.5 * errors)
    np.testing.assert_allclose(drawn.std(axis=1), deviations, rtol=0.12)
    if name != "asserted":
        assert not draws.divergent.any()


@each_case
def test_values_are_the_log_posterior_of_the_points(name, pipelines, optima):
    pipeline = pipelines[name]
    np.testing.assert_allclose(
        jax.vmap(pipeline.log_posterior)(optima[name].points), optima[name].values
    )


def test_normal_posterior_is_its_own_laplace_distribution(pipelines, optima):
    pipeline, case = pipelines["normal"], CASES["normal"]
    log_evidence, means, deviations = case.moments()
    laplace = pipeline.laplace(optima["normal"].best)
    assert laplace.is_maximum
    np.testing.assert_allclose(laplace.log_evidence, log_evidence, atol=1e-3)
    found = values_of(pipeline.space.forward(laplace.maximum))
    np.testing.assert_allclose(found, means, atol=1e-2 * min(deviations))
    structure = pipeline.space.structure
    hessian = jax.hessian(
        lambda row: pipeline.log_posterior(jax.tree.unflatten(structure, list(row)))
    )(laplace.centre)
    np.testing.assert_allclose(laplace.covariance, -np.linalg.inv(hessian), rtol=1e-5)
    drawn = values_of(pipeline.space.forward(laplace.draw(4000, seed=1)))
    np.testing.assert_allclose(drawn.std(axis=1), deviations, rtol=0.05)


def test_many_parameters_of_a_known_normal_posterior():
    random = np.random.default_rng(1)
    size = 15
    factor = random.normal(size=(size, size)) / 4.0 + np.eye(size)
    mean, precision = random.normal(size=size), 50.0 * factor @ factor.T
    names = [f"x{i}" for i in range(size)]

    class ManyAnalysis(af.Analysis):
        def log_likelihood_function(self, instance):
            away = jnp.stack([getattr(instance, name) for name in names]) - mean
            return -0.5 * away @ precision @ away

    model = af.Collection(**{name: af.GaussianPrior(0.0, 1.0) for name in names})
    pipeline = posterior.Pipeline(model, ManyAnalysis(use_jax=True))
    optima = pipeline.optimise(pipeline.starts(4, seed=1))
    laplace = pipeline.laplace(optima.best)
    covariance = np.linalg.inv(precision + np.eye(size))
    np.testing.assert_allclose(laplace.covariance, covariance, atol=1e-6)
    np.testing.assert_allclose(
        laplace.centre, covariance @ precision @ mean, atol=0.01 * covariance.max() ** 0.5
    )
    draws = pipeline.sample(laplace, effective=2000, seed=1)
    rows = np.stack(jax.tree.leaves(draws.points), axis=1)
    standard = np.linalg.solve(
        np.linalg.cholesky(covariance), (rows - covariance @ precision @ mean).T
    )
    np.testing.assert_allclose(np.cov(standard), np.eye(size), atol=0.15)
    np.testing.assert_array_less(
        np.abs(standard.mean(axis=1)), 4.5 / np.sqrt(draws.effective.min())
    )


def test_starts_are_the_best_draws_of_the_prior_and_the_best_of_groups(pipelines):
    pipeline = pipelines["normal"]
    starts = pipeline.starts(5, candidates=43, seed=3)
    drawn = pipeline.space.draw(43, seed=3)
    values = np.asarray(jax.vmap(pipeline.log_posterior)(drawn))
    best = np.sort(values)[::-1][:3]
    others = values[values < best[-1]].reshape(2, 20).max(axis=1)
    np.testing.assert_allclose(jax.vmap(pipeline.log_posterior)(starts), [*best, *others])


def test_starts_come_from_instances_that_are_possible():
    case = Case(
        af.UniformPrior(0.0, 1.0),
        af.UniformPrior(0.0, 1.0),
        # No number where x is above 0.5, and a number without a gradient at y = 0.25.
        lambda x, y: jnp.where(x > 0.5, jnp.nan, x) + jnp.abs(y - 0.25) ** 0.5,
        (),
    )
    pipeline = posterior.Pipeline(case.model(), case.analysis())
    instances = batch.instances_from(
        case.model(),
        np.array([[0.1, 0.1], [0.2, 0.1], [0.7, 0.1], [1.7, 0.1], [0.4, 0.25]]),
    )
    starts = pipeline.starts(2, source=instances)
    found = values_of(pipeline.space.forward(starts))
    np.testing.assert_allclose(found, [[0.2, 0.1], [0.1, 0.1]])
    with pytest.raises(ValueError, match="2 of 5 candidates .* and 3 starts were asked"):
        pipeline.starts(3, source=instances)


def test_starts_come_from_samples_by_their_weights_and_names():
    case = CASES["normal"]
    first = case.model()
    samples = af.SamplesPDF(
        model=first,
        sample_list=[
            af.Sample(0.0, 0.0, weight, {("numbers", "x"): x, ("numbers", "y"): 1.0})
            for x, weight in ((0.1, 0.5), (0.2, 0.5), (0.3, 0.0))
        ],
    )
    pipeline = posterior.Pipeline(case.model(), case.analysis())
    starts = pipeline.starts(20, source=samples, candidates=20, seed=1)
    x, y = values_of(pipeline.space.forward(starts))
    np.testing.assert_allclose(np.unique(x.round(10)), [0.1, 0.2])
    np.testing.assert_allclose(y, 1.0)
    other = af.Collection(others=af.Model(Numbers, x=case.x, y=case.y))
    with pytest.raises(ValueError, match=r"no others\.x, others\.y, which the model has"):
        posterior.Pipeline(other, case.analysis()).starts(source=samples)


def two_maxima(x, y):
    return jnp.logaddexp(
        normal(x, -1.0, 0.05) + normal(y, 0.0, 0.05),
        normal(x, 1.0, 0.05) + normal(y, 0.0, 0.1) - 1.0,
    )


def test_every_maximum_is_found_with_its_evidence():
    prior = af.GaussianPrior(0.0, 1.0)
    case = Case(prior, af.GaussianPrior(0.0, 1.0), two_maxima, ((-2.0, 0.0), (-1.0, 1.0)))
    pipeline = posterior.Pipeline(case.model(), case.analysis())
    maxima = pipeline.maxima(pipeline.optimise(pipeline.starts(16, seed=1)))
    other = Case(prior, case.y, two_maxima, ((0.0, 2.0), (-1.0, 1.0)))
    evidences = [each.moments()[0] for each in (case, other)]
    np.testing.assert_allclose(
        [each.log_evidence for each in maxima], sorted(evidences)[::-1], atol=0.02
    )


def test_maxima_of_many_parameters_are_told_apart():
    names, width = [f"x{i}" for i in range(10)], 0.05

    class Two(af.Analysis):
        def log_likelihood_function(self, instance):
            left, right = (normal(instance.x0, x, width) for x in (-0.3, 0.3))
            rest = sum(normal(getattr(instance, name), 0.0, width) for name in names[1:])
            return jnp.logaddexp(left, right) + rest

    model = af.Collection(**{name: af.GaussianPrior(0.0, 1.0) for name in names})
    pipeline = posterior.Pipeline(model, Two(use_jax=True))
    optima = pipeline.optimise(pipeline.starts(8, candidates=64, seed=1))
    first, second = pipeline.maxima(optima)
    np.testing.assert_allclose(abs(first.centre[0]), 0.3, atol=0.01)
    np.testing.assert_allclose(first.centre[0], -second.centre[0], atol=1e-3)
    ends = np.stack(jax.tree.leaves(optima.points), axis=1)
    assert 0 < sum(map(first.holds, ends)) < 8


def test_maximum_of_a_curved_ridge_is_one():
    case = Case(
        af.GaussianPrior(0.0, 1.0),
        af.GaussianPrior(0.0, 1.0),
        lambda x, y: normal(y, x**2, 0.01),
        (),
    )
    pipeline = posterior.Pipeline(case.model(), case.analysis())
    optima = pipeline.optimise(pipeline.starts(8, candidates=64, seed=1))
    centres = [each.maximum.numbers for each in pipeline.maxima(optima)]
    found = {(round(float(at.x), 1), round(float(at.y), 1)) for at in centres}
    assert len(found) == len(centres)


def test_narrow_maximum_is_not_lost():
    case = Case(
        af.UniformPrior(0.0, 1.0),
        af.GaussianPrior(0.0, 1.0),
        # Uphill leads to an edge, beyond which there is no number.
        lambda x, y: jnp.where(x > 0.5, jnp.nan, 50.0 * x) + normal(y, 0.0, 0.1),
        (),
    )
    pipeline = posterior.Pipeline(case.model(), case.analysis())
    maxima = pipeline.maxima(pipeline.optimise(pipeline.starts(8, seed=1)))
    assert float(pipeline.space.forward(maxima[0].maximum).numbers.x) > 0.49


def test_divergent_draws_are_warned_of():
    case = Case(
        af.UniformPrior(0.0, 1.0),
        af.GaussianPrior(0.0, 1.0),
        lambda x, y: jnp.where(x > 0.55, jnp.nan, normal(x, 0.5, 0.05)),
        (),
    )
    pipeline = posterior.Pipeline(case.model(), case.analysis())
    around = pipeline.laplace(pipeline.optimise(pipeline.starts(4, seed=1)).best)
    with pytest.warns(UserWarning, match="draws are divergent, also with the shortest"):
        pipeline.sample(around, effective=100, rhat=1.1, most=200)


def test_one_chain_is_compared_with_itself(pipelines, optima):
    pipeline = pipelines["normal"]
    around = pipeline.laplace(optima["normal"].best)
    draws = pipeline.sample(around, effective=100, rhat=1.1, chains=1)
    assert draws.chains == 1 and 0.9 < draws.rhat.max() < 1.1


def test_wide_posterior_has_its_evidence():
    class Wide(af.Analysis):
        def log_likelihood_function(self, instance):
            return 0.45 * instance.x**2

    model = af.Collection(x=af.GaussianPrior(0.0, 1.0))
    pipeline = posterior.Pipeline(model, Wide(use_jax=True))
    laplace = pipeline.laplace(batch.take(pipeline.space.draw(1, seed=1), 0))
    np.testing.assert_allclose(laplace.log_evidence, 0.5 * np.log(10.0), atol=1e-4)
    np.testing.assert_allclose(laplace.covariance, [[10.0]], rtol=1e-4)


each_untouched = pytest.mark.parametrize("name", UNTOUCHED)


@pytest.fixture(scope="module")
def untouched():
    return {
        name: posterior.Pipeline(case.model(), case.analysis())
        for name, case in UNTOUCHED.items()
    }


def origin(pipeline):
    return pipeline.space.instance_from({"numbers.x": 0.0, "numbers.y": 0.0})


def by_curvature(pipeline) -> np.ndarray:
    """The covariance from the absolute eigenvalues of the second derivatives at 0."""
    structure = pipeline.space.structure
    hessian = jax.hessian(
        lambda row: pipeline.log_posterior(jax.tree.unflatten(structure, list(row)))
    )(jnp.zeros(2))
    values, vectors = np.linalg.eigh(hessian)
    return (vectors / np.maximum(np.abs(values), 0.25)) @ vectors.T


def apart(covariance, truth) -> float:
    """How far a variance is from the true one along the worst direction, as a log."""
    return np.abs(np.log(np.linalg.eigvals(np.linalg.solve(truth, covariance)))).max()


@each_untouched
def test_fit_has_the_moments_and_bounds_the_evidence(name, untouched, monkeypatch):
    pipeline, case = untouched[name], UNTOUCHED[name]
    log_evidence, means, deviations = case.moments()
    before = pipeline.evaluations
    fit = pipeline.laplace(origin(pipeline))
    assert fit.kind == "variational" and not fit.is_maximum
    assert fit.evaluations == pipeline.evaluations - before
    sigmas = np.array([case.x.sigma, case.y.sigma])
    truth = case.covariance() / np.outer(sigmas, sigmas)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "blackjax", None)
        without = pipeline.laplace(origin(pipeline))
    assert apart(fit.covariance, truth) < 0.5 * apart(without.covariance, truth)
    np.testing.assert_allclose(fit.centre * sigmas, means, atol=0.05 * min(deviations))
    assert log_evidence - 0.5 < fit.log_evidence < log_evidence + 0.02
    assert abs(fit.log_evidence - log_evidence) < abs(without.log_evidence - log_evidence)
    again = pipeline.laplace(origin(pipeline))
    np.testing.assert_array_equal(again.centre, fit.centre)
    np.testing.assert_array_equal(again.covariance, fit.covariance)
    assert again.log_evidence == fit.log_evidence


@each_untouched
def test_draws_from_a_fit_have_the_moments_of_the_posterior(name, untouched):
    pipeline = untouched[name]
    _, means, deviations = UNTOUCHED[name].moments()
    draws = pipeline.sample(pipeline.laplace(origin(pipeline)), seed=1)
    drawn = values_of(pipeline.space.forward(draws.points))
    errors = deviations / np.sqrt(draws.effective)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=1) - means), 4.5 * errors)
    np.testing.assert_allclose(drawn.std(axis=1), deviations, rtol=0.12)


def test_without_blackjax_a_saddle_has_the_scale_of_its_curvature(untouched, monkeypatch):
    pipeline = untouched["saddle"]
    monkeypatch.setitem(sys.modules, "blackjax", None)
    found = pipeline.laplace(origin(pipeline))
    assert found.kind == "laplace" and not found.is_maximum
    np.testing.assert_allclose(found.covariance, by_curvature(pipeline), rtol=0.05)


@pytest.mark.parametrize("wrong", [np.nan, 1e-3, 1e3])
def test_fit_that_is_worse_is_not_taken(wrong, untouched, monkeypatch):
    pipeline = untouched["saddle"]
    monkeypatch.setattr(
        _variational, "fitted", lambda *_: (np.zeros(2), np.diag([wrong, 1.0]))
    )
    found = pipeline.laplace(origin(pipeline))
    assert found.kind == "laplace"
    np.testing.assert_allclose(found.covariance, by_curvature(pipeline), rtol=0.05)


@pytest.mark.parametrize("is_asserted", [True, False])
def test_what_ends_at_an_edge_is_fitted_up_to_it(is_asserted):
    case = CASES["asserted"]
    log_evidence, _, _ = case.moments()
    if not is_asserted:
        case = Case(
            case.x,
            case.y,
            lambda x, y: jnp.where(
                x > y, CASES["asserted"].log_likelihood(x, y), jnp.nan
            ),
            (),
        )
    pipeline = posterior.Pipeline(case.model(), case.analysis())
    for seed in (1, 2, 3):
        optima = pipeline.optimise(pipeline.starts(8, candidates=64, seed=seed))
        (fit,) = pipeline.maxima(optima)
        # Were there no edge: a likelihood of deviation 0.5 around (0, 0.1), and a prior
        # of deviation 1.
        assert fit.kind == "variational" and not fit.is_maximum
        np.testing.assert_allclose(fit.centre, [0.0, 0.08], atol=0.01)
        np.testing.assert_allclose(fit.covariance, 0.2 * np.eye(2), atol=0.005)
        np.testing.assert_allclose(fit.log_evidence, log_evidence, atol=0.1)
        at = pipeline.space.forward(fit.maximum).numbers
        assert at.x > at.y


@pytest.mark.parametrize("library", ["blackjax", "arviz_stats.base"])
def test_missing_library_is_named_before_anything_is_drawn(
    library, pipelines, optima, monkeypatch
):
    pipeline = pipelines["normal"]
    around = pipeline.laplace(optima["normal"].best)
    before = pipeline.evaluations
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match="needs blackjax: pip install blackjax arviz-"):
        pipeline.sample(around)
    assert pipeline.evaluations == before


def test_draws_of_a_round_are_judged_once(pipelines, optima, monkeypatch):
    pipeline, judged, seen = pipelines["normal"], _sample.judged, []
    monkeypatch.setattr(
        _sample, "judged", lambda *given: seen.append(judged(*given)) or seen[-1]
    )

    def look(state):
        if state.has_drawn:
            draws = _sample.draws_from(pipeline.space.structure, state)
            assert len(draws.values) == state.drawn("values").size
            assert "_draws" not in vars(pickle.loads(pickle.dumps(state)))

    around = pipeline.laplace(optima["normal"].best)
    draws = pipeline.sample(around, effective=200, rhat=1.1, after_round=look)
    assert draws is seen[-1]
    assert len(seen) == len(draws.values) // (4 * _sample.DRAWS_A_ROUND)


def test_points_of_another_model_are_refused(pipelines):
    other = af.Collection(a=af.GaussianPrior(0.0, 1.0), b=af.GaussianPrior(0.0, 1.0))
    points = posterior.prior_space(other).draw(2, seed=1)
    for stage in (pipelines["normal"].optimise, pipelines["normal"].laplace):
        with pytest.raises(ValueError, match=r"leaves are numbers\.x, numbers\.y"):
            stage(points)


def test_maximisation_that_can_no_longer_matter_is_stopped():
    case = Case(
        af.GaussianPrior(0.0, 1.0),
        af.GaussianPrior(0.0, 1.0),
        # A narrow hill, and far below it a wide one.
        lambda x, y: 1e4 * jnp.exp(normal(x, 1.0, 0.4)) - (x + 1.5) ** 2 - y**2,
        (),
    )
    pipeline = posterior.Pipeline(case.model(), case.analysis())
    instances = batch.instances_from(case.model(), np.array([[0.5, 0.3], [-2.0, 0.3]]))
    optima = pipeline.optimise(pipeline.space.inverse(instances))
    np.testing.assert_array_equal(optima.stopped, [False, True])
    np.testing.assert_array_equal(optima.near_the_highest, [True, False])
    assert np.isnan(optima.paths[1, 60:]).all()
    assert optima.evaluations == np.isfinite(optima.paths).sum()


@pytest.mark.parametrize("rounds", [0, 1])
def test_maximisations_go_on_where_they_were(rounds, pipelines):
    pipeline = pipelines["banana"]
    starts, states = pipeline.starts(4, seed=5), []
    whole = pipeline.optimise(
        starts, after_round=lambda state: states.append(pickle.dumps(state))
    )
    went_on = pipeline.optimise(starts, state=pickle.loads(states[rounds]))
    np.testing.assert_array_equal(went_on.paths, whole.paths)
    np.testing.assert_array_equal(values_of(went_on.points), values_of(whole.points))


@pytest.mark.parametrize("rounds", [1, 3, 5])
def test_chains_go_on_where_they_were(rounds, pipelines, optima):
    pipeline, states = pipelines["banana"], []
    around = pipeline.laplace(optima["banana"].best)
    whole = pipeline.sample(
        around,
        effective=100,
        rhat=2.0,
        seed=2,
        after_round=lambda state: states.append(pickle.dumps(state)),
    )
    state = pickle.loads(states[min(rounds, len(states) - 1)])
    went_on = pipeline.sample(around, effective=100, rhat=2.0, seed=2, state=state)
    np.testing.assert_array_equal(values_of(went_on.points), values_of(whole.points))
    np.testing.assert_array_equal(went_on.values, whole.values)


def test_too_few_draws_are_warned_of(pipelines, optima):
    pipeline = pipelines["banana"]
    around = pipeline.laplace(optima["banana"].best)
    with pytest.warns(UserWarning, match="after 25 draws a chain .* 1000 and 1.01 were"):
        draws = pipeline.sample(around, most=25)
    assert len(draws.values) == 100


def test_what_can_not_be_inferred_is_said():
    case = CASES["normal"]
    with pytest.raises(ValueError, match="does not use JAX"):
        posterior.Pipeline(case.model(), Analysis(case.log_likelihood, use_jax=False))
    with pytest.raises(ValueError, match="no free parameter"):
        posterior.Pipeline(af.Collection(numbers=Numbers()), case.analysis())
    with pytest.raises(TypeError, match="expected a model"):
        posterior.Pipeline("model", case.analysis())


def test_pipeline_and_what_it_compiled_are_freed():
    case = CASES["normal"]
    analysis = case.analysis()
    pipeline = posterior.Pipeline(case.model(), analysis)
    pipeline.optimise(pipeline.starts(2, candidates=4), steps=20)
    references = [weakref.ref(each) for each in (pipeline, analysis, pipeline._evaluate)]
    del pipeline, analysis
    gc.collect()
    assert [reference() for reference in references] == [None] * 3
