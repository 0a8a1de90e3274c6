"""A shot of moving light comes in; its recording and the labels of its windows go out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidar_det.config import did_you_mean
from vidar_det.datasets.moving_light import MovingLight, name_light, sample_light
from vidar_det.detections.boxes import GroundTruth
from vidar_det.detections.labels import UNKNOWN_ORIGIN, ImageRecord, Origin
from vidar_det.errors import ConfigError
from vidar_det.spikes.camera import PROFILES, Camera
from vidar_det.spikes.labels import SceneBoxes
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.sidecar import DEFAULT_RATE_HZ
from vidar_det.spikes.stream import Sensor

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is in all."""


@dataclass(frozen=True)
class CaptureSpec:
    """The camera that simulated recordings are made with.

    Attributes:
        rate_hz: planes per second.
        profile: its noise, a name in ``vidar_det.spikes.camera.PROFILES``.
        seed: decides everything that is drawn, of the camera and of what it looks at.

    Raises:
        ConfigError: an unknown profile, a rate that is not positive, or a negative seed.

    Example:
        >>> CaptureSpec(profile="ideal").rate_hz
        20000.0
    """

    rate_hz: float = DEFAULT_RATE_HZ
    profile: str = "daylight"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            suggestion = did_you_mean(self.profile, PROFILES)
            raise ConfigError(f"profile {self.profile!r} is unknown{suggestion}")
        if not self.rate_hz > 0 or self.seed < 0:
            raise ConfigError(
                f"rate_hz = {self.rate_hz}, seed = {self.seed}; wanted a positive rate, no minus"
            )


@dataclass(frozen=True)
class Shot:
    """What one recording shows.

    Attributes:
        light: the scene or clip.
        planes: length of the recording.
        start_s: time of the light at which the recording begins.
        window: planes per labelled range; None labels the recording as one. Ranges follow each
            other without gaps; what is left at the end carries no labels.
        scored: class ids that are completely labelled; None means all.
        origin: where the light comes from.

    Raises:
        ConfigError: no planes, or a window that does not fit into them.
    """

    light: MovingLight
    planes: int = 256
    start_s: float = 0.0
    window: int | None = None
    scored: tuple[int, ...] | None = None
    origin: Origin = UNKNOWN_ORIGIN

    def __post_init__(self) -> None:
        if self.planes < 1 or not 1 <= self.label_planes <= self.planes:
            raise ConfigError(
                f"planes = {self.planes}, window = {self.window}; "
                "wanted at least one plane, and a window no longer than the recording"
            )

    @property
    def label_planes(self) -> int:
        """Planes in each labelled range."""
        return self.planes if self.window is None else self.window


class LabelledImage(NamedTuple):
    """A labelled range of a recording: its entry, and what it shows in its middle."""

    record: ImageRecord
    truth: GroundTruth


def write_scene_recording(
    path: str | Path,
    shot: Shot,
    capture: CaptureSpec,
    generator: np.random.Generator,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Look at moving light with the camera and write the planes, with a sidecar beside them.

    Memory stays bounded for any length; nothing half-written remains if it fails.

    Args:
        path: the ``.dat`` file to make.
        shot: what to record.
        capture: the camera; its seed is not used here.
        generator: source of the camera's fixed pattern and noise.
        overwrite: replace files that exist.
        progress: called with planes done and planes in all.

    Raises:
        OutputError: the output exists, or cannot be written.
        RangeError: the light does not last as long as the recording.

    Example:
        >>> import tempfile
        >>> from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
        >>> from vidar_det.spikes.recording import open_recording
        >>> from vidar_det.spikes.scenes import SceneSpec, compose_scene
        >>> rng = np.random.default_rng(0)
        >>> sprites, plates = procedural_sprites(rng, 1), procedural_backgrounds(rng, 1, 64, 64)
        >>> scene = compose_scene(SceneSpec(width=64, height=48), sprites, plates, rng)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "scene.dat"
        ...     write_scene_recording(path, Shot(scene, planes=64), CaptureSpec(), rng)
        ...     open_recording(path).shape
        (64, 48, 64)
    """
    light = shot.light
    sensor = Sensor(light.width, light.height, capture.rate_hz)
    camera = Camera(sensor, PROFILES[capture.profile], generator)
    planes = camera.expose(sample_light(light, shot.start_s, shot.planes, capture.rate_hz))
    if progress is not None:
        planes = _reported(planes, shot.planes, progress)
    write_recording(path, planes, sensor, overwrite=overwrite)


def label_windows(
    shot: Shot, rate_hz: float, file_name: str, first_id: int = 1
) -> list[LabelledImage]:
    """Label the ranges of a recording with the boxes in the middle of each.

    Args:
        shot: what the recording shows.
        rate_hz: planes per second.
        file_name: the recording, as the labels shall name it.
        first_id: id of the first range; the others count on.

    Returns:
        One entry per range, in order.
    """
    count = shot.label_planes
    images = []
    for index in range(shot.planes // count):
        middle_s = shot.start_s + (index + 0.5) * count / rate_hz
        boxes = shot.light.boxes(middle_s)
        record = ImageRecord(
            id=first_id + index,
            file_name=file_name,
            width=shot.light.width,
            height=shot.light.height,
            plane_start=index * count,
            plane_count=count,
            scored=shot.scored,
            speed_px_s=fastest_px_s(boxes),
            light=name_light(shot.light.light(middle_s)),
            origin=shot.origin,
        )
        images.append(LabelledImage(record, truth_of(boxes)))
    return images


def truth_of(boxes: SceneBoxes) -> GroundTruth:
    """Take from a scene's boxes what a detector is measured by."""
    return GroundTruth(boxes.xyxy, boxes.class_ids, boxes.ignore, boxes.speeds_px_s)


def fastest_px_s(boxes: SceneBoxes) -> float | None:
    """Speed of the fastest object that counts, rounded to 0.1 px/s; None if no speed is known."""
    speeds = boxes.speeds_px_s[~boxes.ignore]
    known = speeds[~np.isnan(speeds)]
    return round(float(known.max()), 1) if len(known) else None


def _reported(
    planes: Iterator[NDArray[np.uint8]], total: int, progress: Progress
) -> Iterator[NDArray[np.uint8]]:
    for done, plane in enumerate(planes, start=1):
        yield plane
        progress(done, total)
