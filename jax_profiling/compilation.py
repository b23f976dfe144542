"""
Where the time before the first result goes: tracing, lowering, compiling.

The libraries let JAX keep what it compiled on disk, for later runs. A time to compile
that is reported must not be the time to read that.
"""

import cProfile
import pstats
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from jax_profiling.timing import CountTraces

#: The packages that tracing is divided among; everything else is Python and the rest.
PACKAGES = ("autofit", "autogalaxy", "autolens", "autoarray", "jax", "numpy")

#: How many phases of XLA are reported.
LONGEST = 8


def use_compilation_cache(use: bool) -> None:
    """
    Say whether, from now on, what is compiled is read from disk and kept there.

    JAX looks at its setting when it first compiles, and then no more: here it is made to
    look again.

    Parameters
    ----------
    use
        Whether it is.
    """
    jax.config.update("jax_enable_compilation_cache", use)
    reset_cache()


def compilation_from(
    function: Callable, arguments: tuple, folder: Path | None = None
) -> dict[str, dict[str, float]]:
    """
    Where the time goes until a function is compiled.

    Parameters
    ----------
    function
        A function that JAX can trace.
    arguments
        What it is called with.
    folder
        Where a profile of the compilation and of one call is written, which Perfetto
        and TensorBoard open; nowhere if left out.

    Returns
    -------
    `stages`: the seconds of JAX's own stages. `tracing`: the seconds spent in the code
    of each package while tracing, which Python's profiler makes longer. `compiling`: the
    seconds of the longest phases of XLA by its own profile; they contain one another.
    """
    used = jax.config.jax_enable_compilation_cache
    use_compilation_cache(False)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            return {
                "tracing": tracing_by_package(function, arguments),
                **stages_from(function, arguments, Path(folder or temporary)),
            }
    finally:
        use_compilation_cache(used)


def tracing_by_package(function: Callable, arguments: tuple) -> dict[str, float]:
    """
    The seconds that tracing spends in the code of each package.

    Python 3.12's profiler hears what all threads do, so no other may run meanwhile.
    """
    jitted, profiler = jax.jit(CountTraces(function)), cProfile.Profile()
    profiler.runcall(jitted.trace, *arguments)
    seconds = Counter()
    for (path, *_), (*_, own, _, _) in pstats.Stats(profiler).stats.items():
        parts = Path(path).parts
        package = next((name for name in PACKAGES if name in parts), "other")
        seconds[package] += own
    return dict(seconds.most_common())


def stages_from(function: Callable, arguments: tuple, folder: Path) -> dict:
    """The seconds of each stage, and of the phases of XLA within the last."""
    jitted = jax.jit(CountTraces(function))
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # it would make files of hundreds of megabytes
    times = [time.perf_counter()]
    traced = jitted.trace(*arguments)
    times.append(time.perf_counter())
    lowered = traced.lower()
    times.append(time.perf_counter())
    with jax.profiler.trace(folder, profiler_options=options):
        compiled = lowered.compile()
        times.append(time.perf_counter())
        jax.block_until_ready(compiled(*arguments))
    names = ("trace", "lower to StableHLO", "compile with XLA")
    return {
        "stages": {
            name: stop - start
            for name, start, stop in zip(names, times, times[1:], strict=False)
        },
        "compiling": phases_of_xla(folder),
    }


def phases_of_xla(folder: Path) -> dict[str, float]:
    """The seconds of the longest phases in the newest profile in a folder."""
    newest = max(folder.rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    seconds = Counter()
    for plane in jax.profiler.ProfileData.from_file(str(newest)).planes:
        for line in plane.lines:
            for event in line.events:
                # "HLO passes after layout assignment (jit_f)": whatever f is called.
                seconds[event.name.partition(" (")[0]] += 1e-9 * event.duration_ns
    return dict(seconds.most_common(LONGEST))


def peak_memory() -> dict[str, int]:
    """The peak memory of this process so far, and of its devices if they say; bytes."""
    # Linux counts kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peaks = {"resident": unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    statistics = [device.memory_stats() or {} for device in jax.local_devices()]
    devices = [s["peak_bytes_in_use"] for s in statistics if "peak_bytes_in_use" in s]
    return peaks | ({"device": max(devices)} if devices else {})
