import os
from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import SourceError
from vidar_det.spikes.following_bytes import CutOffError, GrowingBytes, GrowingFile


def test_growing_files_read_as_one_run_of_bytes(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 256, 40_000, dtype=np.uint8)
    first, second = tmp_path / "1.dat", tmp_path / "2.dat"
    first.write_bytes(data[:100].tobytes())
    second.write_bytes(data[100:30_000].tobytes())
    span = GrowingBytes()
    span.append(GrowingFile(1, first))
    span.append(GrowingFile(2, second))
    with second.open("ab") as file:
        file.write(data[30_000:].tobytes())
    assert (span.size, span.grow(), span.grow(), span.size) == (30_000, 10_000, 0, 40_000)
    for start, stop in ((0, 100), (99, 102), (0, 40_000), (25_000, 35_000), (7, 7)):
        assert np.array_equal(span.read(start, stop), data[start:stop])
    assert np.array_equal(span.gather(np.array([3, 99, 100, 39_999])), data[[3, 99, 100, 39_999]])
    assert span.part_end(3) == 40_000


def test_bytes_keep_their_place_when_files_before_them_are_forgotten(tmp_path: Path) -> None:
    span = GrowingBytes()
    for number in range(4):
        (tmp_path / f"{number}.dat").write_bytes(bytes([number] * 10))
        span.append(GrowingFile(number, tmp_path / f"{number}.dat"))
    span.forget(25)
    assert open_files_below(tmp_path) == ["2.dat", "3.dat"]
    assert span.read(20, 40).tolist() == [2] * 10 + [3] * 10
    span.forget(1000)
    assert span.read(30, 40).tolist() == [3] * 10


def open_files_below(folder: Path) -> list[str]:
    """Names of the files that this process holds open in a folder, whatever else it holds."""
    links = (os.path.realpath(link) for link in Path("/proc/self/fd").iterdir())
    return sorted(Path(link).name for link in links if Path(link).parent == folder)


def test_a_removed_file_can_be_read_and_a_shorter_one_says_so(tmp_path: Path) -> None:
    path, span = tmp_path / "clip.dat", GrowingBytes()
    path.write_bytes(b"0123456789")
    span.append(GrowingFile(0, path))
    path.rename(tmp_path / "old.dat")
    assert span.read(0, 10).tobytes() == b"0123456789"
    os.truncate(tmp_path / "old.dat", 4)
    assert span.read(0, 4).tobytes() == b"0123"
    with pytest.raises(CutOffError, match=r"clip\.dat: became shorter while it was read"):
        span.read(0, 5)
    with pytest.raises(SourceError, match="cannot be read"):
        GrowingFile(0, path)


@pytest.mark.parametrize("content", [b"012345678", b"abcdefghijkl", b"abcdefghij"])
def test_a_file_that_was_written_anew_does_not_grow(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.dat"
    path.write_bytes(b"0123456789")
    file = GrowingFile(0, path)
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))  # however coarse the file system's clock is
    assert file.grow() is None
