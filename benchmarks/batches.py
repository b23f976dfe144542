"""
What a batch costs with `autofit_patch.batch.map`, as ratios measured in one run.

    python benchmarks/batches.py

The likelihood is that of the profiling script (hst imaging, 20+20 Gaussians), for
different instances. What is compared is measured in turn, and every ratio is one of
medians. Processes are pinned to cores, so it needs Linux and two cores that are idle. The
bars are those that the project set itself; the command exits with 1 if one is missed.
"""

import argparse
import os
import resource
import statistics
import sys

from measuring import in_process, likelihood_and_instances, medians_in_turn, options_from


def against_vmap_and_loop(rounds: int) -> dict:
    """Seconds per likelihood of a batch of 64, by each of the ways to evaluate it."""
    import jax
    import numpy as np

    from autofit_patch import batch

    likelihood, instances = likelihood_and_instances(64)
    mapped = batch.map(likelihood, width=1)
    vmapped, single = jax.jit(jax.vmap(likelihood)), jax.jit(likelihood)
    members = batch.unstack(instances)
    functions = {
        "map": lambda: mapped(instances),
        "vmap": lambda: np.asarray(vmapped(instances)),
        "loop": lambda: [float(single(member)) for member in members],
    }
    values = [np.array(function()) for function in functions.values()]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-9)
    np.testing.assert_allclose(values[0], values[2], rtol=1e-9)
    return medians_in_turn(functions, rounds)


def overhead(calls: int) -> dict:
    """Seconds per call for 1,000 instances of 15 parameters and a trivial function."""
    import jax
    import numpy as np

    import autolens_patch  # noqa: F401
    from autofit_patch import batch
    from jax_profiling.model import mge_model_from, vectors_near_truth_from

    model = mge_model_from(total_gaussians=20)
    vectors = np.array(vectors_near_truth_from(model, 1000))
    instances = batch.instances_from(model, vectors)
    leaves = jax.tree.leaves(instances)
    arrays = dict(zip(batch.names(instances), leaves, strict=True))

    def trivial(tree):
        return sum(jax.tree.leaves(tree))

    mapped, vmapped = batch.map(trivial), jax.jit(jax.vmap(trivial))
    functions = {
        "map": lambda: mapped(instances),
        "vmap": lambda: np.asarray(vmapped(arrays)),
    }
    medians_in_turn(functions, calls)
    return medians_in_turn(functions, calls)


def compilations() -> list[int]:
    """How many programs are compiled for all sizes: width given, and found out."""
    import jax

    from autofit_patch import batch

    likelihood, instances = likelihood_and_instances(1000)
    # What the libraries compute while they are traced is compiled too, the first time.
    jax.eval_shape(likelihood, batch.take(instances, 0))
    events = []

    def listen(event, *arguments, **keywords):
        if event.endswith("backend_compile_duration"):
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    totals = []
    for width in (1, None):
        mapped, before = batch.map(likelihood, width=width), len(events)
        for size in (1, 7, 64, 1000):
            mapped(batch.take(instances, slice(size)))
        totals.append(len(events) - before)
    return totals


def seconds_per_likelihood(rounds: int, total: int = 64) -> float:
    """The median time of a batch in this process, over its size."""
    from autofit_patch import batch

    likelihood, instances = likelihood_and_instances(total)
    mapped = batch.map(likelihood, width=1)
    mapped(instances)
    return medians_in_turn({"map": lambda: mapped(instances)}, rounds)["map"] / total


def peak_memory(total: int) -> int:
    """The peak resident memory of this process after a batch, in bytes."""
    from autofit_patch import batch

    likelihood, instances = likelihood_and_instances(total)
    batch.map(likelihood, width=1)(instances)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def rows(rounds: int):
    """
    The name, the value, the bar and the unit of each figure; a bar below zero is one that
    the value must not be under, and a figure without one is for information.
    """
    both = set(sorted(os.sched_getaffinity(0))[:2])
    one = {min(both)}

    times = in_process(__file__, f"against_vmap_and_loop({rounds})", both)
    yield "likelihood, batch.map / jit(vmap)", times["map"] / times["vmap"], 0.55, "x"
    yield "likelihood, batch.map / loop of jit", times["map"] / times["loop"], 1.0, "x"

    ratios = {"cores": [], "processes": []}
    for _ in range(3):
        alone = in_process(__file__, f"seconds_per_likelihood({rounds})", one)
        pinned = in_process(__file__, f"seconds_per_likelihood({rounds})", both)
        shared = in_process(__file__, f"seconds_per_likelihood({rounds})", both, launch=2)
        ratios["cores"].append(alone / pinned)
        ratios["processes"].append(alone / shared)
    efficiency = statistics.median(ratios["cores"]) / 2
    yield "parallel efficiency of two cores", efficiency, -0.85, ""
    speed = statistics.median(ratios["processes"])
    yield "throughput, 2 processes of a core each / 1", speed, -1.7, "x"

    few, many = (
        in_process(__file__, f"peak_memory({total})", both) for total in (64, 4096)
    )
    # 15 parameters in and a likelihood out, in double precision.
    yield "peak memory, batch of 4,096 / of 64", (many - 4096 * 16 * 8) / few, 1.2, "x"

    given, chosen = in_process(__file__, "compilations()", both)
    yield "compilations for batches of 1, 7, 64 and 1000", given, 1, ""
    yield "the same, width found out by measuring", chosen, None, ""

    times = in_process(__file__, "overhead(500)", both)
    yield (
        "trivial function, batch.map / jit(vmap) of a dict",
        (times["map"] / times["vmap"]),
        3.0,
        "x",
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="calls a median is of")
    options = options_from(parser, globals())
    missed = 0
    print(f"{'figure':52} {'measured':>9} {'bar':>9}")
    for name, value, bar, unit in rows(options.rounds):
        text = ""
        if bar is not None:
            missed += value < -bar if bar < 0 else value > bar
            text = f"{'>=' if bar < 0 else '<='} {abs(bar)}{unit}"
        print(f"{name:52} {value:>8.4g}{unit or ' '} {text:>9}", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
