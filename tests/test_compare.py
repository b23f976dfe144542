"""Two runs of a profiling script are compared, and the noise is told from a change."""

import copy
import json
import math
import operator
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from jax_profiling.compare import figure_from, main
from jax_profiling.comparison import Row, comparison_from
from jax_profiling.timing import TIMINGS
from jax_profiling.ways import RATIOS, WAYS

RESULTS = Path(__file__).parents[1] / "jax_profiling" / "results"
MGE = RESULTS / "imaging" / "mge_hst_cpu-2-threads.json"
LIKELIHOOD = "full likelihood"
STEPS = (LIKELIHOOD, "vmap of 8", "curvature matrix", "data vector")


@pytest.fixture
def base() -> dict:
    """A run of few steps: quartiles 5 percent from the medians, enough samples of all."""
    results = json.loads(MGE.read_text())
    results["steps"] = {step: results["steps"][step] for step in STEPS}
    for step in results["steps"].values():
        for way in step.keys() & {*WAYS}:
            for timing in TIMINGS:
                median = step[way][timing]["median"]
                quartiles = [0.95 * median, 1.05 * median]
                step[way][timing] |= {"quartiles": quartiles, "samples": 9}
        for first, second, key in RATIOS.values():
            for timing in step.get(key, ()):
                medians = (step[way][timing]["median"] for way in (first, second))
                step[key][timing] = operator.truediv(*medians)
    return results


@pytest.fixture
def other(base) -> dict:
    return copy.deepcopy(base)


@pytest.fixture
def blank(monkeypatch):
    """Figures with nothing on them, which are drawn in no time."""
    monkeypatch.setattr("jax_profiling.compare.figure_from", lambda *_: Figure())


@pytest.fixture
def compare(blank, tmp_path, capsys):
    """Compare results; returns the exit code and what is printed."""

    def run(*runs: dict, options: tuple = ()) -> tuple[int, str]:
        paths = [tmp_path / f"{name}.json" for name in "abcd"[: len(runs)]]
        for path, results in zip(paths, runs, strict=True):
            path.write_text(json.dumps(results))
        output = ["--output", str(tmp_path / "figure.png")]
        code = main([*map(str, paths), *output, *options])
        return code, capsys.readouterr().out

    return run


def shift(results: dict, factor: float, way="pytree", timing="lower", step=LIKELIHOOD):
    entry = results["steps"][step][way][timing]
    entry["median"] *= factor
    entry["quartiles"] = [factor * quartile for quartile in entry["quartiles"]]
    if "ratios" in (entries := results["steps"][step]):
        entries["ratios"][timing] *= factor if way == "pytree" else 1.0 / factor


def row_of_ratio(base: dict, other: dict) -> Row:
    """The comparison of pytree / flat for lowering the likelihood."""
    (row,) = (
        row
        for row in comparison_from(base, other)
        if (row.step, row.way, row.timing) == (LIKELIHOOD, "pytree / flat", "lower")
    )
    return row


def left_noise(output: str) -> list[str]:
    _, _, lines = output.partition("Left the noise:\n")
    return [line.strip() for line in lines.splitlines() if line.startswith("  ")]


def test_run_compared_with_itself_is_all_noise(compare, base):
    code, output = compare(base, base)
    assert code == 0
    assert "Nothing left the noise." in output


def test_figure_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(MGE), str(MGE)]) == 0
    assert Path("comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "Wrote comparison.png" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "factor, way, timing, step, change",
    [
        (1.15, "pytree", "lower", LIKELIHOOD, "slower"),
        (1.15, "flat", "compile", "vmap of 8", "slower"),
        (0.85, "arrays", "steady_state", "curvature matrix", "faster"),
    ],
)
def test_shift_out_of_the_noise_is_listed(
    compare, base, other, factor, way, timing, step, change
):
    shift(other, factor, way, timing, step)
    code, output = compare(base, other)
    assert code == 1
    (line,) = left_noise(output)
    assert line.startswith(f"{change}  ")
    spread = f"[{factor * 0.95 / 1.05:.3f}, {factor * 1.05 / 0.95:.3f}]"
    name = timing.replace("_", " ")
    assert line.endswith(f"b.json: {step}, {way}, {name}: {factor:.3f} {spread}")


@pytest.mark.parametrize("factor", [1.05 / 0.95, 0.95 / 1.05], ids=["slower", "faster"])
def test_noise_ends_where_the_quartiles_part(compare, base, other, factor):
    further, nearer = copy.deepcopy(other), copy.deepcopy(other)
    shift(further, factor**1.01)
    shift(nearer, factor**0.99)
    assert compare(base, further)[0] == 1
    assert compare(base, nearer)[0] == 0


@pytest.mark.parametrize("run", ["base", "other"])
@pytest.mark.parametrize("samples, code", [(1, 0), (2, 0), (3, 1)])
def test_few_samples_are_shown_but_not_judged(compare, base, other, run, samples, code):
    shift(other, 10.0)
    few = {"base": base, "other": other}[run]
    few["steps"][LIKELIHOOD]["pytree"]["lower"]["samples"] = samples
    found, output = compare(base, other)
    assert found == code
    line, *_ = (
        li for li in output.splitlines() if re.match(rf"{LIKELIHOOD} +pytree", li)
    )
    _, shown = line.split("pytree")
    assert shown.strip().startswith("10.000 [9.048, 11.053] *" if code else "10.000 ~")
    assert "~: not judged: fewer than 3 samples" in output


@pytest.mark.parametrize(
    "factors, changed",
    [((1.5, 1.0), True), ((1.5, 1.5), False), ((1.0, 0.7), True)],
    ids=["pytree", "both", "flat"],
)
def test_ratio_of_pytree_and_flat_is_free_of_what_both_share(
    compare, base, other, factors, changed
):
    for way, factor in zip(("pytree", "flat"), factors, strict=True):
        shift(other, factor, way)
    code, output = compare(base, other)
    assert code == 1
    assert any("pytree / flat, lower" in line for line in left_noise(output)) == changed


def test_ratio_of_pytree_and_flat_has_the_spread_of_both(base, other):
    shift(other, 1.5)
    row = row_of_ratio(base, other)
    ratio = base["steps"][LIKELIHOOD]["ratios"]["lower"]
    width = 1.05 / 0.95
    for measured, expected, spread in (
        (row.base, ratio, width),
        (row.other, 1.5 * ratio, width),
        (row.ratio, 1.5, width**2),
    ):
        assert measured.value == pytest.approx(expected)
        assert measured.lowest == pytest.approx(expected / spread)
        assert measured.highest == pytest.approx(expected * spread)


@pytest.mark.parametrize("ratio", [0.5, 0.97, 1.04, 2.0])
def test_ratio_of_pytree_and_flat_is_the_median_of_pairs(base, ratio):
    entry = base["steps"][LIKELIHOOD]
    entry["ratios"]["lower"] = ratio
    row = row_of_ratio(base, base)
    medians = entry["pytree"]["lower"]["median"] / entry["flat"]["lower"]["median"]
    assert row.base.value == ratio
    # What the quartiles allow, and the ratio wherever it is.
    assert row.base.lowest == pytest.approx(min(ratio, medians * 0.95 / 1.05))
    assert row.base.highest == pytest.approx(max(ratio, medians * 1.05 / 0.95))


@pytest.mark.parametrize(
    "before, after, said",
    [(0.0, 0.0, []), (0.0, 2.0, ["1.0e+00"]), (math.nan, 2.0, ["nan"])],
)
def test_other_likelihoods_are_said_of_any_number(
    compare, base, other, before, after, said
):
    for run, value in ((base, before), (other, after)):
        run["log_likelihoods"]["numpy"] = [value]
    _, output = compare(base, other)
    assert re.findall("  log likelihoods: up to (.*) apart", output) == said


def test_rows_hold_every_way_and_timing_of_the_steps_in_both(base, other):
    del other["steps"]["data vector"]
    del other["steps"][LIKELIHOOD]["flat"]
    rows = comparison_from(base, other)
    found = {(row.step, row.way) for row in rows}
    assert (LIKELIHOOD, "pytree") in found
    assert (LIKELIHOOD, "flat") not in found
    assert (LIKELIHOOD, "pytree / flat") not in found
    assert "data vector" not in {step for step, _ in found}
    assert {row.timing for row in rows} == set(TIMINGS)


@pytest.mark.parametrize(
    "options, code",
    [((), 0), (("--timings", "first_call"), 1), (("--timings", "lower"), 0)],
    ids=["default", "chosen", "other"],
)
def test_first_call_is_judged_on_request(compare, base, other, options, code):
    shift(other, 3.0, timing="first_call")
    found, output = compare(base, other, options=options)
    assert found == code
    assert f"3.000 [2.714, 3.316] {'*' if code else '~'}" in output


@pytest.mark.parametrize(
    "part, entry, value",
    [
        (("environment", "versions"), "jax", "0.0.1"),
        (("environment",), "device", "abacus"),
        (("environment",), "xla_flags", "--xla_none"),
        (("configuration",), "gaussians", 3),
    ],
)
def test_what_differs_besides_the_times_is_said(compare, base, other, part, entry, value):
    place = other
    for key in part:
        place = place[key]
    before, place[entry] = place[entry], value
    _, output = compare(base, other)
    assert f"  {entry}: {before} -> {value}\n" in output
    assert "other times are no regression" in output
    assert "no regression" not in compare(base, base)[1]


@pytest.mark.parametrize(
    "factor, said", [(1.0 + 1e-8, None), (1.02, "2.0e-02"), (0.98, "2.0e-02")]
)
def test_other_likelihoods_are_said(compare, base, other, factor, said):
    other["log_likelihoods"]["numpy"][2] *= factor
    other["log_likelihoods"]["numpy"].pop()
    _, output = compare(base, other)
    found = re.findall("  log likelihoods: up to (.*) apart, relative\n", output)
    assert found == ([said] if said else [])
    assert ("other times are no regression" in output) == bool(said)


def test_steps_of_one_run_are_named(compare, base, other):
    other["steps"]["vmap of 32"] = other["steps"].pop("vmap of 8")
    code, output = compare(base, other)
    assert code == 0
    assert "steps only in the base: vmap of 8\n" in output
    assert "steps only in the other: vmap of 32\n" in output


def test_every_other_run_is_compared_with_the_first(compare, base, other):
    slow = copy.deepcopy(other)
    shift(slow, 1.15)
    shift(other, 0.85)
    code, output = compare(base, slow, other)
    assert code == 1
    slower, faster = left_noise(output)
    assert slower.startswith("slower") and "b.json" in slower
    assert faster.startswith("faster") and "c.json" in faster


@pytest.fixture
def folders(tmp_path, base, other):
    """Two folders that share one result; each has another one."""
    shift(other, 1.15)
    for folder, name, results in (
        ("before/imaging", "mge_hst", base),
        ("after", "mge_hst", other),
        ("before", "mge_ao", base),
        ("after", "mge_quick", other),
    ):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / f"{name}.json").write_text(json.dumps(results))
    (tmp_path / "after" / "note.json").write_text("[]")
    return tmp_path / "before", tmp_path / "after"


def test_folders_are_matched_by_file_name(folders, blank, capsys, tmp_path):
    output = ["--output", str(tmp_path / "figure.png")]
    assert main([*map(str, folders), *output]) == 1
    said = capsys.readouterr().out
    (line,) = left_noise(said)
    assert str(folders[1] / "mge_hst.json") in line
    left_out = [line for line in said.splitlines() if line.startswith("Left out: ")]
    before, after = folders
    assert f"Left out: mge_ao.json, which only {before} has" in left_out
    assert f"Left out: mge_quick.json, which only {after} has" in left_out
    assert len([line for line in left_out if "note.json is not the JSON" in line]) == 1
    assert len(left_out) == 3


@pytest.mark.parametrize(
    "paths, message",
    [
        (["a.json"], "a.json is all that was passed: two or more"),
        (["a.json", "lost.json"], "lost.json is neither a file nor a folder"),
        (["a.json", "text.json"], "text.json is not JSON"),
        (["a.json", "list.json"], "list.json is not the JSON of a profiling script"),
        (["a.json", "steps.json"], "steps.json has steps that are no timings"),
        (["a.json", "empty.json"], "have no timing of a step in common"),
        (["a.json", "one"], "files only, or folders only"),
        (["one", "two"], "a.json, which only"),
        (["twice", "twice"], "has the same name as"),
        (["a.json", "a.json", "--timings", "run"], "invalid choice: 'run'"),
        (["a.json", "a.json", "--output", "figure.txt"], "figure.txt is no .png"),
        (["a.json", "a.json", "--output", "lost/figure.png"], "in a folder there is"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_gets_a_one_line_error(
    paths, message, base, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "two", "twice/again"):
        Path(folder).mkdir(parents=True)
    for name in ("a.json", "one/a.json", "twice/a.json", "twice/again/a.json"):
        Path(name).write_text(json.dumps(base))
    Path("text.json").write_text("mge")
    Path("list.json").write_text("[1, 2]")
    Path("steps.json").write_text(json.dumps({**base, "steps": {"x": {"flat": 1}}}))
    Path("empty.json").write_text(json.dumps({**base, "steps": {}}))
    with pytest.raises(SystemExit) as stop:
        main(paths)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not Path("comparison.png").exists()


def test_figure_fills_the_points_that_left_the_noise(base, other):
    for timing, factor in (("lower", 1.5), ("compile", 0.5), ("steady_state", 1.02)):
        shift(other, factor, timing=timing)
    figure = figure_from(
        {("mge", "after"): comparison_from(base, other)}, ["lower", "compile"]
    )
    filled = {
        panel.get_title(): sum(
            line.get_marker() != "None" and line.get_markerfacecolor() != "white"
            for line in panel.lines
        )
        for panel in figure.axes
    }
    # The pytree itself, and its ratio to flat.
    assert filled == {"lower": 2, "compile": 2}
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(STEPS)
