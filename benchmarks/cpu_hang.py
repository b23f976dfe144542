"""
Which XLA flag keeps batched likelihoods from hanging on a CPU, and what it costs.

Runs the vmapped likelihood of the MGE lens model (hst imaging, 20+20 Gaussians, a batch
of 8 different instances) in fresh processes, for every flag and for none, on several
releases of jaxlib, and prints how many processes hung and the time per likelihood.

    python benchmarks/cpu_hang.py --runs 20 --jaxlib 0.9.2 0.11.1 0.11.2

It needs uv, which makes an environment for each release of jaxlib. In each round every
flag is run once, so that all of them see the same state of the machine. The last row is
`autofit_patch.batch.map` without any flag, one instance at a time and eight at once.
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

import psutil

PROJECT = Path(__file__).resolve().parents[1]

#: ``true`` is XLA's default: naming it keeps the patch from setting the flag.
NO_FLAG = "--xla_cpu_multi_thread_eigen=true"
FLAGS = {
    "none": NO_FLAG,
    "multi_thread_eigen=false": "--xla_cpu_multi_thread_eigen=false",
    "concurrency_optimized_scheduler=false": (
        f"{NO_FLAG} --xla_cpu_enable_concurrency_optimized_scheduler=false"
    ),
    "none, batch.map": NO_FLAG,
}


def likelihood_times(batch: int, repeats: int, mapped: bool) -> dict:
    """
    Seconds per likelihood in this process, of a vmapped batch and of single calls.

    Parameters
    ----------
    batch
        How many different instances are evaluated at once.
    repeats
        How many times.
    mapped
        Whether the batch goes through ``batch.map`` instead of ``jit(vmap(...))``.
    """
    import autolens_patch  # noqa: F401, I001

    import autolens as al
    import jax
    import jax.numpy as jnp
    from autofit_patch.batch import map

    from jax_profiling.dataset import imaging_from
    from jax_profiling.instruments import INSTRUMENTS
    from jax_profiling.model import mge_model_from, vectors_near_truth_from

    dataset = imaging_from(INSTRUMENTS["hst"], PROJECT / "jax_profiling/dataset/imaging")
    model = mge_model_from(total_gaussians=20)
    instances = [
        model.instance_from_vector(vector)
        for vector in vectors_near_truth_from(model, batch)
    ]
    analysis = al.AnalysisImaging(dataset=dataset, use_jax=True)
    likelihood = analysis.log_likelihood_function
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *instances)
    vmapped, single = jax.jit(jax.vmap(likelihood)), jax.jit(likelihood)
    if mapped:
        vmapped, eight = map(likelihood, width=1), map(likelihood, width=8)
        for _ in range(repeats):
            eight(stacked)
    jax.block_until_ready(single(instances[0]))
    jax.block_until_ready(vmapped(stacked))
    times = {"vmapped": [], "single": []}
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(vmapped(stacked))
        times["vmapped"].append((time.perf_counter() - start) / batch)
        start = time.perf_counter()
        jax.block_until_ready(single(instances[0]))
        times["single"].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def environment_with(jaxlib: str, folder: Path) -> Path:
    """The Python of a new environment with the project and a release of jaxlib."""
    python = folder / jaxlib / "bin" / "python"
    uv = ["uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", "3.12", str(folder / jaxlib)], check=True)
    packages = [str(PROJECT), f"jax=={jaxlib}", f"jaxlib=={jaxlib}"]
    subprocess.run(
        [*uv, "pip", "install", "--python", str(python), *packages], check=True
    )
    return python


def run(python: Path, name: str, timeout: float, cache: Path) -> dict | None:
    """The times of one fresh process, or ``None`` if it hung."""
    environment = {
        **os.environ,
        "XLA_FLAGS": FLAGS[name],
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "PYTHONWARNINGS": "ignore",
    }
    with tempfile.TemporaryFile("w+") as output:
        process = psutil.Popen(
            [str(python), __file__, "--child", name], env=environment, stdout=output
        )
        try:
            wait(process, timeout)
        except TimeoutError:
            return None
        finally:
            if process.is_running():
                process.kill()
                process.wait()
        output.seek(0)
        lines = output.read().splitlines()
    if process.returncode:
        raise RuntimeError("a run failed, it did not hang: see its error above")
    return json.loads(lines[-1])


def wait(process: psutil.Popen, timeout: float, idle: float = 10.0):
    """
    Wait for a process to end.

    Raises
    ------
    TimeoutError
        If it takes longer than a timeout, or does nothing for a while: a deadlocked
        process waits and takes no time of the processor.
    """
    start = busy = time.monotonic()
    used = 0.0
    while True:
        try:
            process.wait(1.0)
            return
        except psutil.TimeoutExpired:
            now, times = time.monotonic(), process.cpu_times()
        if times.user + times.system > used + 0.1:
            busy, used = now, times.user + times.system
        if now - start > timeout or now - busy > idle:
            raise TimeoutError


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20, help="fresh processes each")
    parser.add_argument("--jaxlib", nargs="+", default=["0.9.2", "0.11.1", "0.11.2"])
    parser.add_argument("--flags", nargs="+", default=[*FLAGS], choices=[*FLAGS])
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a process")
    parser.add_argument("--child", choices=[*FLAGS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        mapped = options.child.endswith("batch.map")
        print(json.dumps(likelihood_times(batch=8, repeats=5, mapped=mapped)))
        return
    print(
        f"{'jaxlib':8} {'flag':38} {'hangs':>7} {'vmap / none':>12} {'vmap / single':>14}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for jaxlib in options.jaxlib:
            python = environment_with(jaxlib, Path(folder))
            results = {name: [] for name in options.flags}
            for _ in range(options.runs):
                for name in options.flags:
                    # Compiled once for all runs: hangs happen when it is executed.
                    cache = Path(folder) / f"cache {jaxlib} {name}"
                    results[name].append(run(python, name, options.timeout, cache))
                    last = results[name][-1]
                    print(jaxlib, name, last or "hung", file=sys.stderr, flush=True)
            print_rows(jaxlib, results)


def print_rows(jaxlib: str, results: dict):
    """One row a flag: hangs, and medians relative to no flag and to single calls."""

    def median(name, kind):
        times = [result[kind] for result in results.get(name, ()) if result]
        return statistics.median(times) if times else None

    def ratio(a, b):
        return f"{a / b:.2f}" if a and b else "-"

    for name, runs in results.items():
        vmapped = median(name, "vmapped")
        print(
            f"{jaxlib:8} {name:38} {runs.count(None):>3}/{len(runs):<3} "
            f"{ratio(vmapped, median('none', 'vmapped')):>12} "
            f"{ratio(vmapped, median(name, 'single')):>14}",
            flush=True,
        )


if __name__ == "__main__":
    main()
