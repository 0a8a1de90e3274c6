"""A path and options come in; an open recording, mapped and ready to slice, comes out."""

import itertools
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidar_det.config import build_spec
from vidar_det.errors import FormatError, GeometryError, SourceError
from vidar_det.spikes.arrays import ArrayMember, find_member, is_array_file
from vidar_det.spikes.bytespan import ByteSpan
from vidar_det.spikes.guess import guess_array_layout
from vidar_det.spikes.layouts import (
    ARRAY_LAYOUTS,
    CAMERA_LAYOUTS,
    flipped,
    plane_format,
    resolve_flip,
)
from vidar_det.spikes.recording_camera import CameraReader
from vidar_det.spikes.sidecar import DEFAULT_RATE_HZ, RecordingOptions, complete_options
from vidar_det.spikes.stores import ArrayStore, MemoryBytes, PackedStore, Run, TimePackedStore
from vidar_det.spikes.stream import PlaneStore, Sensor, SpikeStream
from vidar_det.spikes.writers import write_recording

__all__ = ["open_recording", "write_recording"]


def open_recording(
    path: str | Path,
    *,
    width: int | None = None,
    height: int | None = None,
    layout: str = "auto",
    flip: str = "auto",
    rate_hz: float | None = None,
) -> SpikeStream:
    """Open a recording without reading it: a file, or a folder of numbered ``.dat`` files.

    What the arguments leave open is looked up in the sidecar beside the recording (``NAME.toml``
    with width, height, layout, flip, rate_hz), then in SpikeCV's ``config.yaml`` in its folder,
    then guessed from the size and the pixels, or refused. Files are mapped, and count as long as
    they are at this moment. Only compressed npz members cannot be mapped: they are decoded into
    memory, one bit per pixel and plane.

    Args:
        path: ``.dat``, ``.npy``, ``.npz``, or a folder of ``.dat`` files with integer names, which
            are read end to end in numerical order.
        width: pixels per row.
        height: rows.
        layout: ``auto | plain | row-padded | m1k40 | array-thw | array-hwt | time-packed |
            row-packed``.
        flip: ``auto | none | ud | lr | both``: what makes the planes upright. ``auto`` is ``ud``
            for camera files and ``none`` for arrays.
        rate_hz: planes per second; 20,000 Hz where nothing says otherwise.

    Returns:
        The recording; its ``report`` names stray bytes, lost planes and doubts.

    Raises:
        SourceError: missing, empty or unreadable.
        FormatError: not a Vidar recording, or shorter than one plane.
        GeometryError: no geometry or layout fits, or several do.
        ConfigError: an unknown option, or a broken sidecar.
        ShapeError: an array of another shape or dtype.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "clip.dat"
        ...     write_recording(path, np.ones((3, 4, 6), np.uint8), Sensor(width=6, height=4))
        ...     open_recording(path).shape
        (3, 4, 6)
    """
    path = Path(path)
    if not path.exists():
        raise SourceError(f"{path}: found nothing, wanted a recording")
    given = {"width": width, "height": height, "layout": layout, "flip": flip, "rate_hz": rate_hz}
    options = complete_options(path, build_spec(RecordingOptions, given, "open_recording"))
    if path.is_file() and is_array_file(path):
        return _open_array(path, options)
    if options.layout in ARRAY_LAYOUTS:
        raise GeometryError(f"{path}: found no npy or npz file, wanted one for {options.layout}")
    files, warnings = recording_files(path)
    return CameraReader(path, ByteSpan(files), options, warnings).read()


def recording_files(path: Path) -> tuple[list[Path], tuple[str, ...]]:
    """List the files of a recording in the order of their numbers.

    Returns:
        The files, and warnings about numbers left out and files without bytes.

    Raises:
        SourceError: a folder without ``.dat`` files.
        FormatError: names that are no numbers, or two of the same number.
    """
    if not path.is_dir():
        return [path], ()
    files = [
        file
        for file in path.iterdir()
        if file.suffix.lower() == ".dat" and not file.name.startswith(".") and file.is_file()
    ]
    if not files:
        raise SourceError(f"{path}: found no .dat files, wanted numbered ones (1.dat, 2.dat, ...)")
    odd = sorted(file.name for file in files if not re.fullmatch("[0-9]+", file.stem))
    if odd:
        raise FormatError(f"{path}: found {odd[0]!r}, wanted numbered files (1.dat, 2.dat, ...)")
    files.sort(key=lambda file: int(file.stem))
    warnings = []
    for left, right in itertools.pairwise(files):
        step = int(right.stem) - int(left.stem)
        if step == 0:
            raise FormatError(f"{path}: found {left.name} and {right.name}, wanted one of them")
        if step > 1:
            warnings.append(f"{left.name} is followed by {right.name}; read as adjoining")
    warnings += [f"{file.name} is empty" for file in files if file.stat().st_size == 0]
    return files, tuple(warnings)


def _open_array(path: Path, options: RecordingOptions) -> SpikeStream:
    if options.layout in CAMERA_LAYOUTS:
        raise GeometryError(f"{path}: found a NumPy file, wanted raw bytes for {options.layout}")
    member = find_member(path)
    layout, shape = guess_array_layout(
        member.shape, member.is_binary(), member.length, options, member.name
    )
    flip = resolve_flip(options.flip, layout)
    return SpikeStream(
        store=_array_store(member, layout, shape, flip),
        sensor=Sensor(shape[2], shape[1], options.rate_hz or DEFAULT_RATE_HZ),
        path=path,
        layout=layout,
        flip=flip,
    )


def _array_store(
    member: ArrayMember, layout: str, shape: tuple[int, int, int], flip: str
) -> PlaneStore:
    packed = layout in ("time-packed", "row-packed")
    if member.offset is None and not packed:
        rows = member.pack_rows(time_axis=2 if layout == "array-hwt" else 0)
        return _row_store(rows, shape, flip)
    array, held = member.map() if member.offset is not None else (member.load(), None)
    if layout == "time-packed":
        return TimePackedStore(flipped(array, flip), shape[0], held)
    if layout == "array-hwt":
        array = array.transpose(2, 0, 1)
    if layout != "row-packed":
        return ArrayStore(array, member.name, flip, held)
    if held is None or member.fortran:
        return _row_store(array, shape, flip)
    assert member.offset is not None
    form = plane_format("row-packed", shape[2], shape[1])
    return PackedStore(held, form, [Run(member.offset, shape[0])], flip)


def _row_store(rows: npt.NDArray[np.uint8], shape: tuple[int, int, int], flip: str) -> PackedStore:
    form = plane_format("row-packed", shape[2], shape[1])
    source = MemoryBytes(np.ascontiguousarray(rows))
    return PackedStore(source, form, [Run(0, shape[0])], flip)
