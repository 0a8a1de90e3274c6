"""Labelled footage and stills come in; a spike dataset of short recordings goes out."""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidar_det.datasets.capture import CaptureSpec, Progress, Shot
from vidar_det.datasets.dataset import SpikeDataset, open_dataset
from vidar_det.datasets.dataset_writer import new_dataset
from vidar_det.datasets.footage_choice import ChosenFrame, FootageSpec, choose_frames
from vidar_det.datasets.moving_light import Dimmed
from vidar_det.datasets.playback import Playback
from vidar_det.detections.labels import Origin
from vidar_det.errors import LabelError
from vidar_det.spikes.footage import FootageRecord, draw_still_motion, open_clip, open_still
from vidar_det.spikes.framing import Framing, cover_framing, whole_framing
from vidar_det.spikes.motion import draw_log_uniform


class FootageReport(NamedTuple):
    """What became of labelled footage.

    Attributes:
        dataset: the spike dataset, opened.
        recordings: how many it holds.
        left_out: labelled frames too near to an end of their clip for a recording around them.
        dropped_boxes: boxes without area inside their picture, in the clips and stills used.
    """

    dataset: SpikeDataset
    recordings: int
    left_out: int
    dropped_boxes: int


def simulate_annotations(
    annotations: str | Path | Sequence[str | Path],
    out: str | Path,
    footage: FootageSpec | None = None,
    capture: CaptureSpec | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FootageReport:
    """Turn labelled footage into a spike dataset: a short recording around each label.

    Videos move by optical flow, stills under a camera that pans, shakes and zooms. The labels of a
    frame hold in the middle of its recording. Ignored boxes stay ignored; a class is scored where
    all categories that it is made of are completely labelled. Each recording depends on the seed
    and on the frame alone.

    Args:
        annotations: a COCO file, as ``vidar_det.spikes.footage.load_footage`` describes it, or
            several.
        out: the dataset's folder.
        footage: how it is shown; the defaults if None.
        capture: the camera, and the seed; the default camera if None.
        overwrite: replace a spike dataset that lies there.
        progress: called with labelled frames done and labelled frames in all.

    Returns:
        The dataset, and what was left out of it.

    Raises:
        SourceError: an annotation file, video or picture is missing or unreadable.
        FormatError: an annotation file is malformed, or does not fit its video.
        LabelError: no category belongs to a class, or nothing is left to record.
        ConfigError: a split's name cannot name a file.
        OutputError: something lies at ``out``, or it cannot be written.

    Example:
        >>> report = simulate_annotations(
        ...     "footage/annotations.json", "traffic", FootageSpec(every=10)
        ... )  # doctest: +SKIP
        >>> report.dataset.splits.keys()  # doctest: +SKIP
        dict_keys(['train', 'val'])
    """
    footage, capture = footage or FootageSpec(), capture or CaptureSpec()
    paths = [annotations] if isinstance(annotations, str | Path) else annotations
    half_s = 0.5 * footage.planes / capture.rate_hz
    chosen, left_out = choose_frames([Path(path) for path in paths], footage, half_s)
    if not chosen:
        raise LabelError(
            f"{', '.join(map(str, paths))}: found no label with light for {footage.planes} planes "
            f"around it ({left_out} too near to an end of their clip); wanted at least one"
        )
    with new_dataset(out, list(footage.classes), capture, overwrite=overwrite) as writer:
        shots = _shots(chosen, footage, capture)
        for done, (frame, shot, generator) in enumerate(shots, start=1):
            writer.add(frame.split, frame.name, shot, generator)
            if progress is not None:
                progress(done, len(chosen))
        writer.finish(f"labelled footage under a simulated spike camera, seed {capture.seed}")
    dropped = {frame.record.path: frame.record.dropped_boxes for frame in chosen}
    return FootageReport(open_dataset(out), len(chosen), left_out, sum(dropped.values()))


def _shots(
    chosen: Sequence[ChosenFrame], footage: FootageSpec, capture: CaptureSpec
) -> Iterator[tuple[ChosenFrame, Shot, np.random.Generator]]:
    """What to record for each frame; a clip is decoded once for all of its frames."""
    latest: tuple[FootageRecord, Playback] | None = None
    for frame in chosen:
        name = zlib.crc32(frame.name.encode())
        generator = np.random.default_rng((capture.seed, name))
        if frame.record.is_still:
            shot = _still_shot(frame, footage, capture, generator)
        else:
            if latest is None or latest[0] is not frame.record:
                framing = _framing(frame.record, footage)
                clip = open_clip(frame.record, framing, frame_interval_s=1.0)
                latest = frame.record, Playback(clip, framing, frame.record)
            shot = _clip_shot(frame, latest[1], footage, capture, generator)
        yield frame, shot, generator


def _clip_shot(
    frame: ChosenFrame,
    playback: Playback,
    footage: FootageSpec,
    capture: CaptureSpec,
    generator: np.random.Generator,
) -> Shot:
    slowest_s = footage.interval_s[1]
    bounds = max(footage.interval_s[0], frame.least_interval_s), slowest_s
    playback = playback.timed(draw_log_uniform(bounds, generator))
    gain = draw_log_uniform(footage.light_at_white, generator)
    start_s = max(0.0, playback.time_of(frame.frame) - 0.5 * footage.planes / capture.rate_hz)
    light = Dimmed(playback, gain)
    origin = _origin(frame)
    return Shot(light, footage.planes, start_s, scored=frame.record.scored, origin=origin)


def _still_shot(
    frame: ChosenFrame, footage: FootageSpec, capture: CaptureSpec, generator: np.random.Generator
) -> Shot:
    duration_s = footage.planes / capture.rate_hz
    motion = draw_still_motion(duration_s, generator, footage.still_speed_px_s)
    still = open_still(frame.record, motion, _framing(frame.record, footage))
    gain = draw_log_uniform(footage.light_at_white, generator)
    light = Dimmed(still, gain)
    return Shot(light, footage.planes, scored=frame.record.scored, origin=_origin(frame))


def _origin(frame: ChosenFrame) -> Origin:
    kind = "still" if frame.record.is_still else "video"
    return Origin(kind, frame.source, f"{frame.source}/{frame.record.scene}")


def _framing(record: FootageRecord, footage: FootageSpec) -> Framing:
    fit = whole_framing if footage.fit == "whole" else cover_framing
    return fit(record.size, footage.size)
