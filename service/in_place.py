"""A recording anywhere on this machine comes in; a clip that shows it where it lies goes out.

Nothing is copied: a link and a sidecar lie on the spool, as if the recording had been sent.
"""

import hashlib
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from service.clips import Clip, ClipNote
from service.recordings import open_clip
from service.spool import Spool
from vidar_det.detector.clip_prediction import describe_clip
from vidar_det.errors import GeometryError, OutputError, SourceError
from vidar_det.spikes.likely import likely_geometries
from vidar_det.spikes.recording import recording_files
from vidar_det.spikes.selection import recording_warnings
from vidar_det.spikes.sidecar import (
    RecordingOptions,
    complete_options,
    sidecar_path,
    sidecar_text,
)


@dataclass(frozen=True)
class PlacedRecording:
    """A recording to be shown where it lies.

    Attributes:
        path: file or folder; it may grow.
        options: what it does not say.
        doubts: what its viewer should know, one sentence each.
    """

    path: Path
    options: RecordingOptions
    doubts: tuple[str, ...] = ()

    @property
    def clip_id(self) -> str:
        """The id of its clip: the same one at every start."""
        return f"here-{hashlib.sha256(str(self.path).encode()).hexdigest()[:24]}"


def prepare_recording(
    path: Path, options: RecordingOptions | None = None, max_pixels: int = 1 << 20
) -> PlacedRecording:
    """Find out how a recording is stored, before it is shown.

    Where its geometry is in doubt, the likeliest is taken, and the clip says so in a warning: a
    page offers the others.

    Args:
        path: file or folder.
        options: what it does not say, over its sidecar.
        max_pixels: of one plane.

    Raises:
        VidarError: it cannot be opened.
    """
    path = path.absolute()
    if not path.exists():
        raise SourceError(f"{path}: found nothing, wanted a recording")
    complete = complete_options(path, options or RecordingOptions())
    try:
        open_clip(path, complete, max_pixels)
    except GeometryError as error:
        return _likeliest(path, complete, error)
    return PlacedRecording(path, complete)


def place_recording(spool: Spool, placed: PlacedRecording, max_pixels: int) -> Clip:
    """Make a clip of a recording, without a copy.

    Args:
        spool: where the link lies, until the next start.
        placed: the recording.
        max_pixels: of one plane.

    Raises:
        VidarError: it cannot be opened.
    """
    path = placed.path
    folder = spool.incoming / "in-place" / placed.clip_id
    link = folder / f"recording{path.suffix if path.is_file() else ''}"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        link.symlink_to(path, target_is_directory=path.is_dir())
        sidecar_path(link).write_text(sidecar_text(placed.options), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
    recording = open_clip(link, RecordingOptions(), max_pixels)
    stats = [file.stat() for file in recording_files(path)[0]]
    note = ClipNote(
        id=placed.clip_id,
        size_bytes=sum(stat.st_size for stat in stats),
        created=datetime.fromtimestamp(stats[-1].st_mtime, UTC).isoformat(timespec="milliseconds"),
        clip=describe_clip(recording, None),
        warnings=(*placed.doubts, *recording_warnings(recording)),
        name=path.name,
    )
    return Clip(link, note, is_ours=True, is_in_place=True)


def _likeliest(path: Path, options: RecordingOptions, error: GeometryError) -> PlacedRecording:
    """Choose for the viewer, who is told; where nothing is likely the refusal stands."""
    candidates = likely_geometries(path, options)
    if not candidates:
        raise error
    best = candidates[0]
    chosen = replace(options, width=best.width, height=best.height, layout=best.layout)
    doubt = f"{best} is a guess: several geometries fit; choose under Geometry"
    return PlacedRecording(path, chosen, (doubt,))
