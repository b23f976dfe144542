"""Figures of how a posterior was found."""

import numpy as np
from matplotlib.figure import Figure

from autofit_patch.posterior._optimise import Maximisations
from autofit_patch.posterior._sample import Chains


def figure_of_paths(state: Maximisations) -> Figure:
    """How far below the highest log density each maximisation was at every step."""
    paths = np.transpose(state.paths)
    highest = state.values.max()
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for path, stopped in zip(paths, state.stopped, strict=True):
        # The highest one would be at minus infinity on a logarithmic axis.
        below = np.maximum(highest - path, 1e-2)
        axes.plot(below, lw=1, color="tab:red" if stopped else "tab:blue", alpha=0.7)
    axes.set(
        yscale="log",
        xlabel="step",
        ylabel="below the maximum (log posterior)",
        title=f"{state.near_the_highest.sum()} of {len(paths)} starts end near the "
        f"highest ({state.stopped.sum()} stopped, red)",
    )
    return figure


def figure_of_traces(state: Chains, names: list[str]) -> Figure:
    """The coordinate of every parameter along every chain, of the draws kept."""
    rows = state.drawn("rows")
    divergent = state.drawn("divergent")
    figure = Figure(figsize=(9, 1.1 * len(names) + 0.6), layout="constrained")
    grid = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    draws = np.arange(rows.shape[1])
    for index, (axes, name) in enumerate(zip(grid, names, strict=True)):
        for chain, diverged in zip(rows[..., index], divergent, strict=True):
            axes.plot(draws, chain, lw=0.6)
            axes.plot(draws[diverged], chain[diverged], "rx", ms=5)
        axes.set_title(name, fontsize=7, loc="left", pad=2)
        axes.tick_params(labelsize=7)
    grid[-1].set_xlabel("draw of a chain (coordinates of the prior; divergent draws red)")
    return figure
