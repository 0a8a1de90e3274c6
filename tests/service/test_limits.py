import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from service.limits import BodyGuard, CallGuard
from service.problems import Problem
from tests.service.conftest import Start


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
