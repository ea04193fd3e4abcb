"""The figure of the cost model: hours against machines, and where the machines' time goes."""

from pathlib import Path
from statistics import median

import numpy as np
from matplotlib.axes import Axes

from benchmarks.scale import SHARD_SIZE, SHARD_SIZES, SURVEYS, Machine, runs
from benchmarks.scale_simulation import Cluster
from galaxyloop.plots.style import BLUE, GREEN, GREY, LIGHT, ORANGE, new_figure, paint, tidy

COUNTS = (1, 2, 4, 8, 16, 32, 64)
PARTS = {
    "work_s": ("predicting", BLUE),
    "slow_s": ("slow attempts", "#7fb8de"),
    "start_s": ("starting machines and pods", ORANGE),
    "lost_s": ("attempts lost", "#b5483a"),
    "idle_s": ("idle", GREY),
}


def draw(cores: Machine, accelerator: Machine, path: Path) -> None:
    """Draw the panels and write the picture."""
    figure, (left, middle, right) = new_figure(11.0, 3.7, 1, 3)
    plot_hours(accelerator, left)
    plot_parts(accelerator, middle)
    plot_parts(cores, right)
    figure.legend(
        *middle.get_legend_handles_labels(),
        loc="outside lower right",
        ncols=len(PARTS),
        frameon=False,
        fontsize=8,
    )
    paint(figure, LIGHT).savefig(path)


def plot_hours(machine: Machine, ax: Axes) -> Axes:
    """Simulated hours, and dashed those of arithmetic; where they part, machines no longer help."""
    for n_galaxies, colour in zip(SURVEYS, (GREEN, BLUE, ORANGE), strict=True):
        found = [runs(n_galaxies, SHARD_SIZE, Cluster(n, machine.galaxies_per_s)) for n in COUNTS]
        hours = [[one.end_s / 3600 for one in several] for several in found]
        middle = [median(several) for several in hours]
        ax.plot(COUNTS, middle, marker="o", markersize=3, color=colour)
        low, high = np.min(hours, axis=1), np.max(hours, axis=1)
        ax.fill_between(COUNTS, low, high, color=colour, alpha=0.2, linewidth=0)
        ideal = [n_galaxies / machine.galaxies_per_s / n / 3600 for n in COUNTS]
        ax.plot(COUNTS, ideal, color=colour, ls="--", lw=0.9)
        label = f"{n_galaxies // 10**6:,} M galaxies"
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.85}
        place = {"textcoords": "offset points", "fontsize": 8, "bbox": behind}
        ax.annotate(label, (1, middle[0]), (0, 6), **place)
    ax.set(xscale="log", yscale="log", xlabel=f"machines ({machine.name})", ylabel="hours")
    ax.margins(y=0.12)
    ax.set_xticks(COUNTS, [str(n) for n in COUNTS], minor=False)
    ax.minorticks_off()
    ax.set_title(f"{SHARD_SIZE:,} galaxies a shard; dashed: arithmetic")
    return tidy(ax)


def plot_parts(machine: Machine, ax: Axes) -> Axes:
    """Shares of the paid time by size of the shards; good is mostly predicting."""
    found = [runs(SURVEYS[1], size, Cluster(16, machine.galaxies_per_s)) for size in SHARD_SIZES]
    below = np.zeros(len(SHARD_SIZES))
    for name, (label, colour) in PARTS.items():
        # Of one seed, so that the shares add up.
        share = np.array([getattr(one[0], name) / one[0].held_s for one in found])
        ax.bar(np.arange(len(below)), share, 0.7, bottom=below, color=colour, label=label)
        below += share
    labels = [f"{size // 1000:,} k" for size in SHARD_SIZES]
    ax.set_xticks(np.arange(len(below)), labels)
    ax.set(xlabel="galaxies a shard", ylabel="share of the time paid for", ylim=(0, 1.02))
    ax.set_title(f"100 M galaxies on 16 machines ({machine.name})")
    return tidy(ax)
