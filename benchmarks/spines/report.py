"""The results of all runs come in; a table and a picture go out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

COLOURS = {
    "magnitude": "#8c8c8c",
    "Grad R": "#b5651d",
    "asked": "#4c8c4a",
    "STDS": "#6a4c93",
    "S-LATS": "#c1666b",
    "LATS": "#1f6f8b",
}
PUBLISHED = {  # per cent of connections, of those of convolutions, points lost
    "Grad R": ((0.73, None, 3.5),),
    "UPR": ((0.63, None, 2.19),),
    "STDS": (
        (4.64, 14.2, 0.0),
        (2.23, 7.0, 0.0),
        (1.40, 4.1, 0.85),
        (0.99, 2.8, 1.43),
        (0.75, 2.0, 2.28),
    ),
}
"""Full width, 2048 epochs. Grad R: IJCAI 2021, abstract. UPR: ICLR 2024. STDS: last epochs of the
authors' logs (ICML 2022) for D = 1 to 5, against D = 1, since there is no dense net among them."""
AGAINST = {"STDS": "D = 1"}
PUBLISHED_WEIGHTS = {"Grad R": 36.7e6, "STDS": 36.7e6}
"""Weights of the papers' dense networks, where known."""


def write_report(out: Path) -> None:
    """Write ``table.md`` and ``figure.png`` from the runs in a folder."""
    runs = [json.loads(path.read_text()) for path in sorted(out.glob("*-*-*.json"))]
    dense = {run["seed"]: run for run in runs if run["method"] == "dense"}
    rows = [summarise(group, dense) for group in grouped(runs)]
    header = (
        "| method | asked | seeds | accuracy | loss, points | connectivity % "
        "| convolutions alone % | weights left | CPU min |"
    )
    lines = [header, "|---|---:|---:|---:|---:|---:|---:|---:|---:|", *map(line_of, rows)]
    for asked in sorted({run["asked"] for run in runs if run["method"] != "dense"}):
        lines += ["", *compare(runs, dense, asked)]
    (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    draw(rows, out / "figure.png")


def grouped(runs: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Runs of one method and sparsity side by side, in the order of the table."""
    keys = sorted({(order(run["method"]), run["asked"], run["method"]) for run in runs})
    return [
        [run for run in runs if (run["method"], run["asked"]) == (method, asked)]
        for _, asked, method in keys
    ]


def order(method: str) -> int:
    return ["dense", *COLOURS].index(method)


def summarise(group: list[dict[str, Any]], dense: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Mean over seeds; losses are taken seed by seed."""
    losses = [
        100 * (dense[run["seed"]]["accuracy"] - run["accuracy"])
        for run in group
        if run["seed"] in dense
    ]
    mean = {
        name: float(np.mean([run[name] for run in group]))
        for name in ("accuracy", "sparsity", "sparsity_convolutions", "cpu_minutes", "weights")
    }
    return {
        "method": group[0]["method"],
        "asked": group[0]["asked"],
        "seeds": len(group),
        "losses": losses,
        "left": [100 * (1 - run["sparsity"]) for run in group],
        "left_convolutions": [100 * (1 - run["sparsity_convolutions"]) for run in group],
        **mean,
    }


def compare(
    runs: Sequence[dict[str, Any]], dense: dict[int, dict[str, Any]], asked: float
) -> list[str]:
    """Every method against every other at the same connectivity, seed by seed.

    A method whose own runs missed it is read off the line through the two nearest, over the
    logarithm of the connectivity.
    """
    losses: dict[str, dict[int, float]] = {}
    for method in COLOURS:
        for seed in dense:
            own = [run for run in runs if (run["method"], run["seed"]) == (method, seed)]
            if own:
                lost = loss_at(own, dense[seed], 1 - asked)
                losses.setdefault(method, {})[seed] = lost
    head = f"| points lost at {1 - asked:.3g} of the connections, row minus column "
    lines = [head + "".join(f"| {name} " for name in losses) + "|"]
    lines.append("|---|" + "---:|" * len(losses))
    for one, own in losses.items():
        cells = [one]
        for other, theirs in losses.items():
            differences = [own[seed] - theirs[seed] for seed in own if seed in theirs]
            known = differences if other != one else list(own.values())
            cells.append(spread_of(known, sign="+" if other != one else ""))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def loss_at(runs: Sequence[dict[str, Any]], dense: dict[str, Any], connectivity: float) -> float:
    """Points lost against the dense network, where a given share of the connections is left."""
    places = np.log([1 - run["sparsity"] for run in runs]) - np.log(connectivity)
    losses = [100 * (dense["accuracy"] - run["accuracy"]) for run in runs]
    near = np.argsort(np.abs(places))[:2]
    if len(near) < 2 or places[near[0]] == places[near[1]]:
        return losses[near[0]]
    (here, there), (lost, later) = places[near], (losses[near[0]], losses[near[1]])
    return float(lost - here * (later - lost) / (there - here))


def spread_of(values: Sequence[float], sign: str = "", digits: int = 1) -> str:
    """Mean, and the standard deviation where there is more than one value."""
    if not values:
        return ""
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.{digits}f}{spread}"


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    losses = row["losses"]
    left = round(row["weights"] * (1 - row["sparsity"]))
    cells = (
        row["method"],
        f"{row['asked']:.0%}",
        row["seeds"],
        f"{100 * row['accuracy']:.1f}",
        spread_of(losses),
        spread_of(row["left"], digits=2),
        spread_of(row["left_convolutions"], digits=2),
        f"{left:,}",
        f"{row['cpu_minutes']:.1f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss against connectivity, in total and of the convolutions alone, and weights left."""
    figure = Figure(figsize=(14, 4), layout="constrained")
    total, convolutions, left = figure.subplots(1, 3, sharey=True)
    for method, colour in COLOURS.items():
        own = [row for row in rows if row["method"] == method and row["losses"]]
        losses = [np.mean(row["losses"]) for row in own]
        bars = [np.std(row["losses"], ddof=1) if row["losses"][1:] else 0.0 for row in own]
        places = (
            [100 * (1 - row["sparsity"]) for row in own],
            [100 * (1 - row["sparsity_convolutions"]) for row in own],
            [row["weights"] * (1 - row["sparsity"]) for row in own],
        )
        for axes, place in zip((total, convolutions, left), places, strict=True):
            axes.errorbar(place, losses, bars, marker="o", color=colour, label=method, capsize=2)
    for name, points in PUBLISHED.items():
        everywhere, of_convolutions, losses = zip(*points, strict=True)
        draw_published(total, name, everywhere, losses)
        if None not in of_convolutions:
            draw_published(convolutions, name, of_convolutions, losses)
        if name in PUBLISHED_WEIGHTS:
            weights = [PUBLISHED_WEIGHTS[name] * share / 100 for share in everywhere]
            draw_published(left, name, weights, losses)
    titles = ("connectivity, %", "connectivity of the convolutions, %", "weights left")
    for axes, title in zip((total, convolutions, left), titles, strict=True):
        axes.set(xscale="log", xlabel=title)
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if axes is left else (1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:,.10g}")
        axes.xaxis.set_minor_formatter("")
        axes.grid(alpha=0.3)
    total.set_ylabel("accuracy lost, points")
    total.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def draw_published(axes: Axes, name: str, places: Sequence[float], losses: Sequence[float]) -> None:
    """A paper's points, in grey, named above the densest, or below where another is above."""
    axes.plot(places, losses, "s", color="#c8c8c8", zorder=0)
    label = f"{name}, against {AGAINST[name]}" if name in AGAINST else name
    axes.annotate(
        label,
        (places[0], losses[0]),
        xytext=(0, -12 if name == "UPR" else 6),
        textcoords="offset points",
        ha="right" if len(places) > 1 else "left",
        fontsize=7,
        color="#8c8c8c",
    )
