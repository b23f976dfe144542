"""``python -m autolens_patch`` tells whether an installation works."""

import importlib.metadata
import os
import platform
import subprocess
import sys

import jax
import pytest
from catalogue import classes

import autofit_patch
from autolens_patch import __main__ as installation_check
from autolens_patch import _every_class, _likelihood
from autolens_patch._every_class import Kind, check_every_class, checked


@pytest.fixture(scope="module")
def kinds():
    return check_every_class()


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command, without the checks of every class and of a likelihood."""
    monkeypatch.setattr(_every_class, "check_every_class", lambda: {"mp": Kind(["A"])})
    monkeypatch.setattr(_likelihood, "check_likelihood", lambda: "the same")
    cache = jax.config.jax_enable_compilation_cache

    def run_with(*arguments):
        code = installation_check.main([*arguments])
        return code, capsys.readouterr().out

    yield run_with
    jax.config.update("jax_enable_compilation_cache", cache)


def test_every_class_of_the_catalogue_is_checked_or_named(kinds):
    found = _every_class.classes()
    for name, kind in kinds.items():
        told = [*kind.by_model, *kind.by_hand, *kind.not_made, *kind.failed]
        assert sorted(told) == sorted(found[name])
    checked = {cls for members in found.values() for cls in members.values()}
    # Classes of an example are pytrees once they are given to a model, and a redshift is
    # a number.
    assert {
        name
        for name, cls in classes().items()
        if cls not in checked and not name.startswith("example.")
    } == {"Redshift"}


def test_no_class_of_a_tested_release_fails(kinds):
    assert {name: kind.failed for name, kind in kinds.items() if kind.failed} == {}


def test_few_classes_cannot_be_made(kinds):
    assert sum(len(kind.not_made) for kind in kinds.values()) <= 5
    by_model = sum(len(kind.by_model) for kind in kinds.values())
    assert by_model > sum(len(kind.by_hand) for kind in kinds.values())


@autofit_patch.register
class KeepsTwice:
    """Its constructor keeps another number than it is given."""

    def __init__(self, number=1.5):
        self.number = 2.0 * number


@autofit_patch.register
class Counts:
    """Its constructor derives another attribute each time."""

    made = 0

    def __init__(self, number=1.5):
        Counts.made += 1
        self.number = number
        self.serial = float(Counts.made)


@autofit_patch.register
class NeedsAnArgument:
    def __init__(self, number):
        self.number = number


@pytest.mark.parametrize(
    "cls, problem", [(KeepsTwice, "cannot be made again"), (Counts, "serial")]
)
def test_object_that_does_not_come_back_as_it_was_fails(cls, problem):
    kind = checked({"Own": cls})
    assert problem in kind.failed["Own"]
    assert f"{kind}" == "1 failed"


def test_class_that_cannot_be_made_without_arguments_is_named():
    assert f"{checked({'Own': NeedsAnArgument})}" == "1 not made (Own)"


def test_command_prints_versions_and_a_line_for_each_check(run):
    code, printed = run()
    assert code == 0
    for name in ("autofit", "autolens", "jax", "jaxlib", "numpy"):
        assert f"{name:<12} {importlib.metadata.version(name)}" in printed
    assert f"python       {platform.python_version()}" in printed
    assert f"devices      {jax.devices()[0]}" in printed
    assert "x64          True" in printed
    assert f"XLA_FLAGS    {os.environ['XLA_FLAGS']}" in printed
    assert "(tested: 2026.9.8.1 to 2026.10.26.1)" in printed
    assert "ok           mp: 1 by a model" in printed
    assert "ok           likelihood of imaging: the same" in printed
    assert "\n6 of 6 checks passed" in printed


def test_command_fails_if_a_class_fails(run, monkeypatch):
    failing = {"mp": Kind(failed={"NFW": "it comes back with another kappa_s"})}
    monkeypatch.setattr(_every_class, "check_every_class", lambda: failing)
    code, printed = run()
    assert code == 1
    assert "FAILED       mp: 1 failed" in printed
    assert "FAILED       mp.NFW: it comes back with another kappa_s" in printed
    assert "\n5 of 7 checks passed" in printed


def test_command_ends_where_a_library_cannot_be_patched(run, monkeypatch):
    def fail():
        raise ImportError("autolens 2099.1.1.1 cannot be patched")

    monkeypatch.setattr(installation_check, "import_autolens", fail)
    code, printed = run()
    assert code == 1
    assert "FAILED       patching the libraries: autolens 2099.1.1.1 cannot" in printed
    assert "\n0 of 1 checks passed" in printed


def test_command_fails_if_the_likelihood_fails(run, monkeypatch):
    def fail():
        raise RuntimeError("it was traced 2 times for two instances")

    monkeypatch.setattr(_likelihood, "check_likelihood", fail)
    code, printed = run()
    assert code == 1
    assert "FAILED       likelihood of imaging: it was traced 2 times" in printed


@pytest.mark.parametrize("scale, message", [(1.001, "under jit it is"), (1.0, None)])
def test_likelihood_is_compared_with_numpy(scale, message, monkeypatch):
    analysis = _likelihood.al.AnalysisImaging
    real = analysis.log_likelihood_function

    def scaled(self, instance):
        value = real(self, instance)
        return value if self._use_jax else scale * value

    monkeypatch.setattr(analysis, "log_likelihood_function", scaled)
    if message is None:
        assert "traced once" in _likelihood.check_likelihood()
    else:
        with pytest.raises(RuntimeError, match=message):
            _likelihood.check_likelihood()


def test_help_tells_what_is_checked(run, capsys):
    with pytest.raises(SystemExit) as exit:
        run("--help")
    assert exit.value.code == 0
    assert "python -m autolens_patch" in capsys.readouterr().out


def test_command_passes_in_a_folder_of_its_own(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    process = subprocess.run(
        [sys.executable, "-m", "autolens_patch"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "FAILED" not in process.stdout
    assert "likelihood of imaging: as with NumPy" in process.stdout
    assert not [*tmp_path.iterdir()]
