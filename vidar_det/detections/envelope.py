"""Windows and their detections come in one by one; one JSON document of any length goes out."""

import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vidar_det.detections.boxes import Detections
from vidar_det.detections.coco import results_of
from vidar_det.detections.predictions import Predictions, WindowRecord

FOUND = ', "detections": ['
"""What lies between a line's window and its detections; no window holds a text."""


class EnvelopeWriter:
    """Writes the envelope of ``Predictions`` without holding windows or detections in memory.

    Each window waits as one line of JSON, whole or not at all.

    Args:
        folder: where the lines lie; it needs twice their room once the document is written.
        name: of the file of lines, which stays until ``discard``; without one it has no name, and
            vanishes with the writer.

    Attributes:
        path: the file of lines, if it has a name.
        size_bytes: of the lines so far.

    Raises:
        OSError: the file cannot be made.

    Example:
        >>> from vidar_det.detections.predictions import ClipRecord, ModelRecord, TimingRecord
        >>> frame = Predictions(
        ...     ModelRecord("nano", "1", params=9, time_steps=2),
        ...     ClipRecord(400, 250, planes=64, rate_hz=20_000.0, layout="plain", flip="ud"),
        ...     ("person",), (), (), TimingRecord(decode=0.2, inference=5.1, total=5.5))
        >>> with tempfile.TemporaryDirectory() as home, EnvelopeWriter(Path(home)) as envelope:
        ...     envelope.add(WindowRecord(0, 0, 64, 0.0), Detections.empty())
        ...     envelope.finish(Path(home) / "predictions.json", frame)
        ...     json.loads((Path(home) / "predictions.json").read_text())["images"]
        [{'id': 0, 'plane_start': 0, 'plane_count': 64, 't_start_us': 0.0}]
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        self.path = None if name is None else folder / name
        # not buffered: what was added is on the disk, or was refused
        self._lines: IO[bytes] = (
            tempfile.TemporaryFile("w+b", buffering=0, dir=folder)  # noqa: SIM115 - __exit__ closes
            if self.path is None
            else self.path.open("w+b", buffering=0)
        )
        self.size_bytes = 0

    def __enter__(self) -> "EnvelopeWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def add(self, window: WindowRecord, detections: Detections) -> None:
        """Take one window and what was found in it.

        Raises:
            OSError: there is no room; the lines before it stay.
        """
        entry = dataclasses.asdict(window) | {"detections": results_of(detections, window.id)}
        rest = memoryview((json.dumps(entry, allow_nan=False) + "\n").encode())
        size = self.size_bytes + len(rest)
        try:
            while rest:
                rest = rest[self._lines.write(rest) :]
        except OSError:
            self._lines.truncate(self.size_bytes)
            raise
        self.size_bytes = size

    def finish(self, path: Path, frame: Predictions) -> None:
        """Write the document.

        Args:
            path: the file; replaced if it exists.
            frame: all the rest of the document; it holds no windows itself.

        Raises:
            OSError: there is no room.
        """
        with path.open("w", encoding="utf-8") as file:
            opening = "{"
            for key, value in frame.to_json().items():
                file.write(f"{opening}{json.dumps(key)}: ")
                opening = ",\n"
                if key in ("images", "detections"):
                    self._write_list(key, file)
                else:
                    file.write(json.dumps(value, allow_nan=False, ensure_ascii=False))
            file.write("}\n")

    def discard(self) -> None:
        """Remove the file of lines: the document holds them all."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _write_list(self, key: str, file: IO[str]) -> None:
        opening = "[\n"
        for window, found in self._entries():
            text = window if key == "images" else found
            if text:
                file.write(opening + text)
                opening = ",\n"
        file.write("[]" if opening == "[\n" else "]")

    def _entries(self) -> Iterator[tuple[str, str]]:
        """Each window, and its detections without the brackets around them."""
        self._lines.seek(0)
        with os.fdopen(self._lines.fileno(), encoding="ascii", closefd=False) as lines:
            for line in lines:
                window, _, found = line.partition(FOUND)
                yield window + "}", found.removesuffix("]}\n")
