"""What the tests share."""

import os
import sys
import tempfile
from pathlib import Path

# Where no bytecode may be written beside the source, as in many containers, every process
# of the tests would compile the libraries' Python again, which takes it two seconds.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(tempfile.gettempdir()) / "pytest-bytecode")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Everything is compiled once and run on little: XLA need not make it fast. Its emitters
# of loops that existed before the present ones take half as long, and what is not split
# for many cores takes less in all.
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0 "
    "--xla_cpu_parallel_codegen_split_count=1 "
    "--xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters"
)

# What one process of the tests compiled, the others take from here, however small it is.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled = tempfile.TemporaryDirectory(prefix="pytest-compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

# Two devices, as autofit_patch.batch makes of two cores, whatever is imported first.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")

import autolens_patch  # noqa: E402, F401, I001  (first, as in a user's script)

import gc
import json

import jax
import pytest
from lens import VECTOR, imaging_from, lens_model_from
from programs import run_python

# Tracing makes many objects, and to look for garbage among all of them as often as Python
# does takes a fifth of its time. What was imported is none.
gc.freeze()
gc.set_threshold(50_000)

__all__ = ["VECTOR", "json_from_python", "lens_model_from", "run_python"]


def pytest_collection_modifyitems(items):
    """The longest tests come first: no process waits for them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def model():
    return lens_model_from()


@pytest.fixture
def instance(model):
    return model.instance_from_vector(VECTOR)


@pytest.fixture(scope="session")
def dataset():
    return imaging_from()


@pytest.fixture(scope="module")
def nothing_before():
    """What other tests left is not looked through when garbage is collected."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def compilations():
    """A list to which every compilation of XLA adds an entry."""
    seen = []

    def listen(event, *arguments, **keywords):
        if event.endswith("backend_compile_duration"):
            seen.append(keywords.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


def json_from_python(code: str, **environment):
    """What a program in a fresh interpreter prints last, as JSON."""
    process = run_python(code, **environment)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def together_and_plain(function, *arguments) -> list:
    """What a function gives under ``jit``, profiles together and one by one."""
    results = []
    for on in (True, False):
        with autolens_patch.evaluate_together(on):
            results.append(jax.jit(function)(*arguments))
    return results
