"""Summaries of finished work come in; tables for a person go out, on stderr."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidar_det.commands.console import show_table, show_warnings

if TYPE_CHECKING:  # a table of a recording needs no torch
    from vidar_det.commands.check import CheckResult
    from vidar_det.commands.info import RecordingSummary
    from vidar_det.commands.predict import PredictionSummary
    from vidar_det.evaluation.accuracy import AccuracyReport
    from vidar_det.evaluation.assessment import Assessment
    from vidar_det.evaluation.bootstrap import Estimate, Figures
    from vidar_det.evaluation.speed import SpeedFigure
    from vidar_det.pruning.plan import PruningPlan


def show_recording(summary: "RecordingSummary") -> None:
    """Print what a recording is."""
    rows = [
        ["recording", summary.path or "memory"],
        ["picture", f"{summary.width} x {summary.height} pixels"],
        ["planes", f"{summary.planes:,}"],
        ["rate", f"{summary.rate_hz:,g} planes/s"],
        ["duration", f"{summary.duration_s:.6g} s"],
        ["layout, flip", f"{summary.layout}, {summary.flip}"],
        ["firing rate", f"{summary.firing_rate:.4f} spikes/pixel/plane"],
        ["", f"{summary.firing_rate_hz:,.0f} spikes/pixel/s, from {summary.sampled_planes} planes"],
        ["leading bytes", f"{summary.leading_bytes:,}"],
        ["trailing bytes", f"{summary.trailing_bytes:,}"],
        ["resyncs", f"{summary.resyncs:,}"],
        ["lost planes", f"{summary.lost_planes:,}"],
    ]
    show_table("", ["", ""], rows)
    show_warnings(summary.warnings)


def show_predictions(summaries: Sequence["PredictionSummary"]) -> None:
    """Print how many windows and objects there were, how fast, and how slow the video runs."""
    classes = list(summaries[0].detections)
    header = ["recording", ">windows", *(f">{name}" for name in classes), ">planes/s", "video"]
    rows = []
    for summary in summaries:
        film = (
            "none"
            if summary.fps is None
            else f"{summary.fps:g} fps, {summary.slow_down:.3g}x slower"
        )
        found = [f"{summary.detections[name]:,}" for name in classes]
        name, speed = Path(summary.source).name, f"{summary.planes_per_s:,.0f}"
        rows.append([name, f"{summary.windows:,}", *found, speed, film])
    show_table("detections", header, rows)
    for summary in summaries:
        show_warnings(summary.warnings)


def show_accuracy(accuracy: "AccuracyReport") -> None:
    """Print average precision, class by class and over all."""
    rows = [
        [name, f"{figures.objects:,}", _share(figures.AP50), _share(figures.AP)]
        for name, figures in accuracy.per_class.items()
    ]
    rows.append(["all", "", _share(accuracy.mAP50), _share(accuracy.mAP)])
    title = f"average precision over {accuracy.images} windows"
    show_table(title, ["class", ">objects", ">AP50", ">AP50-95"], rows)


def show_assessment(assessment: "Assessment") -> None:
    """Print average precision with its intervals, and the difference to another detector."""
    accuracy, figures = assessment.accuracy, assessment.figures
    objects = [f"{found.objects:,}" for found in accuracy.per_class.values()]
    title = (
        f"average precision over {accuracy.images} windows of {figures.scenes} scenes "
        f"({figures.bootstrap.level:.0%} interval)"
    )
    show_table(title, ["class", ">objects", ">AP50", ">AP50-95"], _precision_rows(figures, objects))
    comparison = assessment.comparison
    if comparison is not None:
        rows = _precision_rows(comparison.difference, objects, sign="+")
        title = f"difference to {comparison.other}: above 0 is better"
        show_table(title, ["class", ">objects", ">AP50", ">AP50-95"], rows)


def _precision_rows(figures: "Figures", objects: Sequence[str], sign: str = "") -> list[list[str]]:
    per_class = zip(figures.per_class.items(), objects, strict=True)
    rows = [
        [name, count, _estimate(each["AP50"], sign), _estimate(each["AP"], sign)]
        for (name, each), count in per_class
    ]
    return [*rows, ["all", "", _estimate(figures.mAP50, sign), _estimate(figures.mAP, sign)]]


def _estimate(estimate: "Estimate", sign: str) -> str:
    """A figure and its interval; a dash where there was nothing to find."""
    if math.isnan(estimate.value):
        return "-"
    value = f"{estimate.value:{sign}.3f}"
    if math.isnan(estimate.low):
        return f"{value} (one scene)"
    return f"{value} ({estimate.low:{sign}.3f} to {estimate.high:{sign}.3f})"


def show_checks(results: Sequence["CheckResult"]) -> None:
    """Print what works and what does not."""
    rows = [
        ["works" if r.passed else "FAILS", r.name, f"{r.seconds:.1f} s", r.detail] for r in results
    ]
    show_table("installation", ["", "part", ">time", "seen"], rows)


def _share(value: float) -> str:
    """Three digits, or a dash where there was nothing to find."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def show_figures(figures: Sequence["SpeedFigure"]) -> None:
    """Print how fast everything ran, and what stands beside it."""
    rows = []
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} x {figure.beside}"
        value = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:.3g}"
        rows.append([figure.group, figure.name, f"{value} {figure.unit}", ratio])
    show_table("", ["part", "what", ">speed", ">beside"], rows)


def show_plan(plan: "PruningPlan") -> None:
    """Print how many channels every layer keeps, and which layers are tied."""
    from vidar_det.pruning.plan_report import plan_rows

    unit = plan.target.unit
    title = f"{unit}: {plan.dense:,.0f} -> {plan.cost:,.0f} ({plan.cost / plan.dense:.3f})"
    header = ["layers (tied where joined by +)", ">channels", ">kept", ">share"]
    show_table(title, header, plan_rows(plan))
