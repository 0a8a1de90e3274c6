from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import SourceError
from vidar_det.spikes.bytespan import OPEN_MAPS, ByteSpan


def make_files(folder: Path, sizes: list[int]) -> tuple[list[Path], np.ndarray]:
    data = np.random.default_rng(0).integers(0, 256, sum(sizes), dtype=np.uint8)
    paths, start = [], 0
    for index, size in enumerate(sizes):
        paths.append(folder / f"{index}.dat")
        paths[-1].write_bytes(data[start : start + size].tobytes())
        start += size
    return paths, data


def test_files_read_as_one_run_of_bytes(tmp_path: Path) -> None:
    paths, data = make_files(tmp_path, [10, 0, 3, 5000, 1] + [2] * OPEN_MAPS)
    span = ByteSpan(paths)
    assert span.size == len(data)
    for start, stop in ((0, 10), (9, 11), (0, span.size), (12, 14), (10, 10), (5012, 5016)):
        assert np.array_equal(span.read(start, stop), data[start:stop])
    offsets = np.array([0, 9, 10, 12, 13, 5012, span.size - 1])
    assert np.array_equal(span.gather(offsets), data[offsets])
    assert [span.part_end(offset) for offset in (0, 9, 10, 13)] == [10, 10, 13, 5013]


def test_released_bytes_can_be_read_again(tmp_path: Path) -> None:
    paths, data = make_files(tmp_path, [20_000, 20_000])
    span = ByteSpan(paths)
    view = span.read(0, 20_000)
    span.release(100, 39_000)
    assert np.array_equal(view, data[:20_000])
    assert np.array_equal(span.read(15_000, 25_000), data[15_000:25_000])


def test_views_are_read_only_and_outlive_the_map(tmp_path: Path) -> None:
    paths, data = make_files(tmp_path, [8] * (OPEN_MAPS + 3))
    span = ByteSpan(paths)
    views = [span.read(8 * index, 8 * index + 8) for index in range(len(paths))]
    assert np.array_equal(np.concatenate(views), data)
    with pytest.raises(ValueError, match="read-only"):
        views[0][0] = 1


def test_no_bytes_at_all_and_missing_files_are_refused(tmp_path: Path) -> None:
    paths, _ = make_files(tmp_path, [0, 0])
    with pytest.raises(SourceError, match="found 0 bytes"):
        ByteSpan(paths)
    with pytest.raises(SourceError, match=r"9\.dat"):
        ByteSpan([tmp_path / "9.dat"])
