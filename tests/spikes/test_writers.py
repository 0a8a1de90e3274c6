import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidar_det.errors import GeometryError, OutputError, ShapeError
from vidar_det.spikes import writers
from vidar_det.spikes.layouts import ARRAY_LAYOUTS, LAYOUTS
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.stream import Sensor
from vidar_det.spikes.writers import write_recording

SENSOR = Sensor(width=13, height=7)
FLIPS = ["auto", "none", "ud", "lr", "both"]


@pytest.fixture
def planes() -> np.ndarray:
    return np.random.default_rng(8).integers(0, 2, (30, 7, 13), dtype=np.uint8)


def name_for(layout: str) -> str:
    return "clip.npz" if layout in ARRAY_LAYOUTS else "clip.dat"


@settings(max_examples=40, deadline=None)
@given(
    layout=st.sampled_from([name for name in LAYOUTS if name != "m1k40"]),
    flip=st.sampled_from(FLIPS),
    count=st.integers(1, 20),
    height=st.integers(1, 9),
    width=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_recording_survives_the_file(
    layout: str, flip: str, count: int, height: int, width: int, seed: int
) -> None:
    planes = np.random.default_rng(seed).integers(0, 2, (count, height, width), dtype=np.uint8)
    before = planes.copy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name_for(layout)
        sensor = Sensor(width, height, rate_hz=40_000.0)
        write_recording(path, planes, sensor, layout=layout, flip=flip)
        stream = open_recording(path)
        assert stream.sensor == sensor
        assert stream.layout == layout
        assert np.array_equal(stream[:], planes)
        assert np.array_equal(stream.counts(0, count, 1)[0], planes.sum(axis=0))
        assert np.array_equal(stream.counts(0, count, count), planes)
    assert np.array_equal(planes, before)


@pytest.mark.parametrize("flip", FLIPS)
def test_an_m1k40_recording_survives_the_file(tmp_path: Path, flip: str) -> None:
    planes = np.random.default_rng(1).integers(0, 2, (2, 1000, 1000), dtype=np.uint8)
    path = tmp_path / "clip.dat"
    write_recording(path, planes, Sensor(1000, 1000), layout="m1k40", flip=flip)
    assert path.stat().st_size == 2 * 128_000
    assert np.array_equal(open_recording(path)[:], planes)


@pytest.mark.parametrize("layout", ["plain", "array-hwt"])
def test_planes_are_taken_one_after_another(
    tmp_path: Path, planes: np.ndarray, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "CHUNK_BYTES", 4 * 7 * 13)
    path = tmp_path / name_for(layout)
    write_recording(path, (plane.astype(bool) for plane in planes), SENSOR, layout=layout)
    stream = open_recording(path)
    assert np.array_equal(stream[:], planes)
    write_recording(tmp_path / "copy.dat", stream, SENSOR)
    assert np.array_equal(open_recording(tmp_path / "copy.dat")[:], planes)


def test_the_file_holds_camera_orientation_with_the_first_pixel_in_the_lowest_bit(
    tmp_path: Path,
) -> None:
    plane = np.zeros((1, 7, 13), np.uint8)
    plane[0, 6, 1] = 1
    write_recording(tmp_path / "clip.dat", plane, SENSOR)
    assert (tmp_path / "clip.dat").read_bytes() == b"\x02" + bytes(11)
    assert (tmp_path / "clip.toml").read_text() == (
        'width = 13\nheight = 7\nlayout = "plain"\nflip = "ud"\nrate_hz = 20000.0\n'
    )


def test_npz_files_are_readable_by_numpy(tmp_path: Path, planes: np.ndarray) -> None:
    write_recording(tmp_path / "a.npz", planes, SENSOR, layout="array-hwt")
    write_recording(tmp_path / "b.npz", planes, SENSOR, layout="time-packed")
    with np.load(tmp_path / "a.npz") as archive:
        assert np.array_equal(archive["arr_0"], planes.transpose(1, 2, 0))
    with np.load(tmp_path / "b.npz") as archive:
        assert archive["length"] == 30
        assert np.array_equal(archive["seq"], np.packbits(planes, axis=0, bitorder="little"))


def test_existing_output_is_kept_unless_overwriting_is_allowed(
    tmp_path: Path, planes: np.ndarray
) -> None:
    path = tmp_path / "clip.dat"
    write_recording(path, planes[:3], SENSOR)
    with pytest.raises(OutputError, match="exists already"):
        write_recording(path, planes, SENSOR)
    assert len(open_recording(path)) == 3
    write_recording(path, planes, SENSOR, overwrite=True)
    assert len(open_recording(path)) == 30


def test_a_sidecar_of_another_recording_is_never_taken_over(
    tmp_path: Path, planes: np.ndarray
) -> None:
    write_recording(tmp_path / "clip.dat", planes, SENSOR)
    with pytest.raises(OutputError, match=r"clip\.toml belongs to clip\.dat"):
        write_recording(tmp_path / "clip.npz", planes, SENSOR, layout="array-thw", overwrite=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["clip.dat", "clip.toml"]


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        np.zeros((0, 7, 13), np.uint8),
        np.zeros((7, 13), np.uint8),
        np.zeros((2, 13, 7), np.uint8),
        np.zeros((2, 7, 13), np.float32),
        np.full((2, 7, 13), 3, np.uint8),
    ],
)
@pytest.mark.parametrize("layout", ["plain", "array-thw"])
def test_wrong_planes_leave_nothing_behind(tmp_path: Path, wrong: object, layout: str) -> None:
    with pytest.raises(ShapeError):
        write_recording(tmp_path / name_for(layout), wrong, SENSOR, layout=layout)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_source_leaves_nothing_behind(tmp_path: Path, planes: np.ndarray) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield planes[0]
        raise KeyError("camera unplugged")

    for layout in ("plain", "array-thw"):
        with pytest.raises(KeyError, match="camera unplugged"):
            write_recording(tmp_path / name_for(layout), broken(), SENSOR, layout=layout)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", ["plain", "array-thw", "row-packed"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, layout: str) -> None:
    planes = np.random.default_rng(0).integers(0, 2, (200, 64, 64), dtype=np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OutputError, match="clip"):
            write_recording(tmp_path / name_for(layout), planes, Sensor(64, 64), layout=layout)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_named(tmp_path: Path, planes: np.ndarray) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        write_recording(tmp_path / "nowhere" / "clip.dat", planes, SENSOR)
    (tmp_path / "folder.dat").mkdir()
    with pytest.raises(OutputError, match="found a folder"):
        write_recording(tmp_path / "folder.dat", planes, SENSOR, overwrite=True)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("clip.npz", "plain"),
        ("clip.dat", "array-thw"),
        ("clip.npy", "plain"),
        ("clip.toml", "plain"),
        ("clip.dat", "m1k40"),
        ("clip.dat", "plane"),
    ],
)
def test_a_layout_that_suits_neither_name_nor_sensor_is_refused(
    tmp_path: Path, planes: np.ndarray, name: str, layout: str
) -> None:
    with pytest.raises(GeometryError):
        write_recording(tmp_path / name, planes, SENSOR, layout=layout)
    assert list(tmp_path.iterdir()) == []
