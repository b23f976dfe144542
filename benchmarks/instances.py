"""
What a model instance costs as a pytree, as ratios measured in one run.

    python benchmarks/instances.py

Every ratio is of medians of calls made in turn. The bars are those that the project set
itself; the command exits with 1 if one is missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from measuring import medians_in_turn

#: A program that prints the median time of ``instance_from_vector``, in microseconds.
BUILD = """
{imports}
import json, statistics, sys, time
import autofit as af, autolens as al
bulge = lambda r: al.model_util.mge_model_from(mask_radius=r, total_gaussians=20)
lens = af.Model(
    al.Galaxy, redshift=0.5, bulge=bulge(3.5), mass=al.mp.Isothermal,
    shear=al.mp.ExternalShear,
)
source = af.Model(al.Galaxy, redshift=1.0, bulge=bulge(1.0))
model = af.Collection(galaxies=af.Collection(lens=lens, source=source))
if {frozen}:
    model.freeze()
vector = [0.01 * (index + 1) for index in range(model.prior_count)]
times = []
for _ in range({calls}):
    start = time.perf_counter()
    model.instance_from_vector(vector)
    times.append(time.perf_counter() - start)
print(json.dumps(1e6 * statistics.median(times)))
"""


def build_time(patched: bool, frozen: bool, calls: int) -> float:
    """The median time of ``instance_from_vector`` in a fresh process."""
    imports = "import autolens_patch" if patched else ""
    program = BUILD.format(imports=imports, frozen=frozen, calls=calls)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    output = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return json.loads(output.splitlines()[-1])


def build_ratio(frozen: bool, rounds: int, calls: int) -> float:
    """``instance_from_vector`` with the patch over without, in processes in turn."""
    ratios = []
    for index in range(rounds):
        # Which of the two comes first alternates.
        order = (True, False) if index % 2 else (False, True)
        times = {patched: build_time(patched, frozen, calls) for patched in order}
        ratios.append(times[True] / times[False])
    return statistics.median(ratios)


def cluster_rows(members: int = 100, instances: int = 200):
    """
    The figures of a cluster: galaxies whose masses all follow from one pair of
    parameters, the velocity dispersion and the cut radius of a galaxy of luminosity one.
    """
    import autofit as af
    import jax

    from jax_profiling.cluster import galaxies_from, scaling_relation_from

    galaxies = galaxies_from(members, scaling_relation_from())
    model = af.Collection(galaxies=af.Collection(**galaxies))
    traces = []

    @jax.jit
    def traced(instance):
        traces.append(1)
        return sum(galaxy.mass.b0 for galaxy in instance.galaxies)

    def instance_from(index):
        return model.instance_from_vector([200.0 + 0.1 * index, 12.0])

    for index in range(3):
        traced(instance_from(index))
    yield f"traces over instances of {members} galaxies", len(traces), 1, ""

    parameters = {"sigma": 200.0, "r_cut": 12.0}
    same = instance_from(0)
    new = iter([instance_from(index) for index in range(instances)])
    functions = {
        "dict": lambda: jax.tree.flatten(parameters),
        "same": lambda: jax.tree.flatten(same),
        "new": lambda: jax.tree.flatten(next(new)),
    }
    medians = medians_in_turn(functions, instances)
    allowed = 4.0 * medians["dict"] + 2e-6 * members
    for kind in ("same", "new"):
        name = f"flatten of {kind} cluster / (4 dicts + 2 us a galaxy)"
        yield name, medians[kind] / allowed, 1.0, "x"


def rows(calls: int, rounds: int):
    """The name, the value, the bar and the unit of each figure."""
    import autolens_patch  # noqa: F401, I001

    import jax

    from jax_profiling.model import mge_model_from, vectors_near_truth_from

    small, large = mge_model_from(20), mge_model_from(60)
    vectors = vectors_near_truth_from(small, 100)
    again = mge_model_from(20)

    traces = []

    @jax.jit
    def traced(instance):
        traces.append(1)
        return instance.galaxies.lens.mass.einstein_radius

    for model in (small, again):
        for vector in vectors:
            traced(model.instance_from_vector(vector))
    yield "traces over 100 instances, and of an equal model", len(traces), 1, ""

    instance = small.instance_from_vector(vectors[0])
    yield "leaves of the 20+20 Gaussian lens", len(jax.tree.leaves(instance)), 15, ""

    trivial = jax.jit(lambda tree: 1.0)
    scalars = {
        name: float(value)
        for name, value in zip(small.unique_prior_paths, vectors[0], strict=True)
    }
    scalars = {".".join(name): value for name, value in scalars.items()}
    wide = large.instance_from_vector(vectors[0])
    new = iter([small.instance_from_vector(vectors[i % 100]) for i in range(calls + 10)])
    functions = {
        "dict": lambda: trivial(scalars),
        "same": lambda: trivial(instance),
        "wide": lambda: trivial(wide),
        "new": lambda: trivial(next(new)),
    }
    for _ in range(5):
        for function in functions.values():
            function()
    medians = medians_in_turn(functions, calls)
    yield "same instance again / dict of 15", medians["same"] / medians["dict"], 4.0, "x"
    yield "new instance every call / dict", medians["new"] / medians["dict"], 20.0, "x"
    yield "same, 60+60 / 20+20 Gaussians", medians["wide"] / medians["same"], 1.8, "x"
    yield from cluster_rows()
    for frozen in (False, True):
        kind = "frozen" if frozen else "unfrozen"
        ratio = build_ratio(frozen, rounds, calls)
        yield f"instance_from_vector, {kind}: patch / without", ratio, 1.05, "x"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1000, help="calls a median is of")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of processes")
    options = parser.parse_args()
    missed = 0
    print(f"{'figure':52} {'measured':>9} {'bar':>9}")
    for name, value, bar, unit in rows(options.calls, options.rounds):
        missed += value > bar
        print(
            f"{name:52} {value:>8.4g}{unit or ' '} {'<= ' + str(bar) + unit:>9}",
            flush=True,
        )
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
