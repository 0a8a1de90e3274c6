"""Settings and sources of light come in; simulated recordings and spike datasets go out."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidar_det.datasets.capture import CaptureSpec, Progress, Shot, write_scene_recording
from vidar_det.datasets.dataset import SpikeDataset, open_dataset
from vidar_det.datasets.dataset_writer import check_split, new_dataset
from vidar_det.datasets.footage_choice import FootageSpec
from vidar_det.datasets.footage_dataset import FootageReport, simulate_annotations
from vidar_det.datasets.moving_light import Dimmed
from vidar_det.datasets.named_scenes import NAMED_SCENES, NamedShot, simulate_named_scene
from vidar_det.detections.labels import Origin
from vidar_det.errors import ConfigError
from vidar_det.spikes.footage import FootageClip, open_video_light
from vidar_det.spikes.framing import Framing, whole_framing
from vidar_det.spikes.labels import DEFAULT_CLASSES
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.scenes import compose_scene
from vidar_det.spikes.sprites import Sprite

__all__ = [
    "NAMED_SCENES",
    "CaptureSpec",
    "FootageReport",
    "FootageSpec",
    "NamedShot",
    "SceneSet",
    "VideoSpec",
    "simulate_annotations",
    "simulate_named_scene",
    "simulate_scenes",
    "simulate_video",
]


@dataclass(frozen=True)
class SceneSet:
    """Composed scenes to record, one recording each.

    Attributes:
        sprites: objects to choose from.
        backgrounds: ``(h, w) float32`` linear light.
        count: how many scenes.
        scene: what they look like; ``duration_s`` is set to the recording's length.
        planes: length of each recording.
        window: planes per labelled range; None labels each recording once, in its middle.
        split: name of the split that all of them belong to.

    Raises:
        ConfigError: not one scene is asked for, or the split's name is no file name.
    """

    sprites: Sequence[Sprite]
    backgrounds: Sequence[NDArray[np.float32]]
    count: int
    scene: SceneSpec = dataclasses.field(default_factory=SceneSpec)
    planes: int = 256
    window: int | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"count = {self.count}; wanted at least one scene")
        check_split(self.split)


@dataclass(frozen=True)
class VideoSpec:
    """How a video without labels is shown to the camera.

    Attributes:
        planes: length of the recording; None takes the whole video.
        speed: how much faster than life; 1 plays at the video's own frame rate.
        light_at_white: light of a white surface, spikes per readout; above 1 saturates.
        size: width, height of the sensor; None takes the video's own. The whole picture is shown,
            with dark bars where the shapes differ.

    Raises:
        ConfigError: a number is not positive.
    """

    planes: int | None = None
    speed: float = 1.0
    light_at_white: float = 0.7
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if min(self.speed, self.light_at_white, *(self.size or (1, 1))) <= 0:
            raise ConfigError(f"video: found {self}; wanted positive numbers")


def simulate_scenes(
    out: str | Path,
    scenes: SceneSet,
    capture: CaptureSpec | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SpikeDataset:
    """Make a spike dataset of composed scenes, with exact boxes.

    Scene ``i`` depends on the seed and on ``i`` alone: a larger set begins with the smaller one.

    Args:
        out: the dataset's folder.
        scenes: what to record.
        capture: the camera, and the seed; the default camera if None.
        overwrite: replace a spike dataset that lies there.
        progress: called with scenes done and scenes in all.

    Returns:
        The dataset, opened.

    Raises:
        ConfigError: planes and window do not fit.
        SourceError: there is no background, or no sprite with a class.
        OutputError: something lies at ``out``, or it cannot be written.

    Example:
        >>> import tempfile
        >>> from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
        >>> rng = np.random.default_rng(0)
        >>> sprites, plates = procedural_sprites(rng, 1), procedural_backgrounds(rng, 1, 64, 64)
        >>> scenes = SceneSet(sprites, plates, 2, SceneSpec(width=64, height=48), planes=64)
        >>> with tempfile.TemporaryDirectory() as home:
        ...     dataset = simulate_scenes(Path(home) / "tiny", scenes)
        ...     [window.window.counts(1).shape for window in dataset.labelled_windows("test", 64)]
        [(1, 48, 64), (1, 48, 64)]
    """
    capture = capture or CaptureSpec()
    spec = dataclasses.replace(scenes.scene, duration_s=scenes.planes / capture.rate_hz)
    with new_dataset(out, DEFAULT_CLASSES, capture, overwrite=overwrite) as writer:
        for number in range(scenes.count):
            generator = np.random.default_rng((capture.seed, number))
            scene = compose_scene(spec, scenes.sprites, scenes.backgrounds, generator)
            name = f"scene_{number:05d}"
            origin = Origin("composed", scene=name)
            shot = Shot(scene, scenes.planes, window=scenes.window, origin=origin)
            writer.add(scenes.split, name, shot, generator)
            if progress is not None:
                progress(number + 1, scenes.count)
        writer.finish(f"composed scenes, seed {capture.seed}")
    return open_dataset(out)


def simulate_video(
    source: str | Path,
    out: str | Path,
    video: VideoSpec | None = None,
    capture: CaptureSpec | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Show a video or a folder of pictures to the camera and write its recording and sidecar.

    Args:
        source: a video that OpenCV reads, or a folder of pictures of one size.
        out: the ``.dat`` file to make.
        video: how it is shown; as it is if None.
        capture: the camera, and the seed; the default camera if None.
        overwrite: replace files that exist.
        progress: called with planes done and planes in all.

    Raises:
        SourceError: the video is missing or unreadable.
        ConfigError: the video is shorter than the planes that are asked for.
        OutputError: the output exists, or cannot be written.

    Example:
        >>> simulate_video("street.mp4", "street.dat", VideoSpec(speed=4.0))  # doctest: +SKIP
    """
    video, capture = video or VideoSpec(), capture or CaptureSpec()
    clip = _open_light(source, video)
    available = int(clip.duration_s * capture.rate_hz + 1e-6)
    planes = available if video.planes is None else video.planes
    if not 1 <= planes <= available:
        raise ConfigError(
            f"{source}: found light for {available} planes at {capture.rate_hz:g} Hz and speed "
            f"{video.speed:g}, wanted {planes}"
        )
    shot = Shot(Dimmed(clip, video.light_at_white), planes)
    generator = np.random.default_rng(capture.seed)
    write_scene_recording(out, shot, capture, generator, overwrite=overwrite, progress=progress)


def _open_light(source: str | Path, video: VideoSpec) -> FootageClip:
    clip = open_video_light(source)
    framing: Framing | None = None
    if video.size is not None:
        framing = whole_framing((clip.width, clip.height), video.size)
    interval_s = clip.frame_interval_s / video.speed
    return open_video_light(source, framing, interval_s)
