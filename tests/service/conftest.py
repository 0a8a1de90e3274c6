"""Services that run in this process, and a client that calls them without a socket."""

import contextlib
import functools
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.lowlevel
import httpx
import numpy as np
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from service.app import create_app
from service.engines import ModelNote, Step, Task, WindowFound
from service.parts import Parts
from service.problems import busy
from service.recordings import open_clip
from service.settings import Settings
from vidar_det.detections.boxes import Detections
from vidar_det.detections.predictions import (
    ModelRecord,
    Predictions,
    TimingRecord,
    WindowRecord,
)
from vidar_det.detector.clip_prediction import describe_clip

CLASSES = ("person", "vehicle")
BOX = Detections(
    np.array([[1, 2, 4, 6]], np.float32), np.array([0.5], np.float32), np.array([1], np.int64)
)


@dataclass
class ScriptedEngine:
    """Opens clips as any engine does, and finds one box in each window of 50 planes.

    While ``hold`` is set, it stops after the first window of each task, having set ``has_begun``.
    """

    failure: Exception | None = None
    is_full: bool = False
    is_endless: bool = False
    hold: threading.Event = field(default_factory=threading.Event)
    has_begun: threading.Event = field(default_factory=threading.Event)
    has_ended: threading.Event = field(default_factory=threading.Event)
    tasks: list[Task] = field(default_factory=list)
    ended: int = 0
    models = (ModelNote("nano", "1", 9, 2, 50, CLASSES),)

    async def start(self) -> None:
        """There is nothing to load."""

    async def stop(self) -> None:
        """There is nothing to let go of."""

    async def check_health(self) -> None:
        """It is always well."""

    def check_room(self) -> None:
        if self.is_full:
            raise busy(503, "engine-busy", "full")

    async def detect(self, task: Task) -> AsyncGenerator[Step, None]:
        self.check_room()
        self.tasks.append(task)
        try:
            recording = open_clip(task.clip, task.options, 1 << 20)
            for number, window in enumerate(recording.windows(50)):
                if number == 2 and self.failure is not None:
                    raise self.failure
                await anyio.lowlevel.checkpoint()  # as an engine waits: a client may go meanwhile
                found = WindowFound(WindowRecord(number, window.start, 50, window.time_us), BOX)
                yield found
                self.has_begun.set()
                while self.hold.is_set():
                    await anyio.sleep(0.01)
                while self.is_endless:
                    yield found
            yield Predictions(
                ModelRecord("nano", "1", 9, 2),
                describe_clip(recording, task.sha256 or None),
                CLASSES,
                (),
                (),
                TimingRecord(0.0, 0.0, 0.0),
                request_id=task.request_id,
            )
        finally:
            self.ended += 1
            self.has_ended.set()


class Caller:
    """Calls an application as a client would, blocking."""

    def __init__(self, portal: BlockingPortal, app: FastAPI) -> None:
        self._portal, self.app = portal, app

    @property
    def parts(self) -> Parts:
        parts: Parts = self.app.state.parts
        return parts

    def __call__(self, method: str, url: str, **options: Any) -> httpx.Response:
        if isinstance(options.get("content"), Iterable) and not isinstance(
            options["content"], (bytes, str)
        ):
            options["content"] = _as_async(options["content"])
        return self._portal.call(functools.partial(self._call, method, url, options))

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self("POST", url, **options)

    def delete(self, url: str, **options: Any) -> httpx.Response:
        return self("DELETE", url, **options)

    async def _call(self, method: str, url: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=60
        ) as client:
            return await client.request(method, url, **options)


async def _as_async(blocks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


@contextlib.contextmanager
def running(settings: Settings, engine: Any = None) -> Iterator[Caller]:
    app = create_app(settings, engine)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
    ):
        yield Caller(portal, app)


Start = Callable[..., Caller]


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def start(tmp_path: Path, engine: ScriptedEngine) -> Iterator[Start]:
    """Starts a service with these settings on the scripted engine; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def begin(**settings: Any) -> Caller:
            given = {"data_dir": tmp_path / "spool"} | settings
            return stack.enter_context(running(Settings(**given), engine))

        yield begin


@pytest.fixture
def call(start: Start) -> Caller:
    """Calls a service of usual settings on the scripted engine."""
    return start()


@pytest.fixture
def sent(clip: Path) -> dict[str, Any]:
    """A clip's bytes and what they do not say, as arguments of a call."""
    return {"content": clip.read_bytes(), "params": {"width": 48, "height": 40, "layout": "plain"}}


def files_in(folder: Path) -> list[str]:
    """Files under a folder, but for the lock and the list of jobs."""
    return sorted(
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "lock" and not file.name.startswith("jobs.sqlite")
    )
