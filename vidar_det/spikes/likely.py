"""A camera file of unknown geometry comes in; the ways to read it go out, the likeliest first.

``open_recording`` refuses where it is in doubt; this is for asking a person, who sees at once.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidar_det.spikes.bytespan import ByteSpan
from vidar_det.spikes.guess import KNOWN_GEOMETRIES, PADDED_GEOMETRIES, row_correlation
from vidar_det.spikes.layouts import M1K40_SIDE, PlaneFormat, plane_format
from vidar_det.spikes.m1k40 import PLANE_BYTES, find_plane
from vidar_det.spikes.recording import recording_files
from vidar_det.spikes.sidecar import Layout, RecordingOptions

SEARCHED_BYTES = 8 * PLANE_BYTES
EXACT_BONUS = 0.1
"""A size of whole planes counts as much as so much more correlation between rows."""


@dataclass(frozen=True)
class LikelyGeometry:
    """A way to read a file.

    Attributes:
        layout: ``plain``, ``row-padded`` or ``m1k40``.
        width: pixels per row.
        height: rows.
        planes: whole ones.
        trailing_bytes: left over after them.
        likeness: how much neighbouring rows correlate, -1 to 1: pictures are smooth.
    """

    layout: Layout
    width: int
    height: int
    planes: int
    trailing_bytes: int
    likeness: float

    def __str__(self) -> str:
        """Name layout and size, for people."""
        return f"{self.layout} {self.width}x{self.height}"


def likely_geometries(
    path: Path, options: RecordingOptions | None = None, size_bytes: int | None = None
) -> tuple[LikelyGeometry, ...]:
    """Rank the ways to read a file of packed planes.

    Args:
        path: file, folder of numbered files, or the first bytes of a file.
        options: width and height together add a geometry of the user's own.
        size_bytes: of the whole file, where ``path`` holds only its beginning.

    Returns:
        Ways of which at least one plane is there, the likeliest first.

    Raises:
        SourceError: missing or empty.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     path = Path(home) / "clip.dat"
        ...     _ = path.write_bytes(bytes(3 * 12_500))
        ...     [str(one) for one in likely_geometries(path)]
        ['plain 400x250', 'plain 600x400', 'row-padded 400x250']
    """
    span = ByteSpan(recording_files(path)[0])
    size = span.size if size_bytes is None else size_bytes
    found = [_judge(span, size, layout, form) for layout, form in _forms(options)]
    found = [one for one in found if one.planes > 0]
    if find_plane(span, 0, SEARCHED_BYTES) is not None:  # its trailers cannot be mistaken
        planes, rest = divmod(size, PLANE_BYTES)
        found.append(LikelyGeometry("m1k40", M1K40_SIDE, M1K40_SIDE, planes, rest, 1.0))
    return tuple(sorted(found, key=_likelihood, reverse=True))


def _forms(options: RecordingOptions | None) -> list[tuple[Layout, PlaneFormat]]:
    plain, padded = list(KNOWN_GEOMETRIES), list(PADDED_GEOMETRIES)
    if options and options.width and options.height:
        own = (options.width, options.height)
        plain, padded = (
            [*{own: None, **dict.fromkeys(plain)}],
            [*{own: None, **dict.fromkeys(padded)}],
        )
    forms: list[tuple[Layout, PlaneFormat]] = [
        ("plain", plane_format("plain", *pair)) for pair in plain
    ]
    for pair in padded:
        form = plane_format("row-padded", *pair)
        if form.row_bits != form.width:
            forms.append(("row-padded", form))
    return forms


def _judge(span: ByteSpan, size: int, layout: Layout, form: PlaneFormat) -> LikelyGeometry:
    planes, rest = divmod(size, form.plane_bytes)
    score = float(np.nan_to_num(row_correlation(span, form), nan=0.0))
    return LikelyGeometry(layout, form.width, form.height, planes, rest, round(score, 4))


def _likelihood(one: LikelyGeometry) -> float:
    return one.likeness + (EXACT_BONUS if one.trailing_bytes == 0 else 0.0)
