import numpy as np
import pytest

from vidar_det.errors import GeometryError, RangeError, ShapeError
from vidar_det.spikes.stores import ArrayStore
from vidar_det.spikes.stream import Hole, Sensor, SpikeStream, SpikeWindow

SENSOR = Sensor(width=5, height=3, rate_hz=20_000.0)


@pytest.fixture
def planes() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (40, 3, 5), dtype=np.uint8)


def stream_with_hole(planes: np.ndarray) -> SpikeStream:
    return SpikeStream(ArrayStore(planes, "planes"), SENSOR, holes=(Hole(10, 3), Hole(30, 1)))


def test_a_sensor_refuses_impossible_geometry_and_rate() -> None:
    with pytest.raises(GeometryError, match="0x4"):
        Sensor(width=0, height=4)
    for rate in (0.0, -1.0, float("nan"), float("inf"), 1e-300, 1e300, 10**400):
        with pytest.raises(RangeError, match="rate_hz"):
            Sensor(width=4, height=4, rate_hz=rate)
    assert [Sensor(4, 4, rate).plane_us for rate in (1e-3, 1e9)] == [1e9, 1e-3]


def test_planes_in_memory_are_seen_as_they_are(planes: np.ndarray) -> None:
    before = planes.copy()
    stream = SpikeStream.from_planes(planes, SENSOR)
    assert stream.shape == (40, 3, 5)
    assert len(stream) == 40
    assert np.array_equal(stream[10:31], planes[10:31])
    assert np.array_equal(stream[7], planes[7])
    assert np.array_equal(stream[-1], planes[-1])
    assert np.array_equal(stream[::-7], planes[::-7])
    assert stream[20:10].shape == (0, 3, 5)
    assert np.array_equal(np.stack(list(stream)), planes)
    stream[0][:] = 1
    assert np.array_equal(planes, before)


def test_bool_planes_are_welcome(planes: np.ndarray) -> None:
    stream = SpikeStream.from_planes(planes.astype(bool), SENSOR)
    assert stream[:].dtype == np.uint8
    assert np.array_equal(stream[:], planes)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 3, 5), np.float32),
        np.zeros((3, 5), np.uint8),
        np.zeros((4, 5, 3), np.uint8),
        np.zeros((0, 3, 5), np.uint8),
        np.full((4, 3, 5), 2, np.uint8),
    ],
)
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ShapeError):
        SpikeStream.from_planes(wrong, SENSOR)


@pytest.mark.parametrize("index", [40, -41])
def test_a_plane_outside_the_recording_is_refused(planes: np.ndarray, index: int) -> None:
    with pytest.raises(RangeError, match="40 planes"):
        SpikeStream.from_planes(planes, SENSOR)[index]


def test_counts_are_sums_of_planes(planes: np.ndarray) -> None:
    counts = SpikeStream.from_planes(planes, SENSOR).counts(4, 40, bins=4)
    assert counts.shape == (4, 3, 5)
    assert counts.dtype == np.uint16
    assert np.array_equal(counts, planes[4:].reshape(4, 9, 3, 5).sum(axis=1))


@pytest.mark.parametrize(
    ("start", "stop", "bins"), [(0, 10, 3), (0, 41, 1), (-1, 9, 1), (9, 3, 1), (0, 4, 0), (4, 4, 1)]
)
def test_counts_refuse_what_is_no_whole_number_of_bins_inside_the_recording(
    planes: np.ndarray, start: int, stop: int, bins: int
) -> None:
    with pytest.raises(RangeError):
        SpikeStream.from_planes(planes, SENSOR).counts(start, stop, bins)


def test_a_bin_of_more_than_65535_planes_is_refused() -> None:
    planes = np.ones((65_536, 1, 1), np.uint8)
    stream = SpikeStream.from_planes(planes, Sensor(1, 1))
    assert stream.counts(0, 65_535, bins=1).item() == 65_535
    with pytest.raises(RangeError, match="65,535"):
        stream.counts(0, 65_536, bins=1)


def test_windows_without_a_stride_leave_no_gap(planes: np.ndarray) -> None:
    stream = SpikeStream.from_planes(planes, SENSOR)
    windows = list(stream.windows(length=12))
    assert [window.start for window in windows] == [0, 12, 24]
    assert np.array_equal(windows[1].planes, planes[12:24])
    assert np.array_equal(windows[1].counts(2), stream.counts(12, 24, 2))
    assert windows[1].time_us == 600.0
    assert windows[1].duration_us == 600.0
    assert [w.start for w in stream.windows(length=10, stride=15, start=3, stop=29)] == [3, 18]


def test_time_stays_true_after_lost_planes(planes: np.ndarray) -> None:
    stream = stream_with_hole(planes)
    assert [stream.time_us(index) for index in (0, 9, 10, 29, 30, 40)] == [
        0.0,
        450.0,
        650.0,
        1600.0,
        1700.0,
        2200.0,
    ]
    with pytest.raises(RangeError):
        stream.time_us(41)


def test_no_window_straddles_lost_planes(planes: np.ndarray) -> None:
    stream = stream_with_hole(planes)
    assert [w.start for w in stream.windows(length=6)] == [0, 10, 16, 22, 30]
    assert [w.start for w in stream.windows(length=6, start=12, stop=31)] == [12, 18, 24]
    assert SpikeWindow(stream, 10, 20).length == 20
    with pytest.raises(RangeError, match="straddles"):
        SpikeWindow(stream, 9, 2)


def test_impossible_windows_are_refused_at_the_call(planes: np.ndarray) -> None:
    stream = SpikeStream.from_planes(planes, SENSOR)
    for arguments in ((0,), (4, 0), (4, 4, -1), (4, 4, 0, 41), (4, 4, 20, 10)):
        with pytest.raises(RangeError):
            stream.windows(*arguments)
    for start, length in ((-1, 4), (0, 0), (38, 3)):
        with pytest.raises(RangeError):
            SpikeWindow(stream, start, length)


def test_streams_and_windows_can_be_keys(planes: np.ndarray) -> None:
    stream, twin = SpikeStream.from_planes(planes, SENSOR), SpikeStream.from_planes(planes, SENSOR)
    assert stream != twin
    assert {SpikeWindow(stream, 0, 4), SpikeWindow(stream, 0, 4)} == {SpikeWindow(stream, 0, 4)}
