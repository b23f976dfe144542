"""Posteriors of many data at once: each is what it is alone."""

import threading

import autofit as af
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autofit_patch import batch, posterior


def model_from(**priors) -> af.Collection:
    priors = {"x": af.GaussianPrior(0.0, 1.0), "y": af.GaussianPrior(1.0, 2.0), **priors}
    return af.Collection(**priors)


def log_likelihood(instance, data):
    """Normal: ``x`` and ``y`` were measured, with errors of 0.1 and 0.2."""
    away = jnp.stack([(instance.x - data[0]) / 0.1, (instance.y - data[1]) / 0.2])
    return -0.5 * (away**2).sum()


DATA = np.random.default_rng(1).normal(size=(7, 2))


def fitted(pipeline, index: int):
    optima = pipeline.optimise(pipeline.starts(4, candidates=20, seed=index))
    maximum = pipeline.maxima(optima)[0]
    return maximum, pipeline.sample(maximum, effective=300, chains=2, seed=index)


@pytest.fixture(scope="module")
def pipelines():
    return posterior.Pipelines(model_from(), log_likelihood)


@pytest.fixture(scope="module")
def found(pipelines):
    return dict(pipelines.run(fitted, list(DATA)))


def test_each_has_the_posterior_of_its_data(found):
    assert sorted(found) == list(range(len(DATA)))
    prior, precision = np.array([[0.0, 1.0], [1.0, 2.0]]), np.array([0.1, 0.2]) ** -2
    of_prior = prior[:, 1] ** -2
    deviations = (precision + of_prior) ** -0.5
    for index, (maximum, draws) in found.items():
        means = (precision * DATA[index] + of_prior * prior[:, 0]) * deviations**2
        # In coordinates of which the prior is standard normal.
        np.testing.assert_allclose(
            maximum.centre, (means - prior[:, 0]) / prior[:, 1], atol=2e-3
        )
        rows = np.stack([draws.points.x, draws.points.y], axis=1)
        errors = deviations / prior[:, 1] / np.sqrt(draws.effective)
        np.testing.assert_array_less(abs(rows.mean(axis=0) - maximum.centre), 5 * errors)
        np.testing.assert_allclose(rows.std(axis=0), deviations / prior[:, 1], rtol=0.2)


@pytest.mark.parametrize("at_once", [1, 3])
def test_what_is_found_does_not_depend_on_the_others(pipelines, found, at_once):
    again = dict(pipelines.run(fitted, iter(DATA), at_once=at_once))
    for index, (maximum, draws) in again.items():
        np.testing.assert_array_equal(maximum.covariance, found[index][0].covariance)
        np.testing.assert_array_equal(draws.points.x, found[index][1].points.x)


def test_keys_of_two_generators_are_evaluated_apart():
    generators = ("unsafe_rbg", "rbg", "threefry2x32")

    def drawn(pipeline, index):
        with jax.default_prng_impl(generators[index]):
            best = pipeline.maxima(pipeline.optimise(pipeline.starts(2, candidates=9)))
            return pipeline.sample(best[0], effective=20, rhat=2.0, chains=2, most=50)

    together, alone = (
        dict(
            posterior.Pipelines(model_from(), log_likelihood).run(
                drawn, list(DATA[:3]), at_once=at_once
            )
        )
        for at_once in (3, 1)
    )
    for index, draws in alone.items():
        np.testing.assert_array_equal(together[index].points.x, draws.points.x)


def test_two_programs_are_compiled_in_all(compilations):
    traces = []

    def counted(instance, data):
        traces.append(1)
        return log_likelihood(instance, data)

    pipelines = posterior.Pipelines(model_from(), counted)
    for total in (2, 5):
        list(pipelines.run(fitted, list(DATA[:total])))
        seen = len(traces)
    compilations.clear()
    list(pipelines.run(fitted, list(DATA)))
    assert len(traces) == seen
    # Nor are small ones for each of the data, or for as many as ask at once.
    assert compilations == []
    assert len(pipelines._evaluate._evaluators) == 1
    assert len(pipelines._draw_round._evaluators) == 1


def test_data_of_other_shapes_are_evaluated_apart():
    def sum_of_squares(instance, data):
        return -0.5 * ((instance.x - data) ** 2).sum()

    pipelines = posterior.Pipelines(model_from(), sum_of_squares)
    data = [np.full(3, 0.5), np.full(8, 0.5), np.full(3, -0.5)]
    found = dict(
        pipelines.run(lambda p, i: p.laplace(p.optimise(p.starts(2)).best), data)
    )
    for index, values in enumerate(data):
        count = len(values)
        expected = values.mean() * count / (count + 1.0)
        np.testing.assert_allclose(found[index].centre[0], expected, atol=5e-3)


def test_an_error_is_that_of_one_of_the_data(pipelines):
    def sometimes(pipeline, index):
        pipeline.starts(2, candidates=5)
        if index == 1:
            raise ArithmeticError("of the second")
        return index

    found = dict(pipelines.run(sometimes, list(DATA[:3])))
    assert found[0] == 0 and found[2] == 2
    assert isinstance(found[1], ArithmeticError)


def test_data_are_taken_when_there_is_room(pipelines):
    taken = []

    def data():
        for each in DATA:
            taken.append(1)
            yield each

    work = pipelines.run(lambda p, i: p.starts(2, candidates=5) and i, data(), at_once=2)
    next(work)
    assert len(taken) == 2
    assert len(list(work)) == len(DATA) - 1


def test_nothing_is_left_of_what_is_no_longer_wanted(pipelines):
    before = threading.enumerate()
    work = pipelines.run(fitted, list(DATA), at_once=3)
    next(work)
    # Those that were there before may be ending.
    workers = [each for each in threading.enumerate() if each not in before]
    assert workers
    work.close()
    for worker in workers:
        worker.join(10.0)
    assert not any(worker.is_alive() for worker in workers)


def test_data_that_cannot_be_evaluated_are_told_and_the_others_go_on():
    def of_two(instance, data):
        if data.shape != (2,):
            raise ZeroDivisionError("in the likelihood")
        return log_likelihood(instance, data)

    pipelines = posterior.Pipelines(model_from(), of_two)
    data = [DATA[0], np.zeros(3), DATA[1]]
    found = dict(pipelines.run(lambda p, i: len(p.starts(2).x), data))
    assert found[0] == found[2] == 2
    assert "ZeroDivisionError: in the likelihood" in str(found[1])
    assert isinstance(found[1].__cause__, ZeroDivisionError)


def test_what_is_known_of_the_data_is_not_fitted():
    pipelines = posterior.Pipelines(
        model_from(),
        lambda instance, data: (
            -0.5 * ((instance.x + instance.y - data["sum"]) / 0.1) ** 2
        ),
        given=lambda data: {"y": data["y"]},
    )
    data = [{"sum": 1.0, "y": 0.3}, {"sum": 1.0, "y": 0.8}]
    found = dict(
        pipelines.run(lambda p, i: p.laplace(p.optimise(p.starts(2)).best), data)
    )
    for index, each in enumerate(data):
        expected = (each["sum"] - each["y"]) / 1.01
        np.testing.assert_allclose(found[index].centre, [expected, 0.0], atol=1e-2)
        np.testing.assert_allclose(np.diag(found[index].covariance)[1], 1.0, rtol=1e-2)


def test_bad_arguments_are_told():
    with pytest.raises(TypeError, match="expected a function of an instance and of data"):
        posterior.Pipelines(model_from(), 3.0)
    with pytest.raises(ValueError, match="no free parameter"):
        posterior.Pipelines(af.Collection(x=1.0), log_likelihood)
    pipelines = posterior.Pipelines(model_from(), log_likelihood)
    with pytest.raises(ValueError, match="at_once is a whole number above 0"):
        pipelines.run(fitted, list(DATA), at_once=0)


def test_whatever_ends_a_function_is_told(pipelines):
    def leaves(pipeline, index):
        raise SystemExit(3)

    ((index, found),) = pipelines.run(leaves, [DATA[0]])
    assert isinstance(found, SystemExit)


def test_pipeline_of_one_is_of_no_use_after_its_function(pipelines):
    ((_, pipeline),) = pipelines.run(lambda pipeline, index: pipeline, [DATA[0]])
    with pytest.raises(RuntimeError, match="while its function runs"):
        pipeline.evaluate(np.zeros((1, 2)))


def test_log_posterior_is_that_of_the_data(pipelines):
    def value(pipeline, index):
        z = pipeline.space.draw(1, seed=index)
        z = batch.take(z, 0)
        instance = pipeline.space.forward(z)
        expected = log_likelihood(instance, DATA[index]) + pipeline.space.log_prior(z)
        return float(pipeline.log_posterior(z)), float(expected)

    for _, (found, expected) in pipelines.run(value, list(DATA[:2])):
        assert found == pytest.approx(expected, rel=1e-12)


def test_what_there_is_to_warn_of_is_told_of_one(pipelines, recwarn):
    def short(pipeline, index):
        maximum = pipeline.laplace(pipeline.optimise(pipeline.starts(2)).best)
        pipeline.sample(maximum, effective=1e6, most=25, chains=2)
        return pipeline.told

    ((_, told),) = pipelines.run(short, [DATA[0]])
    assert "1000000 and 1.01 were asked for" in told[0]
    assert not [each for each in recwarn if "asked for" in str(each.message)]


def test_constants_that_violate_an_assertion_leave_no_start():
    model = model_from()
    model.add_assertion(model.x > model.y)
    pipelines = posterior.Pipelines(
        model, log_likelihood, given=lambda data: {"x": data[0], "y": data[1]}
    )
    ((_, found),) = pipelines.run(lambda p, i: p.starts(2), [np.array([0.0, 5.0])])
    assert "violate an assertion of the model" in str(found)


@pytest.mark.parametrize("learning_rate", [0.0, -0.1, np.nan, np.inf])
def test_learning_rate_must_be_above_zero(pipelines, learning_rate):
    def maximised(pipeline, index):
        starts = pipeline.starts(2, candidates=5)
        return pipeline.optimise(starts, learning_rate=learning_rate)

    ((_, error),) = pipelines.run(maximised, list(DATA[:1]))
    assert isinstance(error, ValueError)
    assert "learning_rate must be above zero" in str(error)
