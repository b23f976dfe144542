"""What a profiling script checks is noticed when it is wrong."""

from argparse import Namespace

import autofit as af
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_profiling.profiler import TOTAL_INSTANCES, LikelihoodProfiler


class Peak:
    """The centre and the width of a peak at zero."""

    def __init__(self, centre=0.0, width=1.0):
        self.centre = centre
        self.width = width


class Analysis(af.Analysis):
    """A likelihood that may be wrong by a factor, as its gradient may be."""

    def __init__(self, use_jax, factor=1.0, gradient_factor=1.0, mode="reverse"):
        super().__init__(use_jax=use_jax)
        self.factor, self.gradient_factor = factor, gradient_factor
        self.gradient_mode = mode

    def log_likelihood_function(self, instance):
        peak = instance.peak
        value = -0.5 * (peak.centre / peak.width) ** 2 - peak.width
        if not self._use_jax:
            return self.factor * value
        steep = self.gradient_factor * value
        return self.factor * (jax.lax.stop_gradient(value - steep) + steep)


def model_from(**constants) -> af.Collection:
    """The model of a peak, and of whatever is beside it."""
    peak = af.Model(
        Peak, centre=af.UniformPrior(-1.0, 1.0), width=af.UniformPrior(0.5, 2.0)
    )
    return af.Collection(peak=peak, **constants)


OPTIONS = Namespace(
    **{"batch": 2, "repeats": 3, "compilations": 1, "quick": True},
    **{"explain": False, "trace": None, "memory": False},
)


@pytest.fixture
def profiler_of(monkeypatch):
    """Profile a likelihood of 21 different instances."""
    monkeypatch.setattr(jax.config, "update", lambda *_: None)
    model = model_from()
    vectors = [
        np.array([0.1 + 0.01 * index, 1.0 + 0.02 * index])
        for index in range(TOTAL_INSTANCES + 1)
    ]

    def profiler(difference_factor=1.0, **analysis):
        profiler = LikelihoodProfiler(
            name="peak",
            model=model,
            analysis=Analysis(use_jax=True, **analysis),
            reference_analysis=Analysis(use_jax=False),
            difference_analysis=Analysis(use_jax=False, factor=difference_factor),
            vectors=vectors,
            options=OPTIONS,
        )
        profiler.whole()
        return profiler

    return profiler


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_profile_of_a_right_likelihood_has_its_figures(profiler_of, mode):
    profiler = profiler_of(mode=mode)
    profiler.check_values()
    profiler.check_gradient()
    profiler.check_traces()
    expected = [-0.5 * 0.1**2 - 1.0, -0.5 * (0.11 / 1.02) ** 2 - 1.02]
    for way in ("numpy", "pytree", "flat", "vmap"):
        assert profiler.figures["log_likelihoods"][way] == pytest.approx(expected)
    gradient = profiler.figures["gradient"]
    assert gradient[".peak.centre"]["gradient"] == pytest.approx(-0.1)
    assert gradient[".peak.width"]["gradient"] == pytest.approx(0.1**2 - 1.0)


def test_wrong_value_is_noticed(profiler_of):
    with pytest.raises(AssertionError, match="likelihood differs from the NumPy"):
        profiler_of(factor=1.00001).check_values()


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_wrong_gradient_is_noticed(profiler_of, mode):
    profiler = profiler_of(gradient_factor=1.01, mode=mode)
    profiler.check_values()
    with pytest.raises(AssertionError, match=r"gradient of \.peak\.centre differs"):
        profiler.check_gradient()


def test_differences_of_another_likelihood_are_noticed(profiler_of):
    profiler = profiler_of(difference_factor=1.01)
    with pytest.raises(AssertionError, match="likelihood that is differenced differs"):
        profiler.check_gradient()


def test_second_trace_is_noticed(profiler_of):
    profiler = profiler_of()
    other = model_from(constant=2.0)
    profiler.likelihood(other.instance_from_vector(profiler.vectors[0]))
    with pytest.raises(AssertionError, match=r"full likelihood \(pytree\) was traced 2"):
        profiler.check_traces()


def test_wrong_step_is_noticed(profiler_of):
    def square(instance):
        return jnp.square(instance.peak.centre)

    profiler = profiler_of()
    profiler.parameter_step("square", square, reference=0.01)
    with pytest.raises(AssertionError, match="square differs from the NumPy"):
        profiler.parameter_step("square", square, reference=0.0101)


def test_part_of_a_step_can_be_compared(profiler_of):
    def both(instance):
        return jnp.stack([instance.peak.centre, jnp.inf])

    def finite(result):
        return np.asarray(result)[np.isfinite(result)]

    profiler = profiler_of()
    profiler.parameter_step("finite", both, reference=[0.1], compared=finite)
    with pytest.raises(AssertionError, match="finite differs from the NumPy"):
        profiler.parameter_step("finite", both, reference=[0.2], compared=finite)
