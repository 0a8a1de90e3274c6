"""A recording anywhere on this machine comes in; a clip that shows it where it lies goes out.

Nothing is copied: a link and a sidecar lie on the spool, as if the recording had been sent.
"""

import hashlib
import shutil
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from service.clips import Clip, ClipNote
from service.recordings import open_clip
from service.spool import Spool
from vidar_det.detector.clip_prediction import describe_clip
from vidar_det.errors import GeometryError, OutputError
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
        options: what it does not say, over its sidecar.
    """

    path: Path
    options: RecordingOptions = field(default_factory=RecordingOptions)


def place_recording(spool: Spool, placed: PlacedRecording, max_pixels: int) -> Clip:
    """Make a clip of a recording, without a copy.

    Where its geometry is in doubt, the likeliest is taken, and the clip says so in a warning: a
    page offers the others.

    Args:
        spool: where the link lies, until the next start.
        placed: the recording.
        max_pixels: of one plane.

    Raises:
        VidarError: it cannot be opened.
    """
    path = placed.path.absolute()
    clip_id = f"here-{hashlib.sha256(str(path).encode()).hexdigest()[:24]}"
    folder = spool.incoming / "in-place" / clip_id
    link = folder / f"recording{path.suffix if path.is_file() else ''}"
    options = complete_options(path, placed.options)
    doubts: tuple[str, ...] = ()
    try:
        open_clip(path, options, max_pixels)
    except GeometryError as error:
        options, doubts = _likeliest(path, options, error)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        link.symlink_to(path, target_is_directory=path.is_dir())
        sidecar_path(link).write_text(sidecar_text(options), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
    return describe_in_place(link, clip_id, path, max_pixels, doubts)


def describe_in_place(
    link: Path, clip_id: str, path: Path, max_pixels: int, doubts: tuple[str, ...] = ()
) -> Clip:
    """Describe a recording behind its link, as it is by now."""
    recording = open_clip(link, RecordingOptions(), max_pixels)
    stats = [file.stat() for file in recording_files(path)[0]]
    note = ClipNote(
        id=clip_id,
        size_bytes=sum(stat.st_size for stat in stats),
        created=datetime.fromtimestamp(stats[-1].st_mtime, UTC).isoformat(timespec="milliseconds"),
        clip=describe_clip(recording, None),
        warnings=(*doubts, *recording_warnings(recording)),
        name=path.name,
    )
    return Clip(link, note, is_ours=True, is_in_place=True)


def _likeliest(
    path: Path, options: RecordingOptions, error: GeometryError
) -> tuple[RecordingOptions, tuple[str, ...]]:
    """Choose for the viewer, who is told; where nothing is likely the refusal stands."""
    candidates = likely_geometries(path, options)
    if not candidates:
        raise error
    best = candidates[0]
    chosen = replace(options, width=best.width, height=best.height, layout=best.layout)
    return chosen, (f"{best} is a guess: several geometries fit; choose under Geometry",)
