"""A scene's name comes in; its recording, with exact boxes beside it, lies on the disk."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from vidar_det.config import did_you_mean
from vidar_det.datasets.capture import (
    CaptureSpec,
    Progress,
    Shot,
    label_windows,
    write_scene_recording,
)
from vidar_det.detections.labels import Labels, Origin, labels_document
from vidar_det.errors import ConfigError
from vidar_det.outputs import atomic_path
from vidar_det.spikes.labels import DEFAULT_CLASSES
from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.scenes import Scene, compose_scene

SPRITES_PER_CLASS = 8

_STREET = SceneSpec(
    objects=(4, 6),
    height_px=(35.0, 90.0),
    still_probability=0.1,
    speed_px_s=(100.0, 1200.0),
    pan_probability=0.0,
    shake_probability=0.0,
    light_at_white=(0.5, 0.8),
    gamma=(0.8, 1.1),
    haze=(0.0, 0.1),
    gradient=0.2,
    flicker_probability=0.0,
    object_light=(0.8, 1.4),
    distractors=(0, 2),
    crowd_probability=0.0,
    truncation_probability=0.2,
)
NAMED_SCENES: Mapping[str, SceneSpec] = MappingProxyType(
    {
        "street": _STREET,
        "fast": dataclasses.replace(_STREET, speed_px_s=(1500.0, 4000.0), still_probability=0.0),
        "dark": dataclasses.replace(_STREET, light_at_white=(0.04, 0.08)),
        "crowd": dataclasses.replace(_STREET, objects=(8, 10), crowd_probability=1.0),
        "pan": dataclasses.replace(_STREET, pan_probability=1.0, pan_px_s=(300.0, 900.0)),
    }
)
"""Scenes by name, for a picture of 400x250: ``street`` is daylight with everyday speeds."""


@dataclass(frozen=True)
class NamedShot:
    """Which named scene is recorded, and how much of it.

    Attributes:
        name: one of `NAMED_SCENES`.
        width: pixels.
        height: pixels; sizes and speeds of the objects grow and shrink with it.
        planes: length of the recording.
        window: planes per labelled range.

    Raises:
        ConfigError: an unknown name, or a picture under 64x64 pixels.

    Example:
        >>> NamedShot("street").planes
        384
    """

    name: str
    width: int = 400
    height: int = 250
    planes: int = 384
    window: int = 128

    def __post_init__(self) -> None:
        if self.name not in NAMED_SCENES:
            suggestion = did_you_mean(self.name, NAMED_SCENES)
            raise ConfigError(f"scene {self.name!r} is unknown{suggestion}")
        if min(self.width, self.height) < 64:
            raise ConfigError(f"scene of {self.width}x{self.height} px; wanted at least 64x64")


def simulate_named_scene(
    shot: NamedShot,
    out: str | Path,
    capture: CaptureSpec | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Scene:
    """Record a named scene: ``NAME.dat``, its sidecar ``NAME.toml`` and exact boxes ``NAME.json``.

    The boxes are a COCO file with one image per window. Sprites and background are drawn by our
    own code: no outside data is needed.

    Args:
        shot: which scene, and how much of it.
        out: the ``.dat`` file to make.
        capture: the camera, and the seed; the default camera if None.
        overwrite: replace files that exist.
        progress: called with planes done and planes in all.

    Returns:
        The scene that was recorded.

    Raises:
        ConfigError: planes and window do not fit.
        OutputError: a file exists, or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     shot = NamedShot("street", width=96, height=64, planes=64, window=32)
        ...     scene = simulate_named_scene(shot, Path(home) / "street.dat")
        ...     sorted(path.name for path in Path(home).iterdir())
        ['street.dat', 'street.json', 'street.toml']
    """
    capture, out = capture or CaptureSpec(), Path(out)
    generator = np.random.default_rng(capture.seed)
    scene = _compose(shot, capture, generator)
    origin = Origin("composed", scene=shot.name)
    filmed = Shot(scene, shot.planes, window=shot.window, origin=origin)
    images = label_windows(filmed, capture.rate_hz, out.name)
    records, truths = zip(*images, strict=True)
    labels = Labels(DEFAULT_CLASSES, records, truths)
    description = f"scene {shot.name!r}, seed {capture.seed}"
    with atomic_path(out.with_suffix(".json"), overwrite) as partial:
        text = json.dumps(labels_document(labels, description), allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
        write_scene_recording(
            out, filmed, capture, generator, overwrite=overwrite, progress=progress
        )
    return scene


def _compose(shot: NamedShot, capture: CaptureSpec, generator: np.random.Generator) -> Scene:
    spec = NAMED_SCENES[shot.name]
    scale = min(shot.width / spec.width, shot.height / spec.height)
    sprites = procedural_sprites(generator, SPRITES_PER_CLASS)
    backgrounds = procedural_backgrounds(generator, 1, shot.width, shot.height)
    spec = dataclasses.replace(
        spec,
        width=shot.width,
        height=shot.height,
        duration_s=shot.planes / capture.rate_hz,
        height_px=_scaled(spec.height_px, scale),
        speed_px_s=_scaled(spec.speed_px_s, scale),
        pan_px_s=_scaled(spec.pan_px_s, scale),
    )
    return compose_scene(spec, sprites, backgrounds, generator)


def _scaled(pair: tuple[float, float], scale: float) -> tuple[float, float]:
    return pair[0] * scale, pair[1] * scale
