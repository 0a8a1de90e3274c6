"""A recording of any length comes in; its firing rate over time goes out, piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass

from vidar_det.spikes.stream import SpikeStream

COLUMNS = 512
SAMPLED_PLANES = 8
"""Of each column: 51 MB of a recording of any size at 400x250."""

PIECE_COLUMNS = 32


@dataclass(frozen=True)
class StripPiece:
    """Neighbouring columns of the strip.

    Attributes:
        first: the first one's number.
        columns: of the whole strip.
        rates: spikes per pixel and readout in each, 0 to 1.
    """

    first: int
    columns: int
    rates: tuple[float, ...]


def rate_strip(recording: SpikeStream) -> Iterator[StripPiece]:
    """Sample the firing rate over a whole recording.

    Every column looks at a few planes in the middle of its share: what is between them is not
    read. A short recording has fewer columns.

    Yields:
        Pieces in order, each computed when it is asked for.

    Example:
        >>> import numpy as np
        >>> from vidar_det.spikes.stream import Sensor
        >>> planes = np.ones((16, 2, 2), np.uint8)
        >>> [piece.rates for piece in rate_strip(SpikeStream.from_planes(planes, Sensor(2, 2)))]
        [(1.0, 1.0)]
    """
    planes = len(recording)
    columns = max(1, min(COLUMNS, planes // SAMPLED_PLANES))
    for first in range(0, columns, PIECE_COLUMNS):
        last = min(first + PIECE_COLUMNS, columns)
        rates = tuple(
            _rate(recording, (2 * column + 1) / (2 * columns)) for column in range(first, last)
        )
        yield StripPiece(first, columns, rates)


def _rate(recording: SpikeStream, place: float) -> float:
    """Mean rate of a few planes around a place, 0 to 1, of the recording."""
    planes, height, width = recording.shape
    count = min(SAMPLED_PLANES, planes)
    start = min(max(0, int(place * planes) - count // 2), planes - count)
    spikes = int(recording.counts(start, start + count, 1).sum())
    recording.store.release(start, start + count)
    return round(spikes / (count * height * width), 5)
