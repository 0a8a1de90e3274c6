"""Annotation files and settings come in; the labelled frames to make recordings of go out."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from vidar_det.config import did_you_mean
from vidar_det.datasets.dataset_writer import check_split
from vidar_det.errors import ConfigError, LabelError
from vidar_det.spikes.footage import FootageRecord, load_footage
from vidar_det.spikes.labels import DEFAULT_CLASS_MAP, ClassMap

Pair = tuple[float, float]
UNNAMED_SPLIT = "all"


@dataclass(frozen=True)
class FootageSpec:
    """How labelled footage is shown to the camera. Pairs are the lowest and highest value drawn.

    Attributes:
        classes: class name -> names of the categories that count as it.
        planes: length of each recording; its label holds in the middle.
        size: width, height of the sensor.
        fit: ``whole`` shows the whole picture, with dark bars where the shapes differ; ``cover``
            fills the frame and cuts the rest off.
        interval_s: sensor time from one video frame to the next, log-uniform: shorter is faster.
            Near an end of a clip only times that leave light for half a recording are drawn.
        still_speed_px_s: how fast the camera pans over a still, log-uniform; one in four stands.
        light_at_white: light of a white surface, spikes per readout, log-uniform.
        splits: only these; empty takes all. Pictures of no split make a split ``all``.
        every: take each n-th labelled frame of a clip, and each n-th still of a file.
        limit: the most recordings of a split; None for no limit.

    Raises:
        ConfigError: a pair is not in order, or a number is not positive.

    Example:
        >>> FootageSpec(splits=("val",), every=10).planes
        256
    """

    classes: ClassMap = field(default_factory=lambda: DEFAULT_CLASS_MAP)
    planes: int = 256
    size: tuple[int, int] = (400, 250)
    fit: Literal["whole", "cover"] = "whole"
    interval_s: Pair = (0.004, 0.08)
    still_speed_px_s: Pair = (10.0, 2000.0)
    light_at_white: Pair = (0.06, 1.3)
    splits: tuple[str, ...] = ()
    every: int = 1
    limit: int | None = None

    def __post_init__(self) -> None:
        for name in ("interval_s", "still_speed_px_s", "light_at_white"):
            low, high = getattr(self, name)
            if not 0 < low <= high < math.inf:
                raise ConfigError(f"{name} = {(low, high)}; wanted (lowest, highest), above 0")
        limit = 1 if self.limit is None else self.limit
        for name, number in (("planes", self.planes), ("every", self.every), ("limit", limit)):
            if number < 1:
                raise ConfigError(f"{name} = {number}; wanted 1 or more")
        if min(self.size) < 1 or self.fit not in ("whole", "cover"):
            raise ConfigError(
                f"size = {self.size}, fit = {self.fit!r}; wanted at least 1x1, whole or cover"
            )


class ChosenFrame(NamedTuple):
    """One labelled frame that becomes a recording.

    Attributes:
        record: the clip or still.
        frame: its number in the clip; 0 for a still.
        split: where it belongs.
        name: of the recording, unique in the dataset.
        least_interval_s: the shortest frame interval that leaves light for half a recording on
            either side; 0 for a still.
        source: name of the annotations' folder.
    """

    record: FootageRecord
    frame: int
    split: str
    name: str
    least_interval_s: float
    source: str


def choose_frames(
    annotations: Sequence[Path], footage: FootageSpec, half_s: float
) -> tuple[list[ChosenFrame], int]:
    """Choose labelled frames, clip by clip.

    Args:
        annotations: COCO files.
        footage: what to take.
        half_s: time that a recording needs on either side of its label.

    Returns:
        The frames, and how many labelled frames lie too near to an end of their clip.

    Raises:
        SourceError: a file is missing.
        FormatError: a file is malformed.
        LabelError: no category belongs to a class, or a split that is asked for does not occur.
        ConfigError: the name of a split cannot name a file.
    """
    loaded = [(path, load_footage(path, footage.classes)) for path in annotations]
    _check_splits([record for _, records in loaded for record in records], footage)
    chosen: list[ChosenFrame] = []
    left_out = 0
    for path, records in loaded:
        source = path.absolute().parent.name
        prefix = f"{source}_" if len(loaded) > 1 else ""
        for record in _thinned(records, footage):
            frames = _usable_frames(record, half_s, footage.interval_s[1])
            left_out += len(record.frames) - len(frames)
            stem = prefix + _stem(record, path.parent)
            for number, least_s in frames[:: footage.every]:
                name = stem if record.is_still else f"{stem}_{number:06d}"
                split = split_of(record)
                chosen.append(ChosenFrame(record, number, split, name, least_s, source))
    return list(_distinct(_limited(chosen, footage.limit))), left_out


def split_of(record: FootageRecord) -> str:
    """Name the split of a clip or still; those of none belong to ``all``."""
    return record.split or UNNAMED_SPLIT


def _check_splits(records: Sequence[FootageRecord], footage: FootageSpec) -> None:
    found = sorted({split_of(record) for record in records})
    for name in footage.splits:
        if name not in found:
            raise LabelError(f"found no split {name!r}{did_you_mean(name, found)}")
    for name in found:
        check_split(name)


def _thinned(records: Sequence[FootageRecord], footage: FootageSpec) -> list[FootageRecord]:
    """The clips and each n-th still of the splits that are asked for."""
    wanted = [r for r in records if not footage.splits or split_of(r) in footage.splits]
    clips = [record for record in wanted if not record.is_still]
    return clips + [record for record in wanted if record.is_still][:: footage.every]


def _usable_frames(
    record: FootageRecord, half_s: float, slowest_s: float
) -> list[tuple[int, float]]:
    """Labelled frames with light on both sides, and the frame interval that each needs."""
    if record.is_still:
        return [(0, 0.0)]
    first, last = min(record.frames), max(record.frames)
    usable = []
    for number in record.frames:
        room = min(number - first, last - number)
        if room and half_s / room <= slowest_s:
            usable.append((number, half_s / room))
    return usable


def _stem(record: FootageRecord, folder: Path) -> str:
    """A name for the record's recordings: its path below the annotations, without separators."""
    path = record.path.with_suffix("")
    if path.is_relative_to(folder):
        path = path.relative_to(folder)
    return "_".join(part for part in path.parts if part not in ("/", ".."))


def _limited(chosen: Iterable[ChosenFrame], limit: int | None) -> Iterator[ChosenFrame]:
    taken: Counter[str] = Counter()
    for frame in chosen:
        taken[frame.split] += 1
        if limit is None or taken[frame.split] <= limit:
            yield frame


def _distinct(chosen: Iterable[ChosenFrame]) -> Iterator[ChosenFrame]:
    """Number the names that occur before (``a/1.png`` and ``a/1.jpg``)."""
    seen: Counter[str] = Counter()
    for frame in chosen:
        seen[frame.name] += 1
        number = seen[frame.name]
        yield frame if number == 1 else frame._replace(name=f"{frame.name}-{number}")
