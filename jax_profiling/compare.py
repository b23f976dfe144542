"""
Compare runs of the profiling scripts: what became slower, what faster?

    python -m jax_profiling.compare before.json after.json
    python -m jax_profiling.compare before/ after/

The first is the base, which each of the others is compared with. Every ratio of two
medians has a spread, which follows from the measured quartiles alone: from the first
quartile above over the third below, to the third above over the first below. A ratio
leaves the noise when 1 lies outside of its spread.

That is the noise within a run. What differs between two whole runs, like another load on
the machine, is not in it; pytree / flat and together / pytree are mostly free of that,
since a run measures these in turn: they are the medians of the ratios of samples that
were taken side by side.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator, StrMethodFormatter

from jax_profiling.comparison import (
    FEWEST_SAMPLES,
    JUDGED,
    Measured,
    Row,
    comparison_from,
    differences_from,
    results_in,
)
from jax_profiling.timing import TIMINGS
from jax_profiling.ways import RATIO, RATIOS, TOGETHER

MARKERS = {
    "pytree": "o",
    "flat": "s",
    RATIO: "D",
    "together": "v",
    TOGETHER: "P",
    "arrays": "^",
}
TICKS = (1.02, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


def table_from(rows: list[Row], timings: Sequence[str]) -> str:
    """
    The ratios as text: a line for each step and way, then those of two ways in both runs.

    Parameters
    ----------
    rows
        From `comparison_from`.
    timings
        The timings that are judged.
    """

    def cell(row: Row) -> str:
        if row.timing not in timings or not row.ratio.has_spread:
            return f"{row.ratio} ~"
        return f"{row.ratio} *" if row.ratio.leaves_noise else f"{row.ratio}"

    cells = {(row.step, row.way, row.timing): cell(row) for row in rows}
    shown = [name for name in TIMINGS if any(row.timing == name for row in rows)]
    table = [["step", "way", *map(_words, shown)]]
    for step, way in dict.fromkeys((r.step, r.way) for r in rows if r.way not in RATIOS):
        table.append([step, way, *(cells.get((step, way, name), "") for name in shown)])

    parts = [table]
    for ratio in RATIOS:
        parts.append([[ratio, "timing", "base", "other", "other / base"]])
        for row in (row for row in rows if row.way == ratio):
            runs = [str(row.base), str(row.other)]
            parts[-1].append([row.step, _words(row.timing), *runs, cell(row)])

    lines = []
    for cells_of_lines in (part for part in parts if len(part) > 1):
        widths = [max(map(len, column)) for column in zip(*cells_of_lines, strict=True)]
        lines += ["  ".join(map(str.ljust, line, widths)) for line in cells_of_lines]
        lines.append("")
    return "\n".join(line.rstrip() for line in lines)


def figure_from(
    comparisons: dict[tuple[str, str], list[Row]], timings: Sequence[str]
) -> Figure:
    """
    The ratios with their spreads: a panel for each timing, a row for each step.

    Parameters
    ----------
    comparisons
        The rows of every comparison; the keys are the result which the steps belong to
        and the run that is compared with the base.
    timings
        The timings that are drawn.
    """
    results = {result for result, _ in comparisons}
    runs = list(dict.fromkeys(run for _, run in comparisons))
    points = [
        (f"{result}: {row.step}" if len(results) > 1 else row.step, runs.index(run), row)
        for (result, run), rows in comparisons.items()
        for row in rows
    ]
    steps = list(dict.fromkeys(step for step, _, _ in points))
    # Within the row of a step, every run and way has a line of its own.
    ways = list(MARKERS)
    lines = len(ways) * len(runs)

    height = 0.13 * (lines + 2) * len(steps) + 0.3 * len(runs) + 2.0
    figure = Figure(figsize=(5.0 * len(timings) + 2.0, height), layout="constrained")
    panels = figure.subplots(1, len(timings), sharey=True, squeeze=False)[0]

    for panel, timing in zip(panels, timings, strict=True):
        reach = TICKS[1]
        for step, run, row in points:
            if row.timing != timing:
                continue
            line = len(ways) * run + ways.index(row.way)
            y = steps.index(step) + (line - 0.5 * (lines - 1)) / (lines + 2)
            ratio = row.ratio
            ends = [ratio.lowest, ratio.highest] if ratio.has_spread else [ratio.value]
            reach = max(reach, *ends, *(1.0 / end for end in ends))
            panel.plot(ends, [y] * len(ends), color=f"C{run}", linewidth=1.2)
            panel.plot(ratio.value, y, **_style_from(row.way, run, ratio))

        panel.axvline(1.0, color="black", linewidth=0.8)
        for edge in range(1, len(steps)):
            panel.axhline(edge - 0.5, color="0.85", linewidth=0.8)
        panel.set_xscale("log")
        panel.set_xlim(reach**-1.1, reach**1.1)
        ticks = [tick for tick in TICKS if reach**0.4 <= tick <= reach][-2:]
        panel.set_xticks([*(1.0 / tick for tick in ticks), 1.0, *ticks])
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.grid(axis="x", alpha=0.3)
        panel.set_title(_words(timing))
        panel.set_xlabel("other / base (left: faster, right: slower)")

    panels[0].set_yticks(range(len(steps)), steps)
    panels[0].set_ylim(len(steps) - 0.5, -0.5)

    styles = {
        **{way: _style_from(way, 0, Measured(1.0, 1.0, 1.0, 9)) for way in ways},
        "left the noise": _style_from("pytree", 0, Measured(2.0, 2.0, 2.0, 9)),
        "not judged": _style_from("pytree", 0, Measured(1.0, 1.0, 1.0, 1)),
    }
    figure.legend(
        handles=[Line2D([], [], label=name, **style) for name, style in styles.items()],
        loc="outside lower center",
        ncols=len(styles),
    )
    figure.legend(
        handles=[Line2D([], [], label=run, color=f"C{i}") for i, run in enumerate(runs)],
        loc="outside upper center",
        title="Time over that of the base: ratio of medians, spread of the quartiles",
    )
    return figure


def _style_from(way: str, run: int, ratio: Measured) -> dict:
    return {
        "marker": MARKERS[way],
        "linestyle": "none",
        "color": f"C{run}",
        "markerfacecolor": f"C{run}" if ratio.leaves_noise else "white",
        "alpha": 1.0 if ratio.has_spread else 0.35,
    }


def _words(timing: str) -> str:
    return timing.replace("_", " ")


def pairs_from(paths: list[Path]) -> tuple[list[tuple[Path, Path, str]], list[str]]:
    """
    What is compared with what.

    Parameters
    ----------
    paths
        JSON files, or folders, in which results are matched by the name of the file.

    Returns
    -------
    For every pair the base's file, the other file, and the argument it came from; and
    what was left out, a line each.

    Raises
    ------
    ValueError
        If the paths are no two files or folders, or no file of the folders matches.
    """
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path} is neither a file nor a folder")
    if len(paths) == 1:
        raise ValueError(f"{paths[0]} is all that was passed: two or more are compared")
    if len({path.is_dir() for path in paths}) == 2:
        passed = (f"{p} ({'folder' if p.is_dir() else 'file'})" for p in paths)
        raise ValueError(f"pass files only, or folders only, not {', '.join(passed)}")
    base, *others = paths
    if not base.is_dir():
        return [(base, other, str(other)) for other in others], []

    pairs, left_out = [], []
    found = {folder: _results_by_name_from(folder, left_out) for folder in paths}
    for other in others:
        for name in sorted({**found[base], **found[other]}):
            if name in found[base] and name in found[other]:
                pairs.append((found[base][name], found[other][name], str(other)))
            else:
                only = base if name in found[base] else other
                left_out.append(f"{name}, which only {only} has")
    if not pairs:
        reasons = "; ".join(left_out) or "none has any"
        raise ValueError(f"no results with the same name in the folders: {reasons}")
    return pairs, left_out


def _results_by_name_from(folder: Path, left_out: list[str]) -> dict[str, Path]:
    """The results in a folder; what else is there is added to what was left out."""
    paths = {}
    for path in sorted(folder.rglob("*.json")):
        try:
            results_in(path)
        except ValueError as error:
            left_out.append(str(error))
            continue
        if path.name in paths:
            raise ValueError(f"{path} has the same name as {paths[path.name]}")
        paths[path.name] = path
    return paths


def main(arguments: list[str] | None = None) -> int:
    """
    Prints the comparison and writes its figure.

    Returns
    -------
    The exit code: 1 if any ratio left the noise, or else 0.
    """
    parser = argparse.ArgumentParser(
        prog="python -m jax_profiling.compare",
        description=__doc__,
        epilog="exit code: 0 if nothing left the noise, 1 if something did, 2: an error",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="JSON",
        help="the base, then one or more others: JSONs, or folders of them",
    )
    parser.add_argument(
        "--timings",
        nargs="+",
        choices=TIMINGS,
        default=JUDGED,
        help=f"which are judged and drawn (default: {' '.join(JUDGED)}; the first call "
        "is sampled once per compilation only)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("comparison.png"),
        metavar="PNG",
        help="where the figure is written (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.output.suffix != ".png" or not options.output.parent.is_dir():
        parser.error(
            f"argument --output: {options.output} is no .png in a folder there is"
        )

    comparisons, found = {}, []
    try:
        pairs, left_out = pairs_from(options.paths)
        results = {path: results_in(path) for *pair, _ in pairs for path in pair}
    except ValueError as error:
        parser.error(str(error))
    for line in left_out:
        print(f"Left out: {line}")

    for base, other, run in pairs:
        before, after = results[base], results[other]
        rows = comparison_from(before, after)
        if not rows:
            parser.error(f"{base} and {other} have no timing of a step in common")
        comparisons[base.stem, run] = rows
        print(f"{base} ({before['date']}) -> {other} ({after['date']})")
        for line in differences_from(before, after):
            print(f"  {line}")
        print(f"\n{table_from(rows, options.timings)}")
        found += [
            f"  {row.change}  {other}: {row.step}, {row.way}, {_words(row.timing)}: "
            f"{row.ratio}"
            for row in rows
            if row.timing in options.timings and row.ratio.leaves_noise
        ]

    judged = " or ".join(map(_words, options.timings))
    print(
        "Ratios other / base of the medians, with the spread of the quartiles; "
        f"{' and '.join(RATIOS)} in a run: the median of pairs.\n"
        "*: left the noise.\n"
        f"~: not judged: fewer than {FEWEST_SAMPLES} samples in a run, or not {judged}."
    )
    print(
        "\n".join(["Left the noise:", *found] if found else ["Nothing left the noise."])
    )
    figure_from(comparisons, options.timings).savefig(options.output, dpi=120)
    print(f"Wrote {options.output}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
