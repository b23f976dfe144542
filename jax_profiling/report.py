"""
Write docs/profiles.md: what the profiling scripts measured, to look at.

    python -m jax_profiling.report

Every JSON of `jax_profiling/results` is shown, other than those of quick runs. The page
follows from these files alone, so that writing it again changes nothing.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jax_profiling.checks import GRADIENT_ATOL, GRADIENT_RTOL
from jax_profiling.comparison import JUDGED, Measured, measured_from, results_in
from jax_profiling.output import HEADINGS, time_from
from jax_profiling.ways import COLOURS, LABELS, RATIO, RATIOS

FOLDER = Path(__file__).resolve().parent
LIKELIHOOD = "full likelihood"
RATIO_COLOURS = {"lower": "#6a994e", "compile": "#bc4749", "steady_state": "#6d597a"}

TEXT = """\
# Profiles

Written by `python -m jax_profiling.report` from the JSONs in `jax_profiling/results`.

How long each step of a likelihood takes when it is called with a `ModelInstance`
(*pytree*), with a flat vector that becomes an instance inside of the jitted function
(*flat*), and with a `ModelInstance` whose profiles of one kind are evaluated together
(*together*, [`evaluate_together`](together.md)). Times are medians, bars of error the
quartiles. A ratio is that of two samples which were taken side by side, the median of all
such pairs; below 1 the first of the two is the faster one. Its spread goes from the first
quartile of the one over the third of the other, to the third over the first. In the
tables, times and memory are those of the pytree (or of arrays, where a step takes no
parameters); a ratio in **bold** has a spread that leaves out 1, and *a ratio in italics*
has too few samples for one.
{overview}
{sections}"""


def section_from(path: Path, results: dict, folder: Path, page: Path) -> str:
    """
    The part of the page about one result.

    Parameters
    ----------
    path, results
        The JSON and its contents.
    folder
        The folder of all results: where a JSON is in it says where its script is.
    page
        The file that is written, which links are relative to.
    """
    script, *others = _names_from(path, results, folder)
    parts = [f"## {', '.join([script, *others])}"]
    png = path.with_suffix(".png")
    if png.exists():
        link = png.resolve().relative_to(page.resolve().parent, walk_up=True)
        parts.append(f"![Time per step of {script}]({link.as_posix()})")
    parts.append(_steps_from(results["steps"]))

    if compilation := results.get("compilation"):
        rows = [
            [part if index == 0 else "", name, time_from(seconds)]
            for part, times in compilation.items()
            for index, (name, seconds) in enumerate(times.items())
        ]
        parts.append(_table(["time to trace and compile", "where", "time"], rows, 2))
    if peak := results.get("peak_memory"):
        rows = [[name, _size_from(size)] for name, size in peak.items()]
        parts.append(_table(["peak memory so far", "size"], rows))
    if gradient := results.get("gradient"):
        parts.append(_gradient_from(gradient))
    if reasons := results.get("no_gradient"):
        lines = "\n".join(f"- `{name}`: {reason}" for name, reason in reasons.items())
        parts.append(f"Not differentiated:\n\n{lines}")

    made = f"Measured on {results['date'][:10]}"
    if configuration := results.get("configuration"):
        option = f" --instrument {others[0]}" if "instrument" in configuration else ""
        settings = ", ".join(
            f"{k.replace('_', ' ')} {v}" for k, v in configuration.items()
        )
        made += f" by `python jax_profiling/{script}.py{option}`: {settings}"
    environment = results["environment"]
    versions = environment.get("versions", {}).items()
    made += ".\n\n" + ", ".join(f"{name} {number}" for name, number in versions)
    made += f", Python {environment.get('python')}, {environment.get('platform')}"
    if flags := environment.get("xla_flags"):
        made += f', `XLA_FLAGS="{flags}"`'
    return "\n\n".join([*parts, f"{made}."])


def _names_from(path: Path, results: dict, folder: Path) -> list[str]:
    """The names of script, instrument (if any) and device, from the name of the JSON."""
    instrument = results.get("configuration", {}).get("instrument")
    device = results["environment"].get("device")
    others = [name for name in (instrument, device) if name]
    script = path.stem.removesuffix("_" + "_".join(others))
    return [(path.parent.relative_to(folder) / script).as_posix(), *others]


def _steps_from(steps: dict) -> str:
    """The table of all steps."""
    heading = ["step", "compile", "steady state", "memory"]
    columns = [
        (ratio, timing)
        for ratio in RATIOS
        for timing in JUDGED
        if any((ratio, timing) in measured_from(entry) for entry in steps.values())
    ]
    heading += [f"{ratio}: {HEADINGS[timing]}" for ratio, timing in columns]
    rows = []
    for step, entry in steps.items():
        measured = measured_from(entry)
        way = next((way for way in LABELS if way in entry), None)
        times = [measured.get((way, timing)) for timing in ("compile", "steady_state")]
        memory = entry.get(way, {}).get("memory")
        ratios = map(measured.get, columns)
        rows.append(
            [
                step,
                *(time_from(time.value) if time else "" for time in times),
                _size_from(sum(memory.values())) if memory else "",
                *(_ratio_from(ratio) if ratio else "" for ratio in ratios),
            ]
        )
    return _table(heading, rows)


def _ratio_from(ratio: Measured) -> str:
    mark = ("**" if ratio.leaves_noise else "") if ratio.has_spread else "*"
    return f"{mark}{ratio.value:.3f}{mark}"


def _size_from(size: float) -> str:
    """A number of bytes as text."""
    return f"{size / 2**20:.1f} MB"


def _gradient_from(gradient: dict[str, dict]) -> str:
    """How well derivatives agree with finite differences, in a sentence."""
    errors = {
        name: abs(entry["gradient"] - entry["finite_difference"])
        for name, entry in gradient.items()
    }
    sizes = {name: abs(entry["finite_difference"]) for name, entry in gradient.items()}
    agree = sum(
        error <= GRADIENT_ATOL + GRADIENT_RTOL * sizes[name]
        for name, error in errors.items()
    )
    relative = {name: errors[name] / sizes[name] for name in errors if sizes[name]}
    text = f"{agree} of {len(errors)} derivatives agree with finite differences"
    if relative:
        worst = max(relative, key=relative.get)
        text += f"; the largest relative difference is {relative[worst]:.1e} (`{worst}`)"
    return f"{text}."


def _table(heading: list[str], rows: list[list[str]], words: int = 1) -> str:
    """A Markdown table; the columns after the first few, of words, are numbers."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    dashes = ["---"] * words + ["--:"] * (len(heading) - words)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, dashes, *rows))


def figure_from(results: dict[str, dict]) -> Figure:
    """
    The full likelihood of every result: bars of its steady state, and beside them the
    ratios of two ways with their spreads.

    Parameters
    ----------
    results
        By label, the contents of JSONs that have this step.
    """
    figure = Figure(figsize=(17.0, 1.1 * len(results) + 1.9), layout="constrained")
    figure.suptitle("The full likelihood of every profile")
    bars, *others = figure.subplots(1, 1 + len(RATIOS), sharey=True)
    panel_of = dict(zip(RATIOS, others, strict=True))

    shown = []
    for row, contents in enumerate(results.values()):
        measured = measured_from(contents["steps"][LIKELIHOOD])
        ways = [way for way in LABELS if (way, "steady_state") in measured]
        for index, way in enumerate(ways):
            time = measured[way, "steady_state"]
            height = 0.75 / len(ways)
            y = row + height * (index - 0.5 * (len(ways) - 1))
            style = {"height": 0.9 * height, "color": COLOURS[way], "ecolor": "black"}
            bars.barh(y, time.value, xerr=_error_from(time), label=LABELS[way], **style)
            text = f"  {time_from(time.value)}"
            bars.text(time.highest, y, text, va="center", fontsize=8)
            shown += [time.lowest, time.highest]
        for name, index in product(RATIOS, range(len(JUDGED))):
            if ratio := measured.get((name, JUDGED[index])):
                panel_of[name].errorbar(
                    ratio.value,
                    row + 0.25 * (index - 1),
                    xerr=_error_from(ratio) if ratio.has_spread else None,
                    fmt="o",
                    color=RATIO_COLOURS[JUDGED[index]],
                    label=HEADINGS[JUDGED[index]],
                )

    # Whole decades, with room for the labels at the ends of the bars.
    bars.set_xscale("log")
    decades = np.floor(np.log10([0.5 * min(shown), 20.0 * max(shown)]))
    bars.set_xlim(*10.0**decades)
    bars.set_xlabel("steady state: seconds (median, quartiles)")
    bars.set_yticks(range(len(results)), results)
    bars.set_ylim(len(results) - 0.5, -0.5)
    for name, panel in panel_of.items():
        panel.axvline(1.0, color="black", linewidth=0.8)
        panel.set_xlabel(f"{name} (median of pairs, spread of the quartiles)")
        panel.grid(axis="x", alpha=0.3)
    bars.grid(axis="x", alpha=0.3)
    for panel, side in ((bars, "left"), (panel_of[RATIO], "right")):
        handles, labels = panel.get_legend_handles_labels()
        by_label = dict(zip(labels, handles, strict=True))
        figure.legend(
            by_label.values(),
            by_label.keys(),
            loc=f"outside lower {side}",
            ncols=len(by_label) or 1,
        )
    return figure


def _error_from(measured: Measured) -> list[list[float]]:
    """The lengths of an error bar to both sides; shape (2, 1)."""
    return [
        [measured.value - measured.lowest],
        [measured.highest - measured.value],
    ]


def main(arguments: list[str] | None = None) -> int:
    """
    Writes the page and its figure, or checks them.

    Returns
    -------
    The exit code: 1 if what is checked is stale, or else 0.
    """
    parser = argparse.ArgumentParser(
        prog="python -m jax_profiling.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=FOLDER / "results",
        metavar="FOLDER",
        help="where the JSONs are (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=FOLDER.parent / "docs" / "profiles.md",
        metavar="PAGE",
        help="the page; its figure goes to a folder beside it (default: %(default)s)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with 1 if the page is not what would be written",
    )
    options = parser.parse_args(arguments)
    page = options.output
    if page.suffix != ".md":
        parser.error(f"argument --output: {page} is no Markdown file (.md)")

    results = {}
    for path in sorted(options.results.rglob("*.json")):
        if "_quick_" in path.name:
            continue
        try:
            results[path] = results_in(path)
        except ValueError as error:
            print(f"Skipped: {error}")
    if not results:
        parser.error(f"argument --results: {options.results} has no JSON of a profile")

    likelihoods = {
        "\n".join(_names_from(path, contents, options.results)): contents
        for path, contents in results.items()
        if LIKELIHOOD in contents["steps"]
    }
    png = page.parent / page.stem / "overview.png"
    overview = f"\n![Full likelihood of every profile]({page.stem}/{png.name})\n"
    sections = [section_from(*item, options.results, page) for item in results.items()]
    text = TEXT.format(
        overview=overview if likelihoods else "", sections="\n\n".join(sections) + "\n"
    )

    if options.check:
        # Another release of Matplotlib draws other bytes: of the figure it is only
        # asked whether it is there. What it shows changes together with the page.
        if (
            page.exists()
            and page.read_text() == text
            and (png.exists() or not likelihoods)
        ):
            return 0
        print(f"{page} is stale: write it with python -m jax_profiling.report")
        return 1

    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text)
    print(f"Wrote {page}")
    if likelihoods:
        png.parent.mkdir(exist_ok=True)
        figure_from(likelihoods).savefig(png, dpi=120)
        print(f"Wrote {png}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
