"""A service on a real socket, and a viewer who watches without a browser."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from service.app import create_app
from service.in_place import PlacedRecording
from service.replay.protocol import Shown, unpack
from service.settings import Settings
from tests.service.replay.engine import ViewedEngine
from tests.service.sockets import listening

PATIENCE_S = 60.0

Serve = Callable[..., str]


@dataclass
class Viewer:
    """One end of a replay's socket: says wishes, and waits for what comes."""

    socket: ClientConnection
    generation: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)
    shown: list[tuple[Shown, bytes]] = field(default_factory=list)

    def say(self, **command: Any) -> None:
        self.socket.send(json.dumps(command))

    def wish(self, **wishes: Any) -> int:
        self.generation += 1
        self.say(type="watch", generation=self.generation, **wishes)
        return self.generation

    def grant(self, count: int = 1) -> None:
        self.say(type="credit", count=count)

    def next(self) -> dict[str, Any] | tuple[Shown, bytes]:
        """The next message, whatever it is."""
        message = self.socket.recv(timeout=PATIENCE_S)
        if isinstance(message, bytes):
            shown, _, payload = unpack(message)
            self.shown.append((shown, payload))
            return shown, payload
        said: dict[str, Any] = json.loads(message)
        self.heard.append(said)
        return said

    def hear(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """Wait for words of one type."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = self.next()
            if isinstance(found, dict) and found | wanted | {"type": kind} == found:
                return found
        raise AssertionError(f"waited for {kind} {wanted}, heard {self.heard[-5:]}")

    def wait_for_silence(self, seconds: float = 0.5) -> None:
        """Wait until nothing comes any more; a picture is one too many."""
        with contextlib.suppress(TimeoutError):
            while True:
                message = self.socket.recv(timeout=seconds)
                assert isinstance(message, str), "a picture without a credit"

    def see(self) -> tuple[Shown, bytes]:
        """Wait for a picture or planes."""
        while True:
            found = self.next()
            if isinstance(found, tuple):
                return found


@pytest.fixture
def engine() -> ViewedEngine:
    return ViewedEngine()


@pytest.fixture
def serve(tmp_path: Path, engine: ViewedEngine) -> Iterator[Serve]:
    """Starts a service on loopback; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def begin(
            placed: Sequence[PlacedRecording] = (), engine: Any = engine, **settings: Any
        ) -> str:
            given = {"data_dir": tmp_path / "spool"} | settings
            app = create_app(Settings(**given), engine, placed)
            return stack.enter_context(serving(app))

        yield begin


@contextlib.contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    with listening(app, port) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def watching(address: str, clip: str, **options: Any) -> Iterator[Viewer]:
    url = f"ws://{address}/v1/replay/{clip}"
    with connect(url, open_timeout=PATIENCE_S, **options) as socket:
        yield Viewer(socket)
