"""A folder of pictures by class comes in; arrays, and batches shifted and mirrored, go out."""

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


def read_pictures(folder: Path, split: str) -> Pictures:
    """Read ``FOLDER/SPLIT/CLASS/*``; classes are numbered by name."""
    pixels, classes = [], []
    for number, group in enumerate(sorted(path for path in (folder / split).iterdir())):
        for path in sorted(group.iterdir()):
            picture = cv2.imread(str(path))
            if picture.shape[:2] != (SIDE, SIDE):
                picture = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            pixels.append(picture.transpose(2, 0, 1))
            classes.append(number)
    return Pictures(np.stack(pixels), np.array(classes, np.int64))
