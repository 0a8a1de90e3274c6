"""Curves, confusions and slices come in, pictures for a report go out."""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidar_det.evaluation.confusion import BACKGROUND, ConfusionMatrix
from vidar_det.evaluation.curves import CONFIDENCES, ClassCurves, Curves
from vidar_det.evaluation.precision import RECALLS
from vidar_det.evaluation.report import Picture
from vidar_det.evaluation.slices import Slices

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito, "Color Universal Design" (2008), without the yellow that vanishes on white."""
_STYLES = ("-", "--", ":")
_DPI = 130
_NORMALISED: dict[str, Any] = {
    "label": "AP50, normalised",
    "markersize": 6,
    "markerfacecolor": "none",
    "markeredgecolor": COLOURS[2],
}


def precision_recall_picture(curves: Curves) -> Picture:
    """Draw precision over recall, one line a class.

    Example:
        >>> from vidar_det.evaluation.curves import draw_curves
        >>> from vidar_det.evaluation.matching import judge
        >>> precision_recall_picture(draw_curves(judge([], ["person"]))).png[1:4]
        b'PNG'
    """
    figure, axes = _unit_square("recall", "precision")
    for number, (name, each) in enumerate(_known(curves)):
        label = f"{name}, AP50 {each.interpolated.mean():.3f}"
        axes.step(RECALLS, each.interpolated, where="pre", label=label, **_line(number))
    _legend(axes)
    caption = "Precision over recall at overlap 0.50, interpolated as COCO does."
    return Picture(_png(figure), caption)


def f1_picture(curves: Curves) -> Picture:
    """Draw F1 over the lowest score that is taken, one line a class and the best score of each."""
    figure, axes = _unit_square("lowest score taken", "F1")
    for number, (name, each) in enumerate(_known(curves)):
        line = _line(number)
        best = "" if math.isnan(each.best_f1) else f", {each.best_f1:.3f} at {each.best_conf:.3f}"
        axes.plot(CONFIDENCES, each.f1, label=f"{name}{best}", **line)
        axes.plot(each.best_conf, each.best_f1, "o", color=line["color"], markersize=4)
    _legend(axes)
    caption = "F1 at overlap 0.50 over the lowest score that is taken."
    if not math.isnan(curves.best_conf):
        caption += (
            f" Averaged over the classes it is highest at {curves.best_conf:.2f}: "
            f"{curves.best_f1:.3f}."
        )
    return Picture(_png(figure), caption)


def confusion_picture(matrix: ConfusionMatrix) -> Picture:
    """Draw which class was taken for which; shades are shares of a row."""
    names = [*matrix.classes, BACKGROUND]
    totals = np.maximum(matrix.counts.sum(axis=1, keepdims=True), 1)
    shares = matrix.counts / totals
    side = 2.2 + 0.62 * len(names)
    figure = Figure(figsize=(side, 0.85 * side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(matrix.counts):
        if (row, column) == (len(names) - 1, len(names) - 1):
            continue  # nothing taken for nothing: there is nothing to count
        ink = "white" if shares[row, column] > 0.55 else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="found as", ylabel="is")
    axes.spines[:].set_visible(False)
    caption = (
        f"Objects by what they are and what they were found as, at a score of {matrix.conf:g} and "
        f"overlap {matrix.iou:g}. Last column: objects that nothing found; last row: detections "
        "that found nothing."
    )
    return Picture(_png(figure), caption)


def slices_picture(slices: Slices) -> Picture:
    """Draw the AP50 of each slice with its interval, and the recall of what a user is shown."""
    sizes = [len(group) for group in slices.values()]
    figure = Figure(figsize=(6.4, 0.8 + 0.24 * sum(sizes) + 0.3 * len(sizes)), layout="constrained")
    panels = figure.subplots(len(sizes), sharex=True, squeeze=False, height_ratios=sizes)[:, 0]
    for axes, (fact, group) in zip(panels, slices.items(), strict=True):
        rows = np.arange(len(group))
        figures = list(group.values())
        value, low, high = np.array([each.mAP50 for each in figures]).reshape(-1, 3).T
        axes.hlines(rows, low, high, color=COLOURS[0], linewidth=2, alpha=0.5)
        axes.plot(value, rows, "o", color=COLOURS[0], markersize=5, label="AP50, with its interval")
        normalised = [
            each.normalised50.value if each.normalised50 else math.nan for each in figures
        ]
        axes.plot(normalised, rows, "D", **_NORMALISED)
        recall = [each.recall for each in figures]
        axes.plot(recall, rows, "|", color=COLOURS[1], markersize=9, label="recall at 0.25")
        axes.set_yticks(rows, [f"{name} ({each.objects:,})" for name, each in group.items()])
        axes.set(ylabel=fact, xlim=(0, 1), ylim=(len(group) - 0.5, -0.5))
        axes.grid(axis="x", linewidth=0.4, alpha=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.yaxis.label.set_size(8)
    panels[0].legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    caption = (
        "AP50 and recall of parts of the data; in brackets how many objects there are. Speeds are "
        "compared by normalised AP50."
    )
    return Picture(_png(figure), caption)


def _known(curves: Curves) -> Sequence[tuple[str, ClassCurves]]:
    return [(name, each) for name, each in curves.per_class.items() if each.objects]


def _line(number: int) -> dict[str, Any]:
    style = _STYLES[number // len(COLOURS) % len(_STYLES)]
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": style}


def _unit_square(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=across, ylabel=up, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(linewidth=0.4, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    return content.getvalue()
