from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import ConfigError, FormatError, GeometryError, SourceError
from vidar_det.spikes.layouts import plane_format
from vidar_det.spikes.recording import (
    open_recording,
    recording_files,
)

W, H = 13, 7
GEOMETRY = {"width": W, "height": H, "layout": "plain"}


@pytest.fixture
def planes() -> np.ndarray:
    return np.random.default_rng(8).integers(0, 2, (30, H, W), dtype=np.uint8)


def camera_bytes(planes: np.ndarray) -> bytes:
    return plane_format("plain", W, H).pack(planes[:, ::-1]).tobytes()


def test_a_camera_file_is_flipped_upright_and_rate_is_kept(
    tmp_path: Path, planes: np.ndarray
) -> None:
    (tmp_path / "clip.dat").write_bytes(camera_bytes(planes) + b"rest")
    stream = open_recording(str(tmp_path / "clip.dat"), **GEOMETRY, rate_hz=40_000)
    assert np.array_equal(stream[:], planes)
    assert (stream.flip, stream.layout, stream.path) == ("ud", "plain", tmp_path / "clip.dat")
    assert (stream.report.trailing_bytes, stream.report.leading_bytes) == (4, 0)
    assert "4 trailing bytes" in stream.report.warnings[0]
    assert stream.time_us(2) == 50.0
    for flip, expected in (
        ("none", planes[:, ::-1]),
        ("both", planes[:, :, ::-1]),
        ("lr", planes[:, ::-1, ::-1]),
    ):
        assert np.array_equal(
            open_recording(tmp_path / "clip.dat", **GEOMETRY, flip=flip)[:], expected
        )


def test_the_sidecar_and_spikecv_describe_a_file(tmp_path: Path, planes: np.ndarray) -> None:
    (tmp_path / "clip.dat").write_bytes(camera_bytes(planes))
    (tmp_path / "config.yaml").write_text(f"spike_w: {W}\nspike_h: {H}\nfilename: clip.dat\n")
    assert np.array_equal(open_recording(tmp_path / "clip.dat", layout="plain")[:], planes)
    (tmp_path / "clip.toml").write_text(
        f'width = {H}\nheight = {W}\nlayout = "plain"\nflip = "none"'
    )
    stream = open_recording(tmp_path / "clip.dat", width=W, height=H)
    assert np.array_equal(stream[:], planes[:, ::-1])


def test_numbered_files_are_one_recording_across_their_borders(
    tmp_path: Path, planes: np.ndarray
) -> None:
    data = camera_bytes(planes)
    for name, first, last in (("1", 0, 50), ("2", 50, 151), ("03", 151, 151), ("10", 151, None)):
        (tmp_path / f"{name}.dat").write_bytes(data[first:last])
    (tmp_path / "notes.txt").write_text("not a recording")
    (tmp_path / "config.yaml").write_text(f"spike_w: {W}\nspike_h: {H}\n")
    stream = open_recording(tmp_path, layout="plain")
    assert np.array_equal(stream[:], planes)
    assert np.array_equal(stream.counts(0, 30, 3), planes.reshape(3, 10, H, W).sum(axis=1))
    assert stream.report.warnings == (
        "03.dat is followed by 10.dat; read as adjoining",
        "03.dat is empty",
    )


@pytest.mark.parametrize("names", [["a.dat"], ["1.dat", "final.dat"], ["1.dat", "2b.dat"]])
def test_a_folder_of_other_names_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"1234")
    with pytest.raises(FormatError, match="wanted numbered files"):
        recording_files(tmp_path)


def test_a_folder_with_one_number_twice_is_refused(tmp_path: Path) -> None:
    for name in ("1.dat", "01.dat"):
        (tmp_path / name).write_bytes(b"1234")
    with pytest.raises(FormatError, match="wanted one of them"):
        open_recording(tmp_path)


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("x")
    with pytest.raises(SourceError, match=r"no \.dat files"):
        open_recording(tmp_path)


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.dat"):
        open_recording(tmp_path / "gone.dat")
    for name in ("empty.dat", "empty.npz", "empty.npy"):
        (tmp_path / name).touch()
        with pytest.raises(SourceError, match="found 0 bytes"):
            open_recording(tmp_path / name)


@pytest.mark.parametrize("layout", ["auto", "plain", "m1k40"])
def test_a_prophesee_file_is_refused_by_name(tmp_path: Path, layout: str) -> None:
    header = b"% Data file containing CD events.\n% Version 2\n% Height 720\n"
    (tmp_path / "td.dat").write_bytes(header + bytes(400_000))
    with pytest.raises(FormatError, match=r"td\.dat: found a Prophesee event file"):
        open_recording(tmp_path / "td.dat", layout=layout)


def test_a_recording_may_begin_with_the_byte_of_a_per_cent_sign(tmp_path: Path) -> None:
    (tmp_path / "clip.dat").write_bytes(b"%" + bytes(11))
    assert len(open_recording(tmp_path / "clip.dat", **GEOMETRY)) == 1


def test_arguments_that_cannot_fit_are_refused(tmp_path: Path, planes: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", planes)
    (tmp_path / "clip.dat").write_bytes(camera_bytes(planes))
    for name, options in (
        ("a.npy", {"layout": "plain"}),
        ("a.npy", {"layout": "array-thw", "width": 99}),
        ("clip.dat", {"layout": "array-thw"}),
        ("clip.dat", {"width": 0, "height": 7}),
        ("clip.dat", {"width": -13, "height": 7, "layout": "plain"}),
    ):
        with pytest.raises(GeometryError):
            open_recording(tmp_path / name, **options)
    for options in (
        {"layout": "plan"},
        {"flip": "up"},
        {"width": 4.5},
    ):
        with pytest.raises(ConfigError):
            open_recording(tmp_path / "clip.dat", **options)


def test_the_length_is_taken_when_it_is_opened(tmp_path: Path, planes: np.ndarray) -> None:
    path = tmp_path / "clip.dat"
    path.write_bytes(camera_bytes(planes[:10]))
    stream = open_recording(path, **GEOMETRY)
    with path.open("ab") as file:
        file.write(camera_bytes(planes[10:]))
    assert np.array_equal(stream[:], planes[:10])
    assert np.array_equal(open_recording(path, **GEOMETRY)[:], planes)
