"""Folders of pictures or a random generator come in, cut-out objects and backgrounds go out.

A *sprite* is a grey picture with an alpha channel and a class; a *background* is a plate of
linear light without labelled objects. Both come from folders or from our own drawing code.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import FormatError, LabelError, ShapeError, SourceError
from vidar_det.spikes.labels import (
    DEFAULT_CLASS_MAP,
    DISTRACTOR,
    ClassMap,
    class_ids_by_category,
)

DISPLAY_GAMMA = 2.2
PICTURE_SUFFIXES = frozenset({".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
LEFT_OUT_SCENES = ("horsejump-high", "soapbox")
"""Scenes whose cut-outs show people under another category; never used, not even as distractors."""
HEIGHT_IN_PERSONS: Mapping[str, float] = {
    "person": 1.0,
    "car": 0.85,
    "vehicle": 0.9,
    "van": 1.2,
    "automobile": 1.0,
    "bus": 1.75,
    "truck": 1.8,
    "bicycle": 0.6,
    "motorcycle": 0.65,
    "cycle": 0.6,
}
"""How tall an object stands beside a person at the same distance; 0.6 for all others."""


@dataclass(frozen=True)
class Sprite:
    """One cut-out object.

    Attributes:
        grey: ``(h, w) uint8`` display grey (gamma 2.2).
        alpha: ``(h, w) uint8``, 255 inside the object.
        class_id: index into the classes, or `DISTRACTOR`.
        name: where it came from, for messages.
        height_in_persons: its natural height relative to a person at the same distance.
        rider: a second object on the same canvas, drawn over this one and moving with it (the
            person on a cycle), with its own class and box.

    Raises:
        ShapeError: grey and alpha differ in shape, are not ``uint8`` or nowhere opaque.

    Example:
        >>> dot = np.full((4, 4), 255, np.uint8)
        >>> Sprite(dot, dot, class_id=0, name="white square").class_id
        0
    """

    grey: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    class_id: int
    name: str
    height_in_persons: float = 1.0
    rider: "Sprite | None" = None

    def __post_init__(self) -> None:
        if self.grey.ndim != 2 or self.grey.shape != self.alpha.shape:
            raise ShapeError(
                f"sprite {self.name}: grey {self.grey.shape}, alpha {self.alpha.shape}; "
                "wanted the same (h, w)"
            )
        if self.grey.dtype != np.uint8 or self.alpha.dtype != np.uint8:
            raise ShapeError(
                f"sprite {self.name}: {self.grey.dtype}, {self.alpha.dtype}; wanted uint8"
            )
        if not (self.alpha > 127).any():
            raise ShapeError(f"sprite {self.name}: nothing is opaque (alpha never above 127)")
        if self.rider is not None and self.rider.grey.shape != self.grey.shape:
            raise ShapeError(f"sprite {self.name}: its rider lies on another canvas")


def linear_light(grey: NDArray[np.uint8], gamma: float = DISPLAY_GAMMA) -> NDArray[np.float32]:
    """Display grey to linear light: ``(grey / 255) ** gamma``, the usual stand-in for sRGB.

    Args:
        grey: ``(...) uint8``.
        gamma: exponent; 1 takes the grey as light.

    Returns:
        ``(...) float32`` in 0..1, same shape.

    Example:
        >>> float(linear_light(np.array([255], np.uint8))[0])
        1.0
    """
    table = (np.arange(256, dtype=np.float32) / 255.0) ** np.float32(gamma)
    return table[grey]


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture as grey.

    Args:
        path: any format that OpenCV reads; colour becomes luma, alpha is dropped.

    Returns:
        ``(h, w) uint8``.

    Raises:
        SourceError: the file is missing or no picture.

    Example:
        >>> read_picture(Path("missing.png"))
        Traceback (most recent call last):
        vidar_det.errors.SourceError: missing.png: no readable picture
    """
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if picture is None:
        raise SourceError(f"{path}: no readable picture")
    return np.asarray(picture, dtype=np.uint8)


def soft_frame(height: int, width: int) -> NDArray[np.uint8]:
    """Alpha for a picture that its object fills: opaque within, fading over its outer eighth.

    Example:
        >>> alpha = soft_frame(32, 32)
        >>> int(alpha[16, 16]), int(alpha[0, 0])
        (255, 0)
    """
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    reach = (np.abs(x) ** 4 + np.abs(y) ** 4) ** 0.25  # between an oval and a rectangle
    return np.asarray(np.clip((1.0 - reach) * (255 / 0.25), 0, 255), dtype=np.uint8)


def load_sprites(
    folder: Path | str, split: str | None = None, class_map: ClassMap = DEFAULT_CLASS_MAP
) -> list[Sprite]:
    """Read cut-out objects from a folder.

    With a ``sprites.json`` (``{"sprites": [{"file", "category", "split", "scene", "truncated"}]}``)
    the list decides; without one every picture in a subfolder ``CATEGORY/`` is a sprite, and
    ``split`` must be None. Categories that no class names become distractors; truncated cut-outs
    and the scenes in `LEFT_OUT_SCENES` are left out.

    Args:
        folder: where the pictures lie; one without an alpha channel is taken to be filled by its
            object, and gets a soft edge.
        split: only sprites of this split; None takes all.
        class_map: class name -> category names.

    Returns:
        At least one sprite, in the order of the list or of the file names.

    Raises:
        SourceError: no such folder, or nothing in it fits.
        FormatError: ``sprites.json`` or a picture is malformed.
        LabelError: a split is asked for, but the folder has no list.

    Example:
        >>> load_sprites("missing")
        Traceback (most recent call last):
        vidar_det.errors.SourceError: missing: no such folder
    """
    folder = Path(folder)
    records = _listed(folder, "sprites", split)
    if records is None:
        records = [
            {"file": str(path.relative_to(folder)), "category": path.parent.name}
            for path in _pictures(folder, "*/*")
        ]
    ids = class_ids_by_category(class_map)
    sprites = [_read_sprite(folder, record, ids) for record in records if _is_usable(record)]
    if not sprites:
        raise SourceError(f"{folder}: no sprites for split {split!r}")
    return sprites


def load_backgrounds(folder: Path | str, split: str | None = None) -> list[NDArray[np.float32]]:
    """Read plates without labelled objects.

    With a ``backgrounds.json`` (``{"backgrounds": [{"file", "split"}]}``) the list decides;
    without one every picture in the folder is a plate, and ``split`` must be None.

    Args:
        folder: where the pictures lie.
        split: only plates of this split; None takes all.

    Returns:
        At least one ``(h, w) float32`` linear light in 0..1, each of its own size.

    Raises:
        SourceError: no such folder, or nothing in it fits.
        FormatError: ``backgrounds.json`` is malformed.
        LabelError: a split is asked for, but the folder has no list.

    Example:
        >>> load_backgrounds("missing")
        Traceback (most recent call last):
        vidar_det.errors.SourceError: missing: no such folder
    """
    folder = Path(folder)
    records = _listed(folder, "backgrounds", split)
    if records is None:
        paths = _pictures(folder, "*")
    else:
        paths = [folder / str(record["file"]) for record in records]
    if not paths:
        raise SourceError(f"{folder}: no backgrounds for split {split!r}")
    return [linear_light(read_picture(path)) for path in paths]


def _pictures(folder: Path, pattern: str) -> list[Path]:
    return sorted(p for p in folder.glob(pattern) if p.suffix.lower() in PICTURE_SUFFIXES)


def _listed(folder: Path, key: str, split: str | None) -> Sequence[Mapping[str, Any]] | None:
    """The records of ``KEY.json`` that belong to the split; None where there is no list."""
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder")
    path = folder / f"{key}.json"
    if not path.is_file():
        if split is not None:
            raise LabelError(f"{folder}: split {split!r} asked for, but there is no {key}.json")
        return None
    try:
        records = json.loads(path.read_text(encoding="utf-8"))[key]
        return [r for r in records if split is None or r["split"] == split]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: wanted a list {key!r} of records ({error!r})") from error


def _is_usable(record: Mapping[str, Any]) -> bool:
    named = f"{record['file']} {record.get('scene', '')}"
    return not record.get("truncated") and not any(scene in named for scene in LEFT_OUT_SCENES)


def _read_sprite(folder: Path, record: Mapping[str, Any], ids: Mapping[str, int]) -> Sprite:
    path = folder / str(record["file"])
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if pixels is None:
        raise SourceError(f"{path}: no readable picture")
    if pixels.dtype != np.uint8:
        raise FormatError(f"{path}: {pixels.dtype}; wanted 8 bits")
    category = str(record["category"])
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        grey, alpha = cv2.cvtColor(pixels, cv2.COLOR_BGRA2GRAY), pixels[..., 3]
    else:
        grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        alpha = soft_frame(*grey.shape)
    return Sprite(
        grey=np.asarray(grey, dtype=np.uint8),
        alpha=np.ascontiguousarray(alpha),
        class_id=ids.get(category, DISTRACTOR),
        name=str(record["file"]),
        height_in_persons=HEIGHT_IN_PERSONS.get(category, 0.6),
    )
