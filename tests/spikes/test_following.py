"""Windows come as soon as a camera has written them, once each and in order."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import ConfigError, FormatError, SourceError
from vidar_det.spikes import following_files
from vidar_det.spikes.following import FollowSpec, follow
from vidar_det.spikes.following_bytes import CutOffError
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


class Camera:
    """A clock that lets a camera take its next step whenever the reader waits."""

    def __init__(self, steps: Iterable[Callable[[], object]] = ()) -> None:
        self.steps, self.now = iter(steps), 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        next(self.steps, lambda: None)()


def windows_of(
    path: Path,
    steps: Iterable[Callable[[], object]] = (),
    spec: FollowSpec = QUICK,
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[int, np.ndarray]]:
    for stretch in follow(path, OPTIONS, spec, report, clock=Camera(steps)):
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


@pytest.mark.parametrize(("newest", "kept"), [(1, [36]), (2, [32, 36]), (None, [24, 28, 32, 36])])
def test_whoever_is_late_gets_the_newest_and_the_others_are_counted(
    newest: int | None, kept: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "camera.dat"
    content = packed(planes(41), tmp_path)
    path.write_bytes(content[: 12 * PLANE_BYTES])
    spec = FollowSpec(4, 4, timeout_s=3, poll_s=1, newest=newest)
    stretches = follow(path, OPTIONS, spec, clock=Camera())
    idle = next(stretches)
    appender(path, content[12 * PLANE_BYTES : 24 * PLANE_BYTES])()  # as many as are looked at
    busy = next(stretches)
    appender(path, content[24 * PLANE_BYTES :])()  # one more than are looked at
    late, rest = stretches
    assert [(one.start, one.windows, one.dropped) for one in (idle, busy)] == [
        (0, 3, 0),
        (12, 3, 0),
    ]
    windows = late.recording.windows(4, 4, late.start, late.stop)
    assert [window.start for window in windows] == kept
    assert (late.windows, late.dropped) == (len(kept), 4 - len(kept))
    assert [each.is_late for each in (idle, busy, late, rest)] == [False, False, True, False]
    assert (rest.start, rest.stop, rest.dropped) == (40, 41, 0)


def test_a_reader_that_waits_is_not_late_however_much_comes_at_once(tmp_path: Path) -> None:
    path, content = tmp_path / "camera.dat", packed(planes(40), tmp_path)
    spec = FollowSpec(4, 4, timeout_s=3, poll_s=1, newest=1)
    cuts = [0, 4, 24, 40]
    camera = [
        appender(path, content[a * PLANE_BYTES : b * PLANE_BYTES])
        for a, b in itertools.pairwise(cuts)
    ]
    assert [start for start, _ in windows_of(path, camera, spec)] == list(range(0, 40, 4))


def test_whatever_comes_puts_the_end_off(tmp_path: Path) -> None:
    path, content = tmp_path / "camera.dat", packed(planes(8), tmp_path)
    patience = FollowSpec(window=8, stride=8, timeout_s=2, poll_s=1)
    camera: list[Callable[[], object]] = []
    for plane in range(8):  # one in 1.55 s: a window takes longer than the patience
        piece = content[plane * PLANE_BYTES : (plane + 1) * PLANE_BYTES]
        camera += [appender(path, piece), *[lambda: None] * 5]
    assert [start for start, _ in windows_of(path, camera, patience)] == [0]


def test_somebody_may_end_it_and_learns_how_much_has_come(tmp_path: Path) -> None:
    path, content = tmp_path / "camera.dat", packed(planes(30), tmp_path)
    path.write_bytes(content[: 10 * PLANE_BYTES])
    wishes: list[bool] = []
    stretches = follow(path, OPTIONS, QUICK, is_over=lambda: bool(wishes), clock=Camera())
    assert next(stretches).planes == 10
    appender(path, content[10 * PLANE_BYTES :])()
    wishes.append(True)
    (rest,) = stretches
    assert (rest.windows, rest.planes) == (0, 30)


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


def test_a_ring_of_files_may_drop_those_that_were_read(tmp_path: Path) -> None:
    some, folder, told = planes(40), tmp_path / "camera", []
    folder.mkdir()
    content = packed(some, tmp_path)

    def turn(number: int) -> Callable[[], object]:
        def step() -> None:
            (folder / f"{number}.dat").write_bytes(content[number * 80 : number * 80 + 80])
            (folder / f"{number - 2}.dat").unlink(missing_ok=True)

        return step

    found = list(windows_of(folder, map(turn, range(8)), report=told.append))
    assert [start for start, _ in found] == list(range(0, 40, 4))
    assert all(np.array_equal(window, some[start : start + 4]) for start, window in found)
    assert told == []


def test_a_file_may_go_before_it_was_read(tmp_path: Path) -> None:
    some, folder = planes(12), tmp_path / "camera"
    folder.mkdir()
    content = packed(some, tmp_path)
    for number in range(3):
        (folder / f"{number}.dat").write_bytes(content[number * 64 : number * 64 + 64])
    found = windows_of(folder)
    first = next(found)
    (folder / "0.dat").unlink()
    (folder / "1.dat").unlink()
    windows = [first, *found]
    assert [start for start, _ in windows] == [0, 4, 8]
    assert all(np.array_equal(window, some[start : start + 4]) for start, window in windows)


@pytest.mark.parametrize("way", ["replaced", "overwritten"])
def test_a_numbered_file_that_is_written_anew_begins_anew(way: str, tmp_path: Path) -> None:
    first, second, folder, told = planes(15, 1), planes(10, 2), tmp_path / "camera", []
    folder.mkdir()
    old, new = packed(first, tmp_path), packed(second, tmp_path)
    for number in range(3):
        (folder / f"{number}.dat").write_bytes(old[number * 80 : number * 80 + 80])

    def rewrite(number: int) -> Callable[[], object]:
        def step() -> None:
            fresh, path = tmp_path / "fresh", folder / f"{number}.dat"
            target = fresh if way == "replaced" else path
            target.write_bytes(new[number * 80 : number * 80 + 80])
            os.utime(target, ns=(0, 10**18 + number))  # however coarse the file system's clock is
            if way == "replaced":
                fresh.replace(path)

        return step

    found = list(windows_of(folder, [rewrite(0), rewrite(1)], report=told.append))
    assert [start for start, _ in found] == [0, 4, 8, 15, 19]  # 2.dat is not read again
    assert np.array_equal(np.concatenate([window for _, window in found[3:]]), second[:8])
    assert told == [
        f"{folder / '0.dat'}: became shorter or was replaced; read from its beginning again",
        "3 planes that had made no whole window are lost",
        "2 planes at the end make no whole window",
    ]


def test_a_file_that_comes_late_is_told_of_and_not_read(tmp_path: Path) -> None:
    some, folder, told = planes(16), tmp_path / "camera", []
    folder.mkdir()
    content = packed(some, tmp_path)

    def piece(number: int) -> Callable[[], object]:
        return appender(folder / f"{number}.dat", content[number * 64 : number * 64 + 64])

    found = list(
        windows_of(folder, [piece(0), piece(2), piece(1), piece(0), piece(3)], report=told.append)
    )
    assert [start for start, _ in found] == [0, 4, 8]
    read = np.concatenate([some[:4], some[8:]])
    assert np.array_equal(np.concatenate([window for _, window in found]), read)
    assert told == [
        "0.dat is followed by 2.dat; read as adjoining",
        f"{folder / '1.dat'}: came after 2.dat and is not read",
        f"{folder / '0.dat'}: grew when others followed it; what came late is not read",
    ]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="nobody counts open files here")
def test_more_files_than_can_be_open_are_taken_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, folder = planes(40), tmp_path / "camera"
    folder.mkdir()
    content = packed(some, tmp_path)
    for number in range(40):
        (folder / f"{number}.dat").write_bytes(content[number * 16 : number * 16 + 16])
    monkeypatch.setattr(following_files, "FILES_AT_ONCE", 6)
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    found = []
    for start, window in windows_of(folder):
        found.append(start)
        assert np.array_equal(window, some[start : start + 4])
        assert len(list(descriptors.iterdir())) < before + 15
    assert found == list(range(0, 40, 4))


@pytest.mark.parametrize("count", [3, 8, 12])
def test_a_file_that_is_written_anew_is_read_from_its_beginning(count: int, tmp_path: Path) -> None:
    first, second = planes(9, seed=1), planes(count, seed=2)
    path, told = tmp_path / "camera.dat", []
    path.write_bytes(packed(first, tmp_path))
    fresh = packed(second, tmp_path)
    found = list(windows_of(path, [lambda: path.write_bytes(fresh)], report=told.append))
    assert [start for start, _ in found] == [0, 4, *range(9, 9 + count - 3, 4)]
    for start, window in found[2:]:
        assert np.array_equal(window, second[start - 9 : start - 5])
    assert "read from its beginning again" in told[0]
    assert told[1] == "1 planes that had made no whole window are lost"


def test_planes_that_vanish_before_they_are_read_are_an_error_that_can_be_left(
    tmp_path: Path,
) -> None:
    path, told = tmp_path / "camera.dat", []
    path.write_bytes(packed(planes(8), tmp_path))
    again = packed(planes(4, seed=2), tmp_path)
    steps = [lambda: None, appender(path, again)]
    stretches = follow(path, OPTIONS, QUICK, told.append, clock=Camera(steps))
    stretch = next(stretches)
    os.truncate(path, 0)
    with pytest.raises(CutOffError, match="became shorter while it was read"):
        stretch.recording.counts(0, 4, 1)
    (anew,) = stretches
    assert (anew.before, anew.start, anew.planes) == (8, 0, 12)
    assert np.array_equal(anew.recording[:], planes(4, seed=2))
    assert "became shorter or was replaced" in told[0]


def test_a_file_that_is_rotated_away_is_read_to_its_end_before_the_next(tmp_path: Path) -> None:
    some, path, told = planes(11, seed=1), tmp_path / "camera.dat", []
    content = packed(some, tmp_path)
    path.write_bytes(content[: 4 * PLANE_BYTES])
    longer = tmp_path / "next.dat"
    longer.write_bytes(packed(planes(8, seed=2), tmp_path))

    def rotate() -> None:
        path.rename(tmp_path / "old.dat")
        appender(tmp_path / "old.dat", content[4 * PLANE_BYTES :])()
        longer.replace(path)

    found = list(windows_of(path, [rotate], report=told.append))
    assert [start for start, _ in found] == [0, 4, 11, 15]
    assert np.array_equal(found[1][1], some[4:8])
    assert np.array_equal(found[2][1], planes(8, seed=2)[:4])
    assert "3 planes that had made no whole window are lost" in told


def test_an_array_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "clip.npy"
    np.save(path, planes(4))
    with pytest.raises(ConfigError, match="found an array"):
        list(windows_of(path))
    with pytest.raises(ConfigError, match="found an array"):
        list(follow(tmp_path / "none.dat", RecordingOptions(layout="array-thw"), QUICK))


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


def test_an_empty_file_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "empty.dat").touch()
    with pytest.raises(SourceError, match="found 0 bytes"):
        list(windows_of(tmp_path / "empty.dat"))


@pytest.mark.parametrize(
    "wrong", [{"window": 0}, {"stride": -1}, {"timeout_s": 0.0}, {"timeout_s": float("nan")}]
)
def test_numbers_must_be_positive(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"{name}: found .*, wanted a positive number"):
        FollowSpec(**{"window": 1, "stride": 1} | wrong)  # type: ignore[arg-type]  # on purpose


def test_more_of_a_stretch_follows_it_while_it_is_worked_on(tmp_path: Path) -> None:
    path, some = tmp_path / "camera.dat", planes(24)
    content = packed(some, tmp_path)
    path.write_bytes(content[: 8 * PLANE_BYTES])
    stretches = follow(path, OPTIONS, QUICK, clock=Camera())
    first = next(stretches)
    assert stretches.more(first.start) is None
    appender(path, content[8 * PLANE_BYTES : 19 * PLANE_BYTES])()
    second = stretches.more(4)
    assert second is not None
    assert (second.start, second.windows, second.is_late) == (8, 2, False)
    for stretch in (first, second):
        for window in stretch.recording.windows(4, 4, stretch.start, stretch.stop):
            assert np.array_equal(window.planes, some[window.start : window.start + 4])
    appender(path, content[19 * PLANE_BYTES :])()
    third = next(stretches)
    assert (third.start, third.windows) == (16, 2)
    assert list(stretches) == []


def test_files_are_held_as_long_as_something_is_read_of_them(tmp_path: Path) -> None:
    folder, some = tmp_path / "camera", planes(16)
    folder.mkdir()
    content, size = packed(some, tmp_path), 4 * PLANE_BYTES
    for number in range(2):
        (folder / f"{number}.dat").write_bytes(content[number * size : (number + 1) * size])
    stretches = follow(folder, OPTIONS, QUICK, clock=Camera())
    first = next(stretches)
    for number in (2, 3):
        (folder / f"{number}.dat").write_bytes(content[number * size : (number + 1) * size])
    second = stretches.more(read=0)
    assert second is not None
    for number in range(4):
        (folder / f"{number}.dat").unlink()
    windows = list(first.recording.windows(4, 4, first.start, first.stop))
    assert np.array_equal(windows[0].planes, some[:4])
    assert [window.start for window in windows] == [0, 4]


def test_a_recording_that_begins_anew_is_no_more_of_the_last(tmp_path: Path) -> None:
    path, some = tmp_path / "camera.dat", planes(12, seed=1)
    path.write_bytes(packed(planes(8), tmp_path))
    stretches = follow(path, OPTIONS, QUICK, clock=Camera())
    assert next(stretches).windows == 2
    path.unlink()
    path.write_bytes(packed(some, tmp_path))
    assert stretches.more(4) is None
    assert stretches.more(4) is None
    anew = next(stretches)
    assert (anew.before, anew.start, anew.windows) == (8, 0, 3)
    assert np.array_equal(anew.recording[0:12], some)
    assert list(stretches) == []
