"""Upright planes come in; a recording file with its sidecar lies on the disk."""

import contextlib
import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from vidar_det.errors import GeometryError, OutputError, ShapeError
from vidar_det.outputs import atomic_path
from vidar_det.spikes.bytespan import ByteSpan
from vidar_det.spikes.layouts import (
    ARRAY_LAYOUTS,
    PlaneFormat,
    check_layout,
    flipped,
    plane_format,
    resolve_flip,
)
from vidar_det.spikes.m1k40 import stamp
from vidar_det.spikes.sidecar import RecordingOptions, sidecar_path, sidecar_text
from vidar_det.spikes.stream import Sensor

Planes = npt.NDArray[np.uint8]

CHUNK_BYTES = 16 << 20  # unpacked planes held at once
RECORDING_SUFFIXES = (".dat", ".npy", ".npz")


def write_recording(
    path: str | Path,
    planes: npt.NDArray[np.generic] | Iterable[npt.NDArray[np.generic]],
    sensor: Sensor,
    *,
    layout: str = "plain",
    flip: str = "auto",
    overwrite: bool = False,
) -> None:
    """Write upright planes as a recording, and its sidecar ``NAME.toml`` beside it.

    The file holds the container's own orientation, so that reading it back gives the same planes.
    Planes are taken one after another: memory stays bounded for any length. Nothing half-written
    remains if it fails.

    Args:
        path: the file to make; ``.npz`` for the array layouts, another ending for the others.
        planes: ``(T, H, W)``, or an iterable of ``(H, W)``; uint8 of 0 and 1, or bool.
        sensor: geometry and rate, as the sidecar will say.
        layout: any of ``vidar_det.spikes.layouts.LAYOUTS``. An npz holds ``arr_0``; time-packed,
            ``seq`` and ``length``.
        flip: how upright and stored planes differ; ``auto`` is ``ud`` for camera layouts and
            ``none`` for arrays.
        overwrite: replace files that exist.

    Raises:
        ShapeError: no planes, or planes of another shape, dtype or value.
        GeometryError: a layout that is unknown, or does not suit the sensor or the ending.
        OutputError: the output exists, or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     planes = np.eye(4, dtype=np.uint8)[None]
        ...     write_recording(Path(folder) / "dot.dat", planes, Sensor(width=4, height=4))
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['dot.dat', 'dot.toml']
    """
    path = Path(path)
    check_layout(layout)
    as_array = layout in ARRAY_LAYOUTS
    if (path.suffix.lower() == ".npz") != as_array or path.suffix.lower() in (".npy", ".toml"):
        wanted = ".npz" if as_array else ".dat"
        raise GeometryError(f"{path}: found this ending for layout {layout}, wanted {wanted}")
    form = plane_format("row-packed" if as_array else layout, sensor.width, sensor.height)
    flip = resolve_flip(flip, layout)
    _refuse_shared_sidecar(path)
    packed = (form.pack(flipped(chunk, flip)) for chunk in _chunks(planes, sensor))
    options = {"layout": layout, "flip": flip, "rate_hz": sensor.rate_hz}
    text = sidecar_text(RecordingOptions(sensor.width, sensor.height, **options))  # type: ignore[arg-type]  # names are checked above
    with (
        atomic_path(sidecar_path(path), overwrite) as sidecar,
        atomic_path(path, overwrite) as partial,
    ):
        if as_array:
            _write_npz(partial, packed, form, layout)
        else:
            _write_bytes(partial, map(stamp, packed) if layout == "m1k40" else packed)
        sidecar.write_text(text, encoding="utf-8")


def _chunks(
    planes: npt.NDArray[np.generic] | Iterable[npt.NDArray[np.generic]], sensor: Sensor
) -> Iterator[Planes]:
    """Check planes and yield them as ``(n, H, W) uint8``, some megabytes at a time."""
    if isinstance(planes, np.ndarray) and planes.ndim != 3:
        raise ShapeError(f"planes: found an array {planes.shape}, wanted (T, H, W)")
    most = max(1, CHUNK_BYTES // (sensor.width * sensor.height))
    wanted = (sensor.height, sensor.width)
    remaining = iter(planes)
    empty = True
    while chunk := list(itertools.islice(remaining, most)):
        empty = False
        for plane in chunk:
            if plane.shape != wanted or plane.dtype not in (np.uint8, np.bool_):
                raise ShapeError(
                    f"plane: found {plane.dtype} {plane.shape}, wanted {wanted} uint8 or bool"
                )
        stacked = np.stack(chunk).view(np.uint8)
        if stacked.max() > 1:
            raise ShapeError(f"plane: found the value {stacked.max()}, wanted 0 and 1")
        yield stacked
    if empty:
        raise ShapeError("planes: found none, wanted at least one")


def _refuse_shared_sidecar(path: Path) -> None:
    """Keep ``clip.npz`` from taking over the ``clip.toml`` of ``clip.dat``."""
    if not sidecar_path(path).exists():
        return
    for suffix in RECORDING_SUFFIXES:
        other = path.with_suffix(suffix)
        if other != path and other.exists():
            raise OutputError(
                f"{path}: {sidecar_path(path).name} belongs to {other.name}; choose another name"
            )


def _write_bytes(path: Path, chunks: Iterable[Planes]) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk.data)


def _write_npz(path: Path, packed: Iterable[Planes], form: PlaneFormat, layout: str) -> None:
    """Pack the planes to a spool file first: an array's header holds T, which is not known yet."""
    spool = path.with_suffix(".spool")
    try:
        _write_bytes(spool, packed)
        span = ByteSpan([spool])
        rows = span.read(0, span.size).reshape(-1, form.height, form.row_bits // 8)
        shape, parts = _ARRANGEMENTS[layout](rows, form.width)
        bits = layout in ("time-packed", "row-packed")
        method = zipfile.ZIP_STORED if bits else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
            key = "seq" if layout == "time-packed" else "arr_0"
            with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                _write_header(file, shape)
                for part in parts:
                    file.write(np.ascontiguousarray(part).data)
            if layout == "time-packed":
                with archive.open("length.npy", "w") as file:
                    np.lib.format.write_array(file, np.asarray(len(rows)))
    finally:
        with contextlib.suppress(OSError):
            spool.unlink(missing_ok=True)


def _write_header(file: IO[bytes], shape: tuple[int, int, int]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


Arrangement = tuple[tuple[int, int, int], Iterator[Planes]]


def _plane_by_plane(rows: Planes, width: int) -> Arrangement:
    parts = (np.unpackbits(plane, axis=1, count=width, bitorder="little") for plane in rows)
    return (len(rows), rows.shape[1], width), parts


def _row_by_row(rows: Planes, width: int) -> Arrangement:
    parts = (
        np.unpackbits(rows[:, row], axis=1, count=width, bitorder="little").T
        for row in range(rows.shape[1])
    )
    return (rows.shape[1], width, len(rows)), parts


def _eight_by_eight(rows: Planes, width: int) -> Arrangement:
    parts = (
        np.packbits(
            np.unpackbits(rows[first : first + 8], axis=2, count=width, bitorder="little"),
            axis=0,
            bitorder="little",
        )
        for first in range(0, len(rows), 8)
    )
    return (-(-len(rows) // 8), rows.shape[1], width), parts


def _as_they_are(rows: Planes, width: int) -> Arrangement:
    return cast(tuple[int, int, int], rows.shape), iter(rows)


_ARRANGEMENTS: dict[str, Callable[[Planes, int], Arrangement]] = {
    "array-thw": _plane_by_plane,
    "array-hwt": _row_by_row,
    "time-packed": _eight_by_eight,
    "row-packed": _as_they_are,
}
