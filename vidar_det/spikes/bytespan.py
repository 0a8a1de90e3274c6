"""Files come in; one run of bytes, mapped and readable across their borders, comes out."""

import bisect
import itertools
import mmap
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vidar_det.errors import SourceError

Bytes = npt.NDArray[np.uint8]

OPEN_MAPS = 8  # a folder may hold thousands of files; each map keeps a file descriptor
FAULT_AROUND = 1 << 16  # a read maps the 64 KiB around it, pages that were given back among them


class FileBytes(Protocol):
    """Bytes of files, end to end: mapped (``ByteSpan``), or read as they grow.

    Attributes:
        size: bytes altogether.
    """

    size: int

    def read(self, start: int, stop: int) -> Bytes:
        """Bytes ``start .. stop``."""

    def part_end(self, offset: int) -> int:
        """One past the last byte that can be read together with ``offset``."""

    def gather(self, offsets: npt.NDArray[np.int64]) -> Bytes:
        """Pick single bytes."""

    def release(self, start: int, stop: int) -> None:
        """These bytes are not needed for now."""


class ByteSpan:
    """The bytes of one or more files, end to end, as they are when it is made.

    Nothing is read before it is asked for. A range inside one file is a view of the mapped
    file; a range over a border is a copy. Several threads may read. A file must not shrink while
    it is open: the operating system ends a process that touches mapped bytes that are gone.

    Attributes:
        paths: the files, in order.
        size: bytes altogether.

    Raises:
        SourceError: a file is missing or unreadable, or there are no bytes at all.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        sizes = [_file_size(path) for path in paths]
        self._starts = [0]
        for size in sizes:
            self._starts.append(self._starts[-1] + size)
        self.size = self._starts[-1]
        self._maps: OrderedDict[int, mmap.mmap] = OrderedDict()
        self._lock = threading.Lock()
        if self.size == 0:
            names = ", ".join(str(path) for path in self.paths)
            raise SourceError(f"{names}: found 0 bytes, wanted a recording")

    def part_end(self, offset: int) -> int:
        """One past the last byte that lies in the same file as ``offset``."""
        return self._starts[self._part(offset) + 1]

    def read(self, start: int, stop: int) -> Bytes:
        """Bytes ``start .. stop``: a read-only view where one file holds them, else a copy."""
        if start >= stop:
            return np.empty(0, np.uint8)
        if stop <= self.part_end(start):
            part = self._part(start)
            first = start - self._starts[part]
            return self._view(part)[first : first + stop - start]
        pieces = []
        while start < stop:
            end = min(stop, self.part_end(start))
            pieces.append(self.read(start, end))
            start = end
        return np.concatenate(pieces)

    def gather(self, offsets: npt.NDArray[np.int64]) -> Bytes:
        """Pick single bytes: ``(n,) int64`` sorted offsets to ``(n,) uint8``."""
        found = np.empty(len(offsets), np.uint8)
        edges = np.searchsorted(offsets, self._starts)
        for part, (first, last) in enumerate(itertools.pairwise(edges)):
            if first < last:
                found[first:last] = self._view(part)[offsets[first:last] - self._starts[part]]
        return found

    def release(self, start: int, stop: int) -> None:
        """Give the mapped pages inside ``start .. stop`` back; a later read maps them again."""
        with self._lock:
            mapped = list(self._maps.items())
        for part, view in mapped:
            first = max(start - self._starts[part], 0)
            last = min(stop, self._starts[part + 1]) - self._starts[part]
            first -= first % FAULT_AROUND
            if hasattr(view, "madvise") and first < last:
                view.madvise(mmap.MADV_DONTNEED, first, last - first)

    def _part(self, offset: int) -> int:
        return bisect.bisect_right(self._starts, offset, hi=len(self.paths)) - 1

    def _view(self, part: int) -> Bytes:
        with self._lock:
            if part not in self._maps:
                self._maps[part] = self._map(part)
                if len(self._maps) > OPEN_MAPS:
                    self._maps.popitem(last=False)
            self._maps.move_to_end(part)
            return np.frombuffer(self._maps[part], np.uint8)

    def _map(self, part: int) -> mmap.mmap:
        path, size = self.paths[part], self._starts[part + 1] - self._starts[part]
        try:
            with path.open("rb") as file:
                return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise SourceError(f"{path}: cannot be read: {error}") from error


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
