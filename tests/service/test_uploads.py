import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from service.app import create_app
from service.settings import Settings
from tests.service.conftest import ScriptedEngine, files_in

PIECE = bytes(48 * 40 // 8)


async def exchange(app: Any, messages: list[Message], accept: str = "*/*") -> list[Message]:
    """Send a clip message by message to ``/v1/detect``; afterwards the client is gone."""
    waiting, sent = iter(messages), []

    async def receive() -> Message:
        return next(waiting, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "POST",
        "scheme": "http",
        "path": "/v1/detect",
        "raw_path": b"/v1/detect",
        "query_string": b"width=48&height=40&layout=plain",
        "headers": [(b"host", b"localhost"), (b"accept", accept.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return sent


def run(tmp_path: Path, engine: ScriptedEngine, messages: list[Message], accept: str) -> Any:
    async def main() -> Any:
        app = create_app(Settings(data_dir=tmp_path / "spool"), engine)
        async with app.router.lifespan_context(app):
            sent = await exchange(app, messages, accept)
            return sent, files_in(tmp_path / "spool"), app.state.parts.spool.used_bytes

    return asyncio.run(main())


@pytest.mark.parametrize("pieces", [0, 1, 2000])
def test_a_client_who_goes_while_sending_leaves_nothing(
    tmp_path: Path, engine: ScriptedEngine, pieces: int
) -> None:
    body = [{"type": "http.request", "body": PIECE, "more_body": True}] * pieces
    sent, left, used = run(tmp_path, engine, body, "*/*")
    assert (sent, left, used) == ([], [], 0)
    assert engine.tasks == []


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_a_client_who_goes_before_the_answer_stops_the_work(
    tmp_path: Path, engine: ScriptedEngine, accept: str
) -> None:
    body = [{"type": "http.request", "body": PIECE * 1000, "more_body": False}]
    sent, left, used = run(tmp_path, engine, body, accept)
    assert (left, used) == ([], 0)
    assert engine.ended == len(engine.tasks) == 1
    assert not any(b'"summary"' in message.get("body", b"") for message in sent)


def test_a_body_in_many_pieces_is_one_clip(tmp_path: Path, engine: ScriptedEngine) -> None:
    async def main() -> None:
        app = create_app(Settings(data_dir=tmp_path / "spool"), engine)
        async with app.router.lifespan_context(app):
            pieces = [PIECE[:100], b"", PIECE[100:]] * 50
            body = [{"type": "http.request", "body": one, "more_body": True} for one in pieces]
            done = asyncio.Event()
            messages = iter([*body, {"type": "http.request", "body": b"", "more_body": False}])
            sent: list[Message] = []

            async def receive() -> Message:
                for message in messages:
                    return message
                await done.wait()
                return {"type": "http.disconnect"}

            async def send(message: Message) -> None:
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/v1/detect",
                "query_string": b"width=48&height=40&layout=plain",
                "headers": [(b"host", b"localhost")],
            }
            await app(scope, receive, send)
            assert sent[0]["status"] == 200

    asyncio.run(main())
    assert len(engine.tasks) == 1
