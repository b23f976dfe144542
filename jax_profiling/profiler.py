"""
Profiling a likelihood: its steps, then the whole of it, checked against NumPy.

The scripts say what is fitted and what the steps are. What happens to every one of them
is here: the step is timed with a `ModelInstance`, with a flat vector and with profiles
that are evaluated together, in turn, all results are compared with NumPy's, and at the
end the likelihood is evaluated for many instances in every way there is.
"""

import argparse
import gc
from collections.abc import Callable

import autofit as af
import jax
import jax.numpy as jnp
import numpy as np
from autofit.non_linear.fitness import Fitness

from jax_profiling.checks import (
    GRADIENT_ATOL,
    GRADIENT_RTOL,
    STEPS,
    assert_all_close,
    assert_close,
    compared_derivatives_from,
    gradient_by_differences_from,
)
from jax_profiling.compilation import compilation_from, peak_memory, use_compilation_cache
from jax_profiling.model import batch_from
from jax_profiling.output import (
    environment_from,
    results_from,
    summary_from,
    write_from,
)
from jax_profiling.timing import Profile, profile_from, progress_from
from jax_profiling.ways import flat_from, together_from, value_and_grad_from


class LikelihoodProfiler:
    """
    The profile of one likelihood.

    Parameters
    ----------
    name
        The name of the script, which its results are called by.
    model
        The model that is fitted.
    analysis
        The analysis, with JAX.
    reference_analysis
        The same with NumPy.
    vectors
        Different parameters of the model, each of shape (free parameters,): one for each
        instance that is checked, and for the batches, each of which begins with one.
    options
        The command line, from `options_from`.
    difference_steps
        The steps of the finite differences which the gradient is compared with, by the
        name of the parameter.
    difference_analysis
        The analysis whose likelihood is differenced, with NumPy; `reference_analysis` if
        left out.

    Attributes
    ----------
    instances
        The instance of every vector.
    instance
        The first of them, which the steps are compared with NumPy for.
    """

    def __init__(
        self,
        name: str,
        model: af.Collection,
        analysis: af.Analysis,
        reference_analysis: af.Analysis,
        vectors: list[np.ndarray],
        options: argparse.Namespace,
        difference_steps: Callable[[str], tuple[float, ...]] = lambda name: STEPS,
        difference_analysis: af.Analysis | None = None,
    ):
        use_compilation_cache(False)
        # What is there by now is no garbage of what is measured: it need not be looked
        # through whenever that is collected.
        gc.collect()
        gc.freeze()
        if options.explain:
            jax.config.update("jax_log_compiles", True)
            jax.config.update("jax_explain_cache_misses", True)
        self.environment = environment_from()
        print(
            f"Device: {self.environment['device']}, "
            f"XLA_FLAGS: {self.environment['xla_flags']}"
        )

        self.name = name
        self.model = model
        self.analysis = analysis
        self.reference_analysis = reference_analysis
        self.difference_steps = difference_steps
        self.difference_analysis = difference_analysis or reference_analysis
        self.vectors = vectors
        self.options = options
        self.instances = [model.instance_from_vector(vector) for vector in vectors]
        self.instance = self.instances[0]
        self.profiles: list[Profile] = []
        self.peak_memory: dict[str, int] = {}
        self.figures: dict = {}

        # The baseline, which is how searches call the likelihood today: the jitted
        # function takes a flat vector, and makes the instance inside the trace.
        self.flat_likelihood = Fitness(model=model, analysis=analysis).call

        print(f"NumPy log likelihoods of {len(vectors)} instances ...", flush=True)
        self.reference_log_likelihoods = np.array(
            [
                reference_analysis.log_likelihood_function(instance)
                for instance in progress_from(self.instances, "instances")
            ]
        )

    def ways_from(self, function: Callable, flat: Callable) -> dict:
        """
        The ways of calling a step that are asked for, each with its inputs.

        Parameters
        ----------
        function
            The step, of an instance.
        flat
            The same, of a flat vector.
        """
        return self.asked_for(function, flat, self.instances, self.vectors)

    def asked_for(self, function: Callable, flat: Callable, instances, vectors) -> dict:
        """The ways of a function that are asked for, with one input for each call."""
        instances = [(instance,) for instance in instances]
        ways = {
            "pytree": (function, instances),
            "flat": (flat, [(vector,) for vector in vectors]),
            "together": (together_from(function), instances),
        }
        return {way: ways[way] for way in ways if way in ("pytree", *self.options.beside)}

    def parameter_step(
        self,
        name: str,
        closure: Callable,
        reference,
        compared: Callable = lambda result: result,
    ) -> Profile:
        """
        Profiles a step that depends on parameters.

        Parameters
        ----------
        name
            What the step is called.
        closure
            A function of an instance, which makes the tracer inside the trace.
        reference
            What NumPy gives for the first instance: any pytree of arrays.
        compared
            What of the result is compared with it, if not the whole.
        """
        profile = self._profile(
            name, self.ways_from(closure, flat_from(closure, self.model))
        )
        for way in profile.ways:
            result = compared(profile.result(way))
            assert_all_close(result, reference, f"{name} ({way})")
        return profile

    def array_step(self, name: str, closure: Callable, arrays, reference, **tolerance):
        """
        Profiles a step that takes the arrays of the steps before it.

        Parameters
        ----------
        name
            What the step is called.
        closure
            A function of the arrays.
        arrays
            What the steps before gave for the first instance.
        reference
            What NumPy gives for it.
        tolerance
            Passed on to `assert_close`.
        """
        profile = self._profile(name, {"arrays": (closure, [tuple(arrays)])})
        assert_all_close(profile(*arrays), reference, name, **tolerance)
        return profile

    def whole(self) -> None:
        """
        Profiles the likelihood as a whole: one instance, a batch, and the gradient.

        The jitted function is the analysis's own. `jax.vmap` of it takes a batch of
        instances as it takes anything else: it needs no `in_axes`, because every leaf of
        the batch has the new axis. The gradient is an instance as well.
        """
        batch, function = self.options.batch, self.analysis.log_likelihood_function
        starts = range(self.options.instances)
        self.batches = [batch_from(self.instances[i : i + batch]) for i in starts]
        print("The likelihood as a whole")

        # Lowering and compiling take seconds. They are sampled most here, where the
        # ratios matter most, and once in a quick run. Lowering is Python, whose time
        # varies most, and is sampled more often than compiling.
        often = {"compilations": self.options.compilations}
        often["lowerings"] = self.options.compilations // 2
        self.likelihood = self._profile(
            "full likelihood",
            self.ways_from(function, self.flat_likelihood),
            **often,
        )
        # A batch and a gradient take as long as many likelihoods: fewer calls are enough.
        often["repeats"] = max(min(self.options.repeats, 5), self.options.repeats // 4)
        self.batched_likelihood = self._profile(
            f"vmap of {batch}",
            self.asked_for(
                jax.vmap(function),
                jax.vmap(self.flat_likelihood),
                self.batches,
                [jnp.stack(self.vectors[i : i + batch]) for i in starts],
            ),
            **often,
        )
        # Compiling a gradient takes longest: it is sampled once.
        self.value_and_grad = self._profile(
            "value and gradient",
            self.ways_from(
                value_and_grad_from(function, self.analysis),
                value_and_grad_from(self.flat_likelihood, self.analysis),
            ),
            repeats=often["repeats"],
            compilations=1,
        )

    def _profile(self, name: str, ways: dict, **samples) -> Profile:
        samples = {
            "repeats": self.options.repeats,
            "compilations": 1 if self.options.quick else 2,
            "warm": not self.options.quick,
            **samples,
        }
        profile = profile_from(name, ways, **samples)
        self.profiles.append(profile)
        self.peak_memory |= {f"{name}, {m}": n for m, n in peak_memory().items()}
        return profile

    def check_values(self, chained: Callable | None = None) -> None:
        """
        Every way of evaluating the likelihood gives NumPy's value for every instance and
        every member of every batch, and so do the steps one after another.

        Parameters
        ----------
        chained
            The likelihood of an instance by the steps that were profiled.

        Raises
        ------
        AssertionError
            If one differs.
        """
        batch, likelihood = self.options.batch, self.likelihood
        total = self.options.instances
        print(f"Equality with NumPy of {total} instances ...", flush=True)
        for index in progress_from(range(total), "instances"):
            instance = self.instances[index]
            reference = self.reference_log_likelihoods[index]
            if chained is not None:
                assert_close(chained(instance), reference, "The chain of steps")
            for way in likelihood.ways:
                value = likelihood.result(way, index)
                assert_close(value, reference, f"The full likelihood ({way})")
            value, _ = self.value_and_grad(instance)
            assert_close(value, reference, "The value beside the gradient")
            assert_close(
                self.batched_likelihood(self.batches[index]),
                self.reference_log_likelihoods[index : index + batch],
                "The batched likelihood",
            )
        self.figures["log_likelihoods"] = {
            "numpy": self.reference_log_likelihoods[:batch].tolist(),
            **{
                way: [float(likelihood.result(way, index)) for index in range(batch)]
                for way in likelihood.ways
            },
            "vmap": np.asarray(self.batched_likelihood(self.batches[0])).tolist(),
        }

    def check_gradient(self) -> None:
        """
        The gradient of every parameter, by name, is the finite difference of the NumPy
        likelihood. A difference's step is chosen by how well neighbouring steps agree.

        Raises
        ------
        AssertionError
            If one differs.
        """
        print("Gradient by name, and its finite difference of the NumPy likelihood ...")
        _, gradient = self.value_and_grad(self.instance)
        for way in self.options.beside:
            _, other = self.value_and_grad.result(way)
            np.testing.assert_allclose(
                np.hstack(jax.tree.leaves(other)),
                jax.tree.leaves(gradient),
                rtol=GRADIENT_RTOL,
                atol=GRADIENT_ATOL,
                err_msg=f"The gradient ({way}) differs from that by name",
            )
        names, derivatives = zip(
            *(
                (jax.tree_util.keystr(path), float(leaf))
                for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)
            ),
            strict=True,
        )
        steps = [self.difference_steps(name) for name in names]

        def function(vector):
            instance = self.model.instance_from_vector(vector=vector)
            return self.difference_analysis.log_likelihood_function(instance)

        assert_close(
            function(self.vectors[0]),
            self.reference_log_likelihoods[0],
            "The likelihood that is differenced",
        )
        differences, errors = gradient_by_differences_from(
            function, self.vectors[0], steps
        )
        self.figures["gradient"] = compared_derivatives_from(
            names, derivatives, differences, errors
        )

    def check_traces(self) -> None:
        """
        Two instances of one model have the same structure, so a jitted function is
        traced for the first and never again.

        Raises
        ------
        AssertionError
            If a step was traced more than once.
        """
        total = self.options.instances
        for profile in self.profiles:
            for way, timing in profile.timings.items():
                _, inputs = profile.ways[way]
                for arguments in inputs[len(timing.steady_state) : total]:
                    jax.block_until_ready(timing.jitted(*arguments))
                if timing.traces != 1:
                    raise AssertionError(
                        f"{profile.name} ({way}) was traced {timing.traces} times over "
                        f"{total} instances."
                    )

    def write(self, **configuration) -> None:
        """
        Prints the table of all steps, and writes the JSON and the figure.

        Parameters
        ----------
        configuration
            What the options led to, like the number of pixels.
        """
        options = self.options
        if options.trace or not options.quick:
            self.figures["compilation"] = compilation_from(
                self.analysis.log_likelihood_function, (self.instance,), options.trace
            )
        if options.memory:
            self.figures["peak_memory"] = self.peak_memory
        results = results_from(
            environment=self.environment,
            configuration={
                "instrument": options.instrument.name,
                **configuration,
                "free_parameters": self.model.prior_count,
                "batch": options.batch,
                "repeats": options.repeats,
                "instances": options.instances,
            },
            profiles=self.profiles,
            **self.figures,
        )
        print()
        print(summary_from(self.profiles, **self.figures))
        print()
        for path in write_from(
            results, self.profiles, folder=options.output, name=self.name
        ):
            print(f"Wrote {path}")
