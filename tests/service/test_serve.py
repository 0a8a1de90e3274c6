"""The process that listens, and what clients do to a real socket."""

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner
from uvicorn.config import LOGGING_CONFIG
from websockets.sync.client import connect

from service.app import create_app
from service.jobs import Jobs
from service.keys import KeyRing, new_key
from service.serve import check_address, describe_settings, make_key, serve
from service.settings import Settings
from tests.service.conftest import ScriptedEngine
from tests.service.sockets import HEAD, problem_of, serving, talk
from vidar_det.cli import app as command_line
from vidar_det.errors import ConfigError, OutputError


@pytest.fixture
def server(tmp_path: Path, engine: ScriptedEngine) -> Iterator[tuple[str, int]]:
    with serving(tmp_path / "spool", engine, timeout_s=60) as address:
        yield address


@pytest.fixture
def hasty_server(tmp_path: Path, engine: ScriptedEngine) -> Iterator[tuple[str, int]]:
    """A service that waits for nobody."""
    with serving(tmp_path / "spool", engine, timeout_s=0.1) as address:
        yield address


def test_a_clip_goes_through_a_real_socket(server: tuple[str, int], sent: dict[str, Any]) -> None:
    address = f"http://{server[0]}:{server[1]}"
    headers = {"Accept": "application/x-ndjson", "Content-Encoding": "gzip"}

    def pieces() -> Iterator[bytes]:
        packed = gzip.compress(sent["content"])
        for start in range(0, len(packed), 999):
            yield packed[start : start + 999]

    with (
        httpx.Client(base_url=address) as client,
        client.stream(
            "POST", "/v1/detect", params=sent["params"], content=pieces(), headers=headers
        ) as answer,
    ):
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert [line["type"] for line in lines] == ["window"] * 4 + ["summary"]


def test_a_body_announced_too_large_is_refused_before_it_is_sent(server: tuple[str, int]) -> None:
    answer = talk(server, HEAD + b"Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert problem_of(answer)["limit_bytes"] == 100_000


def test_a_body_that_grows_too_large_is_refused_on_the_way(server: tuple[str, int]) -> None:
    piece = b"1000\r\n" + bytes(0x1000) + b"\r\n"
    answer = talk(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[piece] * 25)
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_client_who_falls_silent_is_a_408(hasty_server: tuple[str, int]) -> None:
    answer = talk(hasty_server, HEAD + b"Content-Length: 9000\r\n\r\n", bytes(100))
    assert answer.startswith(b"HTTP/1.1 408")
    assert problem_of(answer)["status"] == 408


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_client_who_never_finishes_asking_is_let_go(
    hasty_server: tuple[str, int], said: bytes
) -> None:
    assert talk(hasty_server, said) == b""


def test_a_second_request_has_as_long_as_the_first(hasty_server: tuple[str, int]) -> None:
    whole = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert talk(hasty_server, whole + b"GET /v2").count(b"200 OK") == 1


def test_a_client_who_stops_in_the_middle_leaves_nothing(server: tuple[str, int]) -> None:
    answer = talk(server, HEAD + b"Content-Length: 9000\r\n\r\n", bytes(100), half_close=True)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert problem_of(answer)["detail"] == "the body stops before its end"


def test_a_client_who_does_not_read_is_let_go(
    hasty_server: tuple[str, int], engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    engine.is_endless = True
    words = HEAD + b"Accept: application/x-ndjson\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(hasty_server, timeout=30) as client:
        client.sendall(words % len(sent["content"]) + sent["content"])
        assert engine.has_ended.wait(30)


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/clips/../../../../etc/passwd",
        b"/v1/clips/..%2f..%2f..%2fetc%2fpasswd",
        b"/v1/clips/demo/../../../etc/passwd/frame",
        b"/v1/clips//etc/passwd",
        b"/v1/clips/%2fetc%2fpasswd/frame",
        b"/v1/clips/\xff\xfe",
        b"/docs/assets/../../../../../../etc/passwd",
        b"/docs/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        b"/docs/assets//etc/passwd",
    ],
)
def test_no_raw_path_leads_anywhere(server: tuple[str, int], path: bytes) -> None:
    words = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path
    answer = talk(server, words)
    assert answer.split()[1] in (b"404", b"400")
    assert b"root:" not in answer


@pytest.mark.parametrize(
    ("host", "status"), [(b"evil.example", b"403"), (b"127.0.0.1.evil.example:80", b"403")]
)
def test_a_rebound_name_is_refused(server: tuple[str, int], host: bytes, status: bytes) -> None:
    words = b"GET /v1/clips HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host
    assert talk(server, words).split()[1] == status


def test_a_service_open_to_strangers_is_refused(tmp_path: Path) -> None:
    _, line = new_key("lab")
    check_address(Settings(host="127.0.0.1"))
    check_address(Settings(host="::1"))
    check_address(Settings(host="0.0.0.0", api_keys=(line,)))  # noqa: S104 - what is tested
    check_address(Settings(host="0.0.0.0", insecure=True))  # noqa: S104 - what is tested
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):  # noqa: S104 - what is tested
        with pytest.raises(ConfigError, match="there are no keys"):
            check_address(Settings(host=host))


def test_the_command_refuses_to_be_open_to_strangers() -> None:
    done = CliRunner().invoke(command_line, ["serve", "--host", "0.0.0.0"])  # noqa: S104
    assert done.exit_code == 1


def test_the_command_makes_a_key_that_fits_its_line() -> None:
    done = CliRunner().invoke(command_line, ["serve", "--new-key", "lab"])
    key, *_, line = done.stdout.strip().splitlines()
    assert KeyRing.from_lines([line], "here").holder(key) == "lab"
    with pytest.raises(ConfigError):
        make_key("a b")


def test_the_command_lists_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAR_API_KEYS", new_key("lab")[1])
    done = CliRunner().invoke(command_line, ["serve", "--port", "9", "--settings"])
    lines = done.stdout.splitlines()
    assert {line.partition("=")[0] for line in lines} == {
        f"VIDAR_{name.upper()}" for name in Settings.model_fields
    }
    assert "VIDAR_PORT=9" in lines
    assert "VIDAR_API_KEYS=(1 keys)" in lines
    assert describe_settings(Settings()).count("\n") == len(lines) - 1


def test_a_process_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    key, line = new_key("lab")
    environment = os.environ | {
        "VIDAR_DATA_DIR": str(tmp_path / "spool"),
        "VIDAR_API_KEYS": line,
        "VIDAR_PORT": "0",
    }
    environment.pop("VIDAR_SETTINGS", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "vidar_det", "serve"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        heard = iter(process.stderr.readline, "")
        address = next(
            found[0] for said in heard if (found := re.search(r"http://127.0.0.1:\d+", said))
        )
        with httpx.Client(base_url=address, timeout=60) as client:
            assert client.get("/v2/health/ready").json() == {"ready": True}
            assert client.get("/v2/models").status_code == 401
            answer = client.post("/v1/detect", json={"clip_id": "demo"}, headers={"X-API-Key": key})
            assert len(answer.json()["images"]) == 3
            asked = {"params": {"path": "/v1/replay/demo"}, "headers": {"X-API-Key": key}}
            ticket = client.post("/v1/tickets", **asked).json()["ticket"]
        with connect(f"ws{address[4:]}/v1/replay/demo?ticket={ticket}") as viewer:
            viewer.recv(timeout=60)
        process.terminate()
        rest = process.stderr.read()
        assert process.wait(timeout=60) in (0, 128 + signal.SIGTERM, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    lines = [json.loads(said) for said in rest.splitlines() if said.startswith("{")]
    assert {one["route"]: one.get("caller") for one in lines} == {
        "/v2/health/ready": None,
        "/v2/models": None,
        "/v1/detect": "lab",
        "/v1/tickets": "lab",
        "/v1/replay/{clip_id}": "lab",
    }
    assert (key in rest, ticket in rest) == (False, False)


def test_a_service_whose_part_ended_ends(
    tmp_path: Path, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end(self: Jobs) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Jobs, "work", end)
    monkeypatch.setattr(
        "service.serve.create_app", lambda settings, placed: create_app(settings, engine)
    )
    monkeypatch.setattr("service.serve.log_to_stderr", lambda failures_only: None)
    monkeypatch.setitem(LOGGING_CONFIG, "loggers", {})
    for name in ("TMPDIR", "RAY_TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(OutputError, match="a part of the service ended"):
        serve(Settings(data_dir=tmp_path / "spool", port=0))


def test_help_explains_every_setting() -> None:
    said = CliRunner().invoke(command_line, ["serve", "--help"]).output
    for name in Settings.model_fields:
        line = next(one for one in said.partition(f"VIDAR_{name.upper()}=")[2].splitlines()[1:])
        assert len(line.split()) > 3, name
    assert "VIDAR_SYNC_BYTES=268435456" in said
