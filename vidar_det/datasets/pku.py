"""A folder in the layout of PKU-Vidar-DVS comes in, the labels of a split go out.

``SPLIT/Vidar/SEQUENCE/N.dat`` holds 400 readouts (20 ms), ``SPLIT/labels/SEQUENCE/N.txt`` the boxes
in their middle, one line: ``0.03 157,90,178,102,0 199,42,222,49,0``, a time in seconds, then
``x1,y1,x2,y2,class`` (Li et al., "Retinomorphic Object Detection in Asynchronous Visual Streams",
AAAI 2022; as SpikeCV hands the dataset out).
"""

from collections import Counter
from pathlib import Path

from vidar_det.datasets.foreign import (
    ForeignBox,
    ForeignImage,
    foreign_labels,
    open_foreign,
    take_number,
)
from vidar_det.datasets.reading import ReadingSpec
from vidar_det.detections.labels import Labels, Origin
from vidar_det.errors import FormatError, GeometryError, SourceError
from vidar_det.spikes.layouts import plane_format
from vidar_det.spikes.recording import recording_files
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream

LABELS, RECORDINGS = "labels", "Vidar"
DRAWN_ON = "both"
"""SpikeCV draws these labels mirrored left-right on planes that it flips upside down."""
READOUTS = 400


def pku_splits(folder: Path) -> dict[str, Path]:
    """Find the splits: folders with ``labels`` and ``Vidar`` in them, by name."""
    return {
        split.name: split
        for split in sorted(folder.iterdir())
        if (split / LABELS).is_dir() and (split / RECORDINGS).is_dir()
    }


def read_pku(root: Path, split: Path, reading: ReadingSpec) -> Labels:
    """Read the labels of a split; each holds in the middle of its own file.

    Args:
        root: the dataset's folder.
        split: the split's folder.
        reading: geometry and flips.

    Returns:
        The labels. Classes are named by their numbers, ``"0"`` to ``"8"``; an image's recording is
        the folder of its sequence. ``report`` counts what was dropped and what carries no label.

    Raises:
        SourceError: a label's recording is missing, or a sequence has none.
        FormatError: a line is malformed (the file and the line are named), a file's name is no
            number, or a file within a sequence ends in a partial plane.
        GeometryError: the recordings' geometry is impossible.
    """
    images: list[ForeignImage] = []
    tally: Counter[str] = Counter()
    labelled = sorted(path for path in (split / LABELS).iterdir() if path.is_dir())
    for folder in labelled:
        found, counts = _read_sequence(
            root, folder, split / RECORDINGS / folder.name, reading.options
        )
        images, tally = images + found, tally + counts
    recorded = {path.name for path in (split / RECORDINGS).iterdir() if path.is_dir()}
    notes = (
        (len(recorded - {path.name for path in labelled}), "sequences carry no labels"),
        (tally["unlabelled"], "files of readouts carry no label"),
        (tally["empty"], "label files are empty; their readouts carry no label"),
        (tally["odd"], f"labelled files hold other than {READOUTS} readouts"),
    )
    return foreign_labels(images, reading, DRAWN_ON, str(split), notes)


def parse_line(line: str, where: str) -> list[ForeignBox]:
    """Read the boxes of one label line.

    Args:
        line: a time, then boxes, parted by spaces.
        where: file and line, for messages.

    Returns:
        The boxes; their category is the class's number.

    Raises:
        FormatError: the time or a box is malformed.

    Example:
        >>> parse_line("0.03 157,90,178,102,0", "1.txt, line 1")[0].xyxy
        (157.0, 90.0, 178.0, 102.0)
    """
    time, *words = line.split()
    take_number(time, where, "a time in seconds")
    boxes = []
    for word in words:
        parts = word.split(",")
        if len(parts) != 5 or not parts[4].isdecimal():
            raise FormatError(f"{where}: found {word!r}, wanted x1,y1,x2,y2,class")
        left, top, right, bottom = (take_number(part, where, "a coordinate") for part in parts[:4])
        boxes.append(ForeignBox((left, top, right, bottom), str(int(parts[4]))))
    return boxes


def _read_sequence(
    root: Path, labels: Path, recording: Path, options: RecordingOptions
) -> tuple[list[ForeignImage], Counter[str]]:
    """The labelled files of one sequence, in the order of their numbers, and what was counted."""
    files = _numbered(labels)
    if not files:
        return [], Counter()
    if not recording.is_dir():
        raise SourceError(f"{recording}: found nothing, wanted the recording of {labels}")
    stream = open_foreign(recording, options, root)
    ranges = _file_ranges(recording, stream)
    tally = Counter(unlabelled=len(ranges.keys() - files.keys()))
    name, origin = recording.relative_to(root).as_posix(), Origin("camera", root.name, labels.name)
    size = stream.sensor.width, stream.sensor.height
    images = []
    for number, file in files.items():
        if number not in ranges:
            raise SourceError(f"{recording / f'{number}.dat'}: found nothing, but {file} labels it")
        boxes = _read_file(file)
        if boxes is None:
            tally["empty"] += 1
            continue
        start, count = ranges[number]
        tally["odd"] += count != READOUTS
        images.append(ForeignImage(name, size, stream.flip, start, count, origin, boxes))
    return images, tally


def _numbered(folder: Path) -> dict[int, Path]:
    """Label files by number, in numerical order."""
    files: dict[int, Path] = {}
    for file in folder.glob("*.txt"):
        if not (file.stem.isascii() and file.stem.isdecimal()):
            raise FormatError(f"{file}: found this name, wanted a number (1.txt, 2.txt, ...)")
        other = files.setdefault(int(file.stem), file)
        if other != file:
            raise FormatError(f"{folder}: found {other.name} and {file.name}, wanted one of them")
    return dict(sorted(files.items()))


def _read_file(file: Path) -> list[ForeignBox] | None:
    """The boxes of a label file; None where it says nothing."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{file}: found no readable text: {error}") from error
    said = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if len(said) > 1:
        raise FormatError(f"{file}, line {said[1][0]}: found another line, wanted one per file")
    return parse_line(said[0][1], f"{file}, line {said[0][0]}") if said else None


def _file_ranges(recording: Path, stream: SpikeStream) -> dict[int, tuple[int, int]]:
    """First plane and number of planes of each file in a sequence, by the file's number."""
    if stream.layout not in ("plain", "row-padded"):
        raise GeometryError(
            f"{recording}: found layout {stream.layout}, wanted plain or row-padded: "
            "whole planes in each file"
        )
    form = plane_format(stream.layout, stream.sensor.width, stream.sensor.height)
    ranges, start = {}, 0
    files, _ = recording_files(recording)
    for file in files:
        planes, rest = divmod(file.stat().st_size, form.plane_bytes)
        if rest and file != files[-1]:
            raise FormatError(
                f"{file}: found {file.stat().st_size} bytes, "
                f"wanted whole planes of {form.plane_bytes}"
            )
        ranges[int(file.stem)] = (start, planes)
        start += planes
    return ranges
