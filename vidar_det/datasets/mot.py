"""A folder of tracking scenes (``spikes_gt.txt``, MOT15) comes in, the labels of a split go out.

``SCENE/spikes.dat`` is the recording, ``SCENE/spikes_gt.txt`` holds a box a line:
``frame,id,x,y,width,height,confidence,-1,-1,-1`` (MOT15's 2D columns, as motVidarReal2020 and
SpikeCV's trackers use them). A frame is the index of a readout, from 0.
"""

import math
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from vidar_det.datasets.foreign import (
    ForeignBox,
    ForeignImage,
    foreign_labels,
    open_foreign,
    take_number,
)
from vidar_det.datasets.reading import ReadingSpec
from vidar_det.detections.labels import Labels, Origin
from vidar_det.errors import FormatError, RangeError, SourceError

RECORDING, LABELS = "spikes.dat", "spikes_gt.txt"
CATEGORY = "object"
"""The files name no classes."""
DRAWN_ON = "ud"
LEAST_CONFIDENCE = 0.5
"""A row of less is no object to find: SpikeCV's metrics pass over it."""
ONLY_SPLIT = "all"


class Track(NamedTuple):
    """A row of the file: where an object is at one readout."""

    frame: int
    identity: int
    xywh: tuple[float, float, float, float]
    confidence: float

    @property
    def centre(self) -> tuple[float, float]:
        """Pixels."""
        left, top, width, height = self.xywh
        return left + width / 2, top + height / 2


def mot_splits(folder: Path) -> dict[str, Path]:
    """Find the splits: folders of labelled scenes; scenes of the folder itself are split "all"."""
    if _scenes(folder):
        return {ONLY_SPLIT: folder}
    children = sorted(path for path in folder.iterdir() if path.is_dir())
    return {child.name: child for child in children if _scenes(child)}


def read_mot(root: Path, split: Path, reading: ReadingSpec) -> Labels:
    """Read the labels of a split; each becomes the middle of ``reading.window`` planes.

    Args:
        root: the dataset's folder.
        split: the split's folder.
        reading: geometry, flips and the window.

    Returns:
        The labels, of the one class "object". ``report`` counts moments too near to an end of their
        recording for a window around them, which are left out.

    Raises:
        SourceError: a recording is missing.
        FormatError: a line is malformed; the file and the line are named.
        RangeError: a label lies behind the end of its recording, or not one window fits.
    """
    images: list[ForeignImage] = []
    near, unlabelled = 0, 0
    scenes = _scenes(split)
    for scene in scenes:
        kept, left_out = _read_scene(root, scene, reading)
        images, near = images + kept, near + left_out
    if split not in scenes:
        unlabelled = sum((path / RECORDING).is_file() for path in split.iterdir()) - len(scenes)
    weak = sum(box.ignore for image in images for box in image.boxes)
    notes = (
        (unlabelled, f"scenes have no {LABELS} and are left out"),
        (weak, f"boxes have a confidence below {LEAST_CONFIDENCE} and are ignored"),
        (near, "labelled readouts lie too near to an end of their recording and are left out"),
    )
    return foreign_labels(images, reading, DRAWN_ON, str(split), notes)


def parse_row(line: str, where: str) -> Track:
    """Read one line of ``spikes_gt.txt``.

    Args:
        line: ``frame,id,x,y,width,height`` and perhaps a confidence and more, which is passed over.
        where: file and line, for messages.

    Raises:
        FormatError: fewer than six numbers, or a frame or id that is no whole number.

    Example:
        >>> parse_row("12,3,10,20,30,40,1,-1,-1,-1", "spikes_gt.txt, line 1").centre
        (25.0, 40.0)
    """
    words = [word.strip() for word in line.split(",")]
    if len(words) < 6:
        raise FormatError(
            f"{where}: found {line.strip()!r}, wanted frame,id,x,y,width,height,confidence"
        )
    numbers = [take_number(word, where, "a number") for word in words[:7]]
    frame, identity = numbers[:2]
    if not (frame.is_integer() and identity.is_integer()) or frame < 0:
        raise FormatError(f"{where}: found {words[0]},{words[1]}, wanted whole frame and id")
    left, top, width, height = numbers[2:6]
    confidence = numbers[6] if len(numbers) > 6 else 1.0
    return Track(int(frame), int(identity), (left, top, width, height), confidence)


def _scenes(folder: Path) -> list[Path]:
    """Folders with labels: this one, or those in it."""
    if (folder / LABELS).is_file():
        return [folder]
    return sorted(path for path in folder.iterdir() if (path / LABELS).is_file())


def _read_scene(root: Path, scene: Path, reading: ReadingSpec) -> tuple[list[ForeignImage], int]:
    """The labelled ranges of a scene, and how many readouts lie too near to an end for one."""
    path = scene / RECORDING
    if not path.is_file():
        raise SourceError(f"{path}: found nothing, wanted the recording of {scene / LABELS}")
    stream = open_foreign(path, reading.options, root)
    moments = _read_file(scene / LABELS, len(stream))
    name, origin = path.relative_to(root).as_posix(), Origin("camera", root.name, scene.name)
    size, rate_hz = (stream.sensor.width, stream.sensor.height), stream.sensor.rate_hz
    before = reading.window // 2
    images = []
    for frame, tracks in moments.items():
        start = frame - before
        if start >= 0 and start + reading.window <= len(stream):
            boxes = [_box(track, moments, before, rate_hz) for track in tracks.values()]
            images.append(
                ForeignImage(name, size, stream.flip, start, reading.window, origin, boxes)
            )
    if moments and not images:
        raise RangeError(
            f"{path}: found {len(stream)} planes, wanted {reading.window} around one of the labels"
        )
    return images, len(moments) - len(images)


def _read_file(path: Path, planes: int) -> dict[int, dict[int, Track]]:
    """Objects by frame and by identity, frames in order."""
    moments: dict[int, dict[int, Track]] = defaultdict(dict)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: found no readable text: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        track = parse_row(line, where)
        if track.frame > planes:
            raise RangeError(f"{where}: found frame {track.frame} of a recording of {planes}")
        if moments[track.frame].setdefault(track.identity, track) is not track:
            raise FormatError(f"{where}: found object {track.identity} twice in one frame")
    return dict(sorted(moments.items()))


def _box(
    track: Track, moments: dict[int, dict[int, Track]], before: int, rate_hz: float
) -> ForeignBox:
    """One object; its speed is the way of its centre from half a window earlier to half later."""
    left, top, width, height = track.xywh
    ends = [moments.get(track.frame + side, {}).get(track.identity) for side in (-before, before)]
    speed_px_s = math.nan
    if before and ends[0] and ends[1]:
        speed_px_s = math.dist(ends[0].centre, ends[1].centre) / (2 * before) * rate_hz
    box = (left, top, left + width, top + height)
    return ForeignBox(box, CATEGORY, track.confidence < LEAST_CONFIDENCE, speed_px_s)
