import pytest

from tests.service.conftest import Caller, Start


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil.example:80@localhost", 403),
        ("localhost/", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_only_names_on_the_list_are_answered_on_every_route(
    call: Caller, host: str, status: int
) -> None:
    for path in ("/v2/health/live", "/v1/clips", "/docs", "/metrics"):
        answer = call.get(path, headers={"Host": host})
        assert (path, answer.status_code) == (path, status)
    assert call.get("/nowhere", headers={"Host": host}).status_code == (
        404 if status == 200 else 403
    )


def test_two_hosts_are_no_host(call: Caller) -> None:
    answer = call.get("/v2", headers=[("Host", "localhost"), ("Host", "localhost")])
    assert answer.status_code == 400


def test_a_star_answers_to_any_name(start: Start) -> None:
    assert start(hosts=("*",)).get("/v2", headers={"Host": "any.example"}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 200),
        ("https://localhost", 200),
        ("https://lab.example", 200),
        ("http://lab.example", 403),
        ("http://localhost:3000", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_other_origins_are_refused_unless_listed(
    start: Start, origin: str, status: int
) -> None:
    call = start(origins=("https://lab.example",))
    for method, path in (("GET", "/v1/clips"), ("GET", "/v2/health/live"), ("POST", "/v1/detect")):
        answer = call(method, path, headers={"Origin": origin}, json={"clip_id": "demo"})
        assert (path, answer.status_code) == (path, status)


def test_a_listed_origin_may_read_answers_and_others_hear_nothing(start: Start) -> None:
    call = start(origins=("https://lab.example",), api_keys=("lab:" + "0" * 64,))
    asked = {
        "Origin": "https://lab.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    answer = call("OPTIONS", "/v1/detect", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://lab.example"
    answer = call("OPTIONS", "/v1/detect", headers=asked | {"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_cors_is_closed_by_default(call: Caller) -> None:
    answer = call.get("/v2", headers={"Origin": "http://localhost"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_every_answer_tells_browsers_to_be_careful(call: Caller) -> None:
    for method, path in (("GET", "/v2"), ("GET", "/nowhere"), ("PUT", "/v1/clips")):
        headers = call(method, path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Cache-Control"] == "no-store"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
