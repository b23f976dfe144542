"""The profiling script runs, in its small size, and says what it was asked to."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from programs import run_script

from jax_profiling import run_all

PROFILING = Path(__file__).parents[1] / "jax_profiling"
MGE = PROFILING / "imaging" / "mge.py"
SCAN = PROFILING / "imaging" / "scan.py"
SIMULATOR = PROFILING / "simulators" / "imaging.py"


RADIUS = "galaxies.lens.mass.einstein_radius"
SHEAR = "galaxies.lens.shear.gamma_1"


@pytest.fixture
def stopped(capsys, monkeypatch):
    """Run a script that only looks at its options, here: what it exits with and says."""

    def run(script: Path, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(script), run_name="__main__")
        said = capsys.readouterr()
        return stop.value.code or 0, said.out, said.err

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "script, parameters, name, steps, beside",
    [
        pytest.param(script, *expected, id=script)
        for script, *expected in (
            ("imaging/mge.py", 15, RADIUS, 11, "flat together"),
            ("interferometer/mge.py", 15, RADIUS, 10, "together"),
            ("imaging/pixelization.py", 12, RADIUS, 16, "together"),
            ("imaging/delaunay.py", 12, RADIUS, 16, ""),
            ("point_source/image_plane.py", 10, "scaling_relation.sigma", 6, ""),
        )
    ],
)
def test_quick_run_measures_every_step_and_equals_numpy(
    script, parameters, name, steps, beside, tmp_path, capfd, monkeypatch
):
    # One test a script, since running it is what takes long, and the ways to call a step
    # are compared by some of them, since compiling is. The first has all of them.
    kept = tmp_path / "kept"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(kept))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    code = run_all.main(
        ["--quick", "--output", str(tmp_path), "--scripts", script]
        + ["--beside", *beside.split()]
    )
    said = capfd.readouterr()
    assert code == 0, said.err
    (path,) = tmp_path.glob(f"{script.removesuffix('.py')}_quick_*.json")
    results = json.loads(path.read_text())

    # No time to compile is the time to read what an earlier run compiled.
    assert not [*kept.glob("*likelihood*"), *kept.glob("*gradient*")]

    figure = path.with_suffix(".png")
    assert figure.read_bytes().startswith(b"\x89PNG")
    ways = ("pytree", *beside.split())
    for text in (f"Wrote {figure}", "full likelihood", *ways):
        assert text in said.out
    assert {"jax", "jaxlib", "autolens"} <= results["environment"]["versions"].keys()

    assert len(results["steps"]) == steps
    timings = {"lower", "compile", "first_call", "steady_state"}
    for step in ("full likelihood", "vmap of 3", "value and gradient", "ray-tracing"):
        ratios = {"flat": "ratios", "together": "ratios_together"}
        ratios = {ratios[way] for way in ways[1:]}
        assert results["steps"][step].keys() == {*ways, *ratios}
        for key in ratios:
            assert results["steps"][step][key].keys() == timings
        for way in ways:
            assert results["steps"][step][way]["memory"]["temporaries"] > 0
    for step in results["steps"].values():
        for way in step.keys() & {*ways, "arrays"}:
            assert step[way]["traces"] == 1
            assert step[way]["steady_state"]["median"] > 0.0
            assert step[way]["memory"]["arguments"] > 0

    likelihoods = results["log_likelihoods"]
    for way in (*ways, "vmap"):
        np.testing.assert_allclose(likelihoods[way], likelihoods["numpy"], rtol=1e-6)
    assert len(set(likelihoods["numpy"])) == 3
    assert results["configuration"]["free_parameters"] == parameters
    assert f".{name}" in results["gradient"]
    assert len(results["gradient"]) == parameters
    for entry in results["gradient"].values():
        assert entry["gradient"] == pytest.approx(
            entry["finite_difference"], rel=1e-3, abs=1e-6
        )


def test_change_against_an_earlier_run_is_printed(tmp_path, capsys):
    from jax_profiling.output import write_from

    (path,) = (PROFILING / "results" / "imaging").glob("mge_hst_*.json")
    results = json.loads(path.read_text())
    results["configuration"]["gaussians"] = 5
    (tmp_path / path.name).write_text(json.dumps(results))
    results["configuration"]["gaussians"] = 20
    step = results["steps"]["full likelihood"]
    step["ratios"]["steady_state"] *= 2.0
    for quantity in ("median", "quartiles"):
        entry = step["pytree"]["steady_state"]
        entry[quantity] = (2.0 * np.array(entry[quantity])).tolist()
    write_from(results, [], folder=tmp_path, name="mge")
    said = capsys.readouterr().out
    assert "gaussians: 5 -> 20" in said
    lines = [line for line in said.splitlines() if line.startswith("full likelihood")]
    changed, together = (line for line in lines if " steady state " in line)
    assert "  2.000 [" in changed
    assert "  1.000 [" in together


def test_run_all_names_the_scripts_that_failed(tmp_path, capfd):
    output = tmp_path / "results"
    output.mkdir()
    (output / "imaging").write_text("this is no folder")
    assert run_all.main(["--output", str(output), "--scripts", "imaging/mge.py"]) == 1
    assert "These ended with an error: imaging/mge.py" in capfd.readouterr().err


@pytest.mark.parametrize(
    "script",
    [*(PROFILING / script for script in run_all.SCRIPTS), SCAN, SIMULATOR],
    ids=lambda script: f"{script.parent.name}-{script.stem}",
)
def test_help_has_examples(stopped, script):
    code, output, _ = stopped(script, "--help")
    assert code == 0
    assert "example" in output
    assert "--instrument" in output


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--instrument", "hubble"], "invalid choice: 'hubble'"),
        (["--gaussians", "0"], "'0' is not a whole number above 0"),
        (["--batch", "two"], "'two' is not a whole number above 0"),
        (["--repeats", "-1"], "'-1' is not a whole number above 0"),
        (["--quick", "--instrument", "ao"], "leave out --instrument"),
        (["--output", str(MGE)], "is not a folder"),
        (["--compilations", "0"], "'0' is not a whole number above 0"),
    ],
    ids=[
        "instrument",
        "gaussians",
        "batch",
        "repeats",
        "quick",
        "output",
        "compilations",
    ],
)
def test_wrong_option_gets_a_one_line_error(stopped, arguments, message):
    code, _, error = stopped(MGE, *arguments)
    assert code == 2
    assert message in error.splitlines()[-1]


def test_dataset_is_the_same_whenever_it_is_simulated(tmp_path):
    from astropy.io import fits

    from jax_profiling.instruments import QUICK
    from jax_profiling.simulators.imaging import simulate

    for name in ("one", "two"):
        simulate(QUICK, tmp_path / name)
    for name in ("data.fits", "noise_map.fits", "psf.fits"):
        one, two = (fits.getdata(tmp_path / folder / name) for folder in ("one", "two"))
        np.testing.assert_array_equal(one, two)


def test_dataset_of_other_settings_is_refused(tmp_path):
    from dataclasses import replace

    from jax_profiling.dataset import imaging_from
    from jax_profiling.instruments import QUICK

    imaging_from(QUICK, tmp_path)
    with pytest.raises(ValueError, match="delete the folder"):
        imaging_from(replace(QUICK, exposure_time=1.0), tmp_path)


def test_finite_differences_of_a_known_function():
    from jax_profiling.checks import gradient_by_differences_from

    gradient, error = gradient_by_differences_from(
        lambda v: np.sin(3.0 * v[0]) * v[1] ** 3, np.array([0.2, 1.5])
    )
    expected = [3.0 * np.cos(0.6) * 1.5**3, np.sin(0.6) * 3.0 * 1.5**2]
    np.testing.assert_allclose(gradient, expected, rtol=1e-8)
    assert np.all(np.abs(gradient - expected) <= error + 1e-9)


def test_traces_are_counted():
    import jax

    from jax_profiling.timing import CountTraces

    counted = CountTraces(lambda x: x + 1)
    function = jax.jit(counted)
    for value in (1.0, 2.0, 3.0):
        function(value)
    assert counted.traces == 1
    function(np.ones(3))
    assert counted.traces == 2


def test_step_has_its_name_in_what_jax_logs():
    import jax

    from jax_profiling.timing import CountTraces

    jitted = jax.jit(CountTraces(lambda x: x + 1, "ray-tracing flat"))
    assert "@jit_ray_tracing_flat" in jitted.lower(1.0).as_text()


def scan_of(name: str, *ends: float, steps: int) -> list[str]:
    start, stop = map(str, ends)
    steps = ["--steps", str(steps)]
    return ["--parameter", name, "--from", start, "--to", stop, *steps]


def test_scan_writes_the_likelihoods_of_numpy(tmp_path):
    import autolens as al
    import pandas

    from autofit_patch import batch
    from jax_profiling.dataset import imaging_from
    from jax_profiling.instruments import QUICK
    from jax_profiling.model import mge_model_from, true_vector_from

    ranges = [*scan_of(RADIUS, 1.5, 1.7, steps=3), *scan_of(SHEAR, 0.0, 0.1, steps=2)]
    process = run_script(SCAN, "--quick", "--output", tmp_path, *ranges)
    assert process.returncode == 0, process.stderr
    assert "6 members in" in process.stdout
    (figure,) = tmp_path.glob("*.png")
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert f"Wrote {figure}" in process.stdout

    (path,) = tmp_path.glob("*.csv")
    table = pandas.read_csv(path)
    assert table[RADIUS].tolist() == pytest.approx([1.5, 1.5, 1.6, 1.6, 1.7, 1.7])
    assert table[SHEAR].tolist() == pytest.approx([0.0, 0.1] * 3)
    model = mge_model_from(total_gaussians=2)
    truth = model.instance_from_vector(true_vector_from(model))
    dataset = imaging_from(QUICK, PROFILING / "dataset" / "imaging")
    analysis = al.AnalysisImaging(dataset=dataset, use_jax=False)
    for _, row in table.iterrows():
        member = batch.replace(truth, {name: row[name] for name in (RADIUS, SHEAR)})
        expected = analysis.log_likelihood_function(member)
        assert row["log_likelihood"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (scan_of("galaxies.lens.mass.radius", 1.0, 2.0, steps=3), RADIUS),
        (["--parameter", RADIUS], "--parameter: 1, --from: 0, --to: 0, --steps: 0"),
        ([], "one or two parameters are scanned"),
        (2 * scan_of(RADIUS, 1.0, 2.0, steps=3), f"{RADIUS} is given twice"),
        (scan_of(RADIUS, 1.0, 2.0, steps=0), "'0' is not a whole number above 0"),
    ],
    ids=["name", "ends", "nothing", "twice", "steps"],
)
def test_wrong_scan_is_named(stopped, arguments, message):
    code, _, error = stopped(SCAN, *arguments)
    assert code == 2
    assert message in error


def test_scan_lists_the_names(stopped):
    code, output, _ = stopped(SCAN, "--list")
    assert code == 0
    assert f"{RADIUS} 1.6" in output.splitlines()
    assert len(output.splitlines()) == 15


def test_infinite_entry_leaves_the_tolerance_of_the_others():
    from jax_profiling.checks import assert_close

    assert_close([1.0, np.inf], [1.0, np.inf], "This")
    for actual in ([1.1, np.inf], [1.0, 2.0]):
        with pytest.raises(AssertionError, match="This differs"):
            assert_close(actual, [1.0, np.inf], "This")
