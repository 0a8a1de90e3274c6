"""A camera's bytes and options come in; the recording that they hold by now goes out."""

import re
from pathlib import Path

from vidar_det.config import build_spec
from vidar_det.errors import FormatError
from vidar_det.spikes.bytespan import FileBytes
from vidar_det.spikes.guess import guess_camera_layout
from vidar_det.spikes.layouts import M1K40_SIDE, plane_format, resolve_flip
from vidar_det.spikes.m1k40 import PLANE_BYTES, PlaneIndex, PlaneIndexer, find_plane
from vidar_det.spikes.sidecar import DEFAULT_RATE_HZ, RecordingOptions
from vidar_det.spikes.stores import PackedStore, Run
from vidar_det.spikes.stream import RecordingReport, Sensor, SpikeStream

M1K40_SNIFFED_BYTES = 8 * PLANE_BYTES  # searched for a plane's start where the layout is unknown
# Event files of another vendor: they open with ASCII lines that begin with a per cent sign.
PROPHESEE_HEADER = re.compile(rb"%[\x20-\x7e\t]{3,}\r?\n")


class CameraReader:
    """Reads plain, row-padded or m1k40 bytes; what they are is found out once.

    Args:
        path: what messages call the recording.
        span: its bytes; they may grow afterwards.
        options: what is known of it.
        warnings: what is known to be odd about its files.

    Attributes:
        options: what is known now.

    Raises:
        FormatError: no Vidar recording, or shorter than one plane.
        GeometryError: no geometry or layout fits, or several do.
    """

    def __init__(
        self,
        path: Path,
        span: FileBytes,
        options: RecordingOptions,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self._path, self._span, self._warnings = path, span, warnings
        if PROPHESEE_HEADER.match(span.read(0, min(span.size, 4096)).tobytes()):
            raise FormatError(f"{path}: found a Prophesee event file, wanted a Vidar recording")
        layout = "m1k40"
        if options.layout == layout or _looks_like_m1k40(span, options):
            side = M1K40_SIDE
            self._form = plane_format(layout, options.width or side, options.height or side)
        else:
            chosen, doubts = guess_camera_layout(span, options, str(path))
            layout, self._form = chosen.layout, chosen.form
            self._warnings = (*warnings, *doubts)
        flip, rate_hz = resolve_flip(options.flip, layout), options.rate_hz or DEFAULT_RATE_HZ
        known = {"layout": layout, "flip": flip, "rate_hz": rate_hz}
        size = {"width": self._form.width, "height": self._form.height}
        self.options = build_spec(RecordingOptions, {**known, **size}, str(path))
        self._indexer = PlaneIndexer()
        self._store: PackedStore | None = None

    def read(self) -> SpikeStream:
        """Give the recording as long as its bytes are now, without looking at all of them again.

        Raises:
            FormatError: shorter than one plane.
        """
        index = self._index()
        form, options = self._form, self.options
        assert options.rate_hz is not None  # set at birth
        warnings = self._warnings
        if options.layout != "m1k40" and index.trailing_bytes:
            count = index.trailing_bytes
            told = f"{count} trailing bytes are no whole plane of {form.plane_bytes} and dropped"
            warnings = (*warnings, told)
        self._store = PackedStore(self._span, form, index.runs, options.flip)
        return SpikeStream(
            store=self._store,
            sensor=Sensor(form.width, form.height, options.rate_hz),
            report=RecordingReport(
                leading_bytes=index.leading_bytes,
                trailing_bytes=index.trailing_bytes,
                resyncs=index.resyncs,
                lost_planes=sum(hole.planes for hole in index.holes),
                warnings=warnings,
            ),
            path=self._path,
            layout=options.layout,
            flip=options.flip,
            holes=index.holes,
        )

    def offset(self, plane: int) -> int:
        """Byte at which a plane begins that was there at the last reading."""
        assert self._store is not None
        return self._store.offset(plane)

    def _index(self) -> PlaneIndex:
        size = self._span.size
        if self.options.layout == "m1k40":
            index = self._indexer.index(self._span)
            if index is None:
                raise FormatError(
                    f"{self._path}: found {size} bytes without one whole m1k40 plane, "
                    f"wanted {PLANE_BYTES} bytes whose block trailers count from line 500"
                )
            return index
        planes, trailing = divmod(size, self._form.plane_bytes)
        return PlaneIndex((Run(0, planes),), (), 0, 0, trailing)


def _looks_like_m1k40(span: FileBytes, options: RecordingOptions) -> bool:
    side = (None, M1K40_SIDE)
    possible = options.layout == "auto" and options.width in side and options.height in side
    return possible and find_plane(span, 0, M1K40_SNIFFED_BYTES) is not None
