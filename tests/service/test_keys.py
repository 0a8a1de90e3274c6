from pathlib import Path

import pytest

from service.keys import KeyRing, new_key, read_keys
from service.passes import COOKIE
from service.settings import Settings
from tests.service.conftest import Start
from vidar_det.errors import ConfigError


def test_a_key_opens_what_its_line_locks() -> None:
    key, line = new_key("lab")
    other, other_line = new_key("field")
    ring = KeyRing.from_lines([line, "", "# a remark", other_line], "here")
    assert (ring.holder(key), ring.holder(other)) == ("lab", "field")
    assert ring.holder(key[:-1]) is None
    assert ring.holder("") is None
    assert key not in line


@pytest.mark.parametrize("line", ["lab:abc", "lab", "a b:" + "0" * 64, "lab:" + "g" * 64])
def test_a_line_that_is_no_key_is_refused_unrepeated(line: str) -> None:
    with pytest.raises(ConfigError, match="line 1") as caught:
        KeyRing.from_lines([line], "keys.txt")
    assert line not in str(caught.value)


def test_a_name_has_one_key() -> None:
    lines = [new_key("lab")[1], new_key("lab")[1]]
    with pytest.raises(ConfigError, match="'lab' has a key already"):
        KeyRing.from_lines(lines, "here")


def test_a_name_of_other_characters_gets_no_key() -> None:
    with pytest.raises(ConfigError, match="letters, digits"):
        new_key("a:b")


def test_keys_come_from_the_environment_and_a_file(tmp_path: Path) -> None:
    first, second = new_key("a"), new_key("b")
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{second[1]}\n")
    ring = read_keys(Settings(api_keys=(first[1],), keys_file=file))
    assert [ring.holder(key) for key, _ in (first, second)] == ["a", "b"]
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(Settings(keys_file=tmp_path / "missing"))


OPEN = ["/v2/health/live", "/v2/health/ready"]
CLOSED = [
    ("GET", "/v2"),
    ("GET", "/v2/models"),
    ("GET", "/v2/models/nano"),
    ("GET", "/v2/models/nano/ready"),
    ("POST", "/v1/detect"),
    ("GET", "/v1/clips"),
    ("POST", "/v1/clips"),
    ("GET", "/v1/clips/demo"),
    ("DELETE", "/v1/clips/demo"),
    ("GET", "/v1/clips/demo/frame"),
    ("PATCH", "/v1/clips/demo"),
    ("GET", "/v1/clips/demo/geometries"),
    ("GET", "/v1/clips/demo/film"),
    ("POST", "/v1/geometries"),
    ("POST", "/v1/session"),
    ("DELETE", "/v1/session"),
    ("POST", "/v1/tickets"),
    ("GET", "/"),
    ("GET", "/viewer/main.js"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/j1"),
    ("DELETE", "/v1/jobs/j1"),
    ("GET", "/v1/jobs/j1/events"),
    ("GET", "/v1/jobs/j1/result"),
    ("GET", "/metrics"),
    ("GET", "/docs"),
    ("GET", "/docs/assets/swagger-ui.css"),
    ("GET", "/openapi.json"),
    ("GET", "/nowhere"),
    ("GET", "/v2/health/../models"),
    ("GET", "/V2/HEALTH/live"),
]


def test_without_a_key_only_health_is_open(start: Start) -> None:
    call = start(api_keys=(new_key("lab")[1],))
    for path in OPEN:
        assert call.get(path).status_code == 200
    for method, path in CLOSED:
        answer = call(method, path)
        assert (path, answer.status_code) == (path, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"


def test_every_route_is_named_in_this_table(start: Start) -> None:
    known = {path for _, path in CLOSED} | set(OPEN)
    for path in start().get("/openapi.json").json()["paths"]:
        named = path.replace("{clip_id}", "demo").replace("{model}", "nano")
        assert named.replace("{job_id}", "j1") in known


def test_a_key_is_taken_in_two_headers_and_never_logged(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    key, line = new_key("lab")
    call = start(api_keys=(line,))
    caplog.set_level("INFO", logger="vidar_det.service")
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        assert call.get("/v2/models", headers=headers).status_code == 200
    for headers in (
        {"Authorization": f"Basic {key}"},
        {"Authorization": "Bearer"},
        {"X-API-Key": key + "x"},
        {"X-API-Key": b"\xff\xfe"},
    ):
        assert call.get(f"/v2/models?key={key}", headers=headers).status_code == 401
    assert '"caller": "lab"' in caplog.text
    assert key not in caplog.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/clips"),
        ("POST", "/v1/session"),
        ("POST", "/v1/tickets?path=/v1/replay/demo"),
        ("DELETE", "/v1/jobs/j1"),
        ("GET", "/v1/jobs/j1"),
        ("GET", "/v1/jobs/j1/result"),
        ("GET", "/v1/jobs/j2/events"),
        ("DELETE", "/v1/jobs/j1/events"),
    ],
)
def test_a_ticket_opens_its_path_and_nothing_else(start: Start, method: str, path: str) -> None:
    key, line = new_key("lab")
    call = start(api_keys=(line,))
    door = "/v1/jobs/j1/events"
    asked = call.post("/v1/tickets", params={"path": door}, headers={"X-API-Key": key})
    ticket = asked.json()["ticket"]
    assert call.get(f"{door}?ticket={ticket}").status_code == 404  # let in: there is no such job
    url = f"{path}{'&' if '?' in path else '?'}ticket={ticket}"
    for headers in ({}, {"Cookie": f"{COOKIE}={ticket}"}, {"X-API-Key": ticket}):
        assert call(method, url, headers=headers).status_code == 401


def test_a_cookie_gives_tickets_but_no_cookie_and_is_no_ticket(start: Start) -> None:
    key, line = new_key("lab")
    call = start(api_keys=(line,))
    begun = call.post("/v1/session", headers={"X-API-Key": key})
    cookie = {"Cookie": begun.headers["Set-Cookie"].partition(";")[0]}
    assert call.get("/v1/clips", headers=cookie).status_code == 200
    answer = call.post("/v1/session", headers=cookie)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (401, False)
    door = "/v1/jobs/j1/events"
    given = cookie["Cookie"].partition("=")[2]
    assert call.get(f"{door}?ticket={given}").status_code == 401
    assert call.post("/v1/tickets", params={"path": door}, headers=cookie).status_code == 201


@pytest.mark.parametrize(
    "path", ["", "/", "/v1/clips", "/v1/jobs/j1", "/v1/replay/a/b", "/v1/replay/"]
)
def test_a_ticket_is_given_for_sockets_and_events_alone(start: Start, path: str) -> None:
    assert start().post("/v1/tickets", params={"path": path}).status_code == 422
