"""Labelled recordings come in, labelled windows of counts, mirrored and moved in time, go out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidar_det.datasets.class_map import complete_class_map, parse_class_map
from vidar_det.datasets.labelled_data import open_labelled_data
from vidar_det.datasets.windows import Recordings
from vidar_det.detections.boxes import GroundTruth
from vidar_det.detections.labels import ImageRecord, Labels
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import ConfigError, GeometryError
from vidar_det.spikes.labels import LEAST_SIDE_PX, SceneBoxes
from vidar_det.spikes.stream import SpikeStream
from vidar_det.training.recipe import RecipeSpec, RecordingMix
from vidar_det.training.simulation import LabelledWindow


class Example(NamedTuple):
    """A labelled range of a recording.

    Attributes:
        folder: index of its dataset.
        image: the range.
        truth: what it shows in its middle.
    """

    folder: int
    image: ImageRecord
    truth: GroundTruth


@dataclass(frozen=True)
class LabelledRecordings:
    """What an entry of a recipe's recordings comes to; `load_recordings` makes it.

    Attributes:
        folders: the datasets' recordings.
        examples: labelled ranges of all of them.
        warnings: boxes that were dropped, classes without boxes; one sentence each.
    """

    folders: Sequence[Recordings]
    examples: Sequence[Example]
    warnings: tuple[str, ...] = ()


class RecordedSource:
    """Draws windows from labelled recordings; their bins are counted when they are drawn.

    - *Mirrored*: left and right change places in pixels and boxes, which is exact.
    - *Moved in time*: labels hold in the middle of their range. A window may lie earlier or later
      by as much as the fastest labelled object needs for ``drift_px``, inside its range; where an
      object's speed is not known, nothing is labelled or planes are lost, it stays in the middle.
    - *Shrunk*, where the phase sees smaller pictures: a count becomes the mean of a square of
      counts, rounded to even. That is the light of the square, at less noise than one pixel of
      the camera has. Objects with a side under 4 pixels are then neither hit nor miss.

    Args:
        recordings: labelled ranges, all as large as the recipe's pictures.
        spec: how they are drawn.
        classes: how many classes the detector knows.
        shrink: side of the square of pixels that becomes one.
    """

    def __init__(
        self, recordings: LabelledRecordings, spec: RecordingMix, classes: int, shrink: int = 1
    ) -> None:
        self.recordings, self.spec = recordings, spec
        self.classes, self.shrink = classes, shrink

    def draw(self, encoding: EncodingSpec, generator: np.random.Generator) -> LabelledWindow:
        """Choose a labelled range, a moment near its middle and a side; count and label.

        Raises:
            VidarError: the recording is no longer what it was when it was checked.
        """
        examples = self.recordings.examples
        folder, image, truth = examples[int(generator.integers(len(examples)))]
        recordings, length = self.recordings.folders[folder], encoding.window
        shifts = allowed_shifts(
            recordings.open(image.file_name), image, truth, length, self.spec.drift_px
        )
        shift = shifts[int(generator.integers(len(shifts)))]
        counts = recordings.middle(image, length, shift).counts(encoding.bins)
        boxes = _boxes(truth, (image.width, image.height))
        if generator.random() < self.spec.mirror:
            counts, boxes = np.ascontiguousarray(counts[..., ::-1]), mirrored(boxes, image.width)
        if self.shrink > 1:
            counts, boxes = pooled(counts, self.shrink), shrunk(boxes, self.shrink)
        scored = np.zeros(self.classes, np.bool_)
        scored[list(range(self.classes) if image.scored is None else image.scored)] = True
        return LabelledWindow(counts, boxes, scored)


def load_recordings(
    spec: RecordingMix, root: Path, recipe: RecipeSpec, window: int
) -> LabelledRecordings:
    """Read the labels of a recipe's recordings, and check every recording.

    Args:
        spec: which recordings.
        root: what its folders are relative to.
        recipe: names the net's classes and the size of its pictures.
        window: planes of the longest window that will be drawn.

    Returns:
        The labelled ranges; no recording is held open.

    Raises:
        SourceError: a folder or a recording is missing.
        LabelError: an empty split, or a class that the net does not know.
        FormatError: labels are malformed.
        GeometryError: a recording is not of the recipe's size.
        RangeError: a labelled range is shorter than the window, or than its labels say.
        VidarError: as ``open_labelled_data`` says.
    """
    classes = parse_class_map(spec.classes) if spec.classes else {}
    reading = spec.reading(window)
    folders, examples, warnings = [], [], []
    for index, folder in enumerate(spec.folders):
        data = open_labelled_data(
            root / folder, reading, complete_class_map(classes, recipe.model.classes)
        )
        labels = data.labels(spec.split)
        recordings = Recordings(data.folder, data.open)
        for image, truth in zip(labels.images, labels.truths, strict=True):
            _check_size(image, data.folder, recipe)
            recordings.middle(image, window)
            examples.append(Example(index, image, truth))
        folders.append(Recordings(data.folder, data.open))
        warnings += [f"{data.folder}: {sentence}" for sentence in _warnings(labels)]
    return LabelledRecordings(folders, examples, tuple(warnings))


def allowed_shifts(
    stream: SpikeStream, image: ImageRecord, truth: GroundTruth, length: int, drift_px: float
) -> range:
    """Tell by how many planes a window may leave the middle of its range and its labels hold.

    Args:
        stream: the recording.
        image: the labelled range.
        truth: what it shows in its middle.
        length: planes of the window, no more than the range has.
        drift_px: how far an object may have moved, pixels.

    Returns:
        Shifts, 0 among them.
    """
    speeds = truth.speeds_px_s[~truth.ignore]
    if not len(speeds) or np.isnan(speeds).any() or stream.holes:
        return range(1)
    before = (image.plane_count - length) // 2
    after = image.plane_count - length - before
    fastest = float(speeds.max())
    if fastest > 0:
        most = int(min(drift_px / fastest * stream.sensor.rate_hz, image.plane_count))
        before, after = min(before, most), min(after, most)
    return range(-before, after + 1)


def mirrored(boxes: SceneBoxes, width: int) -> SceneBoxes:
    """Let left and right change places in a picture of this width."""
    xyxy = boxes.xyxy[:, [2, 1, 0, 3]]
    xyxy[:, [0, 2]] = width - xyxy[:, [0, 2]]
    return boxes._replace(xyxy=xyxy)


def pooled(counts: NDArray[np.uint16], side: int) -> NDArray[np.uint16]:
    """Average squares of pixels.

    Args:
        counts: ``(bins, H, W) uint16``; H and W are multiples of ``side``.
        side: of the squares, pixels.

    Returns:
        ``(bins, H / side, W / side) uint16``, means rounded to the nearest, halves to even.

    Example:
        >>> pooled(np.array([[[1, 2, 5, 5], [3, 4, 5, 6]]], np.uint16), 2).tolist()
        [[[2, 5]]]
    """
    light = np.zeros(counts[:, ::side, ::side].shape, np.float32)
    for row in range(side):
        for column in range(side):
            light += counts[:, row::side, column::side]
    light /= side**2
    return np.rint(light).astype(np.uint16)


def shrunk(boxes: SceneBoxes, side: int) -> SceneBoxes:
    """Make boxes as much smaller as squares of ``side`` pixels make the picture."""
    xyxy = boxes.xyxy / np.float32(side)
    tiny = (xyxy[:, 2:] - xyxy[:, :2] < LEAST_SIDE_PX).any(axis=1)
    speeds_px_s = boxes.speeds_px_s / np.float32(side)
    return boxes._replace(xyxy=xyxy, ignore=boxes.ignore | tiny, speeds_px_s=speeds_px_s)


def shrink_side(size: tuple[int, int], scale: float) -> int:
    """Find the square of pixels that becomes one where pictures are scaled.

    Args:
        size: width and height of the recordings, pixels.
        scale: of a phase.

    Raises:
        ConfigError: ``1 / scale`` is no whole number that divides width and height.

    Example:
        >>> shrink_side((400, 250), 0.5)
        2
    """
    side = round(1 / scale)
    if side < 1 or abs(side * scale - 1) > 1e-6 or size[0] % side or size[1] % side:
        raise ConfigError(
            f"phase: found scale = {scale}, wanted 1 / n with an n that divides the recordings' "
            f"{size[0]}x{size[1]} pixels: recordings shrink by whole pixels"
        )
    return side


def _boxes(truth: GroundTruth, size: tuple[int, int]) -> SceneBoxes:
    """Clip boxes to their picture."""
    limits = np.array([*size, *size], np.float32)
    xyxy = np.clip(truth.xyxy, np.float32(0), limits)
    track_ids = np.arange(len(xyxy))
    return SceneBoxes(xyxy, truth.class_ids, track_ids, truth.ignore, truth.speeds_px_s)


def _check_size(image: ImageRecord, folder: Path, recipe: RecipeSpec) -> None:
    if (image.width, image.height) != (recipe.width, recipe.height):
        raise GeometryError(
            f"{folder / image.file_name}: found {image.width}x{image.height} pixels, "
            f"wanted the recipe's {recipe.width}x{recipe.height}"
        )


def _warnings(labels: Labels) -> list[str]:
    present = {class_id for truth in labels.truths for class_id in truth.class_ids.tolist()}
    missing = [name for index, name in enumerate(labels.classes) if index not in present]
    return [*labels.report.warnings, *(f"class {name!r} has no boxes" for name in missing)]
