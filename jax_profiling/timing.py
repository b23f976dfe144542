"""
Timing of jitted functions: what one costs before its first result, and then per call.

Ways of calling the same step (a `ModelInstance`, a flat vector) are only comparable when
they share the machine's mood, so `profile_from` measures them in turn: one of each, then
again, with their order alternating. Two samples that were taken in the same turn are a
pair, and it is pairs that `Profile.ratios` compares.
"""

import gc
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import jax
import numpy as np
from tqdm import tqdm

# The thread by which tqdm looks after its bars would be timed and profiled too.
tqdm.monitor_interval = 0

TIMINGS = ("lower", "compile", "first_call", "steady_state")


class CountTraces:
    """
    A function that counts how often JAX traces it: Python only runs its body to trace.

    Every `CountTraces` is a new function to JAX, so a jitted one starts with nothing
    traced and nothing compiled.

    Parameters
    ----------
    function
        The function.
    name
        What it does, for the logs and profiles that JAX writes.
    """

    def __init__(self, function: Callable, name: str = "function"):
        self.function = function
        self.traces = 0
        # What JAX calls it in its logs and profiles.
        self.__name__ = re.sub(r"\W+", "_", name)

    def __call__(self, *arguments):
        """Calls the function: once per trace, when the function is jitted."""
        self.traces += 1
        return self.function(*arguments)


@dataclass
class Timing:
    """
    The measurements of one step called in one way; times in seconds, one per sample.

    Attributes
    ----------
    name
        The name of the step and of the way.
    lower
        Tracing the function and lowering it to StableHLO.
    compile
        Compiling what was lowered, with XLA.
    first_call
        The first call after compiling.
    steady_state
        Later calls, each with the next of the inputs.
    memory
        The static memory of the compiled function, in bytes.
    """

    name: str
    lower: list[float] = field(default_factory=list)
    compile: list[float] = field(default_factory=list)
    first_call: list[float] = field(default_factory=list)
    steady_state: list[float] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    jitted: Callable | None = None
    counted: CountTraces | None = None

    @property
    def traces(self) -> int:
        """How often the function was traced, over all the calls made so far."""
        return self.counted.traces

    def median(self, timing: str) -> float:
        """The median of the samples of one of `TIMINGS`, in seconds."""
        return float(np.median(getattr(self, timing)))

    def quartiles(self, timing: str) -> tuple[float, float]:
        """The first and third quartile of the samples, in seconds."""
        lower, upper = np.percentile(getattr(self, timing), [25, 75])
        return float(lower), float(upper)

    def lower_from(self, function: Callable, arguments: tuple) -> jax.stages.Lowered:
        """Takes one sample of lowering."""
        self.counted = CountTraces(function, self.name)
        self.jitted = jax.jit(self.counted)

        # Tracing leaves reference cycles behind. Collecting them here keeps one sample's
        # garbage out of the next sample's time. A collection amid a sample would look at
        # every object of the process, which takes long, in some samples and not in
        # others; `timeit` leaves collections out as well.
        gc.collect()
        gc.disable()
        try:
            start = time.perf_counter()
            lowered = self.jitted.lower(*arguments)
            self.lower.append(time.perf_counter() - start)
        finally:
            gc.enable()
        return lowered

    def compile_from(self, function: Callable, arguments: tuple) -> None:
        """Takes one sample of everything up to and including the first call."""
        lowered = self.lower_from(function, arguments)

        start = time.perf_counter()
        compiled = lowered.compile()
        self.compile.append(time.perf_counter() - start)

        self.first_call.append(self._seconds_of_call(arguments))

        analysis = compiled.memory_analysis()
        self.memory = {
            "arguments": analysis.argument_size_in_bytes,
            "outputs": analysis.output_size_in_bytes,
            "temporaries": analysis.temp_size_in_bytes,
        }

    def call_from(self, arguments: tuple) -> None:
        """Takes one sample of the steady state."""
        self.steady_state.append(self._seconds_of_call(arguments))

    def _seconds_of_call(self, arguments: tuple) -> float:
        start = time.perf_counter()
        jax.block_until_ready(self.jitted(*arguments))
        return time.perf_counter() - start


@dataclass
class Profile:
    """
    The timings of one step of the likelihood, by the way it is called.

    Attributes
    ----------
    name
        What the step is called.
    ways
        By name, the function that does the step and its inputs.
    timings
        By the same names, what was measured.
    """

    name: str
    ways: dict[str, tuple[Callable, Sequence[tuple]]]
    timings: dict[str, Timing] = field(init=False)

    def __post_init__(self):
        self.timings = {way: Timing(f"{self.name} {way}") for way in self.ways}

    def __call__(self, *arguments):
        """Calls the jitted function of the first way."""
        first, *_ = self.timings.values()
        return first.jitted(*arguments)

    def result(self, way: str, index: int = 0):
        """What one of the ways gives for one of its inputs."""
        _, inputs = self.ways[way]
        return self.timings[way].jitted(*inputs[index])

    def ratios(self, first: str, second: str) -> dict[str, float]:
        """
        One way over another for each of `TIMINGS`: the median of the ratios of pairs.
        Empty where the step is not called in both ways.

        A machine that becomes slower while a step is measured, or is busy for a while,
        changes the medians of both ways, and not by the same factor, but hardly the
        ratio of two samples that were taken side by side.
        """
        if not {first, second} <= self.timings.keys():
            return {}
        above, below = self.timings[first], self.timings[second]
        return {
            name: float(np.median(np.divide(getattr(above, name), getattr(below, name))))
            for name in TIMINGS
        }


def profile_from(
    name: str,
    ways: dict[str, tuple[Callable, Sequence[tuple]]],
    repeats: int,
    compilations: int = 1,
    lowerings: int = 0,
    warm: bool = True,
) -> Profile:
    """
    Profiles a step of the likelihood.

    Parameters
    ----------
    name
        What the step is called in progress, tables and figures.
    ways
        By name, the function that does the step and its inputs: a sequence of tuples
        of arguments, which the calls of the steady state go through.
    repeats
        The number of samples of the steady state.
    compilations
        The number of samples of lowering, compiling and the first call.
    lowerings
        The number of samples of lowering that are taken besides.
    warm
        Whether something that is not measured comes first, without which whatever is
        lowered or compiled first takes longer.
    """
    print(f"  {name} ...", flush=True)

    # The first trace in a process also traces JAX's own helpers (`jnp.where` and its
    # like), which every later trace finds done, and the first compilation of a size is
    # slow too. Whichever way came first would pay for all ways, so some which are not
    # measured come before them. Without a second sample, tracing has to do.
    if warm:
        for function, inputs in [*ways.values()][-2:]:
            traced = jax.jit(CountTraces(function)).trace(*inputs[0])
        if compilations > 1:
            traced.lower().compile()

    profile = Profile(name, ways)
    for sample in progress_from(range(lowerings), "lowering"):
        for way in _in_turn(ways, sample):
            function, inputs = ways[way]
            profile.timings[way].lower_from(function, inputs[0])

    for sample in progress_from(range(compilations), "compiling"):
        for way in _in_turn(ways, sample):
            function, inputs = ways[way]
            profile.timings[way].compile_from(function, inputs[0])

    for sample in progress_from(range(repeats), "calling"):
        for way in _in_turn(ways, sample):
            _, inputs = ways[way]
            profile.timings[way].call_from(inputs[sample % len(inputs)])

    return profile


def progress_from(iterable: Iterable, description: str) -> tqdm:
    """
    An iterable that shows a progress bar while it lasts, in a terminal.
    """
    return tqdm(iterable, desc=f"    {description}", leave=False, disable=None)


def _in_turn(ways: dict, sample: int) -> list[str]:
    """The names of the ways, in an order that alternates from sample to sample."""
    return list(ways) if sample % 2 == 0 else list(reversed(ways))
