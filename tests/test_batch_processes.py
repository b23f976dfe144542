"""Several processes share a batch, and none waits for one that is gone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import json_from_python

SCRIPT = """
import autofit_patch, os, sys, jax, numpy as np
from autofit_patch import batch

here, what = jax.process_index(), sys.argv[1]

def host(x):
    if here == 1 and what == "killed":
        os.kill(os.getpid(), 9)
    if here == 1 and what == "failing":
        raise ValueError("a host-side error")
    return 2.0 * x

def function(x):
    double = jax.pure_callback(host, jax.ShapeDtypeStruct((), x.dtype), x)
    return {"double": double, "complex": x + 1j}

def fails_in_process_1(x):
    if here == 1:
        raise ValueError("an error while tracing")
    return x

mapped = batch.map(function, report=True)
if what == "nothing":
    # Errors that a script can catch, and go on after.
    for call, message in (
        (lambda: mapped(np.arange(1.0) + here), "different batches (their numbers of"),
        (
            lambda: batch.map(fails_in_process_1)(np.arange(3.0)),
            ("the batch failed in process 1 of 2", "an error while tracing")[here],
        ),
    ):
        try:
            call()
        except (ValueError, RuntimeError) as error:
            assert message in str(error), error
        else:
            raise AssertionError(message)
for count in (0, 1, 11, 5000):
    x = np.arange(float(count))
    values = mapped(x)
    np.testing.assert_array_equal(values["double"], 2.0 * x)
    np.testing.assert_array_equal(values["complex"], x + 1j)
own = batch.map(lambda x: x + 1.0, split_over_processes=False)
np.testing.assert_array_equal(own(np.arange(3.0) + here), np.arange(3.0) + here + 1.0)
print("all values of", jax.process_count(), "processes in process", here)
print("compiled functions are kept in", jax.config.jax_compilation_cache_dir)
"""


@pytest.fixture
def run(tmp_path):
    def run(what: str, *options: str, **environment) -> subprocess.CompletedProcess:
        script = tmp_path / "script.py"
        script.write_text(SCRIPT)
        launch = [sys.executable, "-m", "jax_profiling.launch", *options]
        return subprocess.run(
            [*launch, "--processes", "2", str(script), what],
            env={
                **os.environ,
                "JAX_NUM_CPU_DEVICES": "2",
                "PYTHONWARNINGS": "ignore",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=200,
        )

    return run


def test_every_process_has_all_values_also_after_errors(run):
    assert_all_values(run("nothing"))


def assert_all_values(process):
    assert process.returncode == 0, process.stderr
    for index in range(2):
        assert f"all values of 2 processes in process {index}" in process.stdout
    # The last batch of 5,000 was shared by the two.
    assert process.stdout.count("2500 members in") == 2
    assert "5000 members in" not in process.stdout


def test_later_run_has_the_same_values_by_what_an_earlier_one_compiled(
    run, tmp_path, monkeypatch
):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    kept = tmp_path / "pyauto_jax"
    for _ in range(2):
        process = run(
            "nothing",
            XDG_CACHE_HOME=str(tmp_path),
            JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
        )
        assert_all_values(process)
        assert process.stdout.count(f"compiled functions are kept in {kept}") == 2
    assert list(kept.iterdir())


@pytest.mark.parametrize(
    "what, messages",
    [
        ("failing", ["a host-side error", "the batch failed in process 1 of 2"]),
        (
            "killed",
            ["another process of jax.distributed was lost, so this one (0 of 2)"]
            + [f"1 (exit code {-signal.SIGKILL})"],
        ),
    ],
)
def test_error_of_one_process_ends_all_with_its_reason(run, what, messages):
    process = run(what, "--heartbeat", "10")
    assert process.returncode == 1
    for message in [*messages, "ended with an error: the others are stopped"]:
        assert message in process.stderr


def test_process_of_a_cluster_keeps_what_it_compiles_too(tmp_path):
    # It is started by srun, without the one above that says to others where.
    folder = json_from_python(
        """
        import jax_profiling.launch
        import jax, json
        print(json.dumps(jax.config.jax_compilation_cache_dir))
        """,
        JAX_COMPILATION_CACHE_DIR=None,
        XDG_CACHE_HOME=str(tmp_path),
    )
    assert folder == str(tmp_path / "pyauto_jax")


def test_script_that_is_not_there_is_named(tmp_path):
    process = subprocess.run(
        [sys.executable, "-m", "jax_profiling.launch", "--processes", "2", "none.py"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2
    assert "there is no script none.py" in process.stderr
