"""Lenses are fitted as tasks by workers that may be lost."""

import os
import signal
import subprocess
import sys
import time

import pytest

from jax_profiling.survey.tasks import fit_in_tasks


@pytest.fixture(scope="module")
def scheduler_file(tmp_path_factory):
    """The file of a scheduler that has one worker, which is started again if it ends."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    programs = {
        "scheduler": ["--port", "0", "--dashboard-address", ":0", "--host", "127.0.0.1"],
        "worker": ["--nthreads", "1", "--no-dashboard", "--local-directory", folder],
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", name, "--scheduler-file", file, *options],
            stderr=subprocess.DEVNULL,
        )
        for name, options in programs.items()
    ]
    while not file.exists():
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)
    yield file
    for process in reversed(processes):
        process.terminate()
        process.wait()


def test_lenses_of_a_worker_that_is_lost_are_fitted_by_another(scheduler_file, tmp_path):
    def fit(some):
        lost = tmp_path / "lost"
        for name in some:
            if name == "2" and not lost.exists():
                lost.touch()
                time.sleep(1.0)  # until what starts it again has seen it start
                os.kill(os.getpid(), signal.SIGKILL)
            (tmp_path / f"{name} of {len(some)}").touch()

    fit_in_tasks(fit, list("01234"), scheduler_file, lenses_a_task=2)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("0 of 2", "1 of 2", "2 of 2", "3 of 2", "4 of 1", "lost")
    }


def test_what_a_task_raises_is_raised(scheduler_file):
    def fit(some):
        raise ValueError(f"{some} has another model")

    with pytest.raises(ValueError, match="'0'.* has another model"):
        fit_in_tasks(fit, ["0"], scheduler_file, lenses_a_task=2)
