"""When profiles are evaluated together: what is traced before, after, and elsewhere."""

import threading

import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import run_python

import autolens_patch
from autofit_patch import batch

GRID = al.Grid2D.uniform(shape_native=(3, 3), pixel_scales=1.0)


@pytest.fixture(autouse=True)
def one_by_one_afterwards():
    yield
    autolens_patch.evaluate_together(False)


def galaxy_from(scale=1.0) -> al.Galaxy:
    radii = {"first": 1.0, "second": 1.5, "third": 0.5}
    return al.Galaxy(
        redshift=0.5,
        **{
            name: al.mp.IsothermalSph(centre=(0.03, 0.02), einstein_radius=scale * radius)
            for name, radius in radii.items()
        },
    )


def deflection(galaxy):
    return galaxy.deflections_yx_2d_from(grid=GRID, xp=jnp).array


def is_together(function=deflection) -> bool:
    """Whether a function is evaluated together if it is traced now."""
    text = str(jax.make_jaxpr(function)(galaxy_from()))
    return "scan" in text or "while" in text


def in_a_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_nothing_is_evaluated_together_unless_it_is_asked_for():
    assert not is_together()


def test_call_holds_from_then_on_in_every_thread():
    autolens_patch.evaluate_together()
    assert is_together()
    assert in_a_thread(is_together)
    autolens_patch.evaluate_together(False)
    assert not is_together()
    assert not in_a_thread(is_together)


def test_block_ends_and_is_of_its_thread():
    with autolens_patch.evaluate_together():
        assert is_together()
        assert not in_a_thread(is_together)
        with autolens_patch.evaluate_together(False):
            assert not is_together()
        assert is_together()
    assert not is_together()


def test_block_ends_with_an_error_too():
    with pytest.raises(ZeroDivisionError), autolens_patch.evaluate_together():
        raise ZeroDivisionError
    assert not is_together()


def test_block_within_what_holds_puts_it_back():
    autolens_patch.evaluate_together()
    with autolens_patch.evaluate_together(False):
        assert not is_together()
    assert is_together()


def test_block_can_be_opened_again_within_itself():
    block = autolens_patch.evaluate_together()
    with block:
        with block:
            assert is_together()
        assert is_together()
    assert not is_together()


def test_block_puts_back_what_held_when_it_began():
    block = autolens_patch.evaluate_together(False)
    autolens_patch.evaluate_together()
    with block:
        assert not is_together()
    assert is_together()


def test_decorated_function_is_a_block():
    @autolens_patch.evaluate_together()
    def decorated(depth=0):
        return is_together() and (depth == 2 or decorated(depth + 1))

    assert not is_together()
    assert decorated()
    assert not is_together()
    assert decorated.__name__ == "decorated"


def test_one_block_can_be_open_in_two_threads_at_once():
    block = autolens_patch.evaluate_together()
    in_both, out_of_one = threading.Event(), threading.Event()

    def other():
        with block:
            in_both.set()
            out_of_one.wait(60)
            found = is_together()
        return found and not is_together()

    found = []
    thread = threading.Thread(target=lambda: found.append(other()))
    with block:
        thread.start()
        in_both.wait(60)
        assert is_together()
    assert not is_together()
    out_of_one.set()
    thread.join()
    assert found == [True]


def test_block_that_ends_in_another_thread_is_an_error():
    def open_block():
        with autolens_patch.evaluate_together():
            yield

    generator = open_block()
    in_a_thread(lambda: next(generator))
    with pytest.raises(RuntimeError, match="ended in another thread"):
        generator.close()
    assert not is_together()


def test_no_tracer_is_left_of_what_is_traced():
    with autolens_patch.evaluate_together(), jax.checking_leaks():
        found = jax.jit(deflection)(galaxy_from())
    expected = jax.jit(deflection)(galaxy_from())
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("transform", [jax.jit, batch.map], ids=["jit", "batch.map"])
def test_function_that_was_traced_before_is_traced_again(transform):
    traced = []

    def function(galaxy):
        traced.append(None)
        return deflection(galaxy)

    function = transform(function)
    galaxy = galaxy_from()
    if transform is batch.map:
        galaxy = jax.tree.map(lambda leaf: np.array([leaf, 1.1 * leaf]), galaxy)
    before = function(galaxy)
    traces = len(traced)
    autolens_patch.evaluate_together()
    after = function(galaxy)
    assert len(traced) == 2 * traces
    np.testing.assert_allclose(after, before, rtol=1e-12)
    assert len(traced) == 2 * traces


def test_numpy_is_left_to_the_libraries(monkeypatch):
    autolens_patch.evaluate_together()
    monkeypatch.setattr(jax, "make_jaxpr", None)
    figure = galaxy_from().deflections_yx_2d_from(grid=GRID)
    assert isinstance(figure.array, np.ndarray)


@pytest.mark.parametrize("wrong", [None, 1, lambda x: x], ids=["None", "1", "function"])
def test_anything_but_a_boolean_is_refused_with_what_to_do(wrong):
    with pytest.raises(TypeError, match=r"True or False.*called before"):
        autolens_patch.evaluate_together(wrong)


@pytest.mark.parametrize("package", ["autogalaxy", "autolens"])
def test_it_can_be_called_before_the_libraries_are_imported(package):
    process = run_python(f"""
        import sys
        import {package}_patch
        {package}_patch.evaluate_together()
        assert "autogalaxy" not in sys.modules
        import {package} as ag
        import jax, jax.numpy as jnp
        galaxies = [
            ag.Galaxy(0.5, mass=ag.mp.IsothermalSph(einstein_radius=radius))
            for radius in (1.0, 2.0)
        ]
        grid = ag.Grid2DIrregular([(0.3, 0.1)])
        makers = [lambda galaxies: ag.Galaxies(galaxies)]
        if "{package}" == "autolens":
            makers.append(lambda galaxies: ag.Tracer(galaxies=galaxies))
        for make in makers:
            def deflection(galaxies):
                return make(galaxies).deflections_yx_2d_from(grid=grid, xp=jnp).array
            assert "scan" in str(jax.make_jaxpr(deflection)(galaxies))
        """)
    assert process.returncode == 0, process.stderr
