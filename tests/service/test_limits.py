import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from service.keys import new_key
from service.limits import BodyGuard, CallGuard
from service.problems import Problem
from tests.service.conftest import ScriptedEngine, Start


def scope_of(caller: str = "lab", path: str = "/v2", **headers: str) -> Scope:
    return {
        "type": "http",
        "path": path,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        "state": {"caller": caller},
    }


async def answer_of(app: Any, scope: Scope, receive: Any = None) -> tuple[int, dict[str, str]]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_caller_who_calls_too_often_waits_for_one_token() -> None:
    clock = Clock()
    guard = CallGuard(fine, per_minute=12, at_once=9, clock=clock)  # a burst of 2, one in 5 s

    async def run() -> None:
        assert [(await answer_of(guard, scope_of()))[0] for _ in range(3)] == [200, 200, 429]
        assert (await answer_of(guard, scope_of("field")))[0] == 200
        status, headers = await answer_of(guard, scope_of())
        assert (status, headers["retry-after"]) == (429, "5")
        clock.now += 5
        assert [(await answer_of(guard, scope_of()))[0] for _ in range(2)] == [200, 429]
        assert (await answer_of(guard, scope_of(path="/v2/health/live")))[0] == 200

    asyncio.run(run())


def test_a_caller_has_so_many_calls_at_once_and_no_more() -> None:
    async def run() -> None:
        go = asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await go.wait()
            await fine(scope, receive, send)

        guard = CallGuard(slow, per_minute=6000, at_once=2)
        running = [asyncio.create_task(answer_of(guard, scope_of())) for _ in range(2)]
        await asyncio.sleep(0)
        status, headers = await answer_of(guard, scope_of())
        assert (status, headers["retry-after"]) == (429, "1")
        go.set()
        assert [(await one)[0] for one in running] == [200, 200]
        assert (await answer_of(guard, scope_of()))[0] == 200

    asyncio.run(run())


def test_a_call_that_fails_gives_its_place_back() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    async def run() -> None:
        guard = CallGuard(broken, per_minute=6000, at_once=1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await answer_of(guard, scope_of())

    asyncio.run(run())


def test_a_silent_client_is_not_waited_for() -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async def run() -> None:
        with pytest.raises(Problem) as caught:
            await answer_of(BodyGuard(reads, 100, timeout_s=0.001), scope_of(), never)
        assert (caught.value.status, caught.value.kind) == (408, "body-timeout")

    asyncio.run(run())


def test_a_client_who_does_not_read_is_not_waited_for() -> None:
    async def stuck(message: Message) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        with pytest.raises(ClientDisconnect):
            await BodyGuard(fine, 100, timeout_s=0.001)(scope_of(), asyncio.Event().wait, stuck)

    asyncio.run(run())


def test_after_its_body_a_client_may_be_silent() -> None:
    async def run() -> None:
        gone = asyncio.Event()
        messages = iter([{"type": "http.request", "body": b"x", "more_body": False}])

        async def receive() -> Message:
            for message in messages:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def reads(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            asyncio.get_running_loop().call_later(0.05, gone.set)
            assert (await receive())["type"] == "http.disconnect"
            await fine(scope, receive, send)

        status, _ = await answer_of(BodyGuard(reads, 100, timeout_s=0.001), scope_of(), receive)
        assert status == 200

    asyncio.run(run())


@pytest.mark.parametrize("length", ["-1", "x", "1_0", "\u0661", "99999999999999999999999999"])
def test_a_length_that_is_wrong_or_large_is_refused_unread(length: str) -> None:
    scope = scope_of()
    scope["headers"] = [(b"content-length", length.encode("utf-8"))]
    status, _ = asyncio.run(answer_of(BodyGuard(fine, 100, 1.0), scope))
    assert status == (413 if length.startswith("99") else 400)


def test_the_service_keeps_its_limits(start: Start) -> None:
    call = start(calls_per_minute=6)
    assert call.get("/v2").status_code == 200
    answer = call.get("/v2")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    assert answer.json()["title"] == "Too many calls"
    assert call.get("/v2/health/live").status_code == 200


def test_a_client_who_sends_or_reads_a_trickle_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("service.limits.time.monotonic", clock)
    taken: list[int] = []

    async def trickle(message: Message | None = None) -> Message:
        if clock.now > 10_000:
            await asyncio.Event().wait()
        clock.now += 6000
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            taken.append(len((await receive())["body"]))

    async def sends(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 1024, "more_body": True})
            taken.append(1024)

    async def run() -> None:
        with pytest.raises(Problem) as caught:  # 10,000 s, and a quarter second for each KiB
            await BodyGuard(reads, 1 << 30, 10_000)(scope_of(), trickle, trickle)
        assert (caught.value.status, taken) == (408, [1024, 1024])
        taken.clear()
        clock.now = 0
        with pytest.raises(ClientDisconnect):
            await BodyGuard(sends, 1 << 30, 10_000)(scope_of(), trickle, trickle)
        assert taken == [1024]

    asyncio.run(run())


def test_a_client_who_sends_steadily_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("service.limits.time.monotonic", clock)
    left = [b"x" * 8192] * 50

    async def steady() -> Message:
        clock.now += 1.9
        return {"type": "http.request", "body": left.pop(), "more_body": bool(left)}

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            clock.now += 60  # our own work
        await fine(scope, receive, send)

    status, _ = asyncio.run(answer_of(BodyGuard(reads, 1 << 30, 10), scope_of(), steady))
    assert (status, left) == (200, [])


def test_to_stop_waiting_for_a_client_is_never_overheard() -> None:
    """Who watches for a client that leaves is told to stop just when something comes."""

    async def run() -> None:
        comes = asyncio.Event()

        async def receive() -> Message:
            await comes.wait()
            return {"type": "http.request", "body": b"", "more_body": True}

        async def watches(scope: Scope, receive: Receive, send: Send) -> None:
            async def watch() -> None:
                await receive()
                await asyncio.Event().wait()

            watcher = asyncio.create_task(watch())
            await asyncio.sleep(0.01)
            comes.set()
            watcher.cancel()
            await asyncio.wait([watcher], timeout=1)
            assert watcher.cancelled()
            await fine(scope, receive, send)

        status, _ = await answer_of(BodyGuard(watches, 100, 30.0), scope_of(), receive)
        assert status == 200

    asyncio.run(run())


def test_one_caller_holds_half_of_the_engine(
    start: Start, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    keys = [new_key(name) for name in ("lab", "field")]
    call = start(api_keys=tuple(line for _, line in keys), workers=2, queue=2)
    lab, field = ({"X-API-Key": key} for key, _ in keys)
    with call.parts.shares.hold("lab"), call.parts.shares.hold("lab"):
        for path, ask in (("/v1/detect", call.post), ("/v1/clips/demo/film?planes=50", call.get)):
            body = {"json": {"clip_id": "demo"}} if path == "/v1/detect" else {}
            answer = ask(path, headers=lab, **body)
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
            assert ask(path, headers=field, **body).status_code == 200
    assert call.post("/v1/detect", headers=lab, json={"clip_id": "demo"}).status_code == 200
    assert call.parts.shares._held == {}
    assert len(engine.tasks) == 3
