"""The page of profiles shows every committed result, and knows when it is stale."""

import json
import re
import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from jax_profiling.report import figure_from, main

RESULTS = Path(__file__).parents[1] / "jax_profiling" / "results"
MGE = RESULTS / "imaging" / "mge_hst_cpu-2-threads.json"
LIKELIHOOD = "full likelihood"


@pytest.fixture
def results() -> dict:
    return json.loads(MGE.read_text())


@pytest.fixture
def write(tmp_path):
    """Write a result, with a figure beside it; returns its path."""

    def at(results, name="imaging/mge_hst_cpu-2-threads") -> Path:
        path = tmp_path / "results" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results))
        shutil.copy(MGE.with_suffix(".png"), path.with_suffix(".png"))
        return path

    return at


@pytest.fixture
def report(tmp_path, capsys):
    """Write the page, or check it; returns the exit code and what is printed."""

    def run(*options: str) -> tuple[int, str]:
        folder, page = tmp_path / "results", tmp_path / "docs" / "profiles.md"
        code = main(["--results", str(folder), "--output", str(page), *options])
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def blank(monkeypatch):
    """Figures with nothing on them, which are drawn in no time."""
    monkeypatch.setattr("jax_profiling.report.figure_from", lambda results: Figure())


@pytest.fixture
def page_of(write, report, blank, tmp_path):
    """The page of one result."""

    def page(results: dict) -> str:
        write(results)
        assert report()[0] == 0
        return (tmp_path / "docs" / "profiles.md").read_text()

    return page


def test_page_shows_figure_command_and_versions(page_of, results, tmp_path):
    results["configuration"]["gaussians"] = 31
    text = page_of(results)
    assert "## imaging/mge, hst, cpu-2-threads\n" in text
    assert "`python jax_profiling/imaging/mge.py --instrument hst`" in text
    assert "gaussians 31" in text
    assert f"autolens {results['environment']['versions']['autolens']}" in text
    links = re.findall(r"!\[.*\]\((.*)\)", text)
    assert len(links) == 2
    for link in links:
        figure = tmp_path / "docs" / link
        assert figure.read_bytes().startswith(b"\x89PNG")


def test_result_without_figure_or_configuration_has_neither_link_nor_command(
    write, report, tmp_path, results
):
    del results["configuration"]
    write(results, "imaging/mge_cpu-2-threads").with_suffix(".png").unlink()
    report()
    text = (tmp_path / "docs" / "profiles.md").read_text()
    assert "## imaging/mge, cpu-2-threads\n" in text
    assert "mge_cpu-2-threads.png" not in text
    assert "imaging/mge.py" not in text


@pytest.mark.parametrize(
    "median, samples, ratio",
    [
        (2.0, 9, "**2.000**"),
        (1.1, 9, "1.100"),
        (0.5, 9, "**0.500**"),
        (2.0, 2, "*2.000*"),
    ],
    ids=["slower", "noise", "faster", "few samples"],
)
def test_table_marks_the_ratios_which_leave_the_noise(
    page_of, results, median, samples, ratio
):
    step = results["steps"][LIKELIHOOD]
    step["pytree"]["memory"] = {"arguments": 2**20, "outputs": 0, "temporaries": 2**21}
    for way, time in (("pytree", median), ("flat", 1.0)):
        for timing, unit in (("lower", 3.0), ("compile", 10.0), ("steady_state", 1.0)):
            step[way][timing] = {
                "median": unit * time,
                "quartiles": [0.9 * unit * time, 1.1 * unit * time],
                "samples": 9,
            }
    step["ratios"] |= {
        "lower": 0.75 * median,
        "compile": median,
        "steady_state": median,
    }
    step["flat"]["compile"]["samples"] = samples
    step["flat"]["lower"] |= {"median": 4.0, "quartiles": [0.1, 40.0]}
    (line,) = (li for li in page_of(results).splitlines() if f"| {LIKELIHOOD} |" in li)
    steady = ratio if samples > 2 else f"*{ratio}*"
    times = [f"{10 * median:.3g} s", f"{median:.3g} s".replace("0.5 s", "500 ms")]
    ratios = [f"{0.75 * median:.3f}", ratio, steady]
    cells = [LIKELIHOOD, *times, "3.0 MB", *ratios]
    assert line.startswith(f"| {' | '.join(cells)} |")


@pytest.mark.parametrize(
    "key, value, expected",
    [
        (
            "compilation",
            {"stages": {"trace": 0.5, "XLA": 2.0}, "tracing": {"jax|numpy": 3.0}},
            "| --- | --- | --: |\n| stages | trace | 500 ms |\n|  | XLA | 2 s |\n"
            "| tracing | jax\\|numpy | 3 s |\n",
        ),
        ("peak_memory", {"resident": 3 * 2**20}, "| --: |\n| resident | 3.0 MB |\n"),
        ("no_gradient", {".mesh": "is an integer"}, "- `.mesh`: is an integer\n"),
    ],
)
def test_optional_entries_are_shown_where_there_are_any(
    page_of, results, key, value, expected
):
    assert expected not in page_of(results)
    assert expected in page_of({**results, key: value})


@pytest.mark.parametrize(
    "derivative, agree, largest",
    [(1.0, 3, "0.0e+00"), (1.0005, 3, "5.0e-04"), (1.01, 2, "1.0e-02")],
)
def test_gradient_is_summed_up(page_of, results, derivative, agree, largest):
    results["gradient"] = {
        ".x": {"gradient": 2.0 * derivative, "finite_difference": 2.0},
        ".y": {"gradient": -5.0, "finite_difference": -5.0},
        ".zero": {"gradient": 1e-9, "finite_difference": 0.0},
    }
    text = page_of(results)
    assert f"{agree} of 3 derivatives agree" in text
    assert f"the largest relative difference is {largest} (`.x`)" in text


def test_quick_and_foreign_results_are_not_on_the_page(write, report, tmp_path, results):
    write(results)
    write(results, "imaging/mge_quick_cpu-2-threads")
    foreign = write({"pixel_scale": 0.1}, "imaging/instrument")
    code, output = report()
    assert code == 0
    assert f"Skipped: {foreign} is not the JSON of a profiling script" in output
    assert output.count("Skipped") == 1
    headings = re.findall("^## .*", (tmp_path / "docs/profiles.md").read_text(), re.M)
    assert headings == ["## imaging/mge, hst, cpu-2-threads"]


def test_results_are_in_the_order_of_their_paths(write, report, tmp_path, results):
    for name in ("point/b_hst_cpu-2-threads", "imaging/z_hst_cpu-2-threads"):
        write(results, name)
    write(results)
    report()
    headings = re.findall("^## (.*?),", (tmp_path / "docs/profiles.md").read_text(), re.M)
    assert headings == ["imaging/mge", "imaging/z", "point/b"]


def test_page_is_the_same_whenever_it_is_written(write, report, tmp_path, results):
    write(results)
    written = []
    for _ in range(2):
        report()
        files = sorted((tmp_path / "docs").rglob("*.*"))
        written.append({file.name: file.read_bytes() for file in files})
        shutil.rmtree(tmp_path / "docs")
    assert written[0].keys() == {"overview.png", "profiles.md"}
    assert written[0] == written[1]


def test_overview_has_bars_of_all_ways_and_their_ratios(results):
    step = results["steps"][LIKELIHOOD]
    bars, *panels = figure_from({"mge": results, "again": results}).axes
    ways = ("pytree", "flat", "together")
    expected = [step[way]["steady_state"]["median"] for way in ways]
    assert [bar.get_width() for bar in bars.patches] == 2 * expected
    assert [label.get_text() for label in bars.get_yticklabels()] == ["mge", "again"]
    judged = ("lower", "compile", "steady_state")
    for panel, key in zip(panels, ("ratios", "ratios_together"), strict=True):
        points = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"]
        assert points == pytest.approx(2 * [step[key][name] for name in judged])


def test_result_without_a_full_likelihood_is_not_in_the_overview(
    page_of, results, tmp_path
):
    del results["steps"][LIKELIHOOD]
    assert "overview.png" not in page_of(results)
    assert not (tmp_path / "docs" / "profiles").exists()


def remeasure(folder: Path) -> None:
    path = folder / "results" / "imaging" / MGE.name
    path.write_text(path.read_text().replace('"date": "2', '"date": "3'))


@pytest.mark.parametrize(
    "change, code",
    [
        (lambda folder: None, 0),
        (remeasure, 1),
        (lambda folder: (folder / "results/imaging" / MGE.name).unlink(), 1),
        (lambda folder: (folder / "docs/profiles.md").write_text("# Profiles"), 1),
        (lambda folder: (folder / "docs/profiles.md").unlink(), 1),
        (lambda folder: (folder / "docs/profiles/overview.png").unlink(), 1),
    ],
    ids=["nothing", "another", "one less", "page", "no page", "no figure"],
)
def test_check_tells_a_stale_page(write, report, blank, tmp_path, results, change, code):
    write(results)
    write(results, "imaging/other_hst_cpu-2-threads")
    report()
    change(tmp_path)
    before = {p: p.read_bytes() for p in (tmp_path / "docs").rglob("*.*")}
    found, output = report("--check")
    assert found == code
    assert ("is stale: write it with python -m jax_profiling.report" in output) == code
    assert before == {p: p.read_bytes() for p in (tmp_path / "docs").rglob("*.*")}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--results", "lost"], "lost has no JSON of a profile"),
        (["--output", "page.html"], "page.html is no Markdown file (.md)"),
    ],
)
def test_wrong_usage_gets_a_one_line_error(
    arguments, message, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
