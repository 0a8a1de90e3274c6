"""A body comes in as sent, block by block; its clip lies on the spool, decoded, counted and hashed.

Plain blocking code for a worker thread: ``uploads`` feeds it from the event loop.
"""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from service.decoding import build_decoder
from service.multipart import ClipPart
from service.problems import too_large
from service.spool import Draft, Spool

CLIP_FILE = "clip.dat"


@dataclass(frozen=True)
class Received:
    """A clip that arrived.

    Attributes:
        draft: the folder that holds it.
        path: the clip.
        size_bytes: of the clip.
        sha256: of the clip, hexadecimal.
    """

    draft: Draft
    path: Path
    size_bytes: int
    sha256: str


class Intake:
    """Takes one clip in.

    Args:
        spool: where it shall lie.
        content_type: ``multipart/...`` or anything else for the clip as it is.
        coding: ``Content-Encoding``.
        limit_bytes: of the body once decoded.

    Raises:
        Problem: 415, an unknown coding; 400, no boundary; 507, the spool is full.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     spool = Spool(Path(home), quota_bytes=1 << 20)
        ...     spool.open()
        ...     intake = Intake(spool, "application/octet-stream", "identity", limit_bytes=99)
        ...     intake.feed(b"planes")
        ...     received = intake.finish()
        ...     received.path.read_bytes(), received.sha256[:8]
        ...     spool.close()
        (b'planes', '5003f9b6')
    """

    def __init__(self, spool: Spool, content_type: str, coding: str, limit_bytes: int) -> None:
        self._decoder = build_decoder(coding)
        is_multipart = content_type.lower().startswith("multipart/")
        self._part = ClipPart(content_type) if is_multipart else None
        self._limit_bytes = limit_bytes
        self._decoded, self._size = 0, 0
        self._digest = hashlib.sha256()
        self._draft = spool.draft()
        self._path = self._draft.folder / CLIP_FILE
        try:
            with self._draft.writing():
                self._file = self._path.open("wb")
        except BaseException:
            self._draft.discard()
            raise

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            Problem: 413, the body is too large once decoded; 507, the spool is full; 400, the body
                is not of its coding; 422, a part that is not wanted.
        """
        for piece in self._decoder.feed(block):
            self._decoded += len(piece)
            if self._decoded > self._limit_bytes:
                raise too_large("the decoded body", self._limit_bytes)
            if self._part is None:
                self._write(piece)
            else:
                for data in self._part.feed(piece):
                    self._write(data)

    def finish(self) -> Received:
        """Check that the body is whole, and hand the clip over.

        Raises:
            Problem: 400, it stops in the middle; 422, it holds no clip.
        """
        self._decoder.finish()
        if self._part is not None:
            self._part.finish()
        with self._draft.writing():
            self._file.close()
        return Received(self._draft, self._path, self._size, self._digest.hexdigest())

    def abort(self) -> None:
        """Remove what arrived."""
        with contextlib.suppress(OSError):  # a full disk: nobody wants the rest any more
            self._file.close()
        self._draft.discard()

    def _write(self, data: bytes) -> None:
        self._draft.append(self._file, data)
        self._digest.update(data)
        self._size += len(data)
