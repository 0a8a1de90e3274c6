from pathlib import Path

import av
import numpy as np
import pytest

from vidar_det.errors import OutputError, ShapeError
from vidar_det.spikes.video import VideoWriter


def read(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def film(path: Path, *pictures: np.ndarray) -> None:
    with VideoWriter(path, fps=30.0) as video:
        for picture in pictures:
            video.write(picture)


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 3), (47, 63, 3)])
def test_pictures_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "film.mp4"
    levels = [40, 120, 220]
    with VideoWriter(path, fps=25.0) as video:
        for level in levels:
            video.write(np.full(shape, level, np.uint8))
    frames = read(path)
    assert len(frames) == 3
    for frame, level in zip(frames, levels, strict=True):
        assert frame.shape == (48, 64, 3)
        assert abs(int(frame[10, 10, 1]) - level) <= 4


def test_red_stays_red(tmp_path: Path) -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 220
    with VideoWriter(tmp_path / "red.mp4", fps=30.0) as video:
        video.write(red)
    assert read(tmp_path / "red.mp4")[0][16, 16].argmax() == 0


def test_the_rate_is_kept(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "film.mp4", fps=12.5) as video:
        video.write(np.zeros((32, 32), np.uint8))
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert float(container.streams.video[0].average_rate or 0) == 12.5


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    good, bad = np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.float64)
    with pytest.raises(ShapeError):
        film(tmp_path / "film.mp4", good, bad)
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no picture"), VideoWriter(tmp_path / "a.mp4", fps=30.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_refused_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"), VideoWriter(path, fps=30.0):
        pass
    assert path.read_text() == "mine"
    with VideoWriter(path, fps=30.0, overwrite=True) as video:
        video.write(np.zeros((32, 32), np.uint8))
    assert len(read(path)) == 1


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"film\.mp4"),
        VideoWriter(tmp_path / "no" / "film.mp4", 30),
    ):
        pass


@pytest.mark.parametrize(
    "picture",
    [np.zeros((8, 8), np.float32), np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8), np.uint8)],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, picture: np.ndarray) -> None:
    with pytest.raises(ShapeError), VideoWriter(tmp_path / "film.mp4", fps=30.0) as video:
        video.write(picture)


def test_pictures_of_two_sizes_are_refused(tmp_path: Path) -> None:
    pictures = np.zeros((32, 32), np.uint8), np.zeros((32, 34), np.uint8)
    with pytest.raises(ShapeError, match="as before"):
        film(tmp_path / "a.mp4", *pictures)


def test_without_an_h264_encoder_the_next_codec_is_taken_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidar_det.spikes.video.CODECS", ("vc1", "mpeg4"))  # vc1: can be read only
    with VideoWriter(tmp_path / "film.mp4", fps=30.0) as video:
        video.write(np.zeros((32, 32), np.uint8))
    assert video.codec == "mpeg4"
    assert len(read(tmp_path / "film.mp4")) == 1
    monkeypatch.setattr("vidar_det.spikes.video.CODECS", ("vc1",))
    with pytest.raises(OutputError, match="can write none of vc1"):
        VideoWriter(tmp_path / "none.mp4", fps=30.0)


def test_the_picture_stays_unchanged(tmp_path: Path) -> None:
    picture = np.full((31, 33), 7, np.uint8)
    with VideoWriter(tmp_path / "film.mp4", fps=30.0) as video:
        video.write(picture)
    assert (picture == 7).all()
