"""Pictures of large planes, and of many at once; test_clips.py asks for the usual ones."""

import contextlib
from typing import Any

import anyio
import pytest

from tests.service.conftest import Caller


def test_of_large_planes_fewer_count_for_a_picture_by_intervals(
    call: Caller, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = f"{call.post('/v1/clips', **sent).headers['Location']}/frame?plane=100&view=tfi"
    usual = call.get(frame).content
    monkeypatch.setattr("service.replay.pictures.MOST_INTERVAL_BYTES", 21 * 48 * 40 - 1)
    fewer = call.get(frame).content
    assert fewer == call.get(f"{frame}&window=20").content != usual
    answer = call.get(f"{frame}&window=21")
    assert (answer.status_code, "at most 20" in answer.json()["detail"]) == (422, True)


def test_pictures_wait_for_their_places(call: Caller) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            place = call.parts.pictures.place()
            stack.enter_context(call._portal.wrap_async_context_manager(place))
        waiting = call._portal.start_task_soon(
            call._call, "GET", "/v1/clips/demo/frame", {"params": {"plane": 9}}
        )
        call._portal.call(anyio.wait_all_tasks_blocked)
        assert call.parts.pictures._inside == 3
    assert waiting.result(60).status_code == 200
