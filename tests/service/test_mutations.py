"""Requests that nobody meant to send: made up from the OpenAPI document, and real ones damaged.

``VIDAR_MUTATIONS=10000 pytest tests/service/test_mutations.py`` is the long run.
"""

import functools
import gzip
import itertools
import logging
import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from service.app import create_app
from service.connections import build_protocol
from service.settings import Settings
from tests.service.conftest import ScriptedEngine
from tests.service.sockets import listening

COUNT = int(os.environ.get("VIDAR_MUTATIONS", "300"))
PATIENCE_S = 30.0
TALKERS, AT_ONCE = 16, 512
"""Clients side by side, since many wait for time-outs; and requests that are held together."""
HEAD = b"Host: localhost\r\nConnection: close\r\n"
INTERIM = rb"^(HTTP/1\.1 1\d\d [^\r]*\r\n\r\n)+"


@pytest.fixture
def failures() -> Iterator[list[str]]:
    """What the service logs as its own fault."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if '"failure"' in record.getMessage():
                found.append(record.getMessage())

    logger, listener = logging.getLogger("vidar_det.service"), Listener()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(listener)
    yield found
    logger.removeHandler(listener)
    logger.setLevel(level)


@pytest.fixture
def address(tmp_path: Path, failures: list[str]) -> Iterator[tuple[str, int]]:
    """A service that in the end has counted every byte it holds, and left nothing half done."""
    told = Settings(
        data_dir=tmp_path / "spool",
        max_decoded_bytes=1_000_000,
        client_timeout_s=0.5,
        calls_per_minute=1e9,
        calls_at_once=1000,
    )
    app = create_app(told, ScriptedEngine())
    spool = app.state.parts.spool
    with listening(app, http=build_protocol(2), ws="none") as listener:
        yield listener.getsockname()
    assert list(spool.incoming.iterdir()) == []
    held = {
        file.stat().st_ino: file.stat().st_size
        for file in (tmp_path / "spool").glob("*/**/*")
        if file.is_file()
    }
    assert spool.used_bytes == sum(held.values())
    assert failures == []


def test_no_request_of_the_document_is_too_much(address: tuple[str, int]) -> None:
    base = f"http://{address[0]}:{address[1]}"
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:

        @settings(
            max_examples=max(3, COUNT // len(operations)),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            answer = case.call(base_url=base, timeout=PATIENCE_S)
            assert answer.status_code != 500, case.as_curl_command()
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == ["application/problem+json"]

        ask()


def whole_requests() -> list[bytes]:
    clip = bytes(range(256)) * 200
    packed = gzip.compress(clip)
    form = (
        b'--x\r\nContent-Disposition: form-data; name="clip"\r\n\r\n'
        + clip[:4800]
        + b"\r\n--x--\r\n"
    )

    def post(path: bytes, body: bytes, headers: bytes = b"") -> bytes:
        head = b"POST %s HTTP/1.1\r\n%s%sContent-Length: %d\r\n\r\n"
        return head % (path, HEAD, headers, len(body)) + body

    detect = b"/v1/detect?width=48&height=40&layout=plain&conf=0.3&classes=person"
    chunked = b"POST %s HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
    return [
        post(detect, clip),
        post(detect, packed, b"Content-Encoding: gzip\r\n"),
        post(detect, form, b"Content-Type: multipart/form-data; boundary=x\r\n"),
        post(detect, clip, b"Accept: application/x-ndjson\r\n"),
        post(detect, clip, b"Prefer: respond-async\r\nIdempotency-Key: k\r\n"),
        post(b"/v1/detect", b'{"clip_id": "demo"}', b"Content-Type: application/json\r\n"),
        post(b"/v1/clips?width=48&height=40&layout=plain", clip),
        chunked % (detect, HEAD, len(clip), clip),
        b"GET /v1/clips/demo/frame?plane=3&view=raw HTTP/1.1\r\n%s\r\n" % HEAD,
        b"GET /v1/jobs?limit=3 HTTP/1.1\r\n%s\r\n" % HEAD,
        b"DELETE /v1/jobs/nothere HTTP/1.1\r\n%s\r\n" % HEAD,
    ]


def damage(request: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    """Change a request in one to four places, rather in its head than in its body."""
    text = bytearray(request)
    for _ in range(generator.integers(1, 5)):
        reach = len(text) if generator.random() < 0.3 else min(len(text), 300)
        place = int(generator.integers(0, max(1, reach)))
        length = int(generator.integers(1, 20))
        match generator.integers(0, 6):
            case 0:
                text[place : place + 1] = generator.bytes(1)
            case 1:
                del text[place : place + length]
            case 2:
                text[place:place] = generator.bytes(length)
            case 3:
                text[place:place] = text[place : place + length] * int(generator.integers(1, 50))
            case 4:
                del text[place:]
            case _:
                start = int(generator.integers(0, len(other)))
                text[place:place] = other[start : start + length]
    return bytes(text)


def talk(address: tuple[str, int], words: bytes) -> bytes:
    """Say some bytes and hear all that is answered; a service that waits for more gets no more."""
    heard = b""
    with socket.create_connection(address, timeout=2) as client:
        try:
            client.sendall(words)
            try:
                while piece := client.recv(65536):
                    heard += piece
            except TimeoutError:
                client.settimeout(PATIENCE_S)
                client.shutdown(socket.SHUT_WR)
                while piece := client.recv(65536):
                    heard += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
    return heard


def damaged_requests() -> Iterator[bytes]:
    """Whole ones first, so that these are known to be understood."""
    generator = np.random.default_rng(int(os.environ.get("VIDAR_SEED", "0")))
    requests = whole_requests()
    yield from requests
    for _ in range(COUNT - len(requests)):
        request, other = (requests[index] for index in generator.integers(0, len(requests), 2))
        yield damage(request, other, generator)


def test_no_damaged_request_is_too_much(address: tuple[str, int]) -> None:
    statuses: dict[bytes, int] = {}
    requests = damaged_requests()
    with ThreadPoolExecutor(TALKERS) as pool:
        while some := list(itertools.islice(requests, AT_ONCE)):
            answers = pool.map(functools.partial(talk, address), some)
            for words, heard in zip(some, answers, strict=True):
                status = check_answer(words, heard)
                statuses[status] = statuses.get(status, 0) + 1
    assert {b"200", b"400", b"422"} <= set(statuses)


def check_answer(words: bytes, heard: bytes) -> bytes:
    """Whether an answer is one that the contract knows; returns its status."""
    head, _, _ = re.sub(INTERIM, b"", heard).partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1] if head.startswith(b"HTTP/1.1 ") else b"none"
    assert status != b"500", words
    if status[:1] in (b"4", b"5"):
        assert b"\r\ncontent-type: application/problem+json\r\n" in head, words
    return status
