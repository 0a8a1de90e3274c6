"""Windows come as soon as a camera has written them, once each and in order."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import ConfigError, FormatError, SourceError
from vidar_det.spikes.following import FollowSpec, follow
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import Sensor

SENSOR = Sensor(16, 8)
PLANE_BYTES = 16
OPTIONS = RecordingOptions(16, 8, "plain", "ud")
QUICK = FollowSpec(window=4, stride=4, timeout_s=3, poll_s=1)


def planes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (count, 8, 16), dtype=np.uint8)


def packed(some: np.ndarray, folder: Path) -> bytes:
    path = folder / "whole.dat"
    write_recording(path, some, SENSOR, overwrite=True)
    return path.read_bytes()


def windows_of(
    path: Path,
    steps: Iterable[Callable[[], object]] = (),
    spec: FollowSpec = QUICK,
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Follow a camera that takes its next step whenever the reader waits."""
    camera = iter(steps)

    def sleep(_: float) -> None:
        next(camera, lambda: None)()

    for stretch in follow(path, OPTIONS, spec, report, sleep):
        for window in stretch.recording.windows(
            spec.window, spec.stride, stretch.start, stretch.stop
        ):
            yield stretch.before + window.start, window.planes


def appender(path: Path, chunk: bytes) -> Callable[[], object]:
    def append() -> None:
        with path.open("ab") as file:
            file.write(chunk)

    return append


@pytest.mark.parametrize("stride", [2, 4, 6])
def test_a_growing_file_gives_every_window_once(stride: int, tmp_path: Path) -> None:
    some = planes(23)
    content, path = packed(some, tmp_path), tmp_path / "camera.dat"
    cuts = [0, 3, 70, 71, 200, 290, len(content)]  # in the middle of planes, too
    camera = [appender(path, content[a:b]) for a, b in itertools.pairwise(cuts)]
    found = list(windows_of(path, camera, FollowSpec(4, stride, timeout_s=3, poll_s=1)))
    assert [start for start, _ in found] == list(range(0, 23 - 4 + 1, stride))
    for start, window in found:
        assert np.array_equal(window, some[start : start + 4])


@pytest.mark.parametrize(("newest", "kept"), [(1, [16]), (2, [12, 16]), (9, [0, 4, 8, 12, 16])])
def test_whoever_looks_late_gets_the_newest_and_the_others_are_counted(
    newest: int, kept: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "camera.dat"
    path.write_bytes(packed(planes(23), tmp_path))
    spec = FollowSpec(4, 4, timeout_s=3, poll_s=1, newest=newest)
    (late, rest) = follow(path, OPTIONS, spec, sleep=lambda _: None)
    windows = late.recording.windows(4, 4, late.start, late.stop)
    assert [window.start for window in windows] == kept
    assert late.dropped == 5 - len(kept)
    assert (rest.start, rest.stop, rest.dropped) == (20, 23, 0)


def test_numbered_files_may_appear(tmp_path: Path) -> None:
    some, folder = planes(12), tmp_path / "camera"
    folder.mkdir()
    content = packed(some, tmp_path)
    camera = [
        appender(folder / f"{number}.dat", content[number * 80 : number * 80 + 80])
        for number in range(3)
    ]
    found = list(windows_of(folder, camera))
    assert [start for start, _ in found] == [0, 4, 8]
    assert all(np.array_equal(window, some[start : start + 4]) for start, window in found)


def test_a_file_that_is_written_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    first, second = planes(9, seed=1), planes(8, seed=2)
    path, told = tmp_path / "camera.dat", []
    path.write_bytes(packed(first, tmp_path))
    fresh = packed(second, tmp_path)
    found = list(windows_of(path, [lambda: path.write_bytes(fresh)], report=told.append))
    assert [start for start, _ in found] == [0, 4, 9, 13]
    assert np.array_equal(found[2][1], second[:4])
    assert "read from its beginning again, and 1 planes" in told[0]


def test_a_file_that_is_rotated_away_is_followed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "camera.dat"
    path.write_bytes(packed(planes(4, seed=1), tmp_path))
    longer = tmp_path / "next.dat"
    longer.write_bytes(packed(planes(8, seed=2), tmp_path))
    found = list(windows_of(path, [lambda: longer.replace(path)]))
    assert [start for start, _ in found] == [0, 4, 8]
    assert np.array_equal(found[1][1], planes(8, seed=2)[:4])


def test_planes_left_over_are_told_of(tmp_path: Path) -> None:
    path, told = tmp_path / "camera.dat", []
    path.write_bytes(packed(planes(6), tmp_path))
    assert len(list(windows_of(path, report=told.append))) == 1
    assert told == ["2 planes at the end make no whole window"]


def test_nothing_in_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="found nothing, wanted a recording"):
        list(windows_of(tmp_path / "none.dat"))
    (tmp_path / "short.dat").write_bytes(b"x")
    with pytest.raises(FormatError):
        list(windows_of(tmp_path / "short.dat"))


def test_a_recording_that_vanishes_is_an_error_after_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "camera.dat"
    path.write_bytes(packed(planes(4), tmp_path))
    found = windows_of(path)
    assert next(found)[0] == 0
    path.unlink()
    with pytest.raises(SourceError, match="found nothing"):
        list(found)


def test_numbers_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="wanted positive numbers"):
        FollowSpec(window=0, stride=1)
