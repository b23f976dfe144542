"""
What the benchmarks share: medians of calls in turn, and fresh processes.

It is imported before JAX.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Nothing that a benchmark compiles, nor a program that it starts, is read from what the
# libraries let JAX keep of earlier runs.
os.environ["JAX_COMPILATION_CACHE_DIR"] = ""

PROJECT = Path(__file__).resolve().parents[1]


def medians_in_turn(functions: dict, calls: int) -> dict:
    """The median time of each function in seconds, one call of each in turn."""
    times = {name: [] for name in functions}
    for _ in range(calls):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def likelihood_and_instances(total: int) -> tuple:
    """
    The likelihood of the profiling script (hst imaging, 20+20 Gaussians), and a batch of
    different instances of its model.
    """
    import autolens_patch  # noqa: F401, I001

    import autolens as al
    import numpy as np

    from autofit_patch import batch
    from jax_profiling.dataset import imaging_from
    from jax_profiling.instruments import INSTRUMENTS
    from jax_profiling.model import mge_model_from, vectors_near_truth_from

    dataset = imaging_from(INSTRUMENTS["hst"], PROJECT / "jax_profiling/dataset/imaging")
    model = mge_model_from(total_gaussians=20)
    vectors = np.array(vectors_near_truth_from(model, total))
    analysis = al.AnalysisImaging(dataset=dataset, use_jax=True)
    return analysis.log_likelihood_function, batch.instances_from(model, vectors)


def in_process(file: str, code: str, cores: set[int] | None = None, launch: int = 0):
    """
    What a function of a benchmark returns in a fresh process, or in the first of several.

    Parameters
    ----------
    file
        The benchmark, whose options are from `options_from`.
    code
        The call of the function.
    cores
        Which cores the process may use; all if left out.
    launch
        How many processes share the work; none but the one if 0.
    """
    program = [sys.executable, file, "--child", code]
    if launch:
        program[1:1] = ["-m", "jax_profiling.launch", "--processes", str(launch)]
    output = subprocess.run(
        program,
        preexec_fn=None if cores is None else lambda: os.sched_setaffinity(0, cores),
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    lines = [line for line in output.splitlines() if line[:1] in "[{0123456789"]
    return json.loads(lines[-1])


def options_from(parser: argparse.ArgumentParser, functions: dict) -> argparse.Namespace:
    """
    The options of a benchmark. A process that `in_process` started ends here: it prints
    as JSON what the function returns that it was asked for.

    Parameters
    ----------
    parser
        The parser of the command line.
    functions
        The functions of the benchmark by name.
    """
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(eval(options.child, functions)), flush=True)
        sys.exit()
    return options


def seconds_of_program(
    program: list, until: float | None = None, **environment: str
) -> float:
    """
    How long a program ran, to its end or until it was killed.

    Parameters
    ----------
    program
        Its command line.
    until
        After how many seconds it is killed by SIGKILL; left out, it is not.
    environment
        Variables that it is given besides those of this process.

    Raises
    ------
    subprocess.CalledProcessError
        If it failed, but for being killed. What it printed last is in its notes.
    """
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            program,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            code = process.wait(until)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = 0
        seconds = time.perf_counter() - begin
        if code:
            errors.seek(0)
            error = subprocess.CalledProcessError(code, program[0])
            error.add_note(errors.read()[-2000:])
            raise error
    return seconds
