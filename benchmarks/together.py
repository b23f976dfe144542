"""
What evaluating profiles together gains, as ratios measured in one run.

    python benchmarks/together.py
    python benchmarks/together.py --quick

Every ratio is one of times, or of medians of calls made in turn, in one process. The bars
are those that the project set itself; the command exits with 1 if one is missed.
"""

import argparse
import functools
import gc
import statistics
import sys
import time

from measuring import PROJECT, in_process, medians_in_turn, options_from


def compiled(function, on: bool, argument) -> dict:
    """A function compiled together or one by one, and the seconds that it took."""
    import jax

    import autolens_patch

    gc.collect()  # what came before is not looked through while this is traced
    with autolens_patch.evaluate_together(on):
        start = time.perf_counter()
        lowered = jax.jit(function).lower(argument)
        between = time.perf_counter()
        program = lowered.compile()
        end = time.perf_counter()
    return {
        "call": lambda: jax.block_until_ready(program(argument)),
        "lower": between - start,
        "compile": end - between,
        "memory": program.memory_analysis().temp_size_in_bytes,
    }


def analysis_from(sub_size: int | None = None, use_jax: bool = True):
    """The analysis of hst imaging, perhaps over-sampled everywhere."""
    import autolens as al

    from jax_profiling.dataset import imaging_from
    from jax_profiling.instruments import INSTRUMENTS

    dataset = imaging_from(INSTRUMENTS["hst"], PROJECT / "jax_profiling/dataset/imaging")
    if sub_size:
        dataset = dataset.apply_over_sampling(over_sample_size_lp=sub_size)
    return al.AnalysisImaging(dataset=dataset, use_jax=use_jax)


def analysis_of_visibilities():
    """The analysis of sma visibilities."""
    import autoarray as aa
    import autolens as al

    from jax_profiling.instruments import ARRAYS
    from jax_profiling.simulators.interferometer import interferometer_from

    dataset = interferometer_from(ARRAYS["sma"], aa.TransformerNUFFT)
    return al.AnalysisInterferometer(dataset=dataset, use_jax=True)


def instances_from(total: int, gaussians: int = 20) -> list:
    """Instances of lens and source with Gaussians, near the truth of the data."""
    import numpy as np

    from jax_profiling.model import mge_model_from, vectors_near_truth_from

    model = mge_model_from(total_gaussians=gaussians)
    vectors = map(np.array, vectors_near_truth_from(model, total))
    return [model.instance_from_vector(vector) for vector in vectors]


def ready(likelihood, instance):
    """A likelihood for which the libraries computed what they do while they trace."""
    import jax

    import autolens_patch

    for on in (False, True):
        with autolens_patch.evaluate_together(on):
            jax.eval_shape(lambda each: likelihood(each), instance)
    return likelihood


def both_ways(calls: int, sub_size: int | None = None, compilations: int = 1) -> dict:
    """Ratios of a likelihood and of its value and gradient, together to one by one."""
    import autolens_patch  # noqa: F401, I001

    import jax

    (instance,) = instances_from(1)
    likelihood = ready(analysis_from(sub_size).log_likelihood_function, instance)
    reference = analysis_from(sub_size, use_jax=False).log_likelihood_function(instance)
    functions = {
        "likelihood": lambda instance: likelihood(instance),
        "gradient": jax.value_and_grad(lambda instance: likelihood(instance)),
    }
    programs = {(name, on): [] for name in functions for on in (False, True)}
    for _ in range(compilations):
        for (name, on), samples in programs.items():
            # A function of its own, so that it is traced anew.
            function = functools.partial(functions[name])
            samples.append(compiled(function, on, instance))
    calls_of = {key: samples[-1]["call"] for key, samples in programs.items()}
    ratios = compared(calls_of, calls)
    for name in functions:
        for what in ("lower", "compile", "memory"):
            together, plain = (
                statistics.median(sample[what] for sample in programs[name, on])
                for on in (True, False)
            )
            ratios[f"{name} {what}"] = together / plain
    value = float(calls_of["likelihood", True]())
    ratios["likelihood difference to NumPy"] = abs(value / float(reference) - 1.0)
    return ratios


def compared(calls_of: dict, calls: int) -> dict:
    """Ratios of times, and differences, of calls by name and whether together."""
    import jax
    import numpy as np

    results = {key: np.array(jax.tree.leaves(call())) for key, call in calls_of.items()}
    medians = medians_in_turn(calls_of, calls)
    ratios = {
        "gradient / likelihood": medians["gradient", True] / medians["likelihood", True]
    }
    for name in ("likelihood", "gradient"):
        ratios[f"{name} steady"] = medians[name, True] / medians[name, False]
        difference = results[name, True] / results[name, False] - 1.0
        ratios[f"{name} difference"] = float(np.abs(difference).max())
    return ratios


def visibilities(calls: int, compilations: int = 3) -> dict:
    """Ratios of the likelihood of sma and of its value and gradient."""
    import autolens_patch  # noqa: F401, I001

    import copy

    import jax

    from autogalaxy_patch.together._transform import matrix_from

    (instance,) = instances_from(1)
    analysis = analysis_of_visibilities()
    likelihood = ready(analysis.log_likelihood_function, instance)
    gradient = jax.value_and_grad(likelihood)
    seconds, of_matrix = {False: [], True: []}, []
    for _ in range(compilations):
        for on, samples in seconds.items():
            program = compiled(functools.partial(gradient), on, instance)
            samples.append(program["lower"] + program["compile"])
        start = time.perf_counter()
        matrix_from(copy.copy(analysis.dataset.transformer))
        of_matrix.append(time.perf_counter() - start)
    plain, together = (statistics.median(seconds[on]) for on in (False, True))
    functions = {"likelihood": lambda each: likelihood(each), "gradient": gradient}
    calls_of = {
        (name, on): compiled(functools.partial(function), on, instance)["call"]
        for name, function in functions.items()
        for on in (False, True)
    }
    return {
        "compile": together / plain,
        "compile first": (together + statistics.median(of_matrix)) / plain,
        **compared(calls_of, calls),
    }


def growth_of_mge(compilations: int = 3) -> float:
    """Seconds to lower and compile the gradient of 60+60 Gaussians, to those of 20+20."""
    import autolens_patch  # noqa: F401, I001

    import jax

    seconds = {20: [], 60: []}
    for _ in range(compilations):
        for gaussians, samples in seconds.items():
            (instance,) = instances_from(1, gaussians)
            likelihood = ready(analysis_from().log_likelihood_function, instance)
            program = compiled(jax.value_and_grad(likelihood), True, instance)
            samples.append(program["lower"] + program["compile"])
    return statistics.median(seconds[60]) / statistics.median(seconds[20])


def deflections_of_cluster(galaxies: int):
    """The deflections of a cluster on 100 x 100 pixels, weighted; an instance."""
    import autolens_patch  # noqa: F401, I001

    import autolens as al
    import jax.numpy as jnp
    import numpy as np

    from jax_profiling.cluster import cluster_model_from

    grid = al.Grid2D.uniform(shape_native=(100, 100), pixel_scales=0.3)
    weights = np.random.default_rng(1).normal(size=(10_000, 2))

    def deflections(instance):
        tracer = al.Tracer(galaxies=list(instance.galaxies))
        return (tracer.deflections_yx_2d_from(grid=grid, xp=jnp).array * weights).sum()

    return deflections, cluster_model_from(galaxies).instance_from_prior_medians()


def point_likelihood_of_cluster(galaxies: int):
    """The likelihood of the images of a point behind a cluster; an instance."""
    import autolens_patch  # noqa: F401, I001

    import autolens as al

    from jax_profiling.cluster import cluster_model_from
    from jax_profiling.instruments import INSTRUMENTS
    from jax_profiling.simulators.point_source import (
        point_dataset_from,
        point_solver_from,
    )

    instance = cluster_model_from(galaxies).instance_from_prior_medians()
    hst = INSTRUMENTS["hst"]
    solver = point_solver_from(hst, 300)
    analysis = al.AnalysisPoint(
        dataset=point_dataset_from(hst, truth=instance, solver=solver),
        solver=solver,
        fit_positions_cls=al.FitPositionsImagePairAll,
        use_jax=True,
    )
    return analysis.log_likelihood_function, instance


def growth_of_cluster(function_from: str, compilations: int = 5) -> float:
    """Seconds to lower and compile a function of 100 galaxies, to that of 10."""
    seconds = {10: [], 100: []}
    for _ in range(1 + compilations):
        for galaxies, samples in seconds.items():
            function, instance = globals()[function_from](galaxies)
            program = compiled(function, True, instance)
            samples.append(program["lower"] + program["compile"])
    # Both are warm before they are timed.
    warm = {galaxies: samples[1:] for galaxies, samples in seconds.items()}
    return statistics.median(warm[100]) / statistics.median(warm[10])


def gradient_of_cluster(calls: int) -> float:
    """The time of the gradient of 100 galaxies, together to one by one."""
    import jax

    deflections, instance = deflections_of_cluster(100)
    gradient = jax.value_and_grad(deflections)
    calls_of = {on: compiled(gradient, on, instance)["call"] for on in (False, True)}
    for call in calls_of.values():
        call()
    medians = medians_in_turn(calls_of, calls)
    return medians[True] / medians[False]


def batches(calls: int, sub_size: int | None, of_gradient: bool) -> dict:
    """Times of a batch of 64 likelihoods or gradients, by each way to evaluate it."""
    import autolens_patch  # noqa: I001

    import jax

    from autofit_patch import batch

    members = instances_from(64)
    instances = batch.stack(members)
    function = ready(analysis_from(sub_size).log_likelihood_function, members[0])
    if of_gradient:
        function = jax.value_and_grad(function)
    functions = {}
    for on in (False, True):
        with autolens_patch.evaluate_together(on):
            mapped = batch.map(lambda instance: function(instance))
            for _ in range(6):
                mapped(instances)  # until the width is found

        def call(mapped=mapped, on=on):
            with autolens_patch.evaluate_together(on):
                mapped(instances)

        functions[f"map {on}"] = call
    if not (sub_size or of_gradient):
        with autolens_patch.evaluate_together():
            single = jax.jit(function).lower(members[0]).compile()
            vmapped = jax.jit(jax.vmap(function)).lower(instances).compile()
        functions["loop"] = lambda: [float(single(member)) for member in members]
        functions["vmap"] = lambda: jax.block_until_ready(vmapped(instances))
    medians_in_turn(functions, 1)
    return medians_in_turn(functions, calls)


def rows(calls: int, quick: bool):
    """The name, the value and the bar of each figure."""
    hst = in_process(__file__, f"both_ways({calls}, compilations=3)")
    bars = {
        **{"likelihood lower": 0.25, "likelihood compile": 0.5},
        **{"likelihood steady": 0.8, "gradient lower": 0.25, "gradient compile": 0.3},
        **{"gradient steady": 0.65, "gradient / likelihood": 3.0},
        **{"likelihood memory": 1.0, "gradient memory": 1.0},
        **{"likelihood difference": 1e-12, "gradient difference": 1e-10},
        "likelihood difference to NumPy": 1e-9,
    }
    for name, bar in bars.items():
        yield f"hst 20+20, {name}", hst[name], bar
    yield (
        "100 cluster galaxies, gradient of deflections",
        in_process(__file__, f"gradient_of_cluster({calls})"),
        1.0,
    )
    for name, function in {
        "deflections": "deflections_of_cluster",
        "point-source likelihood": "point_likelihood_of_cluster",
    }.items():
        growth = in_process(__file__, f"growth_of_cluster({function!r})")
        yield f"100 / 10 cluster galaxies, compiling {name}", growth, 2.0
    sma = in_process(__file__, f"visibilities({calls})")
    bars = {
        "lower and compile of the gradient": ("compile", 0.35),
        "the same and the matrix of the transform": ("compile first", 0.4),
        "likelihood steady": ("likelihood steady", 0.8),
        "gradient steady": ("gradient steady", 0.65),
        "likelihood difference": ("likelihood difference", 1e-12),
        "gradient difference": ("gradient difference", 1e-10),
    }
    for name, (key, bar) in bars.items():
        yield f"sma 20+20, {name}", sma[key], bar
    if quick:
        return
    fine = in_process(__file__, f"both_ways({calls}, 4)")
    yield "over-sampled 4 x 4, likelihood", fine["likelihood steady"], 0.3
    yield "over-sampled 4 x 4, value and gradient", fine["gradient steady"], 0.4
    growth = in_process(__file__, "growth_of_mge()")
    yield "60+60 / 20+20, lower and compile of the gradient", growth, 1.2
    for sub_size, of_gradient, bar in (
        (None, False, 0.85),
        (None, True, 0.7),
        (4, False, 0.85),
        (4, True, 0.7),
    ):
        # A batch of 64 takes as long as 64 calls.
        code = f"batches({min(calls, 5)}, {sub_size}, {of_gradient})"
        times = in_process(__file__, code)
        data = "over-sampled 4 x 4" if sub_size else "hst"
        what = "gradients" if of_gradient else "likelihoods"
        ratio = times["map True"] / times["map False"]
        yield f"batch.map of 64 {what}, {data}", ratio, bar
        if "loop" in times:
            yield "the same / loop of jit", times["map True"] / times["loop"], 0.7
            yield "the same / jit(vmap)", times["map True"] / times["vmap"], 0.55


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=15, help="calls a median is of")
    parser.add_argument("--quick", action="store_true", help="only the first figures")
    options = options_from(parser, globals())
    missed = 0
    print(f"{'figure, together / one by one unless said':52} {'measured':>10} {'bar':>9}")
    for name, value, bar in rows(options.calls, options.quick):
        missed += value > bar
        met = "" if value <= bar else "  missed"
        print(f"{name:52} {value:>10.3g} {f'<= {bar:g}':>9}{met}", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
