"""What a profiling script checks is noticed when it is wrong."""

import copy
from argparse import Namespace
from functools import cache

import autofit as af
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_profiling.compilation import use_compilation_cache
from jax_profiling.profiler import LikelihoodProfiler

#: Garbage is collected before each sample.
pytestmark = pytest.mark.usefixtures("nothing_before")


class Peak:
    """The centre and the width of a peak at zero."""

    def __init__(self, centre=0.0, width=1.0):
        self.centre = centre
        self.width = width


class Analysis(af.Analysis):
    """A likelihood whose gradient may be wrong by a factor, and which may have a loop."""

    def __init__(self, use_jax, factor=1.0, gradient_factor=1.0, mode="reverse"):
        super().__init__(use_jax=use_jax)
        self.factor, self.gradient_factor = factor, gradient_factor
        self.gradient_mode = mode

    def log_likelihood_function(self, instance):
        peak = instance.peak
        value = -0.5 * (peak.centre / peak.width) ** 2 - peak.width
        if not self._use_jax:
            return self.factor * value
        if self.gradient_mode == "forward":
            # JAX cannot differentiate this in reverse.
            value = jax.lax.while_loop(lambda x: x < -1e9, lambda x: x + 1.0, value)
        steep = self.gradient_factor * value
        return jax.lax.stop_gradient(value - steep) + steep


def model_from(**constants) -> af.Collection:
    """The model of a peak, and of whatever is beside it."""
    peak = af.Model(
        Peak, centre=af.UniformPrior(-1.0, 1.0), width=af.UniformPrior(0.5, 2.0)
    )
    return af.Collection(peak=peak, **constants)


OPTIONS = Namespace(
    instances=4,
    batch=2,
    repeats=3,
    compilations=1,
    beside=("flat", "together"),
    quick=True,
    explain=False,
    trace=None,
    memory=False,
)


@cache
def profiled(**analysis) -> LikelihoodProfiler:
    """The profile of a likelihood of different instances."""
    vectors = [
        np.array([0.1 + 0.01 * index, 1.0 + 0.02 * index])
        for index in range(OPTIONS.instances + OPTIONS.batch - 1)
    ]
    profiler = LikelihoodProfiler(
        name="peak",
        model=model_from(),
        analysis=Analysis(use_jax=True, **analysis),
        reference_analysis=Analysis(use_jax=False),
        vectors=vectors,
        options=OPTIONS,
    )
    # The tests that follow share what they compile.
    use_compilation_cache(True)
    profiler.whole()
    return profiler


@pytest.fixture
def profiler_of():
    """A profile that a test can change, but for what was timed."""

    def profiler(**analysis):
        profiler = copy.copy(profiled(**analysis))
        profiler.profiles, profiler.figures = [*profiler.profiles], {}
        return profiler

    return profiler


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_profile_of_a_right_likelihood_has_its_figures(profiler_of, mode):
    profiler = profiler_of(mode=mode)
    profiler.check_values()
    profiler.check_gradient()
    profiler.check_traces()
    expected = [-0.5 * 0.1**2 - 1.0, -0.5 * (0.11 / 1.02) ** 2 - 1.02]
    for way in ("numpy", "pytree", "flat", "together", "vmap"):
        assert profiler.figures["log_likelihoods"][way] == pytest.approx(expected)
    gradient = profiler.figures["gradient"]
    assert gradient[".peak.centre"]["gradient"] == pytest.approx(-0.1)
    assert gradient[".peak.width"]["gradient"] == pytest.approx(0.1**2 - 1.0)


def only_last_wrong(right, last):
    """A function that is wrong for the last of the instances only."""

    def function(argument):
        value = right(argument)
        wrong = jax.tree.map(lambda leaf: 1.00001 * leaf, value)
        # The first leaf is the centre, or the whole vector; a batch's has its members.
        first = jax.tree.leaves(argument)[0]
        return wrong if np.isclose(first, last).any() else value

    return function


@pytest.mark.parametrize(
    "way, message",
    [
        ("pytree", r"The full likelihood \(pytree\) differs"),
        ("flat", r"The full likelihood \(flat\) differs"),
        ("together", r"The full likelihood \(together\) differs"),
        ("value_and_grad", "The value beside the gradient differs"),
        ("batched_likelihood", "The batched likelihood differs"),
        ("chained", "The chain of steps differs"),
    ],
)
def test_wrong_value_of_one_instance_is_noticed(profiler_of, way, message, monkeypatch):
    profiler = profiler_of()
    chained, last = profiler.likelihood, 0.1 + 0.01 * (OPTIONS.instances - 1)
    profiler.check_values(chained)
    if way == "chained":
        chained = only_last_wrong(chained, last)
    elif way in ("pytree", "flat", "together"):
        timing = profiler.likelihood.timings[way]
        wrong = only_last_wrong(timing.jitted, last)
        monkeypatch.setattr(timing, "jitted", wrong)
        chained = None
    elif way == "batched_likelihood":
        # The last batch has the instance after the last as well.
        right = profiler.batched_likelihood
        profiler.batched_likelihood = only_last_wrong(right, last + 0.01)
    else:
        setattr(profiler, way, only_last_wrong(getattr(profiler, way), last))
    with pytest.raises(AssertionError, match=message):
        profiler.check_values(chained)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_wrong_gradient_is_noticed(profiler_of, mode):
    profiler = profiler_of(gradient_factor=1.01, mode=mode)
    profiler.check_values()
    with pytest.raises(AssertionError, match=r"gradient of \.peak\.centre differs"):
        profiler.check_gradient()


def test_differences_of_another_likelihood_are_noticed(profiler_of):
    profiler = profiler_of()
    profiler.difference_analysis = Analysis(use_jax=False, factor=1.01)
    with pytest.raises(AssertionError, match="likelihood that is differenced differs"):
        profiler.check_gradient()


def test_second_trace_is_noticed(profiler_of, monkeypatch):
    profiler = profiler_of()
    profiler.check_traces()
    counted = profiler.likelihood.timings["pytree"].counted
    monkeypatch.setattr(counted, "traces", counted.traces)
    other = model_from(constant=2.0)
    profiler.likelihood(other.instance_from_vector(profiler.vectors[0]))
    with pytest.raises(AssertionError, match=r"full likelihood \(pytree\) was traced 2"):
        profiler.check_traces()


def square(instance):
    return jnp.square(instance.peak.centre)


def test_wrong_step_is_noticed(profiler_of):
    profiler = profiler_of()
    profiler.parameter_step("square", square, reference=0.01)
    with pytest.raises(AssertionError, match=r"square \(pytree\) differs"):
        profiler.parameter_step("square", square, reference=0.0101)


@pytest.mark.parametrize("way", ["flat", "together"])
def test_way_of_a_step_that_does_something_else_is_noticed(profiler_of, way, monkeypatch):
    profiler = profiler_of()
    monkeypatch.setattr(
        f"jax_profiling.profiler.{way}_from",
        lambda *_: lambda argument: 1.01 * jnp.square(jax.tree.leaves(argument)[0]),
    )
    if way == "flat":
        profiler.vectors = [vector[0] for vector in profiler.vectors]
    with pytest.raises(AssertionError, match=rf"square \({way}\) differs"):
        profiler.parameter_step("square", square, reference=0.01)


def test_wrong_step_of_arrays_is_noticed(profiler_of):
    profiler = profiler_of()
    profiler.array_step("sum", jnp.add, [1.0, 2.0], reference=3.0)
    with pytest.raises(AssertionError, match="sum differs from the NumPy"):
        profiler.array_step("sum", jnp.add, [1.0, 2.0], reference=3.00001)


@pytest.mark.parametrize("way", ["flat", "together"])
def test_wrong_gradient_of_another_way_is_noticed(profiler_of, way, monkeypatch):
    profiler = profiler_of()
    other = profiler.value_and_grad.timings[way]
    right = other.jitted

    def wrong(argument):
        value, gradient = right(argument)
        return value, jax.tree.map(lambda leaf: 1.01 * leaf, gradient)

    monkeypatch.setattr(other, "jitted", wrong)
    with pytest.raises(AssertionError, match=rf"gradient \({way}\) differs"):
        profiler.check_gradient()


def test_part_of_a_step_can_be_compared(profiler_of):
    def both(instance):
        return jnp.stack([instance.peak.centre, jnp.inf])

    def finite(result):
        return np.asarray(result)[np.isfinite(result)]

    profiler = profiler_of()
    profiler.parameter_step("finite", both, reference=[0.1], compared=finite)
    with pytest.raises(AssertionError, match="finite .pytree. differs from the NumPy"):
        profiler.parameter_step("finite", both, reference=[0.2], compared=finite)
