"""Which releases of the libraries are patched, and how a newer one is checked."""

import time
from dataclasses import replace

import jax
import pytest
from conftest import json_from_python, run_python

import autofit_patch
import autogalaxy_patch
import autolens_patch
from autofit_patch.libraries import _check

#: A program that sees other versions of the libraries than are installed.
PRETENDING = """
import importlib.metadata
real = importlib.metadata.version
versions = {versions}
importlib.metadata.version = lambda name: versions.get(name) or real(name)
"""

#: Imports everything, twice if it fails, and prints each error.
IMPORTING = """
for _ in range(2):
    try:
        import autolens_patch
        import autolens
    except ImportError as error:
        print(error)
"""

LIBRARIES = ("autonerves", "autofit", "autoarray", "autogalaxy", "autolens")

NEWER = dict.fromkeys(LIBRARIES, "2099.1.1.1")


def program(versions: dict, *parts: str) -> str:
    return "\n".join([PRETENDING.format(versions=versions), *parts])


def errors_of(versions: dict, breaking: str = "") -> list:
    process = run_python(program(versions, breaking, IMPORTING))
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


def warnings_of(process) -> list:
    return [line for line in process.stderr.splitlines() if "UserWarning" in line]


#: Older releases, by library, each of which is pretended in turn: JAX first, since what
#: is patched once is not patched, and asks for JAX, again.
OLDER = {"jax": "0.4.30", **dict.fromkeys(LIBRARIES, "2019.1.1")}


@pytest.fixture(scope="module")
def errors_of_older():
    """The errors of importing the patch, twice, with each of the older releases."""
    code = f"""
import json
errors = {{}}
for library, version in {OLDER!r}.items():
    versions.clear()
    versions[library] = version
    errors[library] = []
    for _ in range(2):
        try:
            import autolens_patch
            import autolens
        except ImportError as error:
            errors[library].append(str(error))
print(json.dumps(errors))
"""
    return json_from_python(program({}, code))


@pytest.mark.parametrize("library", LIBRARIES)
def test_older_release_is_an_error_naming_version_and_range(library, errors_of_older):
    first, second = errors_of_older[library]
    assert f"{library} 2019.1.1 is installed" in first
    assert "2026.9.8.1 to 2026.10.26.1" in first
    assert f"pip install {library}==2026.10.26.1" in first
    assert second == first


def test_older_jax_is_an_error_naming_version_and_range(errors_of_older):
    first, second = errors_of_older["jax"]
    assert "jax 0.4.30 is installed" in first
    assert "0.9.2 to 0.11.2" in first
    assert second == first


@pytest.mark.parametrize(
    "versions, tested",
    [
        (NEWER, ["the libraries 2026.9.8.1 to 2026.10.26.1"]),
        ({"autogalaxy": "2026.10.26.2"}, ["the libraries 2026.9.8.1 to 2026.10.26.1"]),
        ({"autofit": "0.0.dev1"}, ["the libraries 2026.9.8.1 to 2026.10.26.1"]),
        ({"jax": "0.12.0"}, ["jax 0.9.2 to 0.11.2"]),
        (
            {"autolens": "2099.1.1.1", "jax": "0.12.0"},
            ["the libraries 2026.9.8.1 to 2026.10.26.1", "jax 0.9.2 to 0.11.2"],
        ),
    ],
    ids=["all", "one", "development", "jax", "one and jax"],
)
def test_newer_release_is_accepted_with_one_warning(versions, tested):
    works = """
import importlib, sys
import autolens_patch, autofit_patch, autogalaxy_patch
import autolens as al
import jax
assert len(jax.tree.leaves(al.mp.Isothermal())) == 5
importlib.reload(autofit_patch)
"""
    process = run_python(program(versions, works))
    assert process.returncode == 0, process.stderr
    (warning,) = warnings_of(process)
    for name, version in versions.items():
        assert f"{name} {version}" in warning
    assert all(text in warning for text in tested)
    assert "python -m autolens_patch" in warning
    # It is about the line of the script.
    assert warning.startswith("<string>:")


def test_tested_release_is_accepted_without_a_warning_or_a_check():
    code = """
import sys
from autofit_patch.libraries import _hooks
_hooks.check = None
import autolens_patch, autolens
"""
    process = run_python(code)
    assert process.returncode == 0, process.stderr
    assert not warnings_of(process)


@pytest.mark.parametrize(
    "breaking, library, named",
    [
        (
            "from autofit.mapper.prior_model.abstract import AbstractPriorModel as A\n"
            "A.instance_for_arguments = lambda self, values: None",
            "autofit",
            "AbstractPriorModel.instance_for_arguments(arguments, ignore_assertions, xp)",
        ),
        (
            "from autofit.mapper.prior_model.abstract import AbstractPriorModel as A\n"
            "del A.instance_from_path_arguments",
            "autofit",
            "instance_from_path_arguments",
        ),
        (
            "from autofit.mapper.prior import constant\ndel constant.Constant",
            "autofit",
            "Constant",
        ),
        (
            "from autoarray import abstract_ndarray\n"
            "abstract_ndarray._pytree_registered_classes = []",
            "autoarray",
            "_pytree_registered_classes",
        ),
        (
            "from autogalaxy.profiles.geometry_profiles import GeometryProfile\n"
            "GeometryProfile.__init_subclass__ = classmethod(lambda cls: None)",
            "autogalaxy",
            "GeometryProfile without __init_subclass__",
        ),
        (
            "import autogalaxy\nfrom autoarray.inversion.mesh.mesh import abstract\n"
            "del abstract.AbstractMesh",
            "autogalaxy",
            "AbstractMesh",
        ),
        (
            "from autolens.point.fit import abstract\ndel abstract.AbstractFitPoint",
            "autolens",
            "AbstractFitPoint",
        ),
        (
            "import autolens\nautolens.Tracer.__init__ = lambda self, planes: None",
            "autolens",
            "Tracer(galaxies, cosmology)",
        ),
        (
            "from jax._src import xla_bridge\ndel xla_bridge.backends_are_initialized",
            "jax",
            "backends_are_initialized",
        ),
    ],
    ids=lambda value: value if " " not in value and "\n" not in value else "",
)
@pytest.mark.parametrize("versions", [{}, NEWER], ids=["tested", "newer"])
def test_changed_internal_is_an_error_naming_it(versions, breaking, library, named):
    first, second = errors_of(versions, breaking)
    assert f"{library} " in first
    assert "cannot be patched: the patch relies on" in first
    assert named in first
    assert "Install a tested release" in first
    assert "TESTED_VERSIONS" in first
    assert second == first


@pytest.mark.parametrize("library", ["autofit", "autogalaxy"])
def test_newer_release_that_fails_the_check_is_an_error_naming_what_failed(library):
    # What is broken at the import of PyAutoGalaxy is found there.
    breaking = f"""
import wrapt
@wrapt.when_imported({library!r})
def reverse_vectors(_):
    from autofit.mapper.prior_model.abstract import AbstractPriorModel as A
    real = A.instance_from_vector
    A.instance_from_vector = lambda self, vector: real(self, vector[::-1])
"""
    first, second = errors_of(NEWER, breaking)
    assert f"{library} 2099.1.1.1 cannot be patched" in first
    assert "in the check of a small model, the leaves should be (0." in first
    assert "Install a tested release" in first
    assert second == first


SMALL_MODELS = {
    package.__name__: package._small_model
    for package in (autofit_patch, autogalaxy_patch, autolens_patch)
}


@pytest.fixture(params=SMALL_MODELS)
def small_model(request):
    return SMALL_MODELS[request.param]


def test_small_models_pass(small_model):
    _check.check(small_model())


def rebuilt_as_it_was(function, tree):
    return tree


class TracesEachTime:
    def __init__(self, function):
        self.trace = function


def twice_the(gradient):
    return lambda function: gradient(lambda *arguments: 2.0 * function(*arguments))


BROKEN = {
    "round trip through the constructors": (jax.tree, "map", rebuilt_as_it_was),
    "number of traces for two instances": (jax, "jit", TracesEachTime),
    "gradient": (jax, "grad", twice_the(jax.grad)),
    "leaves": (jax.tree, "leaves", lambda tree: [1.0]),
    "names of the leaves": (jax.tree_util, "keystr", str),
}


@pytest.mark.parametrize("part", BROKEN)
def test_each_part_of_the_check_fails_where_it_is_broken(part, small_model, monkeypatch):
    small = small_model()
    monkeypatch.setattr(*BROKEN[part])
    with pytest.raises(ImportError, match=f"of a small model, the {part} should be") as e:
        _check.check(small)
    message = str(e.value)
    assert message.startswith(f"{small.library} ")
    assert "Install a tested release" in message


def test_parts_of_the_check_are_all_broken_once():
    assert BROKEN.keys() == _check.PARTS.keys()


def test_part_of_the_check_that_raises_an_error_names_it(small_model):
    def failing(vector):
        raise KeyError("gone")

    with pytest.raises(ImportError, match=r"the leaves failed with KeyError\('gone'\)"):
        _check.check(replace(small_model(), make=failing))


def test_gradient_is_computed_by_jax_where_numpy_does_not_know_its_operations(
    small_model, monkeypatch
):
    monkeypatch.setattr(_check, "OPERATIONS", {})
    found, expected = _check.gradient(small_model())
    assert found == expected


def test_check_takes_a_fraction_of_a_second():
    start = time.perf_counter()
    for small_model in SMALL_MODELS.values():
        _check.check(small_model())
    assert time.perf_counter() - start < 0.9


def test_check_leaves_jax_and_the_environment_as_without_it():
    code = """
import autolens_patch, autolens
import json, os, jax, numpy
from jax._src.xla_bridge import backends_are_initialized
from autonerves import conf
settings = {name: repr(value) for name, value in jax.config.values.items()}
print(json.dumps([
    backends_are_initialized(), settings, dict(os.environ), conf.instance._dict is None,
    conf.instance._prior_config is None, repr(numpy.geterr()),
    repr(numpy.random.get_state()[2]),
]))
"""
    newer, tested = (json_from_python(program(v, code)) for v in (NEWER, {}))
    assert newer == tested
    assert newer[0] is False


@pytest.mark.parametrize("versions", [{}, NEWER], ids=["tested", "newer"])
def test_check_uses_up_no_id_and_no_label(versions):
    code = """
import autofit as af, autolens as al, json
print(json.dumps([
    af.UniformPrior(lower_limit=0.0, upper_limit=1.0).id, af.Collection().id,
    al.Galaxy(redshift=0.5).id, al.lp_linear.Gaussian().pytree_token,
    af.Model(al.lp.Gaussian).priors_ordered_by_id[0].id, af.Model(dict).label,
    af.Model(al.mp.IsothermalSph).instance_from_prior_medians().label,
]))
"""
    patched = json_from_python(program(versions, "import autolens_patch", code))
    assert patched == json_from_python(code)


def test_error_of_a_library_that_is_missing_says_how_to_install_it():
    code = """
import importlib.metadata
real = importlib.metadata.version
def version(name):
    if name == "autolens":
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.version = version
"""
    process = run_python(code + IMPORTING)
    first, second = process.stdout.splitlines()
    assert first.startswith("autolens is not installed")
    assert "pip install autolens==2026.10.26.1" in first
    assert second == first
