import itertools
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vidar_det.errors import FormatError, GeometryError
from vidar_det.spikes.bytespan import ByteSpan
from vidar_det.spikes.following import FollowSpec, follow
from vidar_det.spikes.m1k40 import PLANE_BYTES, PlaneIndexer, expected_trailers
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import Hole, Sensor, SpikeStream
from vidar_det.spikes.writers import write_recording

PLANES = 6


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 2, (PLANES, 1000, 1000), dtype=np.uint8)


@pytest.fixture(scope="module")
def data(planes: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("m1k40") / "whole.dat"
    write_recording(path, planes, Sensor(1000, 1000), layout="m1k40")
    return path.read_bytes()


def junk(count: int) -> bytes:
    return np.random.default_rng(5).integers(0, 256, count, dtype=np.uint8).tobytes()


def read(folder: Path, data: bytes, layout: str = "auto") -> SpikeStream:
    path = folder / "clip.dat"
    path.write_bytes(data)
    return open_recording(path, layout=layout)


def check(stream: SpikeStream, planes: np.ndarray, kept: Sequence[int]) -> None:
    assert np.array_equal(stream[:], planes[list(kept)])
    expected = planes[list(kept)].sum(axis=0)
    assert np.array_equal(stream.counts(0, len(kept), 1)[0], expected)


def test_the_trailers_count_down_and_up_again() -> None:
    trailers = [(int(value) >> 14, int(value) >> 4 & 0x3FF) for value in expected_trailers()]
    assert trailers[:3] == [(0, 500), (1, 500), (0, 499)]
    assert trailers[998:1002] == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert trailers[-2:] == [(2, 500), (3, 500)]


def test_whole_planes_come_back_upright(tmp_path: Path, planes: np.ndarray, data: bytes) -> None:
    assert len(data) == PLANES * PLANE_BYTES
    stream = read(tmp_path, data)
    assert (stream.layout, stream.flip, stream.report.resyncs) == ("m1k40", "ud", 0)
    check(stream, planes, range(PLANES))


def test_a_lit_pixel_in_a_hand_made_plane_is_found(tmp_path: Path) -> None:
    plane = bytearray(PLANE_BYTES)
    for row in range(1000):
        for half in (0, 1):
            channel = half if row < 500 else 2 + half
            line = 500 - row if row < 500 else row - 499
            at = row * 128 + half * 64 + 62
            plane[at : at + 2] = (channel << 14 | line << 4).to_bytes(2, "little")
    plane[998 * 128 + 64 + 25] |= 1  # second block of stored row 998: column 500 + 8 * 25
    plane[998 * 128 + 62] |= 0b1000  # pixel 499 lies in the trailer's low bits
    stream = read(tmp_path, bytes(plane))
    assert np.argwhere(stream[:]).tolist() == [[0, 1, 499], [0, 1, 700]]


def test_a_start_and_an_end_inside_planes_are_reported(
    tmp_path: Path, planes: np.ndarray, data: bytes
) -> None:
    stream = read(tmp_path, data[50_000:-7])
    assert stream.report.leading_bytes == PLANE_BYTES - 50_000
    assert stream.report.trailing_bytes == PLANE_BYTES - 7
    assert (stream.report.lost_planes, stream.report.resyncs) == (0, 0)
    check(stream, planes, range(1, PLANES - 1))


def test_junk_of_any_length_before_the_first_plane_is_skipped(
    tmp_path: Path, planes: np.ndarray, data: bytes
) -> None:
    stream = read(tmp_path, junk(777) + data)
    assert stream.report.leading_bytes == 777
    check(stream, planes, range(PLANES))


def test_a_lost_block_costs_its_plane_and_time_stays_true(
    tmp_path: Path, planes: np.ndarray, data: bytes
) -> None:
    cut = 2 * PLANE_BYTES + 64 * 900
    stream = read(tmp_path, data[:cut] + data[cut + 64 :])
    assert (stream.report.lost_planes, stream.report.resyncs) == (1, 1)
    assert stream.report.trailing_bytes == 0
    assert stream.holes == (Hole(2, 1),)
    check(stream, planes, [0, 1, 3, 4, 5])
    assert [stream.time_us(index) for index in (1, 2, 4)] == [50.0, 150.0, 250.0]
    assert [window.start for window in stream.windows(length=2, stride=1)] == [0, 2, 3]


def test_a_loss_over_a_plane_border_costs_both_planes(
    tmp_path: Path, planes: np.ndarray, data: bytes
) -> None:
    first, last = PLANE_BYTES + 64 * 1200, 2 * PLANE_BYTES + 64 * 400
    stream = read(tmp_path, data[:first] + data[last:])
    assert stream.holes == (Hole(1, 2),)
    check(stream, planes, [0, 3, 4, 5])


def test_planes_lost_at_both_ends_of_a_cut_are_both_counted(
    tmp_path: Path, planes: np.ndarray, data: bytes
) -> None:
    end_cut, start_cut = 2 * PLANE_BYTES - 64, 2 * PLANE_BYTES + 64 * 100
    stream = read(tmp_path, data[:end_cut] + data[start_cut:])
    assert stream.report.lost_planes == 2
    check(stream, planes, [0, 3, 4, 5])


def test_unreadable_planes_are_counted_by_their_length(
    tmp_path: Path, planes: np.ndarray, data: bytes
) -> None:
    damaged = data[: 2 * PLANE_BYTES] + bytes(2 * PLANE_BYTES) + data[4 * PLANE_BYTES :]
    stream = read(tmp_path, damaged)
    assert stream.holes == (Hole(2, 2),)
    check(stream, planes, [0, 1, 4, 5])


@pytest.mark.parametrize("count", [64, 101, 50_000])
def test_bytes_inserted_into_a_plane_cost_that_plane(
    tmp_path: Path, planes: np.ndarray, data: bytes, count: int
) -> None:
    cut = 3 * PLANE_BYTES + 64 * 1500
    stream = read(tmp_path, data[:cut] + junk(count) + data[cut:])
    assert (stream.report.lost_planes, stream.report.resyncs) == (1, 1)
    check(stream, planes, [0, 1, 2, 4, 5])


def test_bytes_inserted_between_planes_cost_nothing(
    tmp_path: Path, planes: np.ndarray, data: bytes
) -> None:
    cut = 3 * PLANE_BYTES
    stream = read(tmp_path, data[:cut] + junk(33) + data[cut:])
    assert (stream.report.lost_planes, stream.report.resyncs) == (0, 1)
    assert stream.holes == ()
    check(stream, planes, range(PLANES))


def test_numbered_files_are_read_in_numerical_order_across_their_borders(
    tmp_path: Path, planes: np.ndarray, data: bytes
) -> None:
    cuts = [0, 130_000, 400_001, len(data)]
    for name, first, last in zip(("1", "2", "10"), cuts[:-1], cuts[1:], strict=True):
        (tmp_path / f"{name}.dat").write_bytes(data[first:last])
    stream = open_recording(tmp_path)
    assert stream.report.warnings == ("2.dat is followed by 10.dat; read as adjoining",)
    assert stream.report.resyncs == 0
    check(stream, planes, range(PLANES))


class Growing(ByteSpan):
    """A file of which more and more can be seen; notes the first byte that is looked at."""

    def show(self, size: int) -> None:
        self.size, self.first = size, size

    def read(self, start: int, stop: int) -> np.ndarray:
        self.first = min(self.first, start)
        return super().read(start, min(stop, self.size))

    def gather(self, offsets: np.ndarray) -> np.ndarray:
        self.first = min(self.first, int(offsets[0]))
        return super().gather(offsets)


def test_bytes_that_grow_are_indexed_from_where_the_last_run_ended(
    tmp_path: Path, data: bytes
) -> None:
    """Junk before, inside and between planes; it is seen in pieces of a third of a plane."""
    path, cut = tmp_path / "clip.dat", 2 * PLANE_BYTES + 64 * 900
    path.write_bytes(
        junk(777) + data[:cut] + junk(PLANE_BYTES + 9) + data[cut : 4 * PLANE_BYTES]
        + junk(70) + data[4 * PLANE_BYTES :]
    )  # fmt: skip
    indexer, size = PlaneIndexer(), path.stat().st_size
    span, whole = Growing([path]), ByteSpan([path])
    index, searched = None, 0
    for shown in (*range(PLANE_BYTES // 3, size, PLANE_BYTES // 3), size):
        before = index
        span.show(shown)
        index = indexer.index(span)
        if before is not None:
            end = before.runs[-1].offset + before.runs[-1].planes * PLANE_BYTES
            assert span.first >= (searched if index.runs == before.runs else end)
        searched = shown - PLANE_BYTES + 1  # no plane begins before that was not seen
    assert index == PlaneIndexer().index(whole)
    assert [run.planes for run in index.runs] == [2, 1, 2]


def test_a_growing_file_is_followed_over_a_break(
    tmp_path: Path, planes: np.ndarray, data: bytes
) -> None:
    path, cut = tmp_path / "clip.dat", 2 * PLANE_BYTES + 64 * 900
    content = data[50_000:cut] + data[cut + 64 :]
    pieces = iter([content[at : at + 70_001] for at in range(0, len(content), 70_001)])
    now = itertools.count()

    def sleep(_: float) -> None:
        with path.open("ab") as file:
            file.write(next(pieces, b""))

    clock = SimpleNamespace(monotonic=lambda: float(next(now)), sleep=sleep)
    spec, found = FollowSpec(window=1, stride=1, timeout_s=9), []
    for stretch in follow(path, RecordingOptions(layout="m1k40"), spec, clock=clock):
        for window in stretch.recording.windows(1, 1, stretch.start, stretch.stop):
            found.append((window.time_us, window.planes))
    assert [time_us for time_us, _ in found] == [0.0, 100.0, 150.0, 200.0]  # the second is lost
    assert np.array_equal(np.concatenate([plane for _, plane in found]), planes[[1, 3, 4, 5]])


def test_bytes_without_a_whole_plane_are_refused(tmp_path: Path, data: bytes) -> None:
    for bad in (junk(300_000), data[:100_000], data[64:128_000]):
        with pytest.raises(FormatError, match="whole m1k40 plane"):
            read(tmp_path, bad, layout="m1k40")


def test_another_geometry_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "clip.dat").write_bytes(data)
    with pytest.raises(GeometryError, match="1000x1000"):
        open_recording(tmp_path / "clip.dat", layout="m1k40", width=400, height=250)
