"""A body as sent comes in block by block; what it says comes out in pieces of bounded size.

A small body may unpack to any size, so no step makes more than one piece: both libraries take the
most bytes to make, and keep the rest for the next step.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from service.problems import Problem

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 1 << 20
SLICE_BYTES = 1 << 14  # fed at once: what follows a frame's end is copied once per frame

# To begin a frame takes as long as to unpack thousands of bytes, and an empty one has none that a
# limit would count. Who cuts a body into many frames puts more into each.
MOST_FRAMES, FRAME_BYTES = 10_000, 1 << 12

# RFC 9659: a decoder for the content coding "zstd" supports windows of 8 MiB, and may refuse more.
ZSTD_WINDOW_LOG = 23

CODINGS = ("identity", "gzip", "zstd")


class Decoder(Protocol):
    """Undoes one content coding."""

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Pieces of at most ``PIECE_BYTES``; 400 where the block is not of this coding."""

    def finish(self) -> None:
        """Refuse a body that stops in the middle."""


def build_decoder(coding: str) -> Decoder:
    """Make the decoder of a ``Content-Encoding``.

    Raises:
        Problem: 415, another coding.

    Example:
        >>> import gzip
        >>> decoder = build_decoder("gzip")
        >>> b"".join(decoder.feed(gzip.compress(b"planes")))
        b'planes'
        >>> decoder.finish()
    """
    coding = coding.strip().lower() or "identity"
    if coding == "identity":
        return _Identity()
    if coding in ("gzip", "x-gzip"):
        return _Frames("gzip", _GzipMember)
    if coding == "zstd":
        return _Frames("zstd", _zstd_frame)
    detail = f"found Content-Encoding {coding[:40]!r}, wanted one of {', '.join(CODINGS)}"
    raise Problem(415, "unsupported-coding", detail, {"Accept-Encoding": ", ".join(CODINGS)})


class _Identity:
    """Nothing to undo."""

    def feed(self, block: bytes) -> Iterator[bytes]:
        yield block

    def finish(self) -> None:
        """A body without coding may stop anywhere."""


class _Frame(Protocol):
    """One frame: the interface that the standard library's bounded decompressors share."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class _Frames:
    """Frames end to end, as both codings allow."""

    def __init__(self, coding: str, make: Callable[[], _Frame]) -> None:
        self._coding, self._make = coding, make
        self._frame: _Frame | None = None
        self._frames, self._made = 0, 0

    def feed(self, block: bytes) -> Iterator[bytes]:
        for start in range(0, len(block), SLICE_BYTES):
            rest = block[start : start + SLICE_BYTES]
            while rest:
                if self._frame is None:
                    self._frame = self._begin()
                yield from self._drain(self._frame, rest)
                rest = self._frame.unused_data if self._frame.eof else b""
                if self._frame.eof:
                    self._frame = None

    def _begin(self) -> _Frame:
        if self._frames >= MOST_FRAMES and self._made < self._frames * FRAME_BYTES:
            detail = f"{self._frames} {self._coding} frames have next to nothing in them"
            raise Problem(400, "malformed-body", detail)
        self._frames += 1
        return self._make()

    def _drain(self, frame: _Frame, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = frame.decompress(data, PIECE_BYTES)
            except (zlib.error, zstd.ZstdError) as error:
                detail = f"the body is no {self._coding}: {error}"
                raise Problem(400, "malformed-body", detail) from error
            if piece:
                self._made += len(piece)
                yield piece
            if frame.eof or (frame.needs_input and len(piece) < PIECE_BYTES):
                return
            data = b""

    def finish(self) -> None:
        if self._frame is not None or not self._frames:
            detail = f"the body stops before its {self._coding} frame ends"
            raise Problem(400, "malformed-body", detail)


class _GzipMember:
    """zlib's decompressor with the interface of the others: it keeps what it has not read."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data


def _zstd_frame() -> _Frame:
    option = zstd.DecompressionParameter.window_log_max
    return zstd.ZstdDecompressor(options={option: ZSTD_WINDOW_LOG})
