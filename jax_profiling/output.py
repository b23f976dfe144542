"""
What a profiling script leaves behind: a JSON, a figure, and a summary on the screen.
"""

import json
import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import jax
from matplotlib.figure import Figure

from jax_profiling.compare import table_from
from jax_profiling.comparison import (
    JUDGED,
    comparison_from,
    differences_from,
)
from jax_profiling.timing import TIMINGS, Profile, Timing
from jax_profiling.ways import COLOURS, LABELS, RATIOS

LIBRARIES = (
    "jax",
    "jaxlib",
    "numpy",
    "autofit",
    "autoarray",
    "autogalaxy",
    "autolens",
    "autonerves",
)

HEADINGS = {
    "lower": "lower",
    "compile": "compile",
    "first_call": "first call",
    "steady_state": "steady state",
}


def environment_from() -> dict:
    """
    Everything about the machine and the process that the timings depend on.

    `device` tells apart what must not be compared: on a CPU it includes the number of
    threads that the process may use.
    """
    device = jax.devices()[0]
    # Only Linux says which of the cores the process may use.
    affinity = getattr(os, "sched_getaffinity", None)
    threads = len(affinity(0)) if affinity else os.cpu_count()
    name = device.device_kind
    if device.platform == "cpu":
        name = f"cpu-{threads}-threads"
    return {
        "versions": {library: version(library) for library in LIBRARIES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": re.sub(r"[^a-z0-9]+", "-", name.lower()),
        "threads": threads,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "double_precision": jax.config.jax_enable_x64,
    }


def results_from(
    environment: dict, configuration: dict, profiles: list[Profile], **figures
) -> dict:
    """
    The contents of the JSON.

    Parameters
    ----------
    environment
        From `environment_from`.
    configuration
        The options of the run and what they led to, like the number of pixels.
    profiles
        The profile of every step.
    figures
        Further entries, like log likelihoods.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": environment,
        "configuration": configuration,
        "steps": {
            profile.name: {
                **{way: _entry_from(t) for way, t in profile.timings.items()},
                **{key: ratios for _, key, ratios in _ratios_of(profile)},
            }
            for profile in profiles
        },
        **figures,
    }


def summary_from(
    profiles: list[Profile],
    compilation: dict | None = None,
    peak_memory: dict | None = None,
    **_,
) -> str:
    """
    A table of every step, and of each way of calling it; medians, and for the steady
    state the interquartile range. Under it, where the time before the first result goes.

    Parameters
    ----------
    profiles
        The profile of every step.
    compilation
        From `compilation_from`, if it was asked for.
    peak_memory
        The peak memory after each step, in bytes, if it was asked for.
    """
    width = 2 + max(len(profile.name) for profile in profiles)
    lines = [
        f"{'step':<{width}}{'way':<9}{'lower':>10}{'compile':>10}{'first call':>12}"
        f"{'steady state':>14}  {'(quartiles)':<20}{'memory':>10}{'traces':>8}"
    ]
    for profile in profiles:
        name = profile.name
        for way, timing in profile.timings.items():
            lower, upper = timing.quartiles("steady_state")
            spread = f"({time_from(lower)} - {time_from(upper)})"
            lines.append(
                f"{name:<{width}}{way:<9}"
                f"{time_from(timing.median('lower')):>10}"
                f"{time_from(timing.median('compile')):>10}"
                f"{time_from(timing.median('first_call')):>12}"
                f"{time_from(timing.median('steady_state')):>14}  {spread:<20}"
                f"{sum(timing.memory.values()) / 2**20:>7.1f} MB{timing.traces:>8}"
            )
            name = ""
        lines += [
            f"{title:>{width + 9}}{ratios['lower']:>10.3f}"
            f"{ratios['compile']:>10.3f}{ratios['first_call']:>12.3f}"
            f"{ratios['steady_state']:>14.3f}"
            for title, _, ratios in _ratios_of(profile)
        ]
    lines.append(
        "Medians; ratios are of samples taken side by side. together: profiles of one "
        "kind are evaluated together; memory: arguments, outputs and temporaries; "
        "traces: over all calls."
    )
    headings = {
        "stages": "the likelihood, by the stages of JAX",
        "tracing": "tracing it, by whose code runs (slowed by Python's profiler)",
        "compiling": "compiling it, by the phases of XLA, which contain one another",
    }
    for name, seconds in (compilation or {}).items():
        lines.append(f"\nWhere the time goes: {headings[name]}")
        lines += [f"  {what:<50}{time_from(s):>10}" for what, s in seconds.items()]
    if peak_memory:
        lines.append("\nPeak memory of the process so far")
        lines += [f"  {what:<50}{n / 2**20:>7.0f} MB" for what, n in peak_memory.items()]
    return "\n".join(lines)


def write_from(
    results: dict, profiles: list[Profile], folder: Path, name: str
) -> list[Path]:
    """
    Writes the JSON and the figure, and prints the comparison with the JSON that they
    replace, if there is one: the same script, instrument and device make the same name.

    Parameters
    ----------
    results, profiles
        What is written, and drawn.
    folder
        Made if it is not there.
    name
        The name of the script; instrument and device are added to it.

    Returns
    -------
    The paths of the two files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    instrument = results["configuration"]["instrument"]
    stem = f"{name}_{instrument}_{results['environment']['device']}"
    json_path, png_path = folder / f"{stem}.json", folder / f"{stem}.png"

    if json_path.exists():
        earlier = json.loads(json_path.read_text())
        print(f"Since {earlier['date']}:")
        print("\n".join(differences_from(earlier, results)))
        changes = comparison_from(earlier, results)
        print(table_from([row for row in changes if row.way in RATIOS], JUDGED))

    json_path.write_text(json.dumps(results, indent=2) + "\n")
    title = f"{name}, {instrument}, {results['environment']['device']}"
    figure_from(profiles, title).savefig(png_path, dpi=120)
    return [json_path, png_path]


def figure_from(profiles: list[Profile], title: str) -> Figure:
    """
    Bars of the medians of every step, the ways of calling it side by side, in a panel
    each for lowering, compiling and the steady state.
    """
    figure = Figure(figsize=(16.0, 0.62 * len(profiles) + 1.8), layout="constrained")
    figure.suptitle(f"Time per step of the likelihood: {title}")
    panels = figure.subplots(1, 3, sharey=True)

    for panel, name in zip(panels, ("lower", "compile", "steady_state"), strict=True):
        for row, profile in enumerate(profiles):
            height = 0.8 / len(profile.timings)
            for index, (way, timing) in enumerate(profile.timings.items()):
                y = row + (index - 0.5 * (len(profile.timings) - 1)) * height
                median = timing.median(name)
                lower, upper = timing.quartiles(name)
                panel.barh(
                    y,
                    median,
                    height=0.92 * min(height, 0.4),
                    xerr=[[median - lower], [upper - median]],
                    color=COLOURS[way],
                    ecolor="black",
                )
                panel.text(1.15 * upper, y, time_from(median), va="center", fontsize=8)
        panel.set_xscale("log")
        # Room for the labels at the ends of the longest bars.
        panel.set_xlim(right=5.0 * panel.get_xlim()[1])
        panel.set_xlabel("seconds (median, quartiles)")
        panel.set_title(HEADINGS[name])
        panel.grid(axis="x", alpha=0.3)

    panels[0].set_yticks(range(len(profiles)), [profile.name for profile in profiles])
    panels[0].invert_yaxis()

    ways = dict.fromkeys(way for profile in profiles for way in profile.timings)
    handles = [
        panels[0].barh(0.0, 0.0, color=COLOURS[way], label=LABELS[way]) for way in ways
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(ways))
    return figure


def _ratios_of(profile: Profile) -> list[tuple[str, str, dict]]:
    """The ratios of the ways of a step, each with its title and its key in a JSON."""
    ratios = [
        (title, key, profile.ratios(first, second))
        for title, (first, second, key) in RATIOS.items()
    ]
    return [each for each in ratios if each[-1]]


def _entry_from(timing: Timing) -> dict:
    """The JSON of one step called in one way; times in seconds, memory in bytes."""
    entry = {}
    for name in TIMINGS:
        lower, upper = timing.quartiles(name)
        entry[name] = {
            "median": timing.median(name),
            "quartiles": [lower, upper],
            "samples": len(getattr(timing, name)),
        }
    return {**entry, "memory": timing.memory, "traces": timing.traces}


def time_from(seconds: float) -> str:
    """A time with the unit that suits it: `"1.5 h"`, `"3.42 s"`, `"85 us"`."""
    for unit, scale in (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3)):
        # From here up, three digits round to the larger unit (or to 60 of the smaller).
        if seconds >= 0.9995 * scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"
