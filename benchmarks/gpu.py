"""
What a GPU gains, and what it gains from: profiles together, batches, data sets, a fit.

    python benchmarks/gpu.py                     # all of it, some six minutes of an H100
    python benchmarks/gpu.py --parts together widths

The lens is that of ``jax_profiling/imaging/mge.py`` (hst imaging, 15 free parameters),
that of the part ``survey`` one of ``jax_profiling/survey/fit.py``. It runs on whatever
devices JAX has, and says which.
"""

import measuring  # noqa: F401  (before JAX)

import autolens_patch

# isort: split

import argparse
import functools
import time

import autolens as al
import jax
import numpy as np
from inference import lens_from
from measuring import medians_in_turn
from survey import lenses_from
from together import analysis_from, compiled, instances_from, ready

from autofit_patch import batch, posterior
from autogalaxy_patch.together import _evaluate
from autolens_patch import survey

#: How profiles are evaluated: as the libraries do it, together as on a GPU, and together
#: as on a CPU.
WAYS = {"one by one": None, "all at once": False, "few at once": True}


def rows_of_together(options):
    """One likelihood, and its value and gradient, evaluated in three ways."""
    (instance,) = instances_from(1, options.gaussians)
    for sub_size in (None, 4):
        likelihood = ready(analysis_from(sub_size).log_likelihood_function, instance)
        functions = {"likelihood": likelihood, "gradient": jax.value_and_grad(likelihood)}
        programs = {}
        for name, function in functions.items():
            for way, few_at_once in WAYS.items():
                _evaluate.one_after_another = functools.partial(bool, few_at_once)
                # A function of its own, so that it is traced anew.
                own = functools.partial(function)
                programs[name, way] = compiled(own, few_at_once is not None, instance)
        medians = medians_in_turn(
            {key: program["call"] for key, program in programs.items()}, options.calls
        )
        data = f"over-sampled {sub_size} x {sub_size}" if sub_size else "hst"
        for (name, way), seconds in medians.items():
            program, plain = programs[name, way], programs[name, "one by one"]
            value, expected = (
                np.array(jax.tree.leaves(each["call"]())) for each in (program, plain)
            )
            yield (
                f"{data}, {name}, {way}: {1e3 * seconds:.2f} ms, "
                f"{seconds / medians[name, 'one by one']:.3f} of one by one; "
                f"lower {program['lower'] / plain['lower']:.3f}, "
                f"compile {program['compile'] / plain['compile']:.3f}, "
                f"memory {program['memory'] / plain['memory']:.3f}, "
                f"difference {np.abs(value / expected - 1.0).max():.1e}"
            )


def rows_of_widths(options):
    """A member of a batch, by how many are evaluated at once."""
    instances = batch.stack(instances_from(512, options.gaussians))
    likelihood = analysis_from().log_likelihood_function
    functions = {"likelihood": likelihood, "gradient": jax.value_and_grad(likelihood)}
    with autolens_patch.evaluate_together():
        for name, function in functions.items():
            for width in (1, 8, 64, 256, None):
                mapped = batch.map(
                    functools.partial(function), width=width, progress=False
                )
                members = batch.take(instances, slice(max(width or 512, 16)))
                for _ in range(1 if width else 5):  # until the width is found
                    mapped(members)
                calls = {"": functools.partial(mapped, members)}
                seconds = medians_in_turn(calls, 7)[""] / batch.size(members)
                what = f"{width} at once" if width else "as many as is found out"
                yield f"{name} of a batch, {what}: {1e3 * seconds:.3f} ms"


def rows_of_survey(options):
    """The gradients of many data sets, beside as many of one."""
    model, datasets, _ = lenses_from(256)
    datasets = [load() for load in datasets.values()]
    space = posterior.prior_space(model)
    instances = batch.map(space.forward, progress=False)(space.draw(256, 1))
    stacked = survey.stack(datasets)
    one = al.AnalysisImaging(dataset=datasets[0], use_jax=True)
    functions = {
        "data sets": (survey.likelihood(), (instances, stacked)),
        "instances": (one.log_likelihood_function, (instances,)),
    }
    for width in (1, 64, 256):
        total, calls = max(width, 16), {}
        for name, (function, arguments) in functions.items():
            function = jax.value_and_grad(function)
            mapped = batch.map(function, width=width, progress=False)
            some = [batch.take(each, slice(total)) for each in arguments]
            calls[name] = functools.partial(mapped, *some)
            mapped(*some)
        medians = medians_in_turn(calls, options.calls)
        yield (
            f"gradient of a lens of a survey, {width} at once: "
            f"{1e3 * medians['data sets'] / total:.4f} ms, "
            f"{medians['data sets'] / medians['instances']:.2f} of one of one data set"
        )


def rows_of_posterior(options):
    """A fit from the prior, and its draws when they are compiled."""
    options.instrument = "hst"
    with autolens_patch.evaluate_together():
        begin = time.perf_counter()
        pipeline = posterior.Pipeline(*lens_from(options))
        optima = pipeline.optimise(pipeline.starts(seed=1))
        maximum = pipeline.maxima(optima)[0]
        uphill = time.perf_counter() - begin
        for what in ("from the prior", "drawn again"):
            draws = pipeline.sample(maximum, seed=1)
            yield f"{what}, {time.perf_counter() - begin:.1f} s: {optima}, {draws}"
            begin = time.perf_counter()
        yield f"of which to the maximum, {uphill:.1f} s"


PARTS = {
    "together": rows_of_together,
    "widths": rows_of_widths,
    "survey": rows_of_survey,
    "posterior": rows_of_posterior,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--gaussians", type=int, default=20)
    parser.add_argument("--calls", type=int, default=41, help="calls a median is of")
    options = parser.parse_args()
    print(", ".join(device.device_kind for device in jax.devices()), flush=True)
    for part in options.parts:
        for row in PARTS[part](options):
            print(row, flush=True)


if __name__ == "__main__":
    main()
