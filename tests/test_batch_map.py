"""A mapped function gives what a plain loop gives, whatever the batch and the devices."""

import os
import signal
import sys
import threading
import time

import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import json_from_python, run_python
from lens import VECTOR

import autolens_patch
from autofit_patch import batch
from autofit_patch.batch import _evaluator
from autofit_patch.libraries._backend import one_core_each


def members_of(count: int) -> dict:
    """Members with leaves of several dtypes and shapes."""
    rng = np.random.default_rng(count)
    return {
        "x": rng.normal(size=count),
        "y": rng.normal(size=(count, 3)),
        "single": rng.normal(size=count).astype(np.float32),
        "n": np.arange(count, dtype=np.int32),
        "flag": np.arange(count) % 3 == 0,
        "z": rng.normal(size=count) + 1j,
    }


def function(member):
    """A function with outputs of several dtypes and shapes."""
    turned = jnp.where(member["flag"], member["y"], -member["y"])
    return {
        "sum": member["x"] + turned.sum(),
        "pair": (member["single"] * 2, member["n"] + 1),
        "outer": jnp.outer(member["y"], member["y"]),
        "z": member["z"] * member["x"],
        "flag": ~member["flag"],
        "constant": 1.5,
    }


def by_loop(function, members):
    """What a plain loop over the members gives."""
    jitted = jax.jit(function)
    return batch.stack([jitted(member) for member in batch.unstack(members)])


def assert_equal(values, expected):
    assert jax.tree.structure(values) == jax.tree.structure(expected)
    for value, other in zip(
        jax.tree.leaves(values), jax.tree.leaves(expected), strict=True
    ):
        assert isinstance(value, np.ndarray)
        assert value.dtype == np.asarray(other).dtype
        np.testing.assert_allclose(value, other, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"width": 1}, {"width": 3}, {"width": 8}])
@pytest.mark.parametrize("chunk", [None, 1, 5, 16])
def test_values_are_those_of_a_loop(options, chunk):
    mapped = batch.map(function, chunk=chunk, **options)
    for count in (1, 2, 7, 13, 64, 3):
        members = members_of(count)
        assert_equal(mapped(members), by_loop(function, members))


def test_empty_batch_has_values_of_the_right_kind():
    values = batch.map(function)(members_of(0))
    one = batch.map(function)(members_of(1))
    for value, other in zip(jax.tree.leaves(values), jax.tree.leaves(one), strict=True):
        assert value.shape == (0, *other.shape[1:])
        assert value.dtype == other.dtype


@pytest.mark.parametrize("width", [1, 8])
def test_one_trace_and_one_compilation_for_any_size(width, compilations):
    traces = []

    def counted(member):
        traces.append(1)
        return member["x"] ** 2

    mapped = batch.map(counted, width=width)
    for count in (1, 7, 64, 1000, 2):
        members = {"x": np.arange(float(count))}
        np.testing.assert_allclose(mapped(members), members["x"] ** 2)
    assert len(traces) == 1
    assert len(compilations) == 1


def test_padding_is_not_evaluated():
    seen = []

    def host(x):
        seen.append(float(x))
        return x

    def counted(x):
        return jax.pure_callback(host, jax.ShapeDtypeStruct((), x.dtype), x)

    batch.map(counted, width=1)(np.arange(7.0))
    assert sorted(seen) == [*np.arange(7.0)]


def test_likelihoods_and_gradients_by_name(model, dataset):
    vectors = VECTOR + 0.01 * np.random.default_rng(2).normal(size=(3, len(VECTOR)))
    analysis = al.AnalysisImaging(dataset=dataset, use_jax=True)
    instances = batch.instances_from(model, vectors)
    likelihood = jax.value_and_grad(analysis.log_likelihood_function)
    values, gradients = batch.map(likelihood)(instances)
    numpy = al.AnalysisImaging(dataset=dataset, use_jax=False)
    flat = jax.jit(
        jax.grad(
            lambda vector: analysis.log_likelihood_function(
                model.instance_from_vector(vector, xp=jnp)
            )
        )
    )
    for index, vector in enumerate(vectors):
        instance = model.instance_from_vector(vector)
        expected = numpy.log_likelihood_function(instance)
        assert values[index] == pytest.approx(expected, rel=1e-6)
        gradient = jax.tree.leaves(batch.take(gradients, index))
        np.testing.assert_allclose(gradient, flat(jnp.asarray(vector)), rtol=1e-6)
    assert gradients.galaxies.lens.mass.einstein_radius.shape == (3,)


def test_several_arguments_are_members_together():
    x, y = np.arange(5.0), np.arange(5.0)[::-1].copy()
    values = batch.map(lambda x, pair: x * pair["y"])(x, {"y": y})
    np.testing.assert_array_equal(values, x * y)


@pytest.mark.parametrize("chunk", [None, 20])
def test_faster_width_takes_over_and_values_stay(monkeypatch, chunk):
    traces = []

    def counted(x):
        traces.append(1)
        return jnp.sin(x).sum()

    times = {1: 4.0, 8: 1.0, 64: 2.0}
    monkeypatch.setattr(_evaluator, "WIDTHS", tuple(times))
    called = _evaluator.Program.__call__

    def timed(program, rows):
        values = called(program, rows)
        program.seconds_per_member = times[program.width]
        program.seconds_spent = np.inf
        return values

    monkeypatch.setattr(_evaluator.Program, "__call__", timed)
    mapped = batch.map(counted, chunk=chunk)
    members = np.random.default_rng(3).normal(size=(300, 4))
    for _ in range(4):
        np.testing.assert_allclose(mapped(members), np.sin(members).sum(1), rtol=1e-12)
    (evaluator,) = mapped._evaluators.values()
    assert evaluator._program.width == 8
    assert len(traces) == 1


def as_on_a_gpu(monkeypatch, function, members) -> int:
    """With what width a function is first evaluated where it begins with 64."""
    monkeypatch.setattr(_evaluator, "FIRST_WIDTH", {})
    mapped = batch.map(function, devices=jax.local_devices()[:1])
    expected = [function(member) for member in members]
    np.testing.assert_allclose(mapped(members), expected, rtol=1e-12)
    (evaluator,) = mapped._evaluators.values()
    return evaluator._program.width


@pytest.mark.parametrize(
    "members, width", [(1, 1), (2, 8), (8, 8), (9, 64), (64, 64), (600, 64)]
)
def test_gpu_begins_with_as_many_as_there_are_up_to_64(monkeypatch, members, width):
    assert as_on_a_gpu(monkeypatch, jnp.sin, np.arange(float(members))) == width


def test_gpu_begins_with_fewer_if_more_do_not_fit(monkeypatch):
    needed = []

    def memory(program):
        needed.append(program.width)
        return 1000 * program.width

    monkeypatch.setattr(_evaluator.Program, "memory", property(memory))
    monkeypatch.setattr(_evaluator, "free_memory_from", lambda devices: 4 * 10_000)
    assert as_on_a_gpu(monkeypatch, jnp.sin, np.arange(100.0)) == 8
    assert needed == [64, 8]


def test_wider_than_what_does_not_fit_is_not_tried(monkeypatch):
    monkeypatch.setattr(_evaluator, "free_memory_from", lambda devices: 40_000)
    memory = property(lambda program: 1000 * program.width)
    monkeypatch.setattr(_evaluator.Program, "memory", memory)
    monkeypatch.setattr(_evaluator, "FIRST_WIDTH", {})
    mapped = batch.map(jnp.sin, devices=jax.local_devices()[:1])
    mapped(np.arange(100.0))
    (evaluator,) = mapped._evaluators.values()
    assert evaluator._widths == []


def test_gpu_begins_with_one_if_a_function_cannot_be_vectorised(monkeypatch):
    def on_the_host(x):
        like = jax.ShapeDtypeStruct((), x.dtype)
        return jax.pure_callback(np.sin, like, x)

    assert as_on_a_gpu(monkeypatch, on_the_host, np.arange(100.0)) == 1


def test_members_and_values_larger_than_the_memory_go_in_parts(monkeypatch):
    limit = 4 * 10 * 1000 * 8  # ten members of a thousand numbers in a quarter of it
    monkeypatch.setattr(_evaluator, "free_memory_from", lambda devices: limit)
    sizes = []
    called = _evaluator.Program.__call__

    def noted(program, rows):
        sizes.append(len(rows[0]))
        return called(program, rows)

    monkeypatch.setattr(_evaluator.Program, "__call__", noted)
    x = np.arange(50.0)
    values = batch.map(lambda x: x * jnp.arange(999.0))(x)
    np.testing.assert_array_equal(values, x[:, None] * np.arange(999.0))
    assert sum(sizes) == 50
    assert max(sizes) <= 10 * len(jax.local_devices())


def test_nan_stays_with_its_member():
    x = np.array([4.0, -1.0, 9.0])
    np.testing.assert_array_equal(batch.map(jnp.sqrt)(x), [2.0, np.nan, 3.0])


def fails_for_negative(member):
    def host(x):
        if x < 0.0:
            raise ValueError(f"{x} is negative")
        return np.sqrt(x)

    root = jax.pure_callback(host, jax.ShapeDtypeStruct((), np.float64), member["x"])
    return root, member["x"] + 1.0


def test_exception_of_a_member_is_its_own():
    x = np.array([4.0, 1.0, -16.0, 9.0, -1.0])
    with pytest.warns(UserWarning, match=r"2 of 5.*member 2.*x.*-16.0.*is negative"):
        root, plus = batch.map(fails_for_negative)({"x": x})
    np.testing.assert_array_equal(root, [2.0, 1.0, np.nan, 3.0, np.nan])
    np.testing.assert_array_equal(plus, [5.0, 2.0, np.nan, 10.0, np.nan])


def test_exception_of_a_member_is_raised_on_request():
    mapped = batch.map(fails_for_negative, on_error="raise")
    with pytest.raises(jax.errors.JaxRuntimeError, match="-16.0 is negative"):
        mapped({"x": np.array([4.0, -16.0])})
    root, _ = mapped({"x": np.array([4.0, 16.0])})
    np.testing.assert_array_equal(root, [2.0, 4.0])


def test_what_is_traced_for_one_core_is_so_in_a_batch_alone():
    on_one_core = jax.jit(lambda x: x * one_core_each.value)
    mapped = batch.map(on_one_core)
    with autolens_patch.evaluate_together():
        for _ in range(2):
            assert on_one_core(1.0) == 0.0
            np.testing.assert_array_equal(mapped(np.ones(3)), np.ones(3))


def test_array_that_is_set_as_a_whole_does_not_end_the_process():
    # XLA's partitioner of programs for several devices is compiled, and ends it.
    values = json_from_python(
        """
        import autolens_patch, json
        import jax.numpy as jnp, numpy as np
        from autofit_patch import batch
        function = lambda x: jnp.zeros(5).at[0:5].set(x * jnp.ones(5)).sum()
        print(json.dumps(batch.map(function)(np.arange(3.0)).tolist()))
        """,
        JAX_NUM_CPU_DEVICES="2",
    )
    assert values == [0.0, 5.0, 10.0]


@pytest.mark.skipif(
    jax.__version_info__ < (0, 10), reason="there, a mesh is a part of what is traced"
)
def test_jitted_function_is_not_traced_again_in_a_batch():
    traces = []

    @jax.jit
    def function(x):
        traces.append(1)
        return 2.0 * x

    function(np.float64(1.0))
    np.testing.assert_array_equal(batch.map(function)(np.ones(3)), np.full(3, 2.0))
    assert len(traces) == 1


@pytest.mark.parametrize("x", [[-1.0], [-1.0, -2.0]])
def test_exception_of_every_member_is_raised(x):
    with pytest.raises(jax.errors.JaxRuntimeError, match="is negative"):
        batch.map(fails_for_negative)({"x": np.array(x)})


def test_exception_is_raised_where_no_value_can_say_so():
    def integer(member):
        return fails_for_negative(member)[0].astype(int)

    with pytest.raises(jax.errors.JaxRuntimeError, match="is negative"):
        batch.map(integer)({"x": np.array([1.0, -2.0])})


def test_exception_while_tracing_is_raised_and_nothing_is_kept():
    fail = True

    def function(x):
        if fail:
            raise RuntimeError("not today")
        return 2 * x

    mapped = batch.map(function)
    with pytest.raises(RuntimeError, match="not today"):
        mapped(np.ones(3))
    fail = False
    np.testing.assert_array_equal(mapped(np.ones(3)), 2 * np.ones(3))


def test_two_threads_share_a_mapped_function():
    mapped, results = batch.map(lambda x: jnp.cos(x).sum(), width=1), {}

    def work(name):
        rng = np.random.default_rng(name)
        for _ in range(300):
            x = rng.normal(size=(rng.integers(1, 40), 100))
            results.setdefault(name, []).append((x, mapped(x)))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # whatever can come between two steps of one does
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    for name in range(2):
        assert len(results[name]) == 300
        for x, values in results[name]:
            np.testing.assert_allclose(values, np.cos(x).sum(1), rtol=1e-10)


def test_interrupt_leaves_a_usable_process():
    import _thread

    def host(x):
        time.sleep(0.01)
        return x

    def slow(x):
        return jax.pure_callback(host, jax.ShapeDtypeStruct((), x.dtype), x)

    mapped = batch.map(slow)
    mapped(np.arange(4.0))
    # Of a job in the background of a shell, interrupts are ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        mapped(np.arange(2000.0))  # ten seconds on two devices
        time.sleep(5)
    timer.join()
    signal.signal(signal.SIGINT, before)
    np.testing.assert_array_equal(mapped(np.arange(4.0)), np.arange(4.0))


def test_report_and_progress(capsys):
    batch.map(jnp.sin, report=True, progress=True)(np.arange(10.0))
    captured = capsys.readouterr()
    assert "10 members in" in captured.out
    assert "1 member at once on each of 2 cpu devices" in captured.out
    assert "10/10" in captured.err
    batch.map(jnp.sin)(np.arange(10.0))
    captured = capsys.readouterr()
    assert not captured.out
    assert not captured.err


@pytest.mark.parametrize(
    "options, message",
    [
        ({"width": 0}, "width is a whole number above 0, not 0"),
        ({"chunk": 1.5}, "chunk is a whole number above 0, not 1.5"),
        ({"on_error": "ignore"}, "'nan' or 'raise', not 'ignore'"),
    ],
)
def test_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        batch.map(jnp.sin, **options)


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="expected a function, and was given 3"):
        batch.map(3)


def test_what_is_no_batch_is_refused(instance):
    mapped = batch.map(lambda instance: 1.0)
    with pytest.raises(ValueError, match="is a single number"):
        mapped(instance)
    with pytest.raises(ValueError, match="argument 0 has 2 and argument 1 has 3"):
        mapped(np.ones(2), np.ones(3))
    with pytest.raises(TypeError, match="Use jax.lax.map or jax.vmap there"):
        jax.jit(mapped)(np.ones(3))


DEVICES = """
import autofit_patch, json, jax, numpy as np
from autofit_patch import batch
mapped = batch.map(lambda x: (x["a"] * 2, x["a"].sum() + x["b"]))
differences = []
for count in (0, 1, 2, 5, 16, 23):
    a, b = np.random.default_rng(0).normal(size=(count, 3)), np.arange(count)
    double, total = mapped({"a": a, "b": b})
    differences.append(float(np.abs(double - 2 * a).sum()))
    differences.append(float(np.abs(total - a.sum(1) - b).sum()))
print(json.dumps([len(jax.devices()), max(differences)]))
"""


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_any_number_of_devices(count):
    devices, difference = json_from_python(DEVICES, JAX_NUM_CPU_DEVICES=str(count))
    assert devices == count
    assert difference < 1e-12


CORES = """
import json, os
if {one_core}:
    os.sched_setaffinity(0, [*os.sched_getaffinity(0)][:1])
import autofit_patch
{before}
from autofit_patch import batch
import jax, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    batch.map(lambda x: x)(jax.numpy.ones(1))
print(json.dumps([len(jax.devices()), "".join(str(w.message) for w in caught)]))
"""
CHOSEN = "os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=3'"
TOO_LATE = "import jax; jax.numpy.ones(3)"
cores = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "one_core, before, devices, message",
    [
        (False, "", cores, ""),
        (True, "", 1, ""),
        (False, CHOSEN, 3, ""),
        pytest.param(
            *(False, TOO_LATE, 1, f"JAX_NUM_CPU_DEVICES={cores}"),
            marks=pytest.mark.skipif(cores == 1, reason="one core is all there is"),
        ),
    ],
    ids=["all", "pinned to one", "chosen by flag", "too late"],
)
def test_every_core_is_a_device(one_core, before, devices, message):
    code = CORES.format(one_core=one_core, before=before)
    found, said = json_from_python(code, JAX_NUM_CPU_DEVICES=None)
    assert found == devices
    assert message in said
    assert bool(message) == bool(said)


def test_batched_fft_does_not_hang_without_the_flag():
    process = run_python(
        """
        import autofit_patch, jax, numpy as np
        from autofit_patch import batch
        import jax.numpy as jnp

        def convolved(image):
            for _ in range(5):
                image = jnp.fft.irfft2(jnp.fft.rfft2(image), s=image.shape)
            return image.sum()

        images = np.random.default_rng(0).normal(size=(16, 180, 180))
        for width in (1, 8):
            values = batch.map(convolved, width=width)(images)
            np.testing.assert_allclose(values, images.sum((1, 2)), rtol=1e-8, atol=1e-8)
        print("done")
        """,
        XLA_FLAGS="--xla_cpu_multi_thread_eigen=true",
    )
    assert process.stdout.endswith("done\n"), process.stderr


def test_large_members_leave_no_room_for_many_that_are_not_there():
    members = np.arange(30_000.0).reshape(3, 10_000)
    mapped = batch.map(lambda x: x.sum(), progress=False)
    np.testing.assert_allclose(mapped(members), members.sum(axis=1))
    (evaluator,) = mapped._evaluators.values()
    # Two megabytes, on a CPU.
    assert 1 <= evaluator._program.capacity <= 2**21 / members[0].nbytes
