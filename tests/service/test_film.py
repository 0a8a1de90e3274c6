"""Videos of a stretch of a clip."""

from pathlib import Path

import av
import pytest

from tests.service.conftest import Caller


def frames_of(content: bytes, folder: Path) -> list[av.VideoFrame]:
    (folder / "film.mp4").write_bytes(content)
    with av.open(str(folder / "film.mp4")) as film:
        return list(film.decode(video=0))


def test_a_stretch_becomes_a_video_of_the_asked_length(call: Caller, tmp_path: Path) -> None:
    params = {"start": 100, "planes": 40, "step": 10, "fps": 10}
    answer = call.get("/v1/clips/demo/film", params=params)
    assert answer.headers["content-type"] == "video/mp4"
    frames = frames_of(answer.content, tmp_path)
    assert len(frames) == 4
    assert (frames[0].width, frames[0].height >= 320) == (512, True)
    assert list((tmp_path / "spool" / "incoming").iterdir()) == []


@pytest.mark.parametrize("view", ["tfp", "tfi", "raw", "heat"])
def test_every_view_can_be_filmed(call: Caller, view: str, tmp_path: Path) -> None:
    params = {"start": 380, "planes": 4, "step": 4, "view": view}
    answer = call.get("/v1/clips/demo/film", params=params)
    assert len(frames_of(answer.content, tmp_path)) == 1


@pytest.mark.parametrize(
    "params",
    [
        {"start": 380, "planes": 5},
        {"start": 999, "planes": 1},
        {"planes": 9_000_000},
        {"planes": 0},
        {"planes": 10, "view": "mood"},
        {"planes": 10, "model": "giant"},
    ],
    ids=str,
)
def test_a_video_that_cannot_be_is_refused(call: Caller, params: dict[str, str | int]) -> None:
    assert call.get("/v1/clips/demo/film", params=params).status_code == 422
