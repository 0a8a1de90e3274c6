"""How a dataset's folder is read, and how a label's box follows its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vidar_det.spikes.sidecar import RecordingOptions

DataFormat = Literal["auto", "spike", "pku", "mot"]
LabelFlip = Literal["auto", "none", "ud", "lr", "both", "transpose"]

Box = tuple[float, float, float, float]

_AXES: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "ud": frozenset({"ud"}),
    "lr": frozenset({"lr"}),
    "both": frozenset({"ud", "lr"}),
}


@dataclass(frozen=True)
class ReadingSpec:
    """How a dataset's folder is read.

    Attributes:
        format: ``spike`` (a folder with ``dataset.toml``), ``pku`` (PKU-Vidar-DVS) or ``mot``
            (``spikes_gt.txt``); ``auto`` recognises the folder.
        options: what the recordings' files do not say. What is open here is looked up beside each
            recording, then in SpikeCV's ``config.yaml`` in the dataset's folder; then it is 400 x
            250 pixels, plain.
        label_flip: what turns the labels onto the upright picture; ``transpose`` is for labels
            that name the row before the column. ``auto`` goes by the format and by what the pixels
            need: `drawn_flip`.
        window: planes wanted around each label, for formats that label a moment and not a range.

    Example:
        >>> ReadingSpec(format="pku").options.width is None
        True
    """

    format: DataFormat = "auto"
    options: RecordingOptions = field(default_factory=RecordingOptions)
    label_flip: LabelFlip = "auto"
    window: int = 256


def drawn_flip(drawn_on: str, pixels: str) -> str:
    """Tell what turns labels onto the picture, from what turned the stored planes into each.

    Args:
        drawn_on: flip of the stored planes that gives the picture the labels were drawn on.
        pixels: flip of the stored planes that makes them upright.

    Returns:
        The flip from one picture to the other.

    Example:
        >>> drawn_flip("both", "ud"), drawn_flip("ud", "ud"), drawn_flip("ud", "none")
        ('lr', 'none', 'ud')
    """
    axes = _AXES[drawn_on] ^ _AXES[pixels]
    return next(name for name, own in _AXES.items() if own == axes)


def flip_box(xyxy: Box, size: tuple[int, int], flip: str) -> Box:
    """Turn a box the way its picture is turned; a side that is negative stays so.

    Args:
        xyxy: left, top, right, bottom, pixels.
        size: width and height of the picture.
        flip: ``none | ud | lr | both | transpose``.

    Example:
        >>> flip_box((10, 20, 40, 60), (400, 250), "lr")
        (360, 20, 390, 60)
        >>> flip_box((10, 20, 40, 60), (400, 250), "transpose")
        (20, 10, 60, 40)
    """
    left, top, right, bottom = xyxy
    if flip == "transpose":
        return top, left, bottom, right
    if flip in ("lr", "both"):
        left, right = size[0] - right, size[0] - left
    if flip in ("ud", "both"):
        top, bottom = size[1] - bottom, size[1] - top
    return left, top, right, bottom
