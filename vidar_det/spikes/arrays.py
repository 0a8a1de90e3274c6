"""An npy or npz file comes in; its one recording, mapped where that is possible, comes out."""

import contextlib
import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from vidar_det.errors import FormatError, ShapeError, SourceError
from vidar_det.spikes.bytespan import ByteSpan

Planes = npt.NDArray[np.uint8]

NPY_MAGIC, ZIP_MAGIC = b"\x93NUMPY", b"PK"
RECORDING_KEYS = ("spk", "arr_0", "seq")  # UHSR, SpikingSIM, spikling: preferred in this order
LENGTH_KEY = "length"
SAMPLED_BYTES = 1 << 20  # looked at to tell 0/1 arrays from packed ones
MOST_HEADER_BYTES = 1 << 16  # of an array: NumPy reads as many as a file announces, up to 4 GiB


@dataclass(frozen=True)
class ArrayMember:
    """A three-axis array in a file, not read yet.

    Attributes:
        path: the npy or npz file.
        key: its name in an npz; empty for an npy.
        shape: as stored.
        dtype: uint8 or bool.
        fortran: whether the first axis varies fastest.
        offset: where its values begin in the file, or None where they are compressed.
        length: the planes that an npz's ``length`` entry promises, if it has one.
    """

    path: Path
    key: str
    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    fortran: bool
    offset: int | None
    length: int | None

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.path}[{self.key}]" if self.key else str(self.path)

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    def map(self) -> tuple[Planes, ByteSpan]:
        """View an uncompressed member in the mapped file.

        Raises:
            FormatError: the file ends before the array does.
        """
        assert self.offset is not None
        span = ByteSpan([self.path])
        if span.size < self.offset + self.size:
            raise FormatError(
                f"{self.name}: found {span.size - self.offset} bytes, wanted {self.size}"
            )
        return self._shaped(span.read(self.offset, self.offset + self.size)), span

    def load(self) -> Planes:
        """Read the whole member into memory."""
        with self._values() as file:
            return self._shaped(np.frombuffer(_read(file, self.size, self.name), np.uint8))

    def pack_rows(self, time_axis: int) -> Planes:
        """Stream a compressed 0/1 member into packed rows; never more than a slice is unpacked.

        Args:
            time_axis: 0 for ``(T, H, W)``, 2 for ``(H, W, T)``.

        Returns:
            ``(T, H, ceil(W / 8)) uint8``, least significant bit first.

        Raises:
            FormatError: values beside 0 and 1, or a broken file.
        """
        if self.fortran:
            return _packed(np.moveaxis(self.load(), time_axis, 0), self.name)
        slices, rows, columns = self.shape
        width = columns if time_axis == 0 else rows
        shape = (slices, rows) if time_axis == 0 else (columns, slices)
        packed = np.empty((*shape, -(-width // 8)), np.uint8)
        with self._values() as file:
            for index in range(slices):
                data = np.frombuffer(_read(file, rows * columns, self.name), np.uint8)
                part = data.reshape(rows, columns)
                if time_axis == 0:
                    packed[index] = _packed(part, self.name)
                else:
                    packed[:, index] = _packed(part.T, self.name)
        return packed

    def is_binary(self) -> bool:
        """Whether the first values are all 0 or 1."""
        count = min(self.size, SAMPLED_BYTES)
        with self._values() as file:
            return max(_read(file, count, self.name), default=0) <= 1

    def _shaped(self, values: Planes) -> Planes:
        return values.reshape(self.shape[::-1]).T if self.fortran else values.reshape(self.shape)

    @contextlib.contextmanager
    def _values(self) -> Iterator[IO[bytes]]:
        with _readable(self.path), contextlib.ExitStack() as stack:
            if not self.key:
                file: IO[bytes] = stack.enter_context(self.path.open("rb"))
            else:
                archive = stack.enter_context(zipfile.ZipFile(self.path))
                file = stack.enter_context(archive.open(f"{self.key}.npy"))
            _read_header(file)
            yield file


def is_array_file(path: Path) -> bool:
    """Whether a file is npy or npz, by its first bytes.

    Raises:
        SourceError: the file cannot be read.
        FormatError: it ends in .npy or .npz and is neither.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(NPY_MAGIC))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    if start == NPY_MAGIC or (start.startswith(ZIP_MAGIC) and zipfile.is_zipfile(path)):
        return True
    if path.suffix.lower() in (".npy", ".npz") and start:
        raise FormatError(f"{path}: found no NumPy file, wanted npy or npz")
    return False


def find_member(path: Path) -> ArrayMember:
    """Find the recording in an npy or npz file: the only array of three axes.

    Args:
        path: the file. Of several such arrays the one named ``spk``, ``arr_0`` or ``seq`` counts.

    Raises:
        FormatError: a broken file, or none or several arrays that may be meant.
        ShapeError: another shape or dtype than three axes of uint8 or bool.
    """
    with _readable(path):
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                shape, fortran, dtype = _read_header(file)
                return _member(path, "", (shape, fortran, dtype), file.tell(), None)
        with zipfile.ZipFile(path) as archive:
            headers = _headers(archive)
            key = _recording_key(path, {key: header[0] for key, header in headers.items()})
            offset = _stored_offset(path, archive.getinfo(f"{key}.npy"))
            return _member(path, key, headers[key], offset, _length(archive, path))


Header = tuple[tuple[int, ...], bool, np.dtype[np.generic]]


def _member(
    path: Path, key: str, header: Header, offset: int | None, length: int | None
) -> ArrayMember:
    shape, fortran, dtype = header
    are_sides = all(type(side) is int and side > 0 for side in shape)
    if len(shape) != 3 or not are_sides or dtype not in (np.uint8, np.bool_):
        name = f"{path}[{key}]" if key else str(path)
        raise ShapeError(f"{name}: found {dtype} {shape}, wanted three axes of uint8 or bool")
    return ArrayMember(path, key, shape, dtype, fortran, offset, length)


def _read_header(file: IO[bytes]) -> Header:
    """Read as much as a header may have, whatever it announces; ``ValueError`` beyond that."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"format version {version}, wanted 1.0, 2.0 or 3.0")
    announced = file.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(announced, "little")
    if length > MOST_HEADER_BYTES:
        raise ValueError(f"a header of {length} bytes, wanted at most {MOST_HEADER_BYTES}")
    header = io.BytesIO(announced + file.read(length))
    if version == (1, 0):
        return cast(Header, np.lib.format.read_array_header_1_0(header))
    return cast(Header, np.lib.format.read_array_header_2_0(header))


def _headers(archive: zipfile.ZipFile) -> dict[str, Header]:
    headers = {}
    for name in archive.namelist():
        if name.endswith(".npy"):
            with archive.open(name) as file:
                headers[name.removesuffix(".npy")] = _read_header(file)
    return headers


def _recording_key(path: Path, shapes: dict[str, tuple[int, ...]]) -> str:
    keys = [key for key, shape in shapes.items() if len(shape) == 3]
    preferred = [key for key in RECORDING_KEYS if key in keys]
    if len(keys) != 1 and not preferred:
        raise FormatError(f"{path}: found arrays {shapes}, wanted one of three axes")
    return preferred[0] if preferred else keys[0]


def _length(archive: zipfile.ZipFile, path: Path) -> int | None:
    name = f"{LENGTH_KEY}.npy"
    if name not in archive.namelist():
        return None
    wanted = "wanted the count of planes"
    with archive.open(name) as file:
        shape, _, dtype = _read_header(file)
        if math.prod(shape) != 1 or not np.issubdtype(dtype, np.integer):
            raise FormatError(f"{path}[{LENGTH_KEY}]: found {dtype} {shape}, {wanted}")
        value = int(np.frombuffer(_read(file, dtype.itemsize, name), dtype)[0])
    if value < 1:
        raise FormatError(f"{path}[{LENGTH_KEY}]: found {value}, {wanted}")
    return value


def _stored_offset(path: Path, info: zipfile.ZipInfo) -> int | None:
    """Where an uncompressed member's values begin in the file; None if it is compressed."""
    if info.compress_type != zipfile.ZIP_STORED:
        return None
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name_bytes, extra_bytes = struct.unpack("<HH", file.read(4))
        file.seek(name_bytes + extra_bytes, 1)
        _read_header(file)
        return file.tell()


def _packed(planes: Planes, name: str) -> Planes:
    largest = int(planes.max())
    if largest > 1:
        raise FormatError(f"{name}: found the value {largest}, wanted 0 and 1")
    return np.packbits(planes, axis=-1, bitorder="little")


def _read(file: IO[bytes], count: int, name: str) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise FormatError(f"{name}: found {len(data)} bytes, wanted {count} more")
    return data


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    broken = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
    # NumPy reads a header as Python's literals, and lets what its tokenizer says through.
    malformed = (tokenize.TokenError, SyntaxError, TypeError, OverflowError, MemoryError)
    try:
        yield
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error
    except (*broken, *malformed, ValueError, struct.error) as error:
        raise FormatError(f"{path}: found a broken NumPy file: {error}") from error
