"""Labels and a way to open recordings come in, the labelled windows go out."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from vidar_det.detections.boxes import GroundTruth
from vidar_det.detections.labels import ImageRecord, Labels
from vidar_det.errors import GeometryError, RangeError
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.stream import SpikeStream, SpikeWindow

OPEN_RECORDINGS = 16
"""Recordings kept open at once; each holds a file descriptor, a folder of files up to eight."""

OpenRecording = Callable[[Path], SpikeStream]
"""Opens a recording; what its file does not say is known here."""


class LabelledWindow(NamedTuple):
    """A window with everything known about it.

    Attributes:
        image: the labelled range that the window is the middle of.
        window: the planes.
        truth: the boxes in its middle.
        scored: class ids that are completely labelled here; other classes do not count.
    """

    image: ImageRecord
    window: SpikeWindow
    truth: GroundTruth
    scored: tuple[int, ...]


class Recordings:
    """Opens a folder's recordings by name and keeps the latest of them open.

    A copy that goes to another process opens its own.

    Args:
        folder: what names are relative to.
        open_stream: opens one of them.
    """

    def __init__(self, folder: str | Path, open_stream: OpenRecording = open_recording) -> None:
        self.folder, self._open_stream = Path(folder), open_stream
        self._open: OrderedDict[str, SpikeStream] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Leave what is mapped into memory behind."""
        return self.__dict__ | {"_open": OrderedDict()}

    def open(self, name: str) -> SpikeStream:
        """Open a recording, or find it open.

        Raises:
            VidarError: as ``open_recording`` says.
        """
        if name in self._open:
            self._open.move_to_end(name)
        else:
            self._open[name] = self._open_stream(self.folder / name)
            if len(self._open) > OPEN_RECORDINGS:
                self._open.popitem(last=False)
        return self._open[name]

    def middle(self, image: ImageRecord, length: int, shift: int = 0) -> SpikeWindow:
        """Take the middle planes of a labelled range, once everything about it is checked.

        Args:
            image: the labelled range.
            length: planes wanted.
            shift: planes by which the window lies later than the middle.

        Raises:
            GeometryError: the recording is not of the image's size.
            RangeError: the range lies outside its recording or over lost planes, or is shorter
                than the window, or the window leaves it.
            VidarError: the recording cannot be opened, as ``open_recording`` says.
        """
        where = f"{self.folder / image.file_name} (image {image.id})"
        stream = self.open(image.file_name)
        if (stream.sensor.width, stream.sensor.height) != (image.width, image.height):
            raise GeometryError(
                f"{where}: found a recording of {stream.sensor.width}x{stream.sensor.height} "
                f"pixels, wanted {image.width}x{image.height} as its labels say"
            )
        stop = image.plane_start + image.plane_count
        if stop > len(stream):
            raise RangeError(
                f"{where}: found {len(stream)} planes, wanted {image.plane_start}..{stop} "
                "as its labels say"
            )
        before = (image.plane_count - length) // 2 + shift
        if not (length >= 1 and before >= 0 and before + length <= image.plane_count):
            raise RangeError(
                f"{where}: found a labelled range of {image.plane_count} planes, "
                f"wanted a window of {length}" + (f", {shift} planes late" if shift else "")
            )
        try:
            return SpikeWindow(stream, image.plane_start + before, length)
        except RangeError as error:
            raise RangeError(f"{where}: {error}") from error


def labelled_windows(
    folder: str | Path, labels: Labels, length: int, open_stream: OpenRecording = open_recording
) -> Iterator[LabelledWindow]:
    """Walk labelled recordings; each image gives the middle ``length`` planes of its range.

    Args:
        folder: what the labels' file names are relative to.
        labels: images and what they show.
        length: planes per window.
        open_stream: opens a recording.

    Returns:
        An iterator in the order of ``labels``; all recordings are checked before its first window.

    Raises:
        VidarError: as `Recordings.middle` says.

    Example:
        >>> from vidar_det.detections.label_reader import read_labels
        >>> labels = read_labels("data/street.json")  # doctest: +SKIP
        >>> next(labelled_windows("data", labels, 128)).window.length  # doctest: +SKIP
        128
    """
    recordings = Recordings(folder, open_stream)
    for image in labels.images:
        recordings.middle(image, length)
    return _walk(recordings, labels, length)


def _walk(recordings: Recordings, labels: Labels, length: int) -> Iterator[LabelledWindow]:
    everything = tuple(range(len(labels.classes)))
    for image, truth in zip(labels.images, labels.truths, strict=True):
        scored = everything if image.scored is None else image.scored
        yield LabelledWindow(image, recordings.middle(image, length), truth, scored)
