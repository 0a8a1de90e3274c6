"""Files that a camera still writes come in; their bytes, end to end, go out as they grow."""

import bisect
import os
import threading
import weakref
import zlib
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidar_det.errors import SourceError

Bytes = npt.NDArray[np.uint8]

PROOF_BYTES = 16_384  # the last bytes that were seen of a file tell whether they are still there


class CutOffError(SourceError):
    """A file became shorter while it was read."""


@dataclass(frozen=True)
class Seen:
    """A file as it was when it was last looked at.

    Attributes:
        identity: what the file system calls it.
        size: bytes.
        modified_ns: when it was last written to.
        proof: a checksum of its last bytes.
    """

    identity: tuple[int, int]
    size: int
    modified_ns: int
    proof: int


class GrowingFile:
    """One file, held open: it can be read to its end when it was renamed or removed.

    Attributes:
        number: in its folder; 0 for a file that is the whole recording.
        path: its name when it was opened.
        seen: what it was like when it was last looked at.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(self, number: int, path: Path) -> None:
        self.number, self.path = number, path
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
        weakref.finalize(self, os.close, self._descriptor)
        self.seen = self._note(os.fstat(self._descriptor))

    def grow(self) -> int | None:
        """Take what was appended.

        Returns:
            How many bytes; None where what was seen before is gone: the file became shorter, or
            was written anew.

        Raises:
            SourceError: its disk fails.
        """
        before = self.seen
        try:
            now = os.fstat(self._descriptor)
            if (now.st_size, now.st_mtime_ns) == (before.size, before.modified_ns):
                return 0
            if not self.continues(before):
                return None
            self.seen = self._note(now)
        except OSError as error:
            raise SourceError(f"{self.path}: cannot be read: {error.strerror}") from error
        return self.seen.size - before.size

    def continues(self, before: Seen) -> bool:
        """Whether what was seen before is still there."""
        now = os.fstat(self._descriptor)
        return now.st_size >= before.size and self._proof(before.size) == before.proof

    def read(self, target: Bytes, start: int) -> None:
        """Fill ``target`` with the bytes from ``start`` on.

        Raises:
            CutOffError: there are no such bytes any more.
            SourceError: they cannot be read.
        """
        while len(target):
            try:
                count = os.preadv(self._descriptor, [target.data], start)
            except OSError as error:
                raise SourceError(f"{self.path}: cannot be read: {error.strerror}") from error
            if count == 0:
                raise CutOffError(f"{self.path}: became shorter while it was read")
            target, start = target[count:], start + count

    def _note(self, now: os.stat_result) -> Seen:
        proof = self._proof(now.st_size)
        return Seen((now.st_dev, now.st_ino), now.st_size, now.st_mtime_ns, proof)

    def _proof(self, size: int) -> int:
        """Sum up the last of ``size`` bytes; those that are gone are left out."""
        start = max(0, size - PROOF_BYTES)
        return zlib.crc32(os.pread(self._descriptor, size - start, start))


class GrowingBytes:
    """The bytes of growing files, end to end; never mapped, for a map of a file that shrinks kills.

    Bytes keep their place when files before them are forgotten. One thread adds files, lets them
    grow and forgets them, while any others read what is not forgotten.

    Attributes:
        size: bytes altogether, forgotten ones too.
    """

    def __init__(self) -> None:
        self.size = 0
        self._parts: tuple[tuple[int, GrowingFile], ...] = ()  # first byte and file; never changed
        self._local = threading.local()

    @property
    def last(self) -> GrowingFile | None:
        """The file that may still grow."""
        return self._parts[-1][1] if self._parts else None

    def append(self, file: GrowingFile) -> None:
        """Let a file follow the last one."""
        self._parts = (*self._parts, (self.size, file))
        self.size += file.seen.size

    def grow(self) -> int | None:
        """Take what was appended to the last file; see ``GrowingFile``."""
        came = self.last.grow() if self.last else 0
        self.size += came or 0
        return came

    def forget(self, stop: int) -> None:
        """Close the files that lie wholly before byte ``stop``."""
        while len(self._parts) > 1 and self._parts[1][0] <= stop:
            self._parts = self._parts[1:]

    def read(self, start: int, stop: int) -> Bytes:
        """Bytes ``start .. stop``, in memory that the thread's next reading uses again.

        Raises:
            CutOffError: a file became shorter.
        """
        found = self._memory(stop - start)
        done, parts = 0, self._parts
        while start + done < stop:
            part = bisect.bisect_right(parts, start + done, key=itemgetter(0)) - 1
            first, file = parts[part]
            at = start + done - first
            count = min(stop - start - done, file.seen.size - at)
            file.read(found[done : done + count], at)
            done += count
        return found

    def part_end(self, offset: int) -> int:
        """All bytes can be read together."""
        return self.size

    def gather(self, offsets: npt.NDArray[np.int64]) -> Bytes:
        """Pick single bytes: ``(n,) int64`` offsets to ``(n,) uint8``."""
        return np.array([self.read(at, at + 1)[0] for at in offsets.tolist()], np.uint8)

    def release(self, start: int, stop: int) -> None:
        """Nothing is mapped."""

    def _memory(self, size: int) -> Bytes:
        held: Bytes | None = getattr(self._local, "memory", None)
        if held is None or len(held) < size:
            held = self._local.memory = np.empty(size, np.uint8)
        return held[:size]
