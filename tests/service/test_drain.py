import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.drain import Drain, DrainGuard


async def open_socket(drain: Drain, extensions: dict[str, Any]) -> tuple[list[Message], list[int]]:
    """Open a socket; give what was answered, and what was under way inside."""
    sent: list[Message] = []
    under_way: list[int] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        under_way.append(drain.under_way)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/v1/replay/demo", "extensions": extensions}
    await DrainGuard(inside, drain)(scope, None, send)  # type: ignore[arg-type]  # not used
    return sent, under_way


@pytest.mark.parametrize("can_answer", [True, False])
def test_a_service_about_to_stop_opens_no_socket(can_answer: bool) -> None:
    drain = Drain()
    extensions: dict[str, Any] = {"websocket.http.response": {}} if can_answer else {}
    assert asyncio.run(open_socket(drain, extensions)) == ([], [0])
    drain.begin()
    sent, under_way = asyncio.run(open_socket(drain, extensions))
    assert under_way == []
    if can_answer:
        assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", 503)
        assert (b"retry-after", b"5") in sent[0]["headers"]
        assert b'"urn:vidar-det:problem:draining"' in sent[1]["body"]
    else:
        assert [message["type"] for message in sent] == ["websocket.close"]
