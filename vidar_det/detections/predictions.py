"""Windows with their detections come in; the one document that says them all goes out.

The command line's ``predictions.json`` and the service's answer are this same envelope. Its
``detections`` is a COCO results list as it stands.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from vidar_det.detections.boxes import Detections
from vidar_det.detections.coco import categories_of, results_of
from vidar_det.errors import LabelError


@dataclass(frozen=True)
class ModelRecord:
    """Who detected.

    Attributes:
        name: of the weights, such as ``nano``.
        version: what tells these weights from others of the same name.
        params: how many parameters they have.
        time_steps: network steps for one window (S).
        runtime: what ran them, such as ``OpenVINO 2026.4.1``; empty where nobody said.
        precision: of weights and arithmetic, such as ``float32``; likewise.
    """

    name: str
    version: str
    params: int
    time_steps: int
    runtime: str = ""
    precision: str = ""


@dataclass(frozen=True)
class ClipRecord:
    """What was looked at.

    Attributes:
        width: pixels.
        height: pixels.
        planes: how many the recording holds (T).
        rate_hz: readouts per second.
        layout: of the file, such as ``plain``.
        flip: how the file was turned upright: ``none``, ``ud``, ``lr`` or ``both``.
        sha256: of the file; None where nobody computed it.
        trailing_bytes: of a partial plane at the end, not read.
    """

    width: int
    height: int
    planes: int
    rate_hz: float
    layout: str
    flip: str
    sha256: str | None = None
    trailing_bytes: int = 0


@dataclass(frozen=True)
class WindowRecord:
    """One window: an ``images`` entry.

    Attributes:
        id: unique in the document.
        plane_start: index of its first plane.
        plane_count: its planes.
        t_start_us: sensor time of its first plane in microseconds.
    """

    id: int
    plane_start: int
    plane_count: int
    t_start_us: float


@dataclass(frozen=True)
class TimingRecord:
    """Where the time went, in milliseconds.

    Attributes:
        decode: reading and counting.
        inference: the network and its post-processing.
        total: from the first byte to the last detection.
    """

    decode: float
    inference: float
    total: float


@dataclass(frozen=True)
class Predictions:
    """Everything that was found in one clip.

    Attributes:
        model: who detected.
        clip: what was looked at.
        classes: names; a class id is an index into them.
        windows: what was looked at, piece by piece.
        detections: what was found in each of ``windows``, in the same order.
        timing_ms: where the time went.
        warnings: what the user should know, in words.
        request_id: the HTTP request that asked; None elsewhere.

    Raises:
        LabelError: ``windows`` and ``detections`` differ in number, or a class id has no name.

    Example:
        >>> model = ModelRecord("nano", "1", params=520_000, time_steps=2)
        >>> clip = ClipRecord(400, 250, planes=64, rate_hz=20_000.0, layout="plain", flip="ud")
        >>> windows, found = (WindowRecord(0, 0, 64, 0.0),), (Detections.empty(),)
        >>> timing = TimingRecord(decode=0.2, inference=5.1, total=5.5)
        >>> Predictions(model, clip, ("person",), windows, found, timing).to_json()["detections"]
        []
    """

    model: ModelRecord
    clip: ClipRecord
    classes: tuple[str, ...]
    windows: tuple[WindowRecord, ...]
    detections: tuple[Detections, ...]
    timing_ms: TimingRecord
    warnings: tuple[str, ...] = ()
    request_id: str | None = None

    def __post_init__(self) -> None:
        if len(self.windows) != len(self.detections):
            found = f"{len(self.windows)} windows and {len(self.detections)} detections"
            raise LabelError(f"predictions: found {found}, wanted one for each")
        highest = max((int(d.class_ids.max()) for d in self.detections if len(d)), default=-1)
        if highest >= len(self.classes):
            wanted = f"wanted below {len(self.classes)}"
            raise LabelError(f"predictions: found class id {highest}, {wanted}")

    def to_json(self) -> dict[str, Any]:
        """Give the envelope, ready for ``write_json``."""
        results = [
            entry
            for window, found in zip(self.windows, self.detections, strict=True)
            for entry in results_of(found, window.id)
        ]
        envelope = {
            "model": dataclasses.asdict(self.model),
            "clip": dataclasses.asdict(self.clip),
            "images": [dataclasses.asdict(window) for window in self.windows],
            "categories": categories_of(self.classes),
            "detections": results,
            "timing_ms": dataclasses.asdict(self.timing_ms),
            "warnings": list(self.warnings),
        }
        return envelope if self.request_id is None else {"request_id": self.request_id} | envelope
