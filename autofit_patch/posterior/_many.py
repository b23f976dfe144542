"""
The stages from prior to posterior for many data at once.

What is done for one of the data is a function of a :class:`Pipeline`, as for a single
fit. Each such function runs in a thread of its own, which waits whenever it asks for log
densities or draws; once all wait, what they asked for is evaluated as one batch. So every
round shares out anew the work that is left, and one that has ended makes room for the
next.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from types import SimpleNamespace

import jax
import numpy as np

from autofit_patch import batch
from autofit_patch.batch._leaves import is_key
from autofit_patch.batch._map import whole_number
from autofit_patch.batch._members import kind_from
from autofit_patch.posterior._evaluate import Evaluator, members_at_once
from autofit_patch.posterior._pipeline import Pipeline, space_to_infer
from autofit_patch.posterior._sample import round_of_one

#: How many of the data are in work at once, for each device.
AT_ONCE = {"cpu": 16}
AT_ONCE_ELSEWHERE = 256

#: How many members are put side by side in the memory of the host.
ROWS_AT_ONCE = 512


class Pipelines:
    """
    Pipelines of one model for many data, which compile two programs in all: the log
    density with its gradient, and a round of draws.

    Parameters
    ----------
    model
        The model.
    log_likelihood
        A function that JAX can trace, of an instance of the model and of one of the data.
    given
        A function that returns, from one of the data, the values of parameters that are
        known of it, by their names; none by default.

    Attributes
    ----------
    space
        The coordinates of the model (:func:`prior_space`).

    Raises
    ------
    TypeError
        If it is no model, or ``log_likelihood`` no function.
    ValueError
        If the model has no free parameter.

    Examples
    --------
    >>> def fitted(pipeline, index):
    ...     maxima = pipeline.maxima(pipeline.optimise(pipeline.starts(seed=index)))
    ...     return pipeline.sample(maxima[0], effective=200, seed=index)
    >>> pipelines = posterior.Pipelines(model, log_likelihood)
    >>> for index, draws in pipelines.run(fitted, data):
    ...     print(index, draws)
    """

    def __init__(self, model, log_likelihood: Callable, given: Callable | None = None):
        if not callable(log_likelihood):
            raise TypeError(
                "Pipelines expected a function of an instance and of data, and was given "
                f"{log_likelihood!r}"
            )
        self.space = space_to_infer(model)

        def log_density(z, data):
            analysis = SimpleNamespace(
                log_likelihood_function=lambda instance: log_likelihood(instance, data)
            )
            known = given(data) if given else {}
            return self.space.log_posterior(analysis, known)(z)

        self._log_density = log_density

        def draw_round(*arguments):
            *arguments, data = arguments
            of_data = partial(log_density, data=data)
            return round_of_one(of_data, self.space.structure, *arguments)

        # Each process has data of its own.
        options = {
            "width": members_at_once(AT_ONCE_ELSEWHERE),
            "progress": False,
            "split_over_processes": False,
        }
        self._evaluate = batch.map(jax.value_and_grad(log_density), **options)
        self._draw_round = batch.map(draw_round, **options)

    def run(
        self, function: Callable, data: Iterable, at_once: int | None = None
    ) -> Iterator[tuple]:
        """
        What a function makes of the pipeline of each of the data.

        Parameters
        ----------
        function
            A function of a :class:`Pipeline` and of the index of the data that it is for.
            It may use its stages, but evaluate nothing else on the devices at length.
        data
            The data, each a pytree. They are taken when there is room for them. Those of
            one structure, and of leaves of equal shapes, share what is compiled.
        at_once
            How many are in work at once; by default 16 for each core, or 256 for each
            device that is not. What is found does not depend on it.

        Returns
        -------
        An iterator over the index and what the function returned, or the exception that
        it raised, in the order in which they end. Where the likelihood cannot be
        evaluated for some data, the functions of these raise an exception that says why.

        Raises
        ------
        ValueError
            If ``at_once`` is no whole number above zero.
        """
        if whole_number("at_once", at_once) is None:
            each = AT_ONCE.get(jax.default_backend(), AT_ONCE_ELSEWHERE)
            at_once = each * len(jax.local_devices())
        return self._run(function, enumerate(data), at_once)

    def _run(self, function, data, at_once) -> Iterator[tuple]:
        working: dict[int, Worker] = {}
        said = queue.SimpleQueue()
        try:
            while True:
                for index, each in islice(data, at_once - len(working)):
                    log_posterior = partial(self._log_density, data=each)
                    pipeline = PipelineOfData(self.space, log_posterior)
                    working[index] = Worker(index, function, pipeline, each, said)
                if not working:
                    return
                ended = yield from self._wait(working, said)
                if not ended:
                    self._answer(list(working.values()))
        finally:
            for worker in working.values():
                worker.answer(Stopped())

    def _wait(self, working: dict, said) -> Iterator[tuple]:
        """Wait until all workers have asked for something, or one has ended."""
        while any(worker.request is None for worker in working.values()):
            index, request, result = said.get()
            if request is None:
                del working[index]
                yield index, result
                return True
            working[index].request = request
        return False

    def _answer(self, workers: list):
        """Evaluate what all workers ask for."""
        groups: dict[tuple, list] = {}
        for worker in sorted(workers, key=lambda worker: worker.index):
            groups.setdefault(worker.kind, []).append(worker)
        for (name, *_), asking in groups.items():
            function = self._evaluate if name == "evaluate" else self._draw_round
            for some in at_most(ROWS_AT_ONCE, asking):
                try:
                    values = function(*joined(some))
                except jax.errors.JaxRuntimeError:
                    # Of the device, and not of these data.
                    raise
                except Exception as error:
                    for worker in some:
                        worker.answer(NotEvaluated(error))
                    continue
                start = 0
                for worker in some:
                    stop = start + worker.rows
                    part = slice(start, stop)
                    worker.answer(
                        jax.tree.map(lambda leaf, part=part: leaf[part], values)
                    )
                    start = stop


class Worker:
    """
    A thread in which a function is called for one of the data.

    Attributes
    ----------
    request
        The name of what it asks for, and the arguments; ``None`` while it works.
    """

    def __init__(self, index: int, function: Callable, pipeline, data, said):
        self.index, self.data, self.request = index, data, None
        self._data_kind = kind_of(data)
        self._answers = queue.SimpleQueue()
        self._has_ended = False
        self._said = said
        pipeline.let_ask(self._ask)
        threading.Thread(
            target=self._work, args=(function, pipeline), daemon=True
        ).start()

    def _work(self, function, pipeline):
        try:
            result = function(pipeline, self.index)
        except Stopped:
            return
        except BaseException as error:
            # Whatever it is, it is waited for.
            result = error
        self._has_ended = True
        self._said.put((self.index, None, result))

    def _ask(self, name: str, *arguments):
        if self._has_ended:
            raise RuntimeError(
                "a pipeline of one of many data evaluates while its function runs, and "
                "that has returned"
            )
        self._said.put((self.index, (name, arguments), None))
        answer = self._answers.get()
        if isinstance(answer, Stopped):
            raise answer
        if isinstance(answer, NotEvaluated):
            raise answer from answer.args[0]
        return answer

    def answer(self, values):
        """Let it go on with what it asked for."""
        self.request = None
        self._answers.put(values)

    @property
    def kind(self) -> tuple:
        """What has to be equal for requests to be evaluated together."""
        name, arguments = self.request
        leaves, structure = jax.tree.flatten(arguments)
        # Keys of two generators are no numbers of one kind.
        kinds = tuple(kind_from(leaf, axes=1) for leaf in leaves)
        return (name, *self._data_kind, structure, kinds)

    @property
    def rows(self) -> int:
        """How many members its request has."""
        return batch.size(self.request[1])


class Stopped(BaseException):
    """Said to a worker whose result is no longer wanted."""


class NotEvaluated(Exception):
    """What JAX cannot trace, or evaluate, with data like these."""

    def __str__(self):
        (error,) = self.args
        return f"{type(error).__name__}: {error}"


class PipelineOfData(Pipeline):
    """
    The pipeline of one of many data, which asks for what it has others compute, and does
    not warn: what there is to warn of is in ``told``.

    Parameters
    ----------
    space
        The coordinates of the model.
    log_posterior
        The log density of a point.
    """

    def __init__(self, space, log_posterior: Callable):
        self.space, self.log_posterior = space, log_posterior
        self.told: list[str] = []

    @property
    def _tell(self) -> Callable:
        # Warnings are of a process, and these of one of many data.
        return self.told.append

    def let_ask(self, ask: Callable):
        """Let a function answer what it asks for."""
        self._evaluate = Asking(self.space.structure, partial(ask, "evaluate"))
        self._draw_round = partial(ask, "draw")


class Asking(Evaluator):
    """An evaluator that has another evaluate."""

    def __init__(self, structure, ask: Callable):
        self.structure, self.total = structure, 0
        self._evaluate = ask


def kind_of(data) -> tuple:
    """The structure of data, and the shapes and dtypes of their leaves."""
    leaves, structure = jax.tree.flatten(data)
    arrays = [leaf if is_key(leaf) else np.asarray(leaf) for leaf in leaves]
    return structure, tuple(map(kind_from, arrays))


def at_most(rows: int, workers: list) -> Iterator[list]:
    """Workers in turn, as many as ask for so many rows in all, or one that does more."""
    some: list = []
    for worker in workers:
        if some and sum(each.rows for each in some) + worker.rows > rows:
            yield some
            some = []
        some.append(worker)
    yield some


def joined(workers: list) -> list:
    """The arguments of workers as one batch, and the data of each member."""
    arguments = jax.tree.map(concatenated, *[worker.request[1] for worker in workers])
    data = batch.stack([worker.data for worker in workers])
    members = np.repeat(np.arange(len(workers)), [worker.rows for worker in workers])
    return [*arguments, batch.take(data, members)]


def concatenated(*leaves):
    """
    Arrays after one another, of numbers or of keys of random numbers, by NumPy: JAX would
    compile this for every number of them.
    """
    if not is_key(leaves[0]):
        return np.concatenate(leaves)
    data = np.concatenate([jax.random.key_data(leaf) for leaf in leaves])
    return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaves[0]))
