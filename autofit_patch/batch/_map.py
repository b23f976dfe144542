"""
Evaluating a function for every member of a batch, on all devices.
"""

import operator
import threading
import time
import warnings
from collections.abc import Iterable
from functools import partial

import jax
import numpy as np
from jax.tree_util import DictKey, tree_leaves_with_path
from tqdm import tqdm

from autofit_patch.batch import _processes
from autofit_patch.batch._evaluator import TRACED, Evaluator
from autofit_patch.batch._instances import size_from
from autofit_patch.batch._leaves import array_of_members, is_key
from autofit_patch.batch._members import Members, kind_from
from autofit_patch.batch._names import name_from
from autofit_patch.libraries._backend import (
    too_late_for_all_cores,
    trace_context,
    trace_state_clean,
)
from autofit_patch.pytree._contents import is_tracer

#: What a call of the devices should last, in seconds: after it the progress bar moves on
#: and a keyboard interrupt is noticed.
SECONDS_PER_CALL = 0.5

#: What to do about an argument that has no axis for members.
ADVICE = (
    "What is the same for all members goes into the function (functools.partial, or a "
    "closure), or is repeated for each (np.full(n, value))."
)


def map(function, **options) -> "BatchMap":
    """
    A function of batches from a function of one member, as ``jax.jit(jax.vmap(...))``
    makes it, but in bounded memory and on every device. See :class:`BatchMap`.

    Examples
    --------
    >>> values = batch.map(analysis.log_likelihood_function)(instances)
    >>> values, gradients = batch.map(jax.value_and_grad(likelihood))(instances)
    """
    return BatchMap(function, **options)


class BatchMap:
    """
    A function that is evaluated for every member of a batch.

    The members are shared out over the devices (``jax.shard_map``), each of which goes
    through its own one after another, or a few at a time. The function is traced once
    and compiled once, for batches of any size: as many members as there are go into
    arrays of a fixed size, and only these are evaluated.

    Keep the object, as you would a jitted function: what was compiled stays with it.

    Parameters
    ----------
    function
        A function of one member (of one or more arguments, each a pytree) that JAX can
        trace. It returns any pytree of arrays.
    width
        How many members a device evaluates at once, as a vectorised operation. Left out,
        it begins with one; on a GPU with eight or 64, if there are more than one or than
        eight, and they fit. When as much time was spent with a width as it took to
        compile, one eight times larger is compiled, and takes over if it is faster by
        more than 10%; this is done until one is not. Rounding errors depend on the width.
        A function that draws by another generator than JAX's ``threefry2x32`` is
        evaluated for one after another: for several at once others draw other numbers.
    chunk
        How many members are on the devices at once, to the next multiple of the width on
        each. Left out, as many as take a quarter of the free memory, up to 512 a device,
        or 2 MB of them (64 MB on a GPU).
    devices
        The devices; all of this process by default.
    on_error
        What happens when the function fails for a member while it runs (in a callback to
        Python): ``"nan"`` makes that member's values NaN, and warns; ``"raise"`` raises.
    progress
        Whether to show a progress bar; by default, in a terminal.
    report
        Whether to print how many members were evaluated in a second.
    split_over_processes
        Under ``jax.distributed``: whether all processes are given the same batch, of
        which each evaluates its share and gets all values. Otherwise each has a batch of
        its own, and gets the values of that.

    Raises
    ------
    ValueError
        If an option is not one of those above.
    """

    def __init__(
        self,
        function,
        *,
        width: int | None = None,
        chunk: int | None = None,
        devices=None,
        on_error: str = "nan",
        progress: bool | None = None,
        report: bool = False,
        split_over_processes: bool = True,
    ):
        if not callable(function):
            raise TypeError(f"batch.map expected a function, and was given {function!r}")
        if on_error not in ("nan", "raise"):
            raise ValueError(f"on_error is 'nan' or 'raise', not {on_error!r}")
        self.function = function
        self.width = whole_number("width", width)
        self.chunk = whole_number("chunk", chunk)
        self.devices = devices_from(devices)
        self.on_error = on_error
        self.progress = progress
        self.report = report
        self.split_over_processes = split_over_processes
        self._compile_anew()

    def _compile_anew(self):
        """Start without anything compiled."""
        self._evaluators: dict[tuple, Evaluator] = {}
        # The function can evaluate another batch while it is traced.
        self._lock = threading.RLock()

    def __getstate__(self):
        """The options: a copy, or a pickle, compiles for itself."""
        compiled = ("_evaluators", "_lock")
        return {name: each for name, each in vars(self).items() if name not in compiled}

    def __setstate__(self, state):
        vars(self).update(state)
        self._compile_anew()

    def __call__(self, *arguments, **keywords):
        """
        Evaluate the function for every member.

        Parameters
        ----------
        arguments, keywords
            What the function takes, with an axis for the members in front of each leaf:
            one batch of instances, most often. A leaf is an array of numbers or booleans,
            or of keys of random numbers (``jax.random.key``).

        Returns
        -------
        What the function returns, as NumPy arrays with an axis for the members in front.
        Keys of random numbers are JAX arrays.

        Raises
        ------
        TypeError
            If JAX is tracing, or if it has no arrays like a leaf.
        ValueError
            If the leaves do not have the same number of members.
        RuntimeError
            Under ``jax.disable_jit``.
        """
        if not self.split_over_processes or jax.process_count() == 1:
            evaluator, rows = self._prepared(arguments, keywords)
            values = self._evaluate(evaluator, rows)
        else:
            evaluator, rows = _processes.together(
                lambda: self._prepared(arguments, keywords)
            )
            values = _processes.evaluate(
                rows, lambda share: self._evaluate(evaluator, share)
            )
        return evaluator.outputs.tree_from(values, (len(rows[0]),))

    def _prepared(self, *arguments) -> tuple[Evaluator, list]:
        """What evaluates the members of a batch, and the members as rows of numbers."""
        leaves, structure = jax.tree.flatten(arguments)
        # What comes onto a device while JAX traces a program is traced too.
        if any(is_tracer(leaf) for leaf in leaves) or (
            not trace_state_clean() and is_tracer(jax.device_put(0))
        ):
            raise TypeError(TRACED)
        if jax.config.jax_disable_jit:
            raise RuntimeError(
                "batch.map compiles its function, and jax.disable_jit forbids it: call "
                "the function for each of batch.unstack(instances) there"
            )
        leaves = [
            array_of_members(leaf, partial(name_of_leaf, arguments, index))
            for index, leaf in enumerate(leaves)
        ]
        if len({leaf.shape[:1] for leaf in leaves}) != 1 or not leaves[0].shape:
            # Says what is wrong.
            size_from(tree_leaves_with_path(arguments), argument_from, ADVICE)
        evaluator = self._evaluator_of(
            structure, tuple(kind_from(leaf, axes=1) for leaf in leaves)
        )
        return evaluator, evaluator.members.rows_from(leaves, leaves[0].shape[:1])

    def _evaluator_of(self, *kind) -> Evaluator:
        """What evaluates members of a kind, made for the first batch of them."""
        devices = tuple(self.devices or jax.local_devices())
        # JAX's settings are a part of what is traced: the precision, for example.
        key = (*kind, devices, trace_context())
        with self._lock:
            if key not in self._evaluators:
                if self.devices is None and (reason := too_late_for_all_cores()):
                    warnings.warn(reason, stacklevel=3)
                self._evaluators[key] = Evaluator(
                    self.function, Members(*kind), devices, self.width, self.chunk
                )
            return self._evaluators[key]

    def _evaluate(self, evaluator: Evaluator, rows: list) -> list:
        """The rows of values of rows of members, in this process."""
        count = len(rows[0])
        values = evaluator.empty(count)
        failures = {}
        begin, compiled = time.perf_counter(), evaluator.seconds_compiling
        hide = None if self.progress is None else not self.progress
        with tqdm(total=count, disable=hide, unit=" members") as bar:
            start = 0
            while start < count:
                stop = min(count, start + evaluator.members_in(SECONDS_PER_CALL))
                part = [array[start:stop] for array in rows]
                try:
                    results = evaluator(part)
                except jax.errors.JaxRuntimeError as error:
                    results, failed = self._one_by_one(evaluator, part, error)
                    failures |= {start + i: error for i, error in failed.items()}
                for array, result in zip(values, results, strict=True):
                    array[start:stop] = result
                bar.update(stop - start)
                start = stop
        if failures:
            self._tell_of(failures, evaluator, rows)
        if self.report:
            compiling = evaluator.seconds_compiling - compiled
            seconds = time.perf_counter() - begin - compiling
            print(evaluator.throughput(count, seconds, compiling))
        return values

    def _one_by_one(self, evaluator: Evaluator, rows: list, error):
        """The values of members some of which fail, and the errors of these."""
        if "RESOURCE_EXHAUSTED" in str(error):
            raise MemoryError(
                f"{evaluator.description} do not fit into the memory of the device. Give "
                "batch.map a smaller width or a smaller chunk."
            ) from error
        values, failed = evaluator.empty(len(rows[0])), {}
        for index in range(len(rows[0])):
            try:
                results = evaluator([array[index : index + 1] for array in rows])
            except jax.errors.JaxRuntimeError as error:
                failed[index] = error
                results = [np.nan] * len(values)
            for array, result in zip(values, results, strict=True):
                if index in failed and not np.issubdtype(array.dtype, np.inexact):
                    raise failed[index]  # no value of this dtype says that there is none
                array[index : index + 1] = result
        return values, failed

    def _tell_of(self, failures: dict, evaluator: Evaluator, rows: list):
        """Raise or warn of the members that failed."""
        index, error = next(iter(failures.items()))
        if self.on_error == "raise" or len(failures) == len(rows[0]):
            raise error
        row = [array[index] for array in rows]
        arguments, keywords = evaluator.members.tree_from(row)
        only = len(arguments) == 1 and not keywords
        described = ", ".join(
            f"{(only and name_from(path[2:])) or argument_from(path)} = {value}"
            for path, value in tree_leaves_with_path((arguments, keywords))
            if not np.shape(value) and not is_key(value)
        )
        # The message is a traceback, and ends with what was raised.
        last = str(error).strip().splitlines()[-1]
        warnings.warn(
            f"{len(failures)} of {len(rows[0])} members failed, and their values are "
            f"NaN. The first is member {index} ({described}): {last}",
            stacklevel=4,
        )


def name_of_leaf(arguments, index: int) -> str:
    """The name of a leaf among the arguments of a call, from its position."""
    path, _ = tree_leaves_with_path(arguments)[index]
    return argument_from(path)


def argument_from(path) -> str:
    """
    The name of a leaf among the arguments of a call, which are a tuple and a dictionary.
    """
    _, argument, *rest = path
    if isinstance(argument, DictKey):
        called = f"argument {argument.key!r}"
    else:
        called = f"argument {argument.idx}"
    return f"{name_from(rest)} of {called}" if rest else called


def whole_number(name: str, value) -> int | None:
    """An option that is a whole number above 0, or left out."""
    if value is None:
        return None
    whole = None if isinstance(value, bool) else value
    try:
        whole = operator.index(whole)
    except TypeError:
        whole = 0
    if whole < 1:
        raise ValueError(f"{name} is a whole number above 0, not {value!r}")
    return whole


def devices_from(devices) -> list | None:
    """The devices that were chosen, if they were."""
    if devices is None:
        return None
    chosen = list(devices) if isinstance(devices, Iterable) else []
    if not chosen or not all(isinstance(device, jax.Device) for device in chosen):
        raise ValueError(
            "devices is a list of JAX devices, such as jax.local_devices()[:2], not "
            f"{devices!r}"
        )
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"devices has a device more than once: {devices!r}")
    return chosen
