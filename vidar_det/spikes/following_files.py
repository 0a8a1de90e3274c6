"""A path that a camera writes to comes in; the bytes to read, in order, go out look by look."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from vidar_det.errors import FormatError, SourceError
from vidar_det.spikes.following_bytes import GrowingBytes, GrowingFile, Seen
from vidar_det.spikes.recording import recording_files

Report = Callable[[str], None]
"""Told what a reader should know, one sentence each."""

Finding = Literal["nothing", "grew", "anew"]

FILES_AT_ONCE = 64  # taken in one look: each is held open until it was read


class FollowedFiles:
    """Tells which bytes belong to a recording, whatever becomes of its files.

    A file that is appended to grows, and a file with a higher number follows. A file that became
    shorter, was written anew or was replaced begins a new recording, once the old file was read to
    its end. What comes late, in a file with a lower number or in one that others follow, is not
    read. Files that were removed were read before, for they are held open.

    Args:
        path: a file, or a folder of numbered files; it need not be there yet.
        report: told of what does not simply grow.

    Attributes:
        span: the bytes since the recording last began anew.
        trouble: why nothing can be listed at present.
    """

    def __init__(self, path: Path, report: Report) -> None:
        self.path, self._report = path, report
        self.span = GrowingBytes()
        self.trouble: SourceError | FormatError | None = None
        self._newest: GrowingFile | None = None
        self._taken: dict[int, Seen] = {}

    def look(self) -> Finding:
        """Take what has come: from the last file first, then what follows it or replaces it."""
        listed, last = self._list(), self.span.last
        came = self.span.grow()
        if last is not None and came is None:
            self._begin_anew(last.path)
            del self._taken[last.number]
            return "anew"
        if last is not None and came:
            self._taken[last.number] = last.seen
            return "grew"
        finding: Finding = "nothing"
        try:
            for number in self._fresh(listed)[:FILES_AT_ONCE]:
                taken = self._take(number, listed[number])
                finding = finding if taken == "nothing" or finding == "anew" else taken
        except SourceError as error:
            self.trouble = error
        return finding

    @property
    def _number(self) -> int:
        return -1 if self._newest is None else self._newest.number

    def _list(self) -> dict[int, Path]:
        """List the files by number; forget those that are gone."""
        try:
            if not self.path.exists():
                raise SourceError(f"{self.path}: found nothing, wanted a recording")  # noqa: TRY301
            files, is_folder = recording_files(self.path)[0], self.path.is_dir()
        except (SourceError, FormatError) as error:
            self.trouble = error
            return {}
        except OSError as error:
            self.trouble = SourceError(f"{self.path}: cannot be read: {error.strerror}")
            return {}
        self.trouble = None
        listed = {int(file.stem) if is_folder else 0: file for file in files}
        kept = listed.keys() | {self._number}
        self._taken = {number: seen for number, seen in self._taken.items() if number in kept}
        return listed

    def _fresh(self, listed: dict[int, Path]) -> list[int]:
        """Numbers of the files that are new or were written anew; empty ones are waited for."""
        return [number for number in sorted(listed) if self._is_fresh(number, listed[number])]

    def _is_fresh(self, number: int, path: Path) -> bool:
        seen = self._taken.get(number)
        try:
            now = path.stat()
        except OSError:  # gone again
            return False
        if now.st_size == 0 or seen is None:
            return now.st_size > 0
        if (now.st_dev, now.st_ino) != seen.identity:
            return True
        if number == self._number or (now.st_size, now.st_mtime_ns) == (
            seen.size,
            seen.modified_ns,
        ):
            return False
        file = GrowingFile(number, path)
        if not file.continues(seen):
            return True
        if file.seen.size > seen.size:
            self._report(f"{path}: grew when others followed it; what came late is not read")
        self._taken[number] = file.seen
        return False

    def _take(self, number: int, path: Path) -> Finding:
        """Append a file, or begin anew at it."""
        file, newest = GrowingFile(number, path), self._newest
        is_known = number in self._taken
        self._taken[number] = file.seen
        if newest is not None and number < newest.number and not is_known:
            self._report(f"{path}: came after {newest.path.name} and is not read")
            return "nothing"
        begins_anew = self.span.last is not None and number <= self._number
        if begins_anew:
            self._begin_anew(path)
        elif newest is not None and number > newest.number + 1:
            self._report(f"{newest.path.name} is followed by {path.name}; read as adjoining")
        self._newest = file
        self.span.append(file)
        return "anew" if begins_anew else "grew"

    def _begin_anew(self, path: Path) -> None:
        self._report(f"{path}: became shorter or was replaced; read from its beginning again")
        self.span = GrowingBytes()
