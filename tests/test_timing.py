"""Two ways of calling a step are compared by samples that were taken side by side."""

import gc

import jax
import pytest

from jax_profiling.timing import TIMINGS, Profile, profile_from

#: Garbage is collected before each sample.
pytestmark = pytest.mark.usefixtures("nothing_before")


def profile_of(pytree: list[float], flat: list[float]) -> Profile:
    """A profile whose timings all have the samples that are given."""
    ways = {way: (lambda: None, [()]) for way in ("pytree", "flat")}
    profile = Profile("step", ways)
    for timing in TIMINGS:
        setattr(profile.timings["pytree"], timing, pytree)
        setattr(profile.timings["flat"], timing, flat)
    return profile


@pytest.mark.parametrize(
    "pytree, flat, expected",
    [
        # The machine becomes busy in the middle of the third pair.
        ([1.0, 1.0, 3.0, 3.0, 3.0], [1.0, 1.0, 1.0, 3.0, 3.0], 1.0),
        # It becomes slower all the time.
        ([1.02, 2.04, 3.06, 4.08], [1.0, 2.0, 3.0, 4.0], 1.02),
        # It is busy for one sample.
        ([1.1, 9.0, 1.1], [1.0, 1.0, 1.0], 1.1),
    ],
    ids=["busy from then on", "slower", "busy once"],
)
def test_ratio_is_that_of_neighbours(pytree, flat, expected):
    ratios = profile_of(pytree, flat).ratios("pytree", "flat")
    assert ratios == pytest.approx(dict.fromkeys(TIMINGS, expected))


def test_step_with_one_way_has_no_ratio():
    profile = Profile("step", {"arrays": (lambda: None, [()])})
    assert profile.ratios("pytree", "flat") == {}


@pytest.mark.parametrize("compilations, unmeasured", [(1, 0), (2, 1), (3, 1)])
def test_first_of_several_compilations_is_not_measured(caplog, compilations, unmeasured):
    ways = {
        way: (lambda x: 2.0 * x + 1.0, [(1.0,), (2.0,), (3.0,)])
        for way in ("pytree", "flat")
    }
    with jax.log_compiles():
        profile = profile_from("step", ways, 4, compilations, lowerings=5)
    compiled = [line for line in caplog.messages if "Finished XLA compilation" in line]
    assert len(compiled) == 2 * compilations + unmeasured
    for timing in profile.timings.values():
        assert len(timing.compile) == len(timing.first_call) == compilations
        assert len(timing.lower) == compilations + 5
        assert len(timing.steady_state) == 4
        assert timing.traces == 1


def test_no_garbage_is_collected_amid_a_sample():
    enabled = []

    def function(x):
        enabled.append(gc.isenabled())
        return x

    profile_from("step", {"arrays": (function, [(1.0,)])}, repeats=1, lowerings=2)
    # The trace that is not measured, then two of lowering and one of compiling.
    assert enabled == [True, False, False, False]
    assert gc.isenabled()


def test_garbage_is_collected_again_after_a_step_that_fails():
    def function(x):
        if not gc.isenabled():
            raise ValueError("no such galaxy")
        return x

    with pytest.raises(ValueError, match="no such galaxy"):
        profile_from("step", {"arrays": (function, [(1.0,)])}, repeats=1)
    assert gc.isenabled()
