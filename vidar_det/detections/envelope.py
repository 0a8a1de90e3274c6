"""Windows and their detections come in one by one; one JSON document of any length goes out."""

import contextlib
import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

from vidar_det.detections.boxes import Detections
from vidar_det.detections.coco import results_of
from vidar_det.detections.predictions import Predictions, WindowRecord


class EnvelopeWriter:
    """Writes the envelope of ``Predictions`` without holding windows or detections in memory.

    Both lists wait in unnamed temporary files, which vanish with the writer.

    Args:
        folder: where the temporary files may lie; it needs as much room as the document.

    Attributes:
        size_bytes: of both lists so far.

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

    def __init__(self, folder: Path) -> None:
        with contextlib.ExitStack() as files:
            self._spools: dict[str, IO[str]] = {
                "images": files.enter_context(tempfile.TemporaryFile("w+", dir=folder)),
                "detections": files.enter_context(tempfile.TemporaryFile("w+", dir=folder)),
            }
            self._files = files.pop_all()
        self.size_bytes = 0

    def __enter__(self) -> "EnvelopeWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, window: WindowRecord, detections: Detections) -> None:
        """Take one window and what was found in it."""
        self._append("images", dataclasses.asdict(window))
        for result in results_of(detections, window.id):
            self._append("detections", result)

    def finish(self, path: Path, frame: Predictions) -> None:
        """Write the document.

        Args:
            path: the file; replaced if it exists.
            frame: all the rest of the document; it holds no windows itself.
        """
        with path.open("w", encoding="utf-8") as file:
            opening = "{"
            for key, value in frame.to_json().items():
                file.write(f"{opening}{json.dumps(key)}: ")
                opening = ",\n"
                if key in self._spools:
                    self._copy(self._spools[key], file)
                else:
                    file.write(json.dumps(value, allow_nan=False, ensure_ascii=False))
            file.write("}\n")

    def _append(self, name: str, entry: dict[str, Any]) -> None:
        spool = self._spools[name]
        text = ("," if spool.tell() else "") + "\n" + json.dumps(entry, allow_nan=False)
        self.size_bytes += spool.write(text)

    @staticmethod
    def _copy(spool: IO[str], file: IO[str]) -> None:
        file.write("[")
        spool.seek(0)
        shutil.copyfileobj(spool, file)
        file.write("]")
