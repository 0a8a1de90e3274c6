"""Clips that arrived come in; they stay under names of our own until deleted, unused or replaced.

A client names a clip by its id, and an id is looked up: no path is ever made of what a client says.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.intake import CLIP_FILE, Received
from service.problems import Problem
from service.recordings import open_clip
from service.settings import Settings
from service.spool import Spool
from vidar_det.config import build_spec
from vidar_det.detections.predictions import ClipRecord
from vidar_det.detector.clip_prediction import describe_clip
from vidar_det.errors import VidarError
from vidar_det.spikes.demo import RECORDING_FILE, find_demo
from vidar_det.spikes.selection import recording_warnings
from vidar_det.spikes.sidecar import (
    RecordingOptions,
    complete_options,
    sidecar_path,
    sidecar_text,
)

NOTE_FILE = "clip.json"
DEMO_ID = "demo"


@dataclass(frozen=True)
class ClipNote:
    """What is known about a clip.

    Attributes:
        id: its name, made here.
        size_bytes: of the clip.
        created: when it arrived, ISO 8601.
        clip: geometry and the like.
        warnings: what its reader should know.
        name: what people call it; never part of a path.
    """

    id: str
    size_bytes: int
    created: str
    clip: ClipRecord
    warnings: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Clip:
    """A clip that can be looked at.

    Attributes:
        path: of the file; its sidecar lies beside it.
        note: what is known about it.
        is_ours: came along, and cannot be deleted.
        is_in_place: lies elsewhere on this machine, and may grow.
    """

    path: Path
    note: ClipNote
    is_ours: bool = False
    is_in_place: bool = False


class ClipStore:
    """The clips of one service, on the spool; for one thread, but for what blocks.

    Args:
        spool: where they lie.
        settings: limits, and whether there is a demo.
        clock: seconds since the epoch.
    """

    def __init__(
        self, spool: Spool, settings: Settings, clock: Callable[[], float] = time.time
    ) -> None:
        self._spool, self._settings, self._clock = spool, settings, clock
        self._home = spool.folder / "clips"
        self._clips: dict[str, Clip] = {}
        self._used_at: dict[str, float] = {}
        self._leases: Counter[str] = Counter()
        self._doomed: dict[str, Clip] = {}
        self._reshaping = threading.Lock()

    def open(self) -> None:
        """Find the clips of earlier runs; what is broken is removed."""
        self._home.mkdir(exist_ok=True)
        for folder in sorted(self._home.iterdir()):
            note = _read_note(folder)
            if note is None:
                self._spool.remove(folder)
                continue
            self._clips[note.id] = Clip(folder / CLIP_FILE, note)
            self._used_at[note.id] = folder.stat().st_mtime
        if self._settings.demo:
            self._clips[DEMO_ID] = _demo_clip()

    def notes(self) -> list[ClipNote]:
        """List what there is, oldest first."""
        return sorted((clip.note for clip in self._clips.values()), key=lambda note: note.created)

    def get(self, clip_id: str) -> Clip:
        """Look a clip up.

        Raises:
            Problem: 404, there is none of that id.
        """
        clip = self._clips.get(clip_id)
        if clip is None:
            raise Problem(404, "no-such-clip", f"found no clip {clip_id[:64]!r}")
        return clip

    @contextlib.contextmanager
    def lease(self, clip_id: str) -> Iterator[Clip]:
        """Lend a clip: while it is lent, its file stays, even if somebody deletes it.

        Raises:
            Problem: 404, there is none of that id.
        """
        clip = self.get(clip_id)
        self._leases[clip_id] += 1
        if not clip.is_ours:
            self._used_at[clip_id] = self._clock()
        try:
            yield clip
        finally:
            self._leases[clip_id] -= 1
            if not self._leases[clip_id]:
                del self._leases[clip_id]
                doomed = self._doomed.pop(clip_id, None)
                if doomed is not None:
                    self.erase(doomed)

    def admit(self, received: Received, options: RecordingOptions, name: str = "") -> Clip:
        """Look at a clip that arrived, and keep it; blocking, in any thread.

        Args:
            received: the clip.
            options: what the client said about it.
            name: what people call it.

        Returns:
            The clip, not yet listed: see ``add``.

        Raises:
            VidarError: it is no clip; nothing was kept.
        """
        draft = received.draft
        draft.write(sidecar_path(received.path).name, sidecar_text(options).encode())
        recording = open_clip(received.path, options, self._settings.max_pixels)
        note = ClipNote(
            id=draft.name,
            size_bytes=received.size_bytes,
            created=_moment(self._clock()),
            clip=describe_clip(recording, received.sha256),
            warnings=recording_warnings(recording),
            name=name,
        )
        draft.write(NOTE_FILE, _note_text(note))
        draft.keep(self._home / draft.name)
        return Clip(self._home / draft.name / CLIP_FILE, note)

    def add(self, clip: Clip) -> None:
        """List a clip that was admitted."""
        self._clips[clip.note.id] = clip
        self._used_at[clip.note.id] = self._clock()

    def offer(self, clip: Clip) -> None:
        """List a clip that is not on the spool."""
        self._clips[clip.note.id] = clip

    def replace(self, clip: Clip) -> None:
        """List a clip that was listed, described anew.

        Raises:
            Problem: 404, it was deleted meanwhile.
        """
        self.get(clip.note.id)
        self._clips[clip.note.id] = clip

    def reshape(self, clip: Clip, options: RecordingOptions) -> Clip:
        """Read a clip with another geometry from now on; blocking, in any thread.

        Args:
            clip: what is listed.
            options: what its bytes do not say; what they leave open stays as it was.

        Returns:
            The clip, not yet listed: see ``replace``.

        Raises:
            Problem: 403, it came along; 507, the spool is full.
            VidarError: it cannot be read so; nothing has changed.
        """
        if clip.is_ours and not clip.is_in_place:
            raise Problem(403, "clip-is-ours", f"clip {clip.note.id!r} came along and stays")
        with self._reshaping:
            recording = open_clip(clip.path, options, self._settings.max_pixels)
            sidecar = sidecar_text(complete_options(clip.path, options))
            note = dataclasses.replace(
                clip.note,
                clip=describe_clip(recording, clip.note.clip.sha256),
                warnings=recording_warnings(recording),
            )
            contents = {sidecar_path(clip.path): sidecar.encode()}
            if not clip.is_in_place:
                contents[clip.path.parent / NOTE_FILE] = _note_text(note)
            self._rewrite(clip, contents)
        return dataclasses.replace(clip, note=note)

    def remove(self, clip_id: str) -> Clip | None:
        """Take a clip off the list.

        Returns:
            The clip, to be erased; None while somebody uses it: the last one to let go erases it.

        Raises:
            Problem: 404, there is none of that id; 403, it came along.
        """
        clip = self.get(clip_id)
        if clip.is_ours:
            raise Problem(403, "clip-is-ours", f"clip {clip_id!r} came along and stays")
        del self._clips[clip_id]
        self._used_at.pop(clip_id, None)
        if self._leases[clip_id]:
            self._doomed[clip_id] = clip
            return None
        return clip

    def erase(self, clip: Clip) -> None:
        """Delete the files of a clip that was removed; blocking, in any thread."""
        self._spool.remove(clip.path.parent)

    def expire(self) -> list[Clip]:
        """Take the clips off the list that nobody used for long; they are to be erased."""
        for clip_id, used_at in self._used_at.items():  # a restart does not make them younger
            with contextlib.suppress(FileNotFoundError):
                os.utime(self._home / clip_id, (used_at, used_at))
        oldest = self._clock() - self._settings.max_age_s
        idle = [
            clip_id
            for clip_id, used_at in self._used_at.items()
            if used_at < oldest and not self._leases[clip_id]
        ]
        return [clip for clip_id in idle if (clip := self.remove(clip_id)) is not None]

    def _rewrite(self, clip: Clip, contents: dict[Path, bytes]) -> None:
        """Replace small files beside a clip, each in one step, and count how they grew."""
        draft = self._spool.draft()
        try:
            for file, content in contents.items():
                draft.write(file.name, content)
            for file, content in contents.items():
                counted = len(content) if clip.is_in_place else file.stat().st_size
                draft.hand_over(draft.folder / file.name, file)
                self._spool.release(counted)  # what lies in place is not counted at all
        finally:
            draft.discard()


def hidden_folders(spool: Spool) -> tuple[Path, ...]:
    """Folders of this machine that hold clips, and that no answer names."""
    return spool.folder, find_demo()


def _note_text(note: ClipNote) -> bytes:
    return json.dumps(dataclasses.asdict(note)).encode()


def _read_note(folder: Path) -> ClipNote | None:
    """Read what is known about a stored clip; None where it is not whole."""
    try:
        mapping = json.loads((folder / NOTE_FILE).read_text(encoding="utf-8"))
        note = build_spec(ClipNote, mapping, str(folder / NOTE_FILE))
        is_whole = (folder / CLIP_FILE).stat().st_size == note.size_bytes
    except (OSError, ValueError, VidarError):
        return None
    return note if is_whole and note.id == folder.name else None


def _demo_clip() -> Clip:
    path = find_demo() / RECORDING_FILE
    content = path.read_bytes()
    recording = open_clip(path, RecordingOptions(), max_pixels=len(content) * 8)
    clip = describe_clip(recording, hashlib.sha256(content).hexdigest())
    created = _moment(path.stat().st_mtime)
    note = ClipNote(DEMO_ID, len(content), created, clip, name=RECORDING_FILE)
    return Clip(path, note, is_ours=True)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
