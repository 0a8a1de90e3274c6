"""Videos of a stretch of a clip."""

import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import av
import pytest
from starlette.types import Message

from service import film
from tests.service.conftest import Caller, Start


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


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the pictures of a video."""
    draw, counted = film.draw_detections, []

    def count(*arguments: Any, **options: Any) -> Any:
        counted.append(len(counted))
        return draw(*arguments, **options)

    monkeypatch.setattr(film, "draw_detections", count)
    return counted


def test_a_video_ends_when_its_client_leaves(
    call: Caller, drawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    has_begun, has_left = anyio.Event(), threading.Event()
    messages = iter([{"type": "http.request", "body": b""}])

    async def receive() -> Message:
        for message in messages:
            return message
        await has_begun.wait()
        has_left.set()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    def begin(frame: Any, *_: Any, **__: Any) -> Any:
        drawn.append(0)
        anyio.from_thread.run_sync(has_begun.set)
        assert has_left.wait(60)
        anyio.from_thread.run(anyio.sleep, 0)  # the service hears of it
        return frame

    monkeypatch.setattr(film, "draw_detections", begin)
    scope = {"type": "http", "method": "GET", "path": "/v1/clips/demo/film"}
    scope |= {"query_string": b"planes=100&step=1", "headers": [(b"host", b"localhost")]}
    call._portal.call(call.app, scope, receive, send)
    assert len(drawn) == 1
    assert list(call.parts.spool.incoming.iterdir()) == []


def test_a_video_without_room_ends_on_the_way(start: Start, drawn: list[int]) -> None:
    call = start(spool_bytes=20_000)
    answer = call.get("/v1/clips/demo/film", params={"planes": 384, "step": 1})
    assert answer.status_code == 507
    assert 0 < len(drawn) < 384
    assert call.parts.spool.used_bytes == 0


def test_two_videos_are_made_side_by_side_and_no_more(call: Caller, drawn: list[int]) -> None:
    place, enter = call.parts.films.place, call._portal.wrap_async_context_manager
    with enter(place()), enter(place()):
        answer = call.get("/v1/clips/demo/film", params={"planes": 10})
    assert (answer.status_code, answer.headers["Retry-After"], drawn) == (503, "2", [])
    assert call.get("/v1/clips/demo/film", params={"planes": 10}).status_code == 200
