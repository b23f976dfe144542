"""
How long the first gradient takes in a run after the first.

    python benchmarks/later_runs.py

The libraries let JAX keep what took a second to compile, in a folder (by default
``~/.cache/pyauto_jax``), for the runs that follow. Of the likelihood of
``jax_profiling/imaging/mge.py`` (hst imaging, 20+20 Gaussians) the first value and
gradient is timed in a fresh process with an empty folder, and then in another one with
the same folder, in rounds. Both give the same numbers, or the command fails.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from measuring import in_process, likelihood_and_instances, options_from

WAYS = {"one by one": False, "together": True}


def first_gradient(together: bool, folder: str) -> list:
    """
    The seconds of the first value and gradient of this process, and their numbers. What
    is compiled is kept in a folder.
    """
    likelihood, instances = likelihood_and_instances(1)

    import jax

    import autolens_patch
    from autofit_patch import batch

    (instance,) = batch.unstack(instances)
    jax.config.update("jax_compilation_cache_dir", folder)
    autolens_patch.evaluate_together(together)
    function = jax.jit(jax.value_and_grad(likelihood))
    start = time.perf_counter()
    numbers = jax.block_until_ready(jax.tree.leaves(function(instance)))
    return [time.perf_counter() - start, *map(float, numbers)]


def later_to_first(together: bool) -> float:
    """The time of a later run divided by that of the first."""
    with tempfile.TemporaryDirectory() as folder:
        (first, *numbers), (later, *again) = (
            in_process(__file__, f"first_gradient({together}, {folder!r})")
            for _ in range(2)
        )
        if not list(Path(folder).iterdir()):
            sys.exit("nothing was kept")
    if again != numbers:
        sys.exit(f"{again} in a later run, {numbers} in the first")
    return later / first


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs a median is of")
    options = options_from(parser, globals())
    print("first value and gradient, a later run / the first")
    ratios = {name: [] for name in WAYS}
    for _ in range(options.rounds):
        for name, together in WAYS.items():
            ratios[name].append(later_to_first(together))
    for name, samples in ratios.items():
        print(f"{name:<12} {statistics.median(samples):.2f}")


if __name__ == "__main__":
    main()
