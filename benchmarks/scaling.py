"""
What a million likelihoods cost on 1, 8 and 64 devices.

    python benchmarks/scaling.py

Measures, on the devices of this machine, what a likelihood, its compilation, the host's
work for a member and the gathering of values between processes cost, and writes
`docs/scaling.md` from them. Run it on a GPU for that GPU's page.
"""

import argparse
import time

from measuring import (
    PROJECT,
    in_process,
    likelihood_and_instances,
    medians_in_turn,
    options_from,
)

from jax_profiling.output import time_from

DOCS = PROJECT / "docs"
TOTAL = 1_000_000
DEVICES = (1, 8, 64)
FASTER = (1, 10, 100, 1000)


def seconds_of(function, calls: int) -> float:
    """The median time of a call, in seconds."""
    return medians_in_turn({"calls": function}, calls)["calls"]


def costs() -> dict:
    """What is measured in one process; times in seconds."""
    import autolens_patch  # noqa: F401, I001

    import jax
    import numpy as np

    from autofit_patch import batch
    from jax_profiling.output import environment_from

    members = 128 * len(jax.devices())
    function, instances = likelihood_and_instances(members)
    likelihood = batch.map(function, progress=False)
    start = time.perf_counter()
    likelihood(batch.take(instances, slice(1)))
    compiling = time.perf_counter() - start
    for _ in range(5):  # until it has found out how many at once are fastest
        likelihood(instances)
    seconds = seconds_of(lambda: likelihood(instances), 5)

    leaves, structure = jax.tree.flatten(instances)
    many = jax.tree.unflatten(structure, [np.zeros(100_000)] * len(leaves))
    trivial = batch.map(lambda instance: instance.galaxies.lens.mass.einstein_radius)
    trivial(many)
    return {
        "device": environment_from()["device"],
        "devices": len(jax.devices()),
        "compiling": compiling,
        "likelihood": seconds / members * len(jax.devices()),
        "host": seconds_of(lambda: trivial(many), 5) / 100_000,
        "parameters": len(leaves),
    }


def gathering() -> float:
    """Seconds to gather a million values from all processes, in one of them."""
    import numpy as np

    from autofit_patch.batch import _processes

    each = TOTAL // 2
    share = np.zeros((each, 1))
    _processes.gathered(share, each, TOTAL)
    return seconds_of(lambda: _processes.gathered(share, each, TOTAL), 3)


def page_from(cost: dict, gather: float) -> str:
    """The page, from the measured costs."""
    rate = 1.0 / cost["likelihood"]
    rows = []
    for faster in FASTER:
        for devices in DEVICES:
            parts = {
                "likelihoods": TOTAL / (rate * faster * devices),
                "compiling": cost["compiling"],
                "host": TOTAL * cost["host"],
                # Every process receives all values, whatever their number.
                "gathering": 0.0 if devices == 1 else gather,
            }
            total = sum(parts.values())
            largest = max(parts, key=parts.get)
            rows.append(
                f"| {faster} | {devices} | {time_from(total)} | "
                f"{parts['likelihoods'] / total:.0%} | {largest} |"
            )
    table = "\n".join(rows)
    no_gpu = ""
    if cost["device"].startswith("cpu"):
        no_gpu = "What a GPU takes is on [the page of batches](batches.md#on-a-gpu). "
    inputs, outputs = 8 * cost["parameters"], 8
    return f"""# What a million likelihoods cost

The likelihood is that of the profiling script (hst imaging, 20+20 Gaussians,
{cost["parameters"]} parameters), evaluated by `autofit_patch.batch.map`. Written by
`python benchmarks/scaling.py`, which measures the four costs below on the machine that it
runs on: here `{cost["device"]}`, {cost["devices"]} devices.
{no_gpu}The rows for faster devices are the
measured costs with the likelihood alone made 10, 100 and 1000 times faster. On a machine
with GPUs the command writes that machine's page.

| what | measured |
| --- | --- |
| a likelihood, on one device | {time_from(cost["likelihood"])} ({rate:.3g} a second) |
| tracing and compiling, in every process at once | {time_from(cost["compiling"])} |
| the host's work for a member: rows in, rows out | {time_from(cost["host"])} |
| gathering a million values, two processes, loopback | {time_from(gather)} |

Every process holds the batch, so no parameters cross between hosts: {inputs} bytes a
member ({inputs * TOTAL / 1e6:.0f} MB for the million) are made on each. What crosses is
the checksum by which the processes agree that they have the same batch (16 bytes a
process), whether each has finished (1 byte), and the values: {outputs} bytes a member,
of which every process receives those of all others, at most {outputs * TOTAL / 1e6:.0f}
MB.

With one process a device, whose speed is in units of the measured one's:

| speed of a device | devices | a million | of which likelihoods | largest cost |
| --- | --- | --- | --- | --- |
{table}

As long as likelihoods take most of the time, twice the devices take half of it: nothing
is exchanged until the end. What comes next is compiling, which every process repeats,
and which JAX's persistent compilation cache on a shared disk
(`JAX_COMPILATION_CACHE_DIR`) takes away after the first run; then the host's work,
which each process does for the whole batch, since it checks that all have the same one.
`split_over_processes=False` with a batch of each process's own leaves out both that and
the gathering.
"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options_from(parser, globals())
    page = page_from(
        in_process(__file__, "costs()"), in_process(__file__, "gathering()", launch=2)
    )
    (DOCS / "scaling.md").write_text(page)
    print(f"Wrote {DOCS / 'scaling.md'}")


if __name__ == "__main__":
    main()
