"""
Two runs of a profiling script beside each other: what was measured, with its spread, and
the ratios of it.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from jax_profiling.timing import TIMINGS
from jax_profiling.ways import RATIOS, WAYS

# The first call is one call per compilation, and starts with cold caches.
JUDGED = ("lower", "compile", "steady_state")

# Quartiles of fewer samples say nothing of a spread.
FEWEST_SAMPLES = 3

# How well likelihoods agree that are the same, relative: as with NumPy in the scripts.
SAME_LIKELIHOOD = 1e-6

KEYS = {"date", "environment", "steps"}


@dataclass(frozen=True)
class Measured:
    """
    A median with its quartiles, or a ratio with its spread, and the number of samples
    behind it: of a ratio, the smaller one.
    """

    value: float
    lowest: float
    highest: float
    samples: int

    def __truediv__(self, other: "Measured") -> "Measured":
        """The ratio to another number, with the widest spread that the two allow."""
        return Measured(
            self.value / other.value,
            self.lowest / other.highest,
            self.highest / other.lowest,
            min(self.samples, other.samples),
        )

    @property
    def has_spread(self) -> bool:
        """Whether there are enough samples for the spread to be one."""
        return self.samples >= FEWEST_SAMPLES

    @property
    def leaves_noise(self) -> bool:
        """Whether this ratio is another than 1, as far as its spread tells."""
        return self.has_spread and not self.lowest <= 1.0 <= self.highest

    def __str__(self) -> str:
        if not self.has_spread:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.lowest:.3f}, {self.highest:.3f}]"


@dataclass(frozen=True)
class Row:
    """
    One timing of one step in two runs: in seconds, or as the ratio of two ways.

    Attributes
    ----------
    step, way, timing
        The names; the way is one of `WAYS` or `RATIOS`, the timing one of `TIMINGS`.
    base, other
        What the two runs measured.
    """

    step: str
    way: str
    timing: str
    base: Measured
    other: Measured

    @property
    def ratio(self) -> Measured:
        """The other run over the base."""
        return self.other / self.base

    @property
    def change(self) -> str:
        """What a ratio that leaves the noise means."""
        return "slower" if self.ratio.value > 1.0 else "faster"


def results_in(path: Path) -> dict:
    """
    The contents of the JSON of a profiling script.

    Raises
    ------
    ValueError
        If the file is anything else.
    """
    try:
        results = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    missing = KEYS - (results.keys() if isinstance(results, dict) else set())
    if missing:
        raise ValueError(
            f"{path} is not the JSON of a profiling script: it has no "
            f"{', '.join(sorted(missing))}"
        )
    try:
        for step in results["steps"].values():
            measured_from(step)
    except (AttributeError, KeyError, TypeError):
        raise ValueError(f"{path} has steps that are no timings") from None
    return results


def measured_from(step: dict) -> dict[tuple[str, str], Measured]:
    """
    The measurements of one step of a JSON by way and timing, with the ratios of two ways
    (`RATIOS`) as ways of their own.
    """
    measured = {}
    for way in WAYS:
        for timing in TIMINGS:
            if entry := step.get(way, {}).get(timing):
                measured[way, timing] = Measured(
                    entry["median"], *entry["quartiles"], entry["samples"]
                )
    for name, (first, second, key) in RATIOS.items():
        for timing in TIMINGS:
            pair = measured.get((first, timing)), measured.get((second, timing))
            if all(pair):
                # The run took the samples in turn, and knows the ratio of each pair. Of
                # few pairs, the median may lie outside of what the quartiles allow.
                ratio, spread = step[key][timing], pair[0] / pair[1]
                measured[name, timing] = Measured(
                    ratio,
                    min(ratio, spread.lowest),
                    max(ratio, spread.highest),
                    spread.samples,
                )
    return measured


def comparison_from(base: dict, other: dict) -> list[Row]:
    """
    Every timing which two runs share, step by step.

    Parameters
    ----------
    base, other
        The contents of two JSONs.
    """
    rows = []
    for step in base["steps"]:
        before = measured_from(base["steps"][step])
        after = measured_from(other["steps"].get(step, {}))
        rows += [
            Row(step, way, timing, before[way, timing], after[way, timing])
            for way, timing in before
            if (way, timing) in after
        ]
    return rows


def differences_from(base: dict, other: dict) -> list[str]:
    """
    The entries of environment and configuration that differ, whether the likelihoods do,
    and the steps which only one run has; a line each.
    """

    def entries(results: dict) -> dict:
        environment = {**results["environment"], **results.get("configuration", {})}
        return {**environment.pop("versions", {}), **environment}

    before, after = entries(base), entries(other)
    lines = [
        f"{name}: {before.get(name, '(none)')} -> {after.get(name, '(none)')}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
    likelihoods = (
        run.get("log_likelihoods", {}).get("numpy", []) for run in (base, other)
    )
    # A batch may be longer in one run: it begins with the same instances.
    apart = [
        abs(b - a) / max(abs(a), abs(b))
        for a, b in zip(*likelihoods, strict=False)
        if not math.isclose(a, b, rel_tol=SAME_LIKELIHOOD)
    ]
    if apart:
        lines.append(f"log likelihoods: up to {max(apart):.1e} apart, relative")
    if lines:
        lines.append("With any of these, other times are no regression of the code.")
    for run, steps, others in (
        ("base", base["steps"], other["steps"]),
        ("other", other["steps"], base["steps"]),
    ):
        if missing := [step for step in steps if step not in others]:
            lines.append(f"steps only in the {run}: {', '.join(missing)}")
    return lines
