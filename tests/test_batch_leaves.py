"""A mapped function takes and returns whatever leaves JAX has, and names all others."""

import threading
import time
from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import run_python
from jax import lax
from jax.experimental import io_callback
from jax.extend.random import define_prng_impl

from autofit_patch import batch


def by_loop(function, *arguments, **keywords):
    """What a plain loop of compiled calls gives."""
    count = batch.size((arguments, keywords))
    jitted = jax.jit(function)
    values = []
    for index in range(count):
        args, kwargs = member(index, (arguments, keywords))
        values.append(jitted(*args, **kwargs))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *values)


def member(index, members):
    """One of the members, taken by hand."""
    return jax.tree.map(lambda leaf: leaf[index], members)


def assert_equal(values, expected):
    assert jax.tree.structure(values) == jax.tree.structure(expected)
    for value, other in zip(
        jax.tree.leaves(values), jax.tree.leaves(expected), strict=True
    ):
        assert value.dtype == other.dtype
        np.testing.assert_allclose(value, other, rtol=1e-12)


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_keys_of_random_numbers_are_members_and_values(implementation, width):
    keys = jax.random.split(jax.random.key(5, impl=implementation), 7)
    members = {
        "key": keys,
        "pair": jax.random.split(keys[0], (7, 2)),
        "x": np.arange(7.0),
    }

    def function(member):
        first, second = jax.random.split(member["key"])
        return {
            "draw": member["x"] + jax.random.normal(first, (3,)),
            "next": second,
            "same": member["pair"],
            "new": jax.random.key(member["x"].astype(int)),
        }

    values = batch.map(function, width=width)(members)
    jitted = jax.jit(function)
    for index in range(7):
        expected = jitted(member(index, members))
        np.testing.assert_allclose(values["draw"][index], expected["draw"], rtol=1e-12)
        assert values["next"][index] == expected["next"]
        assert (values["same"][index] == members["pair"][index]).all()
        assert values["new"][index] == jax.random.key(index)
    assert jax.random.key_impl(values["next"]) == implementation
    assert batch.size(batch.map(function)(batch.take(members, []))) == 0


def drawn(seed, impl="rbg"):
    return jax.random.normal(jax.random.key(jnp.asarray(seed).astype(int), impl=impl))


#: A generator of a user's own.
OWN = define_prng_impl(
    key_shape=(4,),
    seed=lambda seed: jnp.arange(4, dtype=jnp.uint32) + seed.astype(jnp.uint32),
    split=lambda key, shape: jnp.broadcast_to(key, (*shape, 4)),
    fold_in=lambda key, data: key + data,
    random_bits=lambda key, bit_width, shape: lax.rng_bit_generator(
        key, shape, dtype=jnp.dtype(f"uint{bit_width}")
    )[1],
    name="own",
    tag="own",
)


@pytest.mark.parametrize(
    "function",
    [
        drawn,
        jax.jit(drawn),
        lambda seed: drawn(seed, OWN),
        lambda seed: lax.rng_bit_generator(jnp.full(4, seed).astype(jnp.uint32), (3,))[1],
        lambda seed: lax.fori_loop(0, 2, lambda _, x: x + drawn(seed), 0.0),
        lambda seed: lax.custom_root(
            *(lambda x: x - drawn(seed), 0.0),
            *(lambda f, x: x - f(x), lambda g, y: y / g(1.0)),
        ),
        jax.value_and_grad(lambda x: x * drawn(x)),
    ],
    ids=["key", "jit", "own", "bits", "loop", "root", "gradient"],
)
def test_draws_do_not_depend_on_how_many_are_evaluated_at_once(function):
    seeds = np.arange(5.0)
    expected = by_loop(function, seeds)
    assert_equal(batch.map(function, width=3)(seeds), expected)


def test_keys_of_two_implementations_are_two_kinds():
    mapped = batch.map(lambda key: jax.random.bits(key, (4,)), width=2)
    for implementation in ("rbg", "unsafe_rbg", "rbg"):
        keys = jnp.stack([jax.random.key(7, impl=implementation)] * 2)
        expected = [jax.random.bits(key, (4,)) for key in keys]
        np.testing.assert_array_equal(mapped(keys), expected)


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize(
    "function, members",
    [
        (lambda m: m["x"] + m["none"].sum(), {"x": np.arange(7.0)}),
        (lambda m: m["none"].sum() + 1.0, {}),
        (lambda m: m["none"], {}),
        (lambda m: (m["none"], m["x"]), {"x": np.arange(7)}),
        (lambda m: {"a": None, "x": m["x"], "b": ()}, {"x": np.arange(7.0)}),
    ],
    ids=["beside others", "alone", "returned", "returned beside", "no leaf"],
)
def test_leaves_without_numbers_are_members_and_values(function, members, width):
    members = {**members, "none": np.zeros((7, 0, 2))}
    expected = by_loop(function, members)
    assert_equal(batch.map(function, width=width)(members), expected)


@pytest.mark.parametrize("nothing", [None, (), {"a": None}])
def test_function_that_returns_nothing_is_evaluated_for_every_member(nothing):
    seen = []

    def save(x):
        time.sleep(0.02)
        seen.append(float(x))

    def function(x):
        io_callback(save, None, x)
        return nothing

    values = batch.map(function, width=1)(np.arange(9.0))
    assert sorted(seen) == [*np.arange(9.0)]
    assert values == nothing


def test_error_of_a_function_that_returns_nothing_is_raised():
    # In a process of its own: JAX tells of the error once more when it ends.
    process = run_python(
        """
        import autofit_patch, jax, numpy as np
        from jax.experimental import io_callback
        from autofit_patch import batch

        def save(x):
            if x == 3.0:
                raise ValueError("the disk is full")

        try:
            batch.map(lambda x: io_callback(save, None, x))(np.arange(6.0))
        except jax.errors.JaxRuntimeError as error:
            print("raised:", "the disk is full" in str(error))
        """
    )
    assert process.stdout.endswith("raised: True\n"), process.stderr


def test_gradients_of_integers_are_those_of_jax():
    def function(n, x):
        return n * x**2

    gradient = jax.grad(function, argnums=(0, 1), allow_int=True)
    n, x = np.arange(5), np.arange(5.0)
    of_n, of_x = batch.map(gradient)(n, x)
    expected = jax.vmap(gradient)(n, x)
    assert of_n.dtype == expected[0].dtype == jax.dtypes.float0
    assert of_n.shape == expected[0].shape
    np.testing.assert_array_equal(of_x, 2 * n * x)
    # And they are members as others are.
    np.testing.assert_array_equal(batch.map(lambda g: g[1])((of_n, of_x)), of_x)


def test_numbers_of_a_fits_file_are_members():
    x, n = np.linspace(0.0, 1.0, 5), np.arange(5, dtype=np.int32)
    values = batch.map(lambda x, n: (jnp.sin(x), n + 1))(x.astype(">f8"), n.astype(">i4"))
    assert_equal(values, (np.sin(x), n + 1))


def test_keywords_are_members_too():
    def function(x, scale, *, shift):
        return x * scale["a"] + shift

    x, scale, shift = np.arange(5.0), {"a": np.arange(5.0) + 1}, np.arange(5.0) ** 2
    expected = x * scale["a"] + shift
    mapped = batch.map(function)
    for values in (
        mapped(x, scale, shift=shift),
        mapped(x, shift=shift, scale=scale),
        mapped(shift=shift, scale=scale, x=x),
    ):
        np.testing.assert_array_equal(values, expected)


Pair = namedtuple("Pair", "a, b")
ADVICE = r"functools.partial, or a closure\), or is repeated for each \(np.full"
MISTAKES = {
    "second number": (
        (np.ones(3), 2.0),
        {},
        "^argument 1 is a single number, 2.0.*" + ADVICE,
    ),
    "first number": (
        (2, np.ones(3)),
        {},
        "^argument 0 is a single number, 2:.*" + ADVICE,
    ),
    "keyword number": (
        (np.ones(3),),
        {"y": 2.0},
        "^argument 'y' is a single number, 2.0.*" + ADVICE,
    ),
    "a leaf": (
        (np.ones(3), {"b": {"c": np.float64(2.0)}}),
        {},
        r"^\['b'\]\['c'\] of argument 1 is a single number, np.float64\(2.0\).*" + ADVICE,
    ),
    "an attribute": (
        (Pair(np.ones(3), 4.0),),
        {},
        "^b of argument 0 is a single number, 4.0.*batch.stack",
    ),
    "array of a number": ((np.array(2.0),), {}, "^argument 0 is a single number"),
    "list of numbers": (([1.0, 2.0],), {}, r"^\[0\] of argument 0 is a single number"),
    "different": (
        (np.ones(3), Pair(np.ones(3), np.ones(4))),
        {},
        "but argument 0 has 3 and b of argument 1 has 4",
    ),
    "keyword different": (
        (np.ones(3),),
        {"y": np.ones(4)},
        "but argument 0 has 3 and argument 'y' has 4",
    ),
    "no members of one": (
        (np.ones(3), np.ones(0)),
        {},
        "but argument 0 has 3 and argument 1 has 0",
    ),
    "nothing": ((), {}, "has at least one leaf, and this has none.*" + ADVICE),
    "empty tuple": (((),), {}, "has at least one leaf, and this has none"),
    "None": ((None,), {}, "has at least one leaf, and this has none"),
}


@pytest.mark.parametrize("arguments, keywords, message", MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize("after_a_batch", [False, True])
def test_argument_without_members_is_named(arguments, keywords, message, after_a_batch):
    mapped = batch.map(lambda *arguments, **keywords: 1.0)
    if after_a_batch:
        mapped(np.ones(3), y=np.ones(3))
    with pytest.raises(ValueError, match=message):
        mapped(*arguments, **keywords)


def test_empty_arguments_beside_a_batch_are_passed_on():
    values = batch.map(lambda x, nothing, none: x + len(nothing) + (none is None))(
        np.arange(3.0), (), None
    )
    np.testing.assert_array_equal(values, np.arange(3.0) + 1)


NO_NUMBERS = {
    "strings": (
        {"x": np.ones(2), "s": np.array(["a", "b"])},
        r"\['s'\] of argument 0 is dt",
    ),
    "bytes": (np.array([b"a", b"b"]), "argument 0 is dtype"),
    "objects": (np.array([1.0, 2.0], object), r"argument 0 is dtype\('O'\)"),
    "object": (object(), "argument 0 is <object object"),
    "generator": ((x for x in (1.0, 2.0)), "argument 0 is <generator.*batch.stack"),
    "dates": (np.zeros(2, "M8[s]"), "argument 0 is dtype"),
    "records": (np.zeros(2, [("a", ">f8")]), "argument 0 is dtype"),
    "long": (np.ones(2, np.longdouble), r"argument 0 is dtype\('float128'\)"),
    "masked": (
        np.ma.masked_array([1.0, 2.0], mask=[True, False]),
        r"argument 0 has masked values.*filled\(...\)",
    ),
}


@pytest.mark.filterwarnings("ignore:Python iterable type")
@pytest.mark.parametrize("members, message", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_leaf_that_jax_has_not_is_named(members, message):
    with pytest.raises(TypeError, match=message):
        batch.map(lambda member: 1.0)(members)


@pytest.mark.parametrize(
    "value, message",
    [
        ("a", "returned 'a' for its value, and not a number"),
        ({"x": 1.0, "kind": "b"}, r"returned 'b' for \['kind'\], and not a number"),
        ([object()], r"returned <object object.*> for \[0\]"),
    ],
)
def test_value_that_is_no_number_is_named(value, message):
    with pytest.raises(TypeError, match=message):
        batch.map(lambda x: value)(np.ones(2))


def test_member_that_fails_is_told_by_its_argument():
    def host(x, y):
        if x == 2.0:
            raise ValueError("no root")
        return x + y

    def function(x, y, key):
        return jax.pure_callback(host, jax.ShapeDtypeStruct((), x.dtype), x, y["a"])

    x, keys = np.arange(4.0), jax.random.split(jax.random.key(0), 4)
    message = r"member 2 \(argument 0 = 2.0, \['a'\] of argument 1 = 3.0\): .*no root"
    with pytest.warns(UserWarning, match=message):
        values = batch.map(function)(x, {"a": x + 1}, keys)
    np.testing.assert_array_equal(values, [1.0, 3.0, np.nan, 7.0])


def test_threads_give_keys_and_empty_leaves_alike():
    mapped = batch.map(lambda m: jax.random.normal(m["key"], (3,)) + m["none"].sum())
    results = {}

    def work(seed):
        keys = jax.random.split(jax.random.key(seed), 5 + seed)
        results[seed] = keys, mapped({"key": keys, "none": np.zeros((5 + seed, 0))})

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        keys, values = results[seed]
        expected = [jax.random.normal(key, (3,)) for key in keys]
        np.testing.assert_allclose(values, expected, rtol=1e-12)
