"""Footage or a scene's name comes in; a simulated recording or a spike dataset goes out."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vidar_det.config import did_you_mean
from vidar_det.datasets.capture import CaptureSpec
from vidar_det.datasets.footage_choice import FootageSpec
from vidar_det.datasets.footage_dataset import simulate_annotations
from vidar_det.datasets.named_scenes import NAMED_SCENES, NamedShot, simulate_named_scene
from vidar_det.datasets.simulate import SceneSet, VideoSpec, simulate_scenes, simulate_video
from vidar_det.errors import ConfigError, SourceError
from vidar_det.spikes.labels import DEFAULT_CLASS_MAP, ClassMap
from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.sprites import Sprite, load_backgrounds, load_sprites

COMPOSED = "composed"
"""Name of scenes of every kind: the mixture that training draws from."""
SCENE_NAMES = (*NAMED_SCENES, COMPOSED)
DRAWN_SPRITES, DRAWN_BACKGROUNDS = 24, 24

Report = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@dataclass(frozen=True)
class SimulateSettings:
    """What the camera is shown, and how it sees.

    Attributes:
        capture: the camera.
        planes: length of each recording; None takes a whole video, 384 planes of a named scene,
            else 256.
        window: planes per labelled range of scenes; None: 128, in a set of scenes one per
            recording.
        size: width, height of the sensor; None takes a video's own, else 400x250.
        classes: class name -> names of the footage's categories that count as it.
        splits: only these splits of labelled footage; the first names the split of a set of scenes.
        speed: how much faster than life a video is shown.
        light: light of a white surface in a video, spikes per readout.
        fit: how labelled footage fills the sensor: ``whole`` picture, or ``cover`` the sensor.
        every: take each n-th label of footage.
        limit: the most recordings of a split of footage.
        count: how many scenes; None records one, without a dataset around it.
        sprites: folder of cut-out objects for a set of scenes; None draws them.
        backgrounds: folder of plates for a set of scenes; None draws them.
        overwrite: replace what lies at the output.
    """

    capture: CaptureSpec = field(default_factory=CaptureSpec)
    planes: int | None = None
    window: int | None = None
    size: tuple[int, int] | None = None
    classes: ClassMap = field(default_factory=lambda: DEFAULT_CLASS_MAP)
    splits: tuple[str, ...] = ()
    speed: float = 1.0
    light: float = 0.7
    fit: Literal["whole", "cover"] = "whole"
    every: int = 1
    limit: int | None = None
    count: int | None = None
    sprites: Path | None = None
    backgrounds: Path | None = None
    overwrite: bool = False


def simulate(
    source: str,
    out: str | Path,
    settings: SimulateSettings | None = None,
    report: Report = lambda done, total: None,
) -> tuple[str, ...]:
    """Show something to the simulated camera.

    - COCO annotations (``.json``) become a spike dataset: a recording around each label;
    - a video, or a folder of pictures, becomes a ``.dat`` recording;
    - a named scene becomes a ``.dat`` recording with exact boxes beside it; with ``count``, that
      many scenes become a spike dataset.

    Args:
        source: a path, or one of ``SCENE_NAMES``.
        out: the ``.dat`` file, or the dataset's folder.
        settings: what the camera is shown, and how it sees.
        report: told how much is done.

    Returns:
        What the user should know about the labels, one sentence each.

    Raises:
        SourceError: there is no such source.
        ConfigError: settings that contradict each other.
        OutputError: something lies at ``out``, or it cannot be written.

    Example:
        >>> simulate("street", "street.dat")  # doctest: +SKIP
        ()
    """
    settings, path = settings or SimulateSettings(), Path(source)
    if source in SCENE_NAMES:
        _simulate_scene(source, Path(out), settings, report)
        return ()
    if not path.exists():
        known = did_you_mean(source, SCENE_NAMES)
        raise SourceError(f"{source}: found no such file, folder or scene{known}")
    if path.suffix.lower() == ".json":
        return _simulate_annotations(path, Path(out), settings, report)
    video = VideoSpec(settings.planes, settings.speed, settings.light, settings.size)
    simulate_video(
        path,
        out,
        video,
        settings.capture,
        overwrite=settings.overwrite,
        progress=report,
    )
    return ()


def _simulate_scene(name: str, out: Path, settings: SimulateSettings, report: Report) -> None:
    if settings.count is not None:
        scenes = _scene_set(name, settings)
        simulate_scenes(
            out, scenes, settings.capture, overwrite=settings.overwrite, progress=report
        )
        return
    if name == COMPOSED or settings.sprites or settings.backgrounds:
        raise ConfigError(f"scene {name!r}: sets of scenes need a count, such as --count 100")
    width, height = settings.size or (400, 250)
    shot = NamedShot(name, width, height, settings.planes or 384, settings.window or 128)
    simulate_named_scene(shot, out, settings.capture, overwrite=settings.overwrite, progress=report)


def _scene_set(name: str, settings: SimulateSettings) -> SceneSet:
    split = settings.splits[0] if settings.splits else None
    width, height = settings.size or (400, 250)
    spec = NAMED_SCENES.get(name, SceneSpec())
    sprites, backgrounds = _material(settings, split, (width, height))
    return SceneSet(
        sprites=sprites,
        backgrounds=backgrounds,
        count=settings.count or 1,
        scene=dataclasses.replace(spec, width=width, height=height),
        planes=settings.planes or 256,
        window=settings.window,
        split=split or "test",
    )


def _material(
    settings: SimulateSettings, split: str | None, size: tuple[int, int]
) -> tuple[Sequence[Sprite], Sequence[NDArray[np.float32]]]:
    """Sprites and backgrounds, of a split of their folders or drawn by our own code."""
    generator = np.random.default_rng(settings.capture.seed)
    if settings.sprites is None:
        sprites = procedural_sprites(generator, DRAWN_SPRITES)
    else:
        sprites = load_sprites(settings.sprites, split, settings.classes)
    if settings.backgrounds is None:
        return sprites, procedural_backgrounds(generator, DRAWN_BACKGROUNDS, *size)
    return sprites, load_backgrounds(settings.backgrounds, split)


def _simulate_annotations(
    path: Path, out: Path, settings: SimulateSettings, report: Report
) -> tuple[str, ...]:
    footage = FootageSpec(
        classes=settings.classes,
        planes=settings.planes or 256,
        size=settings.size or (400, 250),
        fit=settings.fit,
        splits=settings.splits,
        every=settings.every,
        limit=settings.limit,
    )
    made = simulate_annotations(
        path,
        out,
        footage,
        settings.capture,
        overwrite=settings.overwrite,
        progress=report,
    )
    sentences = (
        (made.left_out, "labels lie too near to an end of their clip and are left out"),
        (made.dropped_boxes, "boxes have no area or lie outside their picture and are dropped"),
    )
    return tuple(f"{count} {sentence}" for count, sentence in sentences if count)
