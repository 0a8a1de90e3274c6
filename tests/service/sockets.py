"""Services in this process behind a real socket, and clients who say what they like to it."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from service.app import create_app
from service.connections import build_protocol
from service.settings import Settings
from tests.service.conftest import ScriptedEngine, files_in

Address = tuple[str, int]

HEAD = (
    b"POST /v1/detect?width=48&height=40&layout=plain HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Connection: close\r\n"
)


@contextlib.contextmanager
def serving(folder: Path, engine: ScriptedEngine, timeout_s: float) -> Iterator[Address]:
    """A service on loopback, at a port that was free; in the end its spool is empty."""
    settings = Settings(data_dir=folder, max_body_bytes=100_000, client_timeout_s=timeout_s)
    app = create_app(settings, engine)
    http = build_protocol(timeout_s)
    with listening(app, http=http, ws="none") as listener:
        yield listener.getsockname()
    assert files_in(folder) == []


@contextlib.contextmanager
def listening(app: Any, port: int = 0, **options: Any) -> Iterator[socket.socket]:
    """An application on loopback, for as long as the block runs; its socket comes out."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, **options)
    listener = config.bind_socket()
    listener.listen()  # whoever calls before the service runs waits in line
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    try:
        yield listener
    finally:
        running.should_exit = True
        thread.join(timeout=60)
        listener.close()
    assert not thread.is_alive()


def talk(server: Address, *said: bytes, half_close: bool = False) -> bytes:
    """Say some bytes and hear all that is answered."""
    with socket.create_connection(server, timeout=30) as client:
        for words in said:
            client.sendall(words)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        return hear(client)


def hear(client: socket.socket) -> bytes:
    """Hear all that is answered."""
    heard = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            heard += piece
    return heard


def problem_of(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    problem: dict[str, Any] = json.loads(body)
    return problem
