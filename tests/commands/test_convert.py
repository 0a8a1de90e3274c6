from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vidar_det.commands.convert import ConvertSettings, convert_recording
from vidar_det.errors import GeometryError, OutputError, RangeError
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.selection import Selection
from vidar_det.spikes.sidecar import Layout


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("out.dat", "auto"),
        ("out.dat", "row-padded"),
        ("out.npz", "auto"),
        ("out.npz", "array-hwt"),
        ("out.npz", "time-packed"),
    ],
)
def test_the_planes_survive_conversion(
    clip: Path, clip_planes: NDArray[np.uint8], tmp_path: Path, name: str, layout: Layout
) -> None:
    told: list[tuple[int, int]] = []
    settings = ConvertSettings(layout=layout)
    convert_recording(
        open_recording(clip), tmp_path / name, settings, lambda *done: told.append(done)
    )
    converted = open_recording(tmp_path / name)
    assert np.array_equal(converted[:], clip_planes)
    assert converted.layout == {"auto": "plain" if name == "out.dat" else "array-thw"}.get(
        layout, layout
    )
    assert told[-1] == (200, 200)


def test_a_range_is_converted_alone(
    clip: Path, clip_planes: NDArray[np.uint8], tmp_path: Path
) -> None:
    settings = ConvertSettings(Selection(start=30, planes=100))
    convert_recording(open_recording(clip), tmp_path / "part.dat", settings)
    assert np.array_equal(open_recording(tmp_path / "part.dat")[:], clip_planes[30:130])


def test_a_video_has_a_frame_for_each_window(clip: Path, tmp_path: Path) -> None:
    settings = ConvertSettings(Selection(window=64, stride=32), fps=25.0)
    convert_recording(open_recording(clip), tmp_path / "slow.mp4", settings)
    with av.open(str(tmp_path / "slow.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 25
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
    assert [frame.shape for frame in frames] == [(40, 48)] * 5


def test_a_picture_shows_the_planes_that_were_asked_for(clip: Path, tmp_path: Path) -> None:
    stream = open_recording(clip)
    convert_recording(stream, tmp_path / "a.png", ConvertSettings(Selection(planes=50)))
    picture = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.shape == (40, 48)
    mean = stream.counts(0, 50, 1)[0] / 50
    brightest = np.unravel_index(mean.argmax(), mean.shape)
    assert picture[brightest] == 255


@pytest.mark.parametrize("name", ["out.avi", "out"])
def test_another_ending_is_refused_with_those_there_are(
    clip: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(OutputError, match=r"wanted \.dat, \.npz, \.mp4 or \.png"):
        convert_recording(open_recording(clip), tmp_path / name)


@pytest.mark.parametrize("name", ["out.dat", "out.npz", "out.mp4", "out.png"])
def test_what_exists_stays_unless_overwriting_is_allowed(
    clip: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("old")
    stream = open_recording(clip)
    with pytest.raises(OutputError, match="exists already"):
        convert_recording(stream, tmp_path / name)
    assert (tmp_path / name).read_text() == "old"
    convert_recording(stream, tmp_path / name, ConvertSettings(overwrite=True))
    assert (tmp_path / name).read_bytes() != b"old"


def test_a_failure_leaves_nothing_behind(clip: Path, tmp_path: Path) -> None:
    stream = open_recording(clip)
    with pytest.raises(GeometryError):
        convert_recording(stream, tmp_path / "out.dat", ConvertSettings(layout="m1k40"))
    with pytest.raises(RangeError):
        convert_recording(stream, tmp_path / "out.mp4", ConvertSettings(Selection(planes=60)))

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for name in ("out.dat", "out.mp4"):
        with pytest.raises(KeyboardInterrupt):
            convert_recording(stream, tmp_path / name, ConvertSettings(), interrupt)
    assert [file.name for file in tmp_path.iterdir()] == ["recordings"]
