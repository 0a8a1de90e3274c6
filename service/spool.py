"""Bytes come in from clients; they lie in one folder, counted, and none are left behind."""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from service.problems import Problem
from vidar_det.errors import OutputError

KEPT_FREE_BYTES = 256 << 20
"""Of the disk: a full one breaks more than this service."""

LOOK_BYTES = 16 << 20
"""Promised from one look at the disk to the next."""

FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Spool:
    """The folder that holds everything clients send, within a quota.

    ``incoming`` holds what is not finished; whatever lies there at the start was left by a crash
    and is removed. Finished folders are moved out of it in one step.

    Args:
        folder: made as needed.
        quota_bytes: of all that lies there.

    Attributes:
        incoming: folder of the drafts.
        quota_bytes: as given.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     spool = Spool(Path(home) / "spool", quota_bytes=1 << 20)
        ...     spool.open()
        ...     draft = spool.draft()
        ...     draft.reserve(100)
        ...     used = spool.used_bytes
        ...     draft.discard()
        ...     spool.close()
        ...     used, spool.used_bytes
        (100, 0)
    """

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        self.folder, self.quota_bytes = folder, quota_bytes
        self.incoming = folder / "incoming"
        self._used, self._unseen = 0, 0
        self._lock = threading.Lock()
        self._owned: IO[bytes] | None = None

    def open(self) -> None:
        """Take the folder, and remove what a crash left.

        Raises:
            OutputError: another service runs on the folder, or it cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            owned = (self.folder / "lock").open("ab")
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owned.close()
            raise OutputError(f"{self.folder}: another service runs here") from error
        self._owned = owned
        shutil.rmtree(self.incoming, ignore_errors=True)
        self.incoming.mkdir()
        self._used = _bytes_under(self.folder)

    def close(self) -> None:
        """Let go of the folder."""
        if self._owned is not None:
            self._owned.close()
            self._owned = None

    @property
    def used_bytes(self) -> int:
        """Bytes that lie here or are promised."""
        return self._used

    @property
    def has_room(self) -> bool:
        """Whether a small clip would still be taken."""
        return self._used < self.quota_bytes and self._disk_has_room()

    def draft(self) -> "Draft":
        """Begin a folder, named by chance: no client has a say in it.

        Raises:
            Problem: 507, the spool is full.
        """
        if not self.has_room:
            raise _full(self.quota_bytes)
        draft = Draft(self, secrets.token_hex(16))
        with draft.writing():
            draft.folder.mkdir(mode=0o700)
        return draft

    def reserve(self, count: int) -> None:
        """Promise bytes, before they are written.

        Raises:
            Problem: 507, there is no room for them.
        """
        with self._lock:
            self._unseen += count
            if self._unseen >= LOOK_BYTES and self._disk_has_room():
                self._unseen = 0
            if self._unseen >= LOOK_BYTES or self._used + count > self.quota_bytes:
                raise _full(self.quota_bytes)
            self._used += count

    def release(self, count: int) -> None:
        """Give back bytes that were never written."""
        with self._lock:
            self._used -= count

    def remove(self, *paths: Path) -> None:
        """Delete finished files or folders of files, and give their bytes back.

        A file that lies in another folder too (a hard link) counts until the last one goes.
        """
        with self._lock:
            for path in paths:
                files = [path] if path.is_file() else list(path.glob("*"))
                found = [file.stat() for file in files]
                self._used -= sum(one.st_size for one in found if one.st_nlink == 1)
                path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)

    def _disk_has_room(self) -> bool:
        return shutil.disk_usage(self.folder).free > KEPT_FREE_BYTES


class Draft:
    """A folder that is being filled; it is kept whole or discarded.

    Attributes:
        name: of the folder, 32 hex digits by chance.
        folder: its path.
        reserved_bytes: promised so far.
    """

    def __init__(self, spool: Spool, name: str) -> None:
        self.spool, self.name = spool, name
        self.folder = spool.incoming / name
        self.reserved_bytes = 0

    def reserve(self, count: int) -> None:
        """Promise bytes, before they are written; see ``Spool.reserve``."""
        self.spool.reserve(count)
        self.reserved_bytes += count

    def append(self, file: IO[bytes], block: bytes) -> None:
        """Write a block to a file of this folder.

        Raises:
            Problem: 507, the quota or the disk is full.
        """
        self.reserve(len(block))
        with self.writing():
            file.write(block)

    def write(self, name: str, content: bytes) -> Path:
        """Write a small file into this folder.

        Raises:
            Problem: 507, the quota or the disk is full.
        """
        self.reserve(len(content))
        with self.writing():
            (self.folder / name).write_bytes(content)
        return self.folder / name

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn a full disk into a problem.

        Raises:
            Problem: 507, the disk is full.
        """
        try:
            yield
        except OSError as error:
            if error.errno in FULL_ERRORS:
                raise _full(self.spool.quota_bytes) from error
            raise

    def keep(self, place: Path) -> None:
        """Move the folder out of the drafts, in one step; its bytes stay promised.

        Raises:
            Problem: 507, the disk is full.
        """
        with self.writing():
            for file in self.folder.iterdir():
                _sync(file)
            self.folder.rename(place)
        self.reserved_bytes = 0

    def hand_over(self, file: Path, place: Path) -> None:
        """Move one file out of the drafts, in one step; its bytes stay promised.

        Raises:
            Problem: 507, the disk is full.
        """
        size = file.stat().st_size
        with self.writing():
            _sync(file)
            file.replace(place)
        self.reserved_bytes -= size

    def discard(self) -> None:
        """Remove the folder, and give its bytes back; a second call does nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.spool.release(self.reserved_bytes)
        self.reserved_bytes = 0


def _bytes_under(folder: Path) -> int:
    """Add up the files below the folders of ``folder``, each once, however often it is linked."""
    found = {
        status.st_ino: status.st_size
        for file in folder.glob("*/**/*")
        if stat.S_ISREG((status := file.stat()).st_mode)
    }
    return sum(found.values())


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _full(quota_bytes: int) -> Problem:
    detail = "the service has no room for more; delete clips, or try again later"
    return Problem(507, "spool-full", detail, members={"limit_bytes": quota_bytes})
