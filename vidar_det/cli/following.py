"""A camera that still writes and a user's wishes come in; printed windows go out."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vidar_det.spikes.sidecar import RecordingOptions

if TYPE_CHECKING:
    from vidar_det.commands.follow import FollowSettings
    from vidar_det.commands.predict import PredictionSummary, PredictSettings
    from vidar_det.detections.boxes import Detections
    from vidar_det.detections.predictions import WindowRecord
    from vidar_det.detector.execution import Execution
    from vidar_det.detector.predictor import Detector


def check_following(context: typer.Context, is_followed: bool, timeout_s: float) -> None:
    """Refuse what --follow, or its absence, would ignore.

    Raises:
        BadParameter: an option that has no effect, or no time to wait.
    """
    if not timeout_s > 0:  # nan is not
        raise typer.BadParameter(f"--timeout: found {timeout_s}, wanted a positive number")
    given = {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }
    alone, followed = {"start", "planes", "video", "fps"}, {"timeout_s", "drop_late"}
    for name in sorted(given & (alone if is_followed else followed)):
        option = {"timeout_s": "timeout"}.get(name, name).replace("_", "-")
        if name != "video" or context.params[name]:  # --no-video goes without saying
            where = "with" if is_followed else "without"
            raise typer.BadParameter(f"--{option} has no effect {where} --follow")


def follow_until_it_ends(
    load: "Callable[..., Detector]",
    execution: "Execution",
    source: Path,
    options: RecordingOptions,
    out: Path,
    settings: "PredictSettings",
    keeping_up: "FollowSettings",
) -> "tuple[PredictionSummary, int]":
    """Follow a camera until it or a signal ends; give the exit code, too."""
    from vidar_det.commands.ending import EndingSignals
    from vidar_det.commands.follow import follow_recording

    # live, all threads work on one window: its boxes come soonest. Several that wait are done
    # soonest side by side, by a second graph: 60 MB and 0.1 s once, and the same boxes
    live = load(execution=dataclasses.replace(execution, streams=1))
    behind = live.executed(execution)
    with EndingSignals() as ending:
        keeping_up = dataclasses.replace(keeping_up, behind=behind, ended_by=ending.name)
        summary = follow_recording(live, source, options, out, settings, keeping_up, _print_window)
    return summary, 0 if ending.number is None else 128 + ending.number


def _print_window(window: "WindowRecord", found: "Detections") -> None:
    """Print one line of JSON: a window and what was found in it."""
    from vidar_det.detections.coco import results_of

    line = {**dataclasses.asdict(window), "detections": results_of(found, window.id)}
    typer.echo(json.dumps(line))
