"""What is no request, or no whole one, and clients who say nothing more, through a real socket."""

import json
import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.connections import MOST_HEAD_BYTES, MOST_HEADERS
from tests.service.conftest import ScriptedEngine
from tests.service.sockets import HEAD, Address, hear, problem_of, serving, talk

SMALL = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
PARAMETERS = b"&".join(b"q%d=1" % number for number in range(10_000))


@pytest.fixture
def server(tmp_path: Path, engine: ScriptedEngine) -> Iterator[Address]:
    with serving(tmp_path / "spool", engine, timeout_s=60) as address:
        yield address


@pytest.fixture
def hasty_server(tmp_path: Path, engine: ScriptedEngine) -> Iterator[Address]:
    """A service that waits for nobody."""
    with serving(tmp_path / "spool", engine, timeout_s=0.1) as address:
        yield address


def asked(path: bytes, *headers: bytes) -> bytes:
    lines = [b"GET %s HTTP/1.1" % path, b"Host: localhost", *headers]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def metric(server: Address, name: str) -> float:
    text = talk(server, asked(b"/metrics")).decode()
    return float(text.partition(f"\n{name} ")[2].split()[0])


MALFORMED = [
    b"\x00\x01\x02 nonsense\r\n\r\n",
    POST + b"Content-Length: -5\r\n\r\n",
    POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nplanes",
    POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    CHUNKED + b"zz\r\n",
    CHUNKED + b"5\r\nplanes\r\n0\r\n\r\n",
    asked(b"/v1/clips/\xff\xfe"),
    b"GET /v2 SPEAK/9\r\n\r\n",
    b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


@pytest.mark.parametrize("words", MALFORMED)
def test_what_is_no_http_is_a_problem(server: Address, words: bytes) -> None:
    answer = talk(server, words)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer
    assert b"\r\nconnection: close\r\n" in answer
    problem = problem_of(answer)
    assert problem["type"] == "urn:vidar-det:problem:malformed-request"
    assert b"\r\nx-request-id: %s\r\n" % problem["request_id"].encode() in answer
    assert metric(server, 'vidar_rejects_total{reason="malformed-request"}') == 1


def test_what_is_no_http_is_logged_under_the_name_it_gave_itself(
    tmp_path: Path, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="vidar_det.service")
    with serving(tmp_path / "spool", engine, timeout_s=60) as server:
        answer = talk(server, POST + b"X-Request-ID: mine\r\nContent-Length: -5\r\n\r\n")
        talk(server, b"\x00")
    assert problem_of(answer)["request_id"] == "mine"
    first, second = (
        json.loads(record.getMessage())
        for record in caplog.records
        if record.name == "vidar_det.service"
    )
    wanted = {"request_id": "mine", "method": "POST", "route": "/v1/detect", "status": 400}
    assert first | wanted | {"problem": "malformed-request"} == first
    assert (second["method"], second["route"], second["status"]) == ("OTHER", "other", 400)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (asked(b"/v1/clips?" + PARAMETERS), 414),
        (asked(b"/" + b"x" * MOST_HEAD_BYTES), 414),
        (b"GET /" + b"x" * 4 * MOST_HEAD_BYTES, 414),
        (asked(b"/v2", *[b"x: 1"] * MOST_HEADERS), 431),
        (asked(b"/v2", b"x: " + b"1" * MOST_HEAD_BYTES), 431),
        (asked(b"/v2", b"x" * MOST_HEAD_BYTES + b": 1"), 431),
        (asked(b"/v2", *[b"x: " + b"1" * 1000] * 99), 431),
        (SMALL + b"x: " + b"1" * 12 * MOST_HEAD_BYTES, 431),
        (SMALL + b"x" * 12 * MOST_HEAD_BYTES, 431),
        (CHUNKED + b"1\r\nx\r\n0\r\n" + b"x: 1\r\n" * 20_000, 431),
        (CHUNKED + b"1\r\nx\r\n0\r\nx: " + b"1" * 12 * MOST_HEAD_BYTES, 431),
        (CHUNKED + b"1;x=" + b"1" * 12 * MOST_HEAD_BYTES, 431),
    ],
)
def test_a_head_too_long_is_refused_before_it_ends(
    server: Address, words: bytes, status: int
) -> None:
    answer = talk(server, words)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert problem_of(answer)["status"] == status


def test_a_long_head_is_read(server: Address) -> None:
    headers = [b"x: " + b"1" * 600] * (MOST_HEADERS - 2)
    assert talk(server, asked(b"/v2/models", *headers)).startswith(b"HTTP/1.1 200 ")
    answer = talk(server, asked(b"/v1/clips?" + PARAMETERS[:60_000]))
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert len(problem_of(answer)["errors"]) == 20


def test_heads_that_follow_one_another_are_not_added_up(server: Address) -> None:
    one = SMALL + b"x: " + b"1" * (MOST_HEAD_BYTES // 2) + b"\r\n\r\n"
    answer = talk(server, *[one] * 8, asked(b"/v2/health/live"))
    assert answer.count(b"HTTP/1.1 200 ") == 9


def test_a_body_is_no_head(server: Address) -> None:
    body = b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    answer = talk(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_trailer_is_no_header(server: Address) -> None:
    words = b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Request-ID: late\r\n\r\n"
    problem = problem_of(talk(server, HEAD + words))
    assert (problem["status"], problem["request_id"] == "late") == (422, False)


@pytest.mark.parametrize("whole", [b"x" * 90_000, b"x"])
def test_a_client_who_was_answered_early_and_falls_silent_is_let_go(
    hasty_server: Address, whole: bytes
) -> None:
    head = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(whole)
    with socket.create_connection(hasty_server, timeout=30) as client:
        client.sendall(head)
        heard = client.recv(65536)
        assert heard.startswith(b"HTTP/1.1 404 ")
        client.sendall(b"x")
        hear(client)


def test_a_client_who_sends_empty_lines_is_let_go(hasty_server: Address) -> None:
    with socket.create_connection(hasty_server, timeout=30) as client:
        client.sendall(SMALL + b"\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"\r\n")
        hear(client)


def test_a_body_that_nobody_wanted_does_not_disturb_the_next_request(server: Address) -> None:
    head = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n"
    with socket.create_connection(server, timeout=30) as client:
        client.sendall(head)
        heard = client.recv(65536)
        assert heard.startswith(b"HTTP/1.1 404 ")
        client.sendall(b"x" * 90_000 + asked(b"/v2/health/live"))
        assert b"HTTP/1.1 200 " in hear(client)


def test_a_client_who_still_sends_hears_why_it_should_not(server: Address) -> None:
    head = b"POST /v1/clips HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    with socket.create_connection(server, timeout=30) as client:
        client.sendall(head + b"Content-Length: 10000000\r\n\r\n")
        for _ in range(100):
            client.sendall(bytes(100_000))  # neither fails nor waits
        assert problem_of(hear(client))["status"] == 413


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (asked(b"/v2/models"), 200),
        (SMALL + b"\r\n", 200),
        (SMALL + b"\r\n" + SMALL, 200),
        (b"\x00", 400),
        (HEAD + b"Content-Length: 9000\r\n\r\n" + bytes(100), 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc", 400),
        (SMALL[:-9], 0),
    ],
)
def test_a_client_who_has_said_all_is_answered(server: Address, words: bytes, status: int) -> None:
    answer = talk(server, words, half_close=True)
    statuses = re.findall(rb"HTTP/1.1 (\d+)", answer)
    assert statuses == ([b"%d" % status] if status else [])


def test_requests_in_a_row_are_answered_to_one_who_has_said_all(server: Address) -> None:
    answer = talk(server, *[SMALL + b"\r\n"] * 5, half_close=True)
    assert answer.count(b"HTTP/1.1 200 ") == 5


def test_a_slow_answer_reaches_one_who_has_said_all(
    server: Address, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    engine.hold.set()
    words = HEAD + b"Content-Length: %d\r\n\r\n" % len(sent["content"]) + sent["content"]
    with socket.create_connection(server, timeout=30) as client:
        client.sendall(words)
        client.shutdown(socket.SHUT_WR)
        interim = client.recv(len(b"HTTP/1.1 102"))
        engine.hold.clear()
        answer = interim + hear(client)
    *first, last = re.findall(rb"HTTP/1.1 (\d+)", answer)
    assert (set(first), last) == ({b"102"}, b"200")


def test_the_work_for_one_who_has_said_all_and_goes_ends(
    server: Address, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    engine.is_endless = True
    words = HEAD + b"Content-Length: %d\r\n\r\n" % len(sent["content"]) + sent["content"]
    with socket.create_connection(server, timeout=30) as client:
        client.sendall(words)
        assert engine.has_begun.wait(30)
    assert engine.has_ended.wait(30)
