"""
Run a script in several processes that share the batches which it evaluates.

On one machine, every process with its own share of the cores:

    python -m jax_profiling.launch --processes 2 my_script.py --its --options

On a cluster, started once for each process by what JAX knows (SLURM, Open MPI):

    srun python -m jax_profiling.launch my_script.py --its --options

The script needs no change: `jax.distributed` is initialized before it starts, and
`autofit_patch.batch.map` then splits its batches over the processes. If one process
ends with an error, all others are stopped.
"""

import argparse
import os
import runpy
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

# What PyAutoLens wants of JAX that reads when it is imported: here, before the script.
import autonerves  # noqa: F401

# isort: split

import jax

from jax_profiling.options import positive_integer

# How long, in seconds, a process is allowed to finish by itself after another failed.
GRACE = 3.0


def main() -> None:
    """Starts the processes or, in one of them, the script."""
    parser = argparse.ArgumentParser(
        prog="python -m jax_profiling.launch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--processes",
        type=positive_integer,
        metavar="N",
        help="start N processes here; left out, this is one of those of a cluster",
    )
    parser.add_argument(
        "--heartbeat",
        type=positive_integer,
        default=100,
        metavar="SECONDS",
        help="after how long a process that vanished ends the others (default: 100)",
    )
    parser.add_argument("--coordinator", help=argparse.SUPPRESS)
    parser.add_argument("--process-id", type=int, help=argparse.SUPPRESS)
    parser.add_argument("script", type=Path, help="the Python script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what it is given")
    options = parser.parse_args()
    if not options.script.is_file():
        parser.error(f"there is no script {options.script}")
    if options.processes and options.coordinator is None:
        sys.exit(run_all(options))
    run_one(options)


def run_all(options: argparse.Namespace) -> int:
    """
    Starts a process for each share of this machine, and waits for them.

    Returns
    -------
    The exit code: 0, or 1 if a process ended with an error, after the others were
    stopped.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "jax_profiling.launch"]
    command += ["--processes", str(options.processes), "--coordinator", coordinator]
    command += ["--heartbeat", str(options.heartbeat)]
    script = [str(options.script), *options.arguments]
    processes = [
        subprocess.Popen([*command, "--process-id", str(index), *script])
        for index in range(options.processes)
    ]
    try:
        return wait_for(processes)
    except KeyboardInterrupt:
        return 130
    finally:
        stop(processes)


def wait_for(processes: list[subprocess.Popen]) -> int:
    """Waits until all processes have ended, or one with an error."""
    while True:
        codes = [process.poll() for process in processes]
        if any(codes):
            failed = ", ".join(
                f"{index} (exit code {code})" for index, code in enumerate(codes) if code
            )
            print(
                f"Of {len(processes)} processes, {failed} ended with an error: the "
                "others are stopped.",
                file=sys.stderr,
                flush=True,
            )
            return 1
        if None not in codes:
            return 0
        time.sleep(0.1)


def stop(processes: list[subprocess.Popen]) -> None:
    """Ends the processes that are left, gently and then not."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_one(options: argparse.Namespace) -> None:
    """Joins the other processes, and runs the script."""
    if options.coordinator:
        pin(options.process_id, options.processes)
    jax.distributed.initialize(
        options.coordinator,
        options.processes,
        options.process_id,
        heartbeat_timeout_seconds=options.heartbeat,
    )
    sys.argv = [str(options.script), *options.arguments]
    sys.path.insert(0, str(options.script.resolve().parent))
    try:
        runpy.run_path(str(options.script), run_name="__main__")
    except SystemExit as stopped:
        if stopped.code in (None, 0):
            raise
        if isinstance(stopped.code, str):
            print(stopped.code, file=sys.stderr)
        leave(stopped.code if isinstance(stopped.code, int) else 1)
    except BaseException:
        traceback.print_exc()
        leave(1)


def leave(code: int) -> None:
    """
    Ends this process at once. An ordinary end would wait for the other processes, and
    they for this one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def pin(index: int, total: int) -> None:
    """
    Gives this process its share of the cores, where the system can and there are
    enough of them.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) >= total:
            os.sched_setaffinity(0, cores[index::total])


if __name__ == "__main__":
    main()
