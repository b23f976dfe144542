"""A mapped function keeps to JAX's settings, stays out of tracing, and can be copied."""

import copy
import gc
import pickle
import threading
import warnings
import weakref
from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autofit_patch import batch

X = np.arange(3.0)
TRACED = "cannot be part of a function that JAX traces.*evaluate the batch before"


@pytest.mark.parametrize("warm", [False, True], ids=["new", "compiled before"])
@pytest.mark.parametrize(
    "call",
    [
        lambda mapped: jax.jit(lambda s: mapped(X) * s)(2.0),
        lambda mapped: jax.jit(lambda s: mapped(jnp.asarray(X)) * s)(2.0),
        lambda mapped: jax.jit(mapped)(X),
        lambda mapped: jax.lax.map(lambda s: mapped(X) * s, X),
        lambda mapped: jax.jit(jax.vmap(lambda s: mapped(X) * s))(X),
        lambda mapped: jax.vmap(mapped)(X[None]),
        lambda mapped: jax.eval_shape(lambda: mapped(X)),
        lambda mapped: batch.map(lambda s: mapped(X) * s)(X),
        lambda mapped: batch.map(mapped)(X[None]),
    ],
    ids=["jit", "jit of JAX", "jit of argument", "lax.map", "jit of vmap"]
    + ["vmap of argument", "eval_shape", "batch.map", "batch.map of argument"],
)
def test_batch_inside_what_jax_traces_is_refused(call, warm):
    mapped = batch.map(jnp.sin)
    if warm:
        mapped(X)
    with pytest.raises(TypeError, match=TRACED):
        call(mapped)
    np.testing.assert_allclose(mapped(X), np.sin(X), rtol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: jax.vmap(lambda s: batch.map(lambda x: x * s)(X))(X),
        lambda: jax.grad(lambda s: batch.map(lambda x: x * s)(X).sum())(2.0),
        lambda: jax.jit(lambda s: batch.map(lambda x: x * s)(X))(2.0),
    ],
    ids=["vmap", "grad", "jit"],
)
def test_function_of_what_jax_traces_is_refused(call):
    with pytest.raises(TypeError, match=TRACED):
        call()


def test_batch_of_numbers_has_its_values_where_nothing_is_compiled():
    mapped = batch.map(jnp.sin)

    def evaluated_before(s):
        with jax.ensure_compile_time_eval():
            values = mapped(X)
        return values * s

    expected = np.sin(X)
    values = jax.vmap(lambda s: mapped(X) * s)(X)
    np.testing.assert_allclose(values, np.outer(X, expected), rtol=1e-12)
    gradient = jax.grad(lambda s: (mapped(X) * s).sum())(2.0)
    np.testing.assert_allclose(gradient, expected.sum(), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(evaluated_before)(2.0), 2 * expected, rtol=1e-12)


def test_function_may_evaluate_another_batch_before_it_is_compiled():
    def function(x):
        if x.dtype == np.int32:
            return x
        with jax.ensure_compile_time_eval():
            weights = mapped(np.arange(4, dtype=np.int32))
        return x * weights.sum()

    mapped, values = batch.map(function), []
    thread = threading.Thread(target=lambda: values.append(mapped(X)), daemon=True)
    thread.start()
    thread.join(60)  # two that wait for each other would wait forever
    np.testing.assert_array_equal(values, [6 * X])


SETTINGS = {
    "x64": lambda: jax.enable_x64(False),
    "matmul": lambda: jax.default_matmul_precision("highest"),
    "threefry": lambda: jax.threefry_partitionable(False),
}


def follows_settings(member):
    """A function whose dtypes and values depend on the settings of JAX."""
    x, n = member
    precision = jax.config.jax_default_matmul_precision
    return {
        "double": 2 * x,
        "sum": n + 1,
        "zeros": jnp.zeros(3),
        "draw": jax.random.normal(jax.random.PRNGKey(0), (3,)),
        "precision": 0.0 if precision is None else float(len(precision)),
    }


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_values_are_those_of_the_settings_at_the_call(setting):
    members = X, np.arange(3)
    mapped = batch.map(follows_settings, width=1)
    for context in (nullcontext, setting, nullcontext, setting):
        with context(), warnings.catch_warnings():
            warnings.simplefilter("error")
            values = mapped(members)
            expected = jax.jit(jax.vmap(follows_settings))(members)
        assert jax.tree.structure(values) == jax.tree.structure(expected)
        for name in expected:
            assert values[name].dtype == expected[name].dtype
            np.testing.assert_allclose(values[name], expected[name], rtol=1e-6)


def test_mesh_of_the_user_changes_nothing():
    mapped = batch.map(jnp.sin)
    mesh = jax.make_mesh((2,), ("x",))
    for context in (lambda: jax.set_mesh(mesh), nullcontext, lambda: jax.set_mesh(mesh)):
        with context():
            sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
            members = jax.device_put(np.arange(6.0), sharding)
            np.testing.assert_allclose(mapped(members), np.sin(np.arange(6.0)))


def test_disabled_compilation_is_named():
    mapped = batch.map(jnp.sin)
    for _ in range(2):
        with jax.disable_jit(), pytest.raises(RuntimeError, match=r"batch.unstack\(inst"):
            mapped(X)
        np.testing.assert_allclose(mapped(X), np.sin(X), rtol=1e-12)


def test_function_is_traced_once_for_each_setting():
    traces = []

    def function(x):
        traces.append(jax.config.jax_enable_x64)
        return x

    mapped = batch.map(function)
    for _ in range(3):
        for count in (1, 5):
            mapped(np.ones(count))
            with jax.enable_x64(False):
                mapped(np.ones(count))
    assert traces == [True, False]


def test_threads_keep_to_their_own_settings():
    mapped, dtypes = batch.map(lambda x: x * jnp.ones(2)), {}
    barrier = threading.Barrier(2)

    def work(is_double):
        with jax.enable_x64(is_double):
            for _ in range(20):
                barrier.wait(60)
                dtypes.setdefault(is_double, set()).add(str(mapped(X).dtype))

    threads = [threading.Thread(target=work, args=(each,)) for each in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dtypes == {True: {"float64"}, False: {"float32"}}


def test_devices_are_those_at_the_call(monkeypatch, capsys):
    mapped = batch.map(jnp.sin, report=True)
    devices = jax.local_devices()
    assert len(devices) == 2
    for some in (devices, devices[:1], devices):
        monkeypatch.setattr(jax, "local_devices", lambda some=some: some)
        np.testing.assert_allclose(mapped(X), np.sin(X), rtol=1e-12)
        assert f"on each of {len(some)} cpu device" in capsys.readouterr().out


def square(x):
    return x**2


@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda mapped: pickle.loads(pickle.dumps(mapped))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_keep_the_options_and_compile_for_themselves(copied, used, capsys):
    mapped = batch.map(square, width=3, chunk=5, on_error="raise", report=True)
    if used:
        mapped(X)
    twin = copied(mapped)
    assert twin.function is square
    assert (twin.width, twin.chunk, twin.on_error) == (3, 5, "raise")
    np.testing.assert_array_equal(twin(X), X**2)
    assert "3 members at once" in capsys.readouterr().out
    # What one compiles is not the other's.
    twin.function = lambda x: x + 1
    twin(X.astype(np.float32))
    np.testing.assert_array_equal(mapped(X.astype(np.float32)), X**2)


@pytest.mark.parametrize("devices", [[0], [0, 1]])
def test_copies_keep_the_devices(devices):
    chosen = [jax.local_devices()[index] for index in devices]
    twin = copy.copy(batch.map(square, devices=chosen))
    assert twin.devices == chosen
    np.testing.assert_array_equal(twin(X), X**2)


@pytest.mark.parametrize("options", [{}, {"width": 2}])
def test_what_was_compiled_is_let_go_with_the_mapped_function(options):
    class Function:
        def __init__(self):
            self.data = jnp.arange(1000.0)

        def __call__(self, x):
            return x * self.data.sum()

    function = Function()
    mapped = batch.map(function, **options)
    np.testing.assert_allclose(mapped(X), X * 499500.0)
    (evaluator,) = mapped._evaluators.values()
    program = evaluator._program
    kept = [mapped, function, function.data, evaluator, program, program.compiled]
    references = [weakref.ref(each) for each in kept]
    del function, mapped, evaluator, program, kept
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)


@pytest.mark.parametrize("width", [np.int64(8), np.uint8(8)])
def test_width_of_numpy_is_a_whole_number(width):
    mapped = batch.map(jnp.sin, width=width, chunk=np.int32(3))
    assert (mapped.width, mapped.chunk) == (8, 3)
    assert type(mapped.width) is int
    np.testing.assert_allclose(mapped(np.arange(20.0)), np.sin(np.arange(20.0)))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"width": True}, "width is a whole number above 0, not True"),
        ({"chunk": "3"}, "chunk is a whole number above 0, not '3'"),
        ({"width": np.float64(8)}, "width is a whole number above 0, not np.float64"),
        ({"devices": []}, r"a list of JAX devices, such as .*, not \[\]"),
        ({"devices": 2}, "a list of JAX devices, such as .*, not 2"),
        ({"devices": ["cpu:0"]}, "a list of JAX devices, such as .*, not .'cpu:0'"),
        ({"devices": jax.local_devices()[0]}, "a list of JAX devices, .*, not Cpu"),
        ({"devices": jax.local_devices()[:1] * 2}, "a device more than once"),
    ],
)
def test_option_that_is_no_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        batch.map(jnp.sin, **options)
