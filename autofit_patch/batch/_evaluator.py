"""
A function compiled for the members of a batch.
"""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import jaxpr_as_fun
from jax.sharding import AbstractMesh, Mesh, NamedSharding, use_abstract_mesh
from jax.sharding import PartitionSpec as P
from jax.tree_util import tree_flatten_with_path

from autofit_patch.batch._draws import draws_in_one_go
from autofit_patch.batch._members import Members, kind_from, output_from
from autofit_patch.batch._memory import free_memory_from
from autofit_patch.libraries._backend import cores_for, partitioner_for
from autofit_patch.pytree._contents import is_tracer

#: How many members a device may evaluate at once, from one try to the next.
WIDTHS = (1, 8, 64, 512)

#: With which it begins, unless it does not fit. A GPU takes little longer for 64 than for
#: one: it waits for the start of every operation.
FIRST_WIDTH = {"cpu": 1}
FIRST_WIDTH_ELSEWHERE = 64

#: The share of the free memory that the members and their values may take.
SHARE_OF_MEMORY = 0.25

#: How many bytes of members a device holds at most. Places without a member are copied
#: too, which is as dear as evaluating some, where members are large.
BYTES_OF_MEMBERS = {"cpu": 2**21}
BYTES_OF_MEMBERS_ELSEWHERE = 2**26

#: A larger width takes over if it needs less than this of the time.
FASTER = 0.9

#: Every core is a device of its own, so an operation stays on its core. The first is also
#: what keeps batched FFTs from waiting for the thread pool that they run in (see the
#: README's notes on CPU): it holds for what is compiled here, whatever XLA_FLAGS says.
CPU_OPTIONS = {
    "xla_cpu_multi_thread_eigen": False,
    "xla_cpu_enable_concurrency_optimized_scheduler": False,
}

#: A batch has a mesh of its own, whichever the user has set.
NO_MESH = AbstractMesh((), ())

#: The message for a batch, or a function, that is a part of what JAX traces.
TRACED = (
    "batch.map shares members out over devices from Python, so it cannot be part of a "
    "function that JAX traces (by jax.jit, jax.vmap, jax.lax.map or another batch.map). "
    "Use jax.lax.map or jax.vmap there, or evaluate the batch before and pass its values."
)


class Program:
    """
    A function compiled for a number of members at once.

    Parameters
    ----------
    function
        The function, of the rows of one member.
    members, outputs
        What goes in and comes out.
    devices
        Where it runs.
    width
        How many members a device evaluates at once.
    capacity
        How many members a device holds, to the next multiple of the width.

    Attributes
    ----------
    seconds_per_member
        The time that a member took in the last call; ``None`` before.
    """

    def __init__(self, function, members, outputs, devices, width, capacity):
        self.width = width
        self.capacity = -(-capacity // width) * width
        self.loops = self.capacity > width
        self.total_devices = len(devices)
        self.seconds_per_member = None
        self.seconds_spent = 0.0
        self._kept = None, None
        rows = self.capacity * self.total_devices
        self._sharding = NamedSharding(Mesh(np.array(devices), "members"), P("members"))

        def on_device(counts, arrays):
            evaluate = one_at_a_time(function) if width == 1 else jax.vmap(function)
            if not self.loops:
                return evaluate(arrays)
            values = [
                jnp.zeros((self.capacity, length), dtype)
                for dtype, length in outputs.lengths.items()
            ]

            def step(index, values):
                start = index * width
                some = [lax.dynamic_slice_in_dim(a, start, width) for a in arrays]
                return [
                    lax.dynamic_update_slice_in_dim(value, new, start, axis=0)
                    for value, new in zip(values, evaluate(some), strict=True)
                ]

            return lax.fori_loop(0, (counts[0] + width - 1) // width, step, values)

        mapped = jax.shard_map(
            on_device,
            mesh=self._sharding.mesh,
            in_specs=P("members"),
            out_specs=P("members"),
            check_vma=False,
        )
        options = CPU_OPTIONS if devices[0].platform == "cpu" else {}
        jitted = jax.jit(
            mapped,
            in_shardings=self._sharding,
            out_shardings=self._sharding,
            compiler_options=options,
        )
        start = time.perf_counter()
        with use_abstract_mesh(NO_MESH):
            traced = jitted.trace(
                jax.ShapeDtypeStruct((self.total_devices,), np.int32),
                [
                    jax.ShapeDtypeStruct((rows, length), dtype)
                    for dtype, length in members.lengths.items()
                ],
            )
            with partitioner_for(devices, traced.jaxpr):
                self.compiled = traced.lower().compile()
        self.seconds_to_compile = time.perf_counter() - start

    @property
    def memory(self) -> int:
        """The memory that a device needs besides the members and values, in bytes."""
        analysis = self.compiled.memory_analysis()
        return analysis.temp_size_in_bytes if analysis else 0

    def counts_from(self, count: int):
        """How many of the members each device evaluates."""
        each = -(-count // self.total_devices)
        firsts = each * np.arange(self.total_devices)
        return np.clip(count - firsts, 0, each).astype(np.int32)

    def placed(self, array, counts):
        """
        Rows at the places where the devices look for them.

        Places that are evaluated though no row is left for them hold the last row, which
        evaluates as well as any.
        """
        if len(array) == self.capacity * self.total_devices:
            return array
        places = np.zeros(
            (self.total_devices, self.capacity, array.shape[1]), array.dtype
        )
        start = 0
        for place, count in zip(places, counts, strict=True):
            place[:count] = array[start : start + count]
            evaluated = -(-count // self.width) * self.width
            place[count : evaluated if self.loops else self.capacity] = array[-1]
            start += count
        return places.reshape(-1, array.shape[1])

    def on_devices(self, counts):
        """The same on the devices, kept for the next batch of the size."""
        key, kept = counts.tobytes(), self._kept
        if key != kept[0]:
            # One assignment: other threads see the old pair or the new one.
            kept = self._kept = key, jax.device_put(counts, self._sharding)
        return kept[1]

    def __call__(self, rows: list) -> list:
        """
        The values of members, at most ``capacity`` a device.

        Parameters
        ----------
        rows
            The members: one array of shape (n, length of a row) a dtype.
        """
        begin = time.perf_counter()
        count = len(rows[0])
        counts = self.counts_from(count)
        arrays = [self.placed(array, counts) for array in rows]
        results = self.compiled(self.on_devices(counts), arrays)
        values = [
            np.concatenate(
                [part[:held] for part, held in zip(parts(r), counts, strict=True)]
            )
            for r in results
        ]
        seconds = time.perf_counter() - begin
        self.seconds_spent += seconds
        self.seconds_per_member = seconds / count
        return values


def parts(array) -> list:
    """What each device holds of an array, in their order."""
    shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return [np.asarray(shard.data) for shard in shards]


def one_at_a_time(function):
    """A function of a single row from one of its only member."""

    def evaluate(rows):
        return [value[None] for value in function([row[0] for row in rows])]

    return evaluate


class Evaluator:
    """
    Evaluates a function for members of one kind, with the width that is fastest.

    Parameters
    ----------
    function
        The function of one member.
    members
        What the members are.
    devices
        Where they are evaluated.
    width
        How many a device evaluates at once, or ``None`` to find out.
    chunk
        How many members are on the devices at once, or ``None`` for what fits.
    """

    def __init__(self, function, members: Members, devices, width, chunk):
        self.members = members
        self.devices = devices
        self.seconds_compiling = 0.0
        self._lock = threading.Lock()
        self._program = None

        def flat(rows):
            arguments, keywords = members.tree_from(rows)
            values = function(*arguments, **keywords)
            leaves, structure = tree_flatten_with_path(values)
            leaves = [output_from(leaf, path) for path, leaf in leaves]
            self.outputs = Members(structure, [kind_from(leaf) for leaf in leaves])
            return self.outputs.rows_from(leaves, xp=jnp)

        platform = devices[0].platform
        # Traced here, once for all the programs that are compiled.
        with use_abstract_mesh(NO_MESH), cores_for(platform):
            jaxpr = jax.make_jaxpr(flat)(
                [
                    jax.ShapeDtypeStruct((length,), dtype)
                    for dtype, length in members.lengths.items()
                ]
            )
        if any(map(is_tracer, jaxpr.consts)):
            raise TypeError(TRACED)
        self._function = lambda rows: jaxpr_as_fun(jaxpr)(*rows)
        if draws_in_one_go(jaxpr.jaxpr):
            width = 1
        memory = SHARE_OF_MEMORY * free_memory_from(devices)
        needed = max(1, members.bytes + self.outputs.bytes)
        most = BYTES_OF_MEMBERS.get(platform, BYTES_OF_MEMBERS_ELSEWHERE)
        self._capacity = int(np.clip(min(memory, most) / needed, 1, WIDTHS[-1]))
        if chunk is not None:
            self._capacity = -(-chunk // len(devices))
        first = min(FIRST_WIDTH.get(platform, FIRST_WIDTH_ELSEWHERE), self._capacity)
        #: With one of which it begins; and which are tried when it is due.
        self._first_widths = [width] if width else [w for w in WIDTHS if w <= first]
        self._widths = [] if width else [w for w in WIDTHS if w > first]

    def empty(self, count: int) -> list:
        """Arrays for the values of as many members."""
        return [
            np.empty((count, length), dtype)
            for dtype, length in self.outputs.lengths.items()
        ]

    def members_in(self, seconds: float) -> int:
        """How many members to evaluate in one call that lasts as long."""
        program = self._program
        if program is None or program.seconds_per_member is None:
            return len(self.devices) * self._first_widths[-1]
        # Every device evaluates a multiple of the width.
        least = len(self.devices) * program.width
        wanted = int(seconds / program.seconds_per_member) // least * least
        if self._is_due(program):
            wanted = max(wanted, len(self.devices) * self._widths[0])
        return min(len(self.devices) * program.capacity, max(least, wanted))

    def __call__(self, rows: list) -> list:
        """The values of members: rows of numbers in, rows of numbers out."""
        with self._lock:
            if self._program is None:
                self._program = self._first_program(len(rows[0]))
            program = self._program
            if self._is_due(program):
                width = self._widths[0]
                if len(rows[0]) >= width * len(self.devices):
                    self._widths = self._widths[1:]
                    self._try(width, rows)
            program = self._program
        return program(rows)

    def _first_program(self, count: int) -> Program:
        """The widest program to begin with that so many members need, and that fits."""
        each = -(-count // len(self.devices))
        enough = sum(width < each for width in self._first_widths)
        self._widths = self._first_widths[enough + 1 :] + self._widths
        for width in self._first_widths[enough:0:-1]:
            try:
                program = self._program_of(width)
            except Exception:
                # What is wrong with the function, not with the width, is said below.
                pass
            else:
                if self._fits(program):
                    return program
            # Nor will a wider one.
            self._widths = []
        return self._program_of(self._first_widths[0])

    def _fits(self, program: Program) -> bool:
        """Whether there is memory for it."""
        return program.memory <= SHARE_OF_MEMORY * free_memory_from(self.devices)

    def _is_due(self, program: Program) -> bool:
        """Whether it is time to try a larger width."""
        return (
            bool(self._widths)
            and self._widths[0] <= program.capacity
            and program.seconds_spent > program.seconds_to_compile
        )

    def _try(self, width: int, rows: list):
        """Let a larger width take over if it is faster."""
        try:
            faster = self._faster(width, rows)
        except Exception:
            # What cannot be vectorised, or does not fit, goes on as it did; and what is
            # wrong with a member will be said then.
            faster = None
        if faster is None:
            self._widths = []
        else:
            self._program = faster

    def _faster(self, width: int, rows: list) -> Program | None:
        """A program with a larger width, if it is faster than the present one."""
        program, candidate = self._program, self._program_of(width)
        if not self._fits(candidate):
            return None
        candidate(rows)
        times = {program: [], candidate: []}
        for _ in range(2):
            for each in times:
                each(rows)
                times[each].append(each.seconds_per_member)
        if min(times[candidate]) < FASTER * min(times[program]):
            return candidate
        return None

    def _program_of(self, width: int) -> Program:
        program = Program(
            self._function,
            self.members,
            self.outputs,
            self.devices,
            width,
            self._capacity,
        )
        self.seconds_compiling += program.seconds_to_compile
        return program

    @property
    def description(self) -> str:
        """The devices, and how many members each evaluates at once, for people."""
        total, width = len(self.devices), self._program.width
        devices = f"{total} {self.devices[0].device_kind} device{'s'[: total > 1]}"
        return f"{width} member{'s'[: width > 1]} at once on each of {devices}"

    def throughput(self, count: int, seconds: float, compiling: float) -> str:
        """A line that says how fast members were evaluated, after how much compiling."""
        if not count:
            return "0 members"
        after = f" (after {compiling:.3g} s of compiling)" if compiling else ""
        return (
            f"{count} members in {seconds:.3g} s{after}, {count / seconds:.3g} a second: "
            f"{self.description}"
        )
