"""What the service says when a cluster loses what it runs; nothing of Ray is started here."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service import ray_engine
from service.engines import Task
from service.metrics import Metrics
from service.problems import Problem
from service.ray_engine import RayEngine
from service.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own, as it is loaded
    pytest.importorskip("ray.serve", reason="needs the extra 'ray'")
    exceptions = pytest.importorskip("ray.exceptions")


class LostHandle:
    """Stands where Ray Serve's handle would: every call fails."""

    def __init__(self, failure: Exception) -> None:
        self.failure, self.was_cancelled = failure, False
        self.detect = self

    def options(self, stream: bool) -> "LostHandle":
        assert stream
        return self

    def remote(self, task: Task) -> "LostHandle":
        return self

    async def __aiter__(self) -> AsyncIterator[Any]:
        raise self.failure
        yield

    def cancel(self) -> None:
        self.was_cancelled = True


def ask(failure: Exception) -> tuple[Exception, LostHandle]:
    async def run() -> tuple[Exception, LostHandle]:
        engine = RayEngine(Settings(engine="ray"), Metrics())
        engine._handle = handle = LostHandle(failure)
        with pytest.raises(Exception) as caught:  # noqa: PT011 - told below
            await anext(engine.detect(Task(None, "", None, None, "nano", "r1")))  # type: ignore[arg-type]  # not used
        assert engine._held == 0
        return caught.value, handle

    return asyncio.run(run())


@pytest.mark.parametrize("kind", ["ActorDiedError", "RayActorError", "WorkerCrashedError"])
def test_what_a_cluster_loses_is_a_503(kind: str) -> None:
    problem, handle = ask(getattr(exceptions, kind)())
    assert isinstance(problem, Problem)
    assert (problem.status, problem.kind) == (503, "engine-lost")
    assert problem.headers == {"Retry-After": "5"}
    assert handle.was_cancelled


def test_what_fails_there_is_our_own_fault() -> None:
    cause = ZeroDivisionError("why")
    failure = exceptions.RayTaskError("detect", "the trace", cause).as_instanceof_cause()
    assert ask(failure)[0] is failure
    assert ask(cause)[0] is cause


def test_a_cluster_is_asked_now_and_then_however_often_we_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers, now = [False, True], [0.0]
    monkeypatch.setattr(ray_engine, "is_held", lambda: answers.pop())
    monkeypatch.setattr(ray_engine.time, "monotonic", lambda: now[0])

    async def run() -> None:
        engine = RayEngine(Settings(engine="ray"), Metrics())
        for _ in range(3):
            await engine.check_health()
        now[0] += ray_engine.PROBE_S + 1
        for _ in range(3):
            with pytest.raises(Problem) as caught:
                await engine.check_health()
            assert caught.value.status == 503
        assert answers == []

    asyncio.run(run())
