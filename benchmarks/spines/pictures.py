"""A folder of pictures by class comes in; arrays, and batches shifted and mirrored, go out."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIDE, SHIFT = 32, 4


@dataclass(frozen=True)
class Pictures:
    """``pixels [N, 3, 32, 32] uint8`` and ``classes [N] int64``."""

    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)

    def batch(self, numbers: NDArray[np.int64], generator: np.random.Generator | None) -> Tensor:
        """Take pictures, around 0; with a generator each is shifted by up to 4 and mirrored."""
        pixels = self.pixels[numbers]
        if generator is not None:
            wide = np.pad(pixels, ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
            shifts = generator.integers(0, 2 * SHIFT + 1, (len(pixels), 2))
            mirrored = generator.random(len(pixels)) < 0.5
            for at, ((dy, dx), mirror) in enumerate(zip(shifts, mirrored, strict=True)):
                crop = wide[at, :, dy : dy + SIDE, dx : dx + SIDE]
                pixels[at] = crop[..., ::-1] if mirror else crop
        return (torch.from_numpy(pixels).float() - 120) / 64


def read_pictures(source: Path, split: str) -> Pictures:
    """Read ``SOURCE/SPLIT/CLASS/*``, a folder or a tar archive; classes are numbered by name."""
    files: dict[str, list[bytes]] = {}
    for path, content in _archived(source) if source.is_file() else _filed(source):
        *_, part, name, _ = path.parts
        if part == split:
            files.setdefault(name, []).append(content)
    pixels = [_decode(content) for name in sorted(files) for content in files[name]]
    sizes = [len(files[name]) for name in sorted(files)]
    if not pixels:
        raise SystemExit(f"{source}: found no pictures, wanted {split}/CLASS/*")
    return Pictures(np.stack(pixels), np.repeat(np.arange(len(sizes)), sizes))


def _filed(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.glob("*/*/*")):
        yield path, path.read_bytes()


def _archived(archive: Path) -> Iterator[tuple[Path, bytes]]:
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            if (file := tar.extractfile(member)) is not None:
                yield Path(member.name), file.read()


def _decode(content: bytes) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture.shape[:2] != (SIDE, SIDE):
        picture = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return picture.transpose(2, 0, 1)
