"""Plots from the JSON files of mining_engine.py and alignment.py: one PNG each into a directory.

    time.png       seconds against rows, a line for each method and data set
    agreement.png  share of exact's pairs mined against seconds, at the most rows that were measured in full
    bytes.png      bytes a vector
    alignment.png  seconds, and points of the table that were looked at, against the length of the documents

Marks drawn hollow are extrapolated; skipped and stopped ones are left out.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

COLOURS = plt.get_cmap("tab10").colors
OURS = ("exact", "ivf", "ivfpq")
Run = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, nargs="+", help="what mining_engine.py or alignment.py --json wrote")
    parser.add_argument("--out", type=Path, default=Path(), help="directory of the PNG files")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    engine = [path for path in arguments.json if not aligned(path)]
    for path in set(arguments.json) - set(engine):
        draw_alignment(aligned(path), arguments.out / "alignment.png")
    if not engine:
        return
    runs = [run for path in engine for run in read(path)]
    for name, draw in (("time", draw_time), ("agreement", draw_agreement), ("bytes", draw_bytes)):
        groups = sorted({run["group"] for run in runs})
        figure, axes = plt.subplots(1, len(groups), figsize=(6.5 * len(groups), 4.8), squeeze=False)
        for panel, group in zip(axes[0], groups, strict=True):
            panel.set_title(group)
            draw(panel, [run for run in runs if run["group"] == group])
        figure.tight_layout()
        figure.savefig(arguments.out / f"{name}.png", dpi=130)
        plt.close(figure)
        print(arguments.out / f"{name}.png")


def read(path: Path) -> list[Run]:
    """The measured runs of a file, each with the rows and the group (data, dimensions, threads) it belongs to."""
    measured = json.loads(path.read_text(encoding="utf-8"))
    asked = measured["signature"]["parameters"]
    group = f"{asked['data']}, {asked['dims']} dimensions, k={asked['k']}, {asked['threads']} threads"
    return [run | {"rows": asked["rows"], "group": group} for run in measured["runs"] if "seconds" in run]


def aligned(path: Path) -> list[Run]:
    """The timed runs of a file of alignment.py; none in others."""
    return [run for run in json.loads(path.read_text(encoding="utf-8"))["runs"] if "align_seconds" in run]


def draw_alignment(runs: list[Run], path: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(13, 4.8))
    lengths = [run["sentences"] for run in runs]
    panels[0].plot(lengths, [run["align_seconds"] for run in runs], "o-", color=COLOURS[0])
    panels[0].set(xlabel="sentences a side", ylabel="CPU seconds, block vectors to beads")
    panels[1].plot(lengths, [run["points"] for run in runs], "o-", color=COLOURS[0], label="looked at")
    panels[1].plot(lengths, [run["all_points"] for run in runs], "o--", color=COLOURS[1], label="all")
    panels[1].set(xscale="log", yscale="log", xlabel="sentences a side", ylabel="points of the finest table")
    panels[1].legend(fontsize=8)
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.xaxis.set_major_formatter("{x:,g}")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
    print(path)


def draw_time(panel: Any, runs: list[Run]) -> None:
    lines = defaultdict(list)
    for run in runs:
        lines[run["method"]].append(run)
    for method, points in sorted(lines.items()):
        points.sort(key=lambda run: run["rows"])
        rows, seconds = [run["rows"] for run in points], [run["seconds"] for run in points]
        panel.plot(rows, seconds, **style(method), markersize=5, label=method)
        hollow = [run for run in points if run["extrapolated"]]
        places = [run["rows"] for run in hollow], [run["seconds"] for run in hollow]
        panel.plot(*places, "o", color="white", markersize=3, zorder=4)
    panel.set(xscale="log", yscale="log", xlabel="rows a side", ylabel="seconds, vectors to pairs")
    plain_ticks(panel.xaxis)
    plain_ticks(panel.yaxis)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)


def draw_agreement(panel: Any, runs: list[Run]) -> None:
    judged = [run for run in runs if run.get("pairs_agreement") is not None]
    most = max((run["rows"] for run in judged), default=0)
    for run in (run for run in judged if run["rows"] == most):
        panel.plot(run["seconds"], run["pairs_agreement"], **style(run["method"]), markersize=8, label=run["method"])
    panel.set(xscale="log", xlabel=f"seconds, vectors to pairs, {most:,} rows a side", ylabel="share of exact's pairs")
    plain_ticks(panel.xaxis)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)


def draw_bytes(panel: Any, runs: list[Run]) -> None:
    most = max(run["rows"] for run in runs)
    last = sorted((run for run in runs if run["rows"] == most), key=lambda run: run["bytes_per_vector"])
    colours = [style(run["method"])["color"] for run in last]
    bars = panel.barh([run["method"] for run in last], [run["bytes_per_vector"] for run in last], color=colours)
    panel.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
    panel.margins(x=0.12)
    panel.set(xlabel=f"bytes a vector, {most:,} rows a side")


def plain_ticks(axis: Any) -> None:
    """1, 2, 5, 10, 20 ... in plain figures on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_formatter(NullFormatter())


def style(method: str) -> dict[str, Any]:
    """The same colour for a method everywhere; ours are thick lines with round marks."""
    known = (*OURS, "faiss.knn", "laser", "sentence-transformers", "faiss-ivfflat", "faiss-ivfpq", "usearch-exact")
    colour = COLOURS[known.index(method) if method in known else -1]
    return {"color": colour, "marker": "o", "linewidth": 2.5 if method in OURS else 1.2}


if __name__ == "__main__":
    main()
