"""Where the time until the first result goes, and how much memory was used."""

import numpy as np
import psutil
import pytest
from conftest import json_from_python

from jax_profiling.compilation import peak_memory

#: Prints where the time goes of a function that sleeps while it is traced. In a process
#: of its own: Python's profiler hears the threads of pytest-xdist as well.
SLOW_TO_TRACE = """
import json, sys, time
from pathlib import Path
import jax.numpy as jnp
from jax_profiling.compilation import compilation_from

def slow_to_trace(matrix):
    time.sleep(0.3)
    return jnp.linalg.cholesky(matrix @ matrix.T + jnp.eye(8)).sum()

start = time.perf_counter()
times = compilation_from(slow_to_trace, (jnp.ones((8, 8)),), Path({folder!r}))
print(json.dumps([times, time.perf_counter() - start]))
"""


@pytest.fixture
def kept(tmp_path) -> dict:
    """The environment of a program that keeps all that it compiles."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "kept"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def test_time_is_divided_into_stages_packages_and_phases(tmp_path, kept):
    times, elapsed = json_from_python(SLOW_TO_TRACE.format(folder=str(tmp_path)), **kept)

    stages = times["stages"]
    assert list(stages) == ["trace", "lower to StableHLO", "compile with XLA"]
    assert 0.3 <= stages["trace"] < sum(stages.values()) < elapsed
    assert times["tracing"]["other"] >= 0.3
    assert 0.0 < times["tracing"]["jax"] < elapsed
    assert any("ompile" in phase for phase in times["compiling"])

    (profile,) = tmp_path.rglob("*.trace.json.gz")
    assert profile.stat().st_size > 0


def test_what_is_timed_is_compiled_again_though_an_earlier_run_kept_it(tmp_path, kept):
    program = SLOW_TO_TRACE.format(folder=str(tmp_path))
    for _ in range(2):
        times, _ = json_from_python(program, **kept)
        assert any("ompile" in phase for phase in times["compiling"])


#: Prints how many programs are kept: before, with and without the cache.
KEPT = """
import json, os
from pathlib import Path
import jax, jax.numpy as jnp
from jax_profiling.compilation import use_compilation_cache

def kept(factor):
    jax.jit(lambda x: factor * x)(array)
    return len(list(Path(os.environ["JAX_COMPILATION_CACHE_DIR"]).glob("*-cache")))

array = jnp.ones(3)  # JAX compiled this, and decided
numbers = [kept(2.0)]
for use in (False, True):
    use_compilation_cache(use)
    numbers.append(kept(3.0 + use))
print(json.dumps(numbers))
"""


def test_nothing_is_kept_while_the_cache_is_not_used(kept):
    before, without, again = json_from_python(KEPT, **kept)
    assert before > 0
    assert without == before
    assert again == before + 1


def test_peak_memory_grows_with_what_is_allocated():
    before = peak_memory()["resident"]
    resident = psutil.Process().memory_info().rss
    array = np.ones(before - resident + 200 * 2**20, dtype=np.uint8)
    assert peak_memory()["resident"] >= before + 150 * 2**20
    assert array[-1] == 1
