"""A layout's name and a geometry come in; the place of every pixel's bit in a plane comes out."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vidar_det.config import did_you_mean
from vidar_det.errors import ConfigError, GeometryError

Planes = npt.NDArray[np.uint8]
Cells = TypeVar("Cells", bound=np.generic)

CAMERA_LAYOUTS = ("plain", "row-padded", "m1k40")
ARRAY_LAYOUTS = ("array-thw", "array-hwt", "time-packed", "row-packed")
LAYOUTS = CAMERA_LAYOUTS + ARRAY_LAYOUTS
FLIPS = ("none", "ud", "lr", "both")

ROW_PADDING_BITS = 32  # 400 pixels lie in 416 bits; other widths are inferred from this one camera
M1K40_SIDE = 1000


@dataclass(frozen=True)
class PlaneFormat:
    """Where the pixels of one packed plane lie; bits count from the least significant.

    Attributes:
        width: pixels per row.
        height: rows.
        row_bits: bits from one row's start to the next.
        spans: the bits of a row that are pixels, as ``(first, past the last)`` pairs.

    Example:
        >>> plane_format("row-padded", width=400, height=250).plane_bytes
        13000
    """

    width: int
    height: int
    row_bits: int
    spans: tuple[tuple[int, int], ...]

    @property
    def plane_bytes(self) -> int:
        """Bytes of a plane; the last byte is filled up with zeros."""
        return -(-self.height * self.row_bits // 8)

    @property
    def row_bytes(self) -> int | None:
        """Bytes of a row, where rows are whole bytes and begin with the image; else None."""
        aligned = self.row_bits % 8 == 0 and self.spans == ((0, self.width),)
        return self.row_bits // 8 if aligned else None

    def crop(self, cells: npt.NDArray[Cells]) -> npt.NDArray[Cells]:
        """Keep the image of ``(n, plane_bytes * 8)`` cells (bits or counts): ``(n, H, W)``."""
        rows = cells[:, : self.height * self.row_bits].reshape(-1, self.height, self.row_bits)
        parts = [rows[:, :, first:last] for first, last in self.spans]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def unpack(self, packed: Planes) -> Planes:
        """Packed planes ``(n, plane_bytes)`` to ``(n, H, W)``, as stored (not flipped)."""
        return self.crop(np.unpackbits(packed, axis=1, bitorder="little"))

    def pack(self, planes: npt.NDArray[np.generic]) -> Planes:
        """Planes ``(n, H, W)`` of 0 and 1, as stored, to ``(n, plane_bytes)``."""
        rows = np.zeros((len(planes), self.height, self.row_bits), np.uint8)
        column = 0
        for first, last in self.spans:
            rows[:, :, first:last] = planes[:, :, column : column + last - first]
            column += last - first
        return np.packbits(rows.reshape(len(planes), -1), axis=1, bitorder="little")


def plane_format(layout: str, width: int, height: int) -> PlaneFormat:
    """Look up how a layout that stores whole planes of bits places the pixels.

    Args:
        layout: ``plain``, ``row-padded``, ``m1k40`` or ``row-packed``.
        width: pixels per row.
        height: rows.

    Raises:
        GeometryError: an impossible geometry, or a layout without packed planes.

    Example:
        >>> plane_format("plain", width=400, height=250).plane_bytes
        12500
    """
    if width < 1 or height < 1:
        raise GeometryError(f"{layout}: found {width}x{height} pixels, wanted at least 1x1")
    image = ((0, width),)
    if layout == "plain":
        return PlaneFormat(width, height, width, image)
    if layout == "row-padded":
        return PlaneFormat(width, height, _round_up(width, ROW_PADDING_BITS), image)
    if layout == "row-packed":
        return PlaneFormat(width, height, _round_up(width, 8), image)
    if layout != "m1k40":
        raise GeometryError(f"layout {layout!r} has no packed planes")
    if (width, height) != (M1K40_SIDE, M1K40_SIDE):
        raise GeometryError(f"m1k40: found {width}x{height} pixels, wanted 1000x1000")
    return PlaneFormat(width, height, 1024, ((0, 500), (512, 1012)))


def check_layout(layout: str) -> None:
    """Refuse a name that is no layout.

    Raises:
        GeometryError: with the nearest name.
    """
    if layout not in LAYOUTS:
        raise GeometryError(f"layout: found {layout!r}{did_you_mean(layout, LAYOUTS)}")


def resolve_flip(flip: str, layout: str) -> str:
    """Turn ``auto`` into what the layout's recordings usually need.

    Raises:
        ConfigError: a name that is no flip.

    Example:
        >>> resolve_flip("auto", "plain"), resolve_flip("auto", "array-hwt")
        ('ud', 'none')
    """
    if flip == "auto":
        return "ud" if layout in CAMERA_LAYOUTS else "none"
    if flip not in FLIPS:
        raise ConfigError(f"flip: found {flip!r}{did_you_mean(flip, ('auto', *FLIPS))}")
    return flip


def flipped(planes: npt.NDArray[Cells], flip: str) -> npt.NDArray[Cells]:
    """View ``(..., H, W)`` flipped; applied twice it changes nothing.

    Example:
        >>> flipped(np.array([[1, 2], [3, 4]]), "ud").tolist()
        [[3, 4], [1, 2]]
    """
    rows = slice(None, None, -1 if flip in ("ud", "both") else 1)
    columns = slice(None, None, -1 if flip in ("lr", "both") else 1)
    return planes[..., rows, columns]


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
