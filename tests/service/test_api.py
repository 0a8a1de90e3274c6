"""What concerns all routes: documents, examples, logs, numbers, errors."""

import dataclasses
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from service.keys import new_key
from service.problems import busy
from tests.service.conftest import Caller, ScriptedEngine, Start

PROBLEM_KEYS = {"type", "title", "status", "detail", "instance", "request_id", "errors"}


def examples_of(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation that can be filled with the document's own examples."""
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", [])
            named = {
                one["name"]: one["schema"]["examples"][0]
                for one in parameters
                if one["in"] == "path" and "examples" in one["schema"]
            }
            content = operation.get("requestBody", {}).get("content", {})
            example = content.get("application/json", {}).get("example")
            missing = set(re.findall(r"{(\w+)}", path)) - set(named)
            wanted = [one for one in parameters if one["in"] == "query" and one.get("required")]
            filled = all("examples" in one["schema"] for one in wanted)
            if not missing and filled and (example is not None or not content):
                body = {} if example is None else {"json": example}
                body["params"] = {one["name"]: one["schema"]["examples"][0] for one in wanted}
                found.append((method.upper(), path.format(**named), body))
    return found


def test_every_example_of_the_documentation_works(call: Caller) -> None:
    document = call.get("/openapi.json").json()
    examples = examples_of(document)
    assert {path for _, path, _ in examples} == {
        "/v1/detect",
        "/v1/clips",
        "/v1/clips/demo",
        "/v1/clips/demo/frame",
        "/v1/jobs",
        "/v1/session",
        "/v1/tickets",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2",
        "/v2/models",
        "/v2/models/nano",
        "/v2/models/nano/ready",
        "/metrics",
    }
    for method, path, body in examples:
        assert (path, call(method, path, **body).is_success) == (path, True)


def test_examples_are_those_of_the_settings(start: Start, engine: ScriptedEngine) -> None:
    engine.models = (dataclasses.replace(engine.models[0], name="mine"),)
    call = start(models=("mine=nano",), demo=False)
    examples = examples_of(call.get("/openapi.json").json())
    assert "/v2/models/mine" in {path for _, path, _ in examples}
    assert "demo" not in str(examples)
    for method, path, body in examples:
        assert (path, call(method, path, **body).is_success) == (path, True)


def test_the_document_tells_how_a_key_is_shown(start: Start, tmp_path: Path) -> None:
    key, line = new_key("lab")
    call = start(api_keys=(line,))
    document = call.get("/openapi.json", headers={"X-API-Key": key}).json()
    assert document["security"] == [{"bearer": []}, {"X-API-Key": []}]
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"] == {"type": "http", "scheme": "bearer"}
    assert schemes["X-API-Key"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    assert document["paths"]["/v2/health/ready"]["get"]["security"] == []
    assert "security" not in document["paths"]["/v1/detect"]["post"]
    without = start(data_dir=tmp_path / "open").get("/openapi.json").json()
    assert "security" not in without


def test_a_browser_without_a_key_is_asked_for_one(start: Start) -> None:
    call = start(api_keys=(new_key("lab")[1],))
    for path in ("/", "/docs"):
        answer = call.get(path, headers={"Accept": "text/html"})
        assert (answer.status_code, "<form>" in answer.text) == (401, True)


def test_the_document_tells_how_errors_look(call: Caller) -> None:
    document = call.get("/openapi.json").json()
    for operations in document["paths"].values():
        for operation in operations.values():
            for status in ("4XX", "5XX"):
                content = operation["responses"][status]["content"]
                assert set(content) == {"application/problem+json"}
    assert "HTTPValidationError" not in json.dumps(document)


def test_the_documentation_needs_nothing_from_elsewhere(call: Caller) -> None:
    page = call.get("/docs")
    assert page.status_code == 200
    assert not re.findall(r"""(?:src|href)=["']https?:""", page.text)
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert call.get(path).status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self' 'sha256-" in policy
    assert "http" not in policy


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/clips/", 404),
        ("GET", "/docs/assets/../../../pyproject.toml", 404),
        ("GET", "/docs/assets/%2e%2e/%2e%2e/pyproject.toml", 404),
        ("PATCH", "/v1/clips", 405),
        ("GET", "/v1/detect", 405),
        ("BREW", "/v2", 405),
        ("GET", "/v2/models/none", 404),
        ("GET", "/v2/models/none/ready", 404),
        ("GET", "/v1/clips/demo/frame?plane=x", 422),
    ],
)
def test_every_error_is_a_problem(call: Caller, method: str, path: str, status: int) -> None:
    answer = call(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    problem = answer.json()
    assert set(problem) >= PROBLEM_KEYS
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    if status == 405:
        assert answer.headers["Allow"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, 'x"y', "a/../b"])
def test_a_request_id_that_is_no_word_is_replaced(call: Caller, given: str) -> None:
    answer = call.get("/v2", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_each_request_is_one_line_of_json(
    call: Caller, sent: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="vidar_det.service")
    call.post("/v1/detect", **sent, headers={"X-Request-ID": "r1"})
    call.get("/v1/clips/secret-name?token=secret")
    first, second = (json.loads(record.getMessage()) for record in caplog.records)
    assert first["request_id"] == "r1"
    assert (first["method"], first["route"], first["status"]) == ("POST", "/v1/detect", 200)
    assert first["bytes_in"] == len(sent["content"])
    assert second["route"] == "/v1/clips/{clip_id}"
    assert second["problem"] == "invalid-request"
    assert "secret" not in caplog.text


def test_a_failure_of_our_own_is_logged_whole(
    start: Start,
    engine: ScriptedEngine,
    sent: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="vidar_det.service")
    engine.failure = ZeroDivisionError("why")
    start().post("/v1/detect", **sent, headers={"X-Request-ID": "r2"})
    failure, line = (json.loads(record.getMessage()) for record in caplog.records)
    assert failure["request_id"] == line["request_id"] == "r2"
    assert "ZeroDivisionError: why" in failure["failure"]
    assert (line["status"], line["problem"]) == (500, "internal-error")


def number_of(call: Caller, name: str) -> float:
    for line in call.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(name)


def test_requests_and_rejects_are_counted(call: Caller, sent: dict[str, Any]) -> None:
    call.post("/v1/detect", **sent)
    call.get("/nowhere")
    call("BREW", "/elsewhere")
    detect = 'vidar_requests_total{method="POST",route="/v1/detect",status="200"}'
    assert number_of(call, detect) == 1
    assert number_of(call, 'vidar_requests_total{method="OTHER",route="other",status="404"}') == 1
    assert number_of(call, 'vidar_rejects_total{reason="not-found"}') == 2
    assert number_of(call, "vidar_requests_in_flight") == 1
    assert number_of(call, "vidar_spool_bytes") == 0
    call.post("/v1/clips", **sent)
    assert number_of(call, "vidar_spool_bytes") > len(sent["content"])


def test_requests_that_a_guard_stops_are_counted_by_route(start: Start) -> None:
    call = start(api_keys=(new_key("lab")[1],))
    for path in ("/v1/clips/secret-name/frame", "/v1/clips", "/nowhere"):
        assert call.get(path).status_code == 401
    assert call.get("/v1/jobs", headers={"Host": "evil.example"}).status_code == 403
    counted = {
        tuple(sample.labels[name] for name in ("route", "status"))
        for family in call.parts.metrics.requests.collect()
        for sample in family.samples
    }
    templates = {"/v1/clips/{clip_id}/frame", "/v1/clips", "other"}
    assert counted == {(route, "401") for route in templates} | {("/v1/jobs", "403")}


def test_two_services_do_not_share_numbers(start: Start, tmp_path: Path) -> None:
    first, second = start(), start(data_dir=tmp_path / "second")
    first.get("/nowhere")
    assert number_of(first, 'vidar_rejects_total{reason="not-found"}') == 1
    assert "not-found" not in second.get("/metrics").text


def test_the_service_is_ready_while_there_is_room(start: Start) -> None:
    call = start(spool_bytes=100, demo=False)
    assert call.get("/v2/health/ready").json() == {"ready": True}
    call.parts.spool.reserve(100)
    answer = call.get("/v2/health/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.headers["Retry-After"]
    assert call.get("/v2/health/live").status_code == 200


def test_a_service_whose_detectors_are_gone_is_not_ready(
    call: Caller, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise busy(503, "engine-lost", "gone")

    monkeypatch.setattr(engine, "check_health", fail)
    answer = call.get("/v2/health/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["detail"] == "gone"


def test_models_are_named_as_in_the_open_inference_protocol(call: Caller) -> None:
    assert call.get("/v2").json()["name"] == "vidar-det"
    assert [model["name"] for model in call.get("/v2/models").json()["models"]] == ["nano"]
    model = call.get("/v2/models/nano").json()
    assert {"name", "versions", "platform", "inputs", "outputs"} <= set(model)
    assert call.get("/v2/models/nano/ready").json() == {"name": "nano", "ready": True}


@pytest.mark.parametrize(
    ("method", "path", "names"),
    [
        ("POST", "/v1/detect?conf=0.1&conf=0.9", ["query.conf"]),
        ("POST", "/v1/detect?classes=a&classes=b&start=1", ["query.classes"]),
        ("GET", "/v1/clips/demo/frame?plane=&plane=3", ["query.plane"]),
        ("GET", "/v1/clips?limit=3", ["query.limit"]),
        ("GET", "/v1/clips/demo?x=1&y=2", ["query.x", "query.y"]),
        ("GET", "/v2/models?verbose", []),
        ("GET", "/v2?name=", []),
        ("GET", "/v2?name=a", ["query.name"]),
        ("POST", "/v1/session?path=/", ["query.path"]),
    ],
)
def test_a_query_that_would_not_be_heeded_is_refused(
    call: Caller, method: str, path: str, names: list[str]
) -> None:
    answer = call(method, path, json={"clip_id": "demo"} if method == "POST" else None)
    assert answer.status_code == (422 if names else 200)
    if names:
        assert [error["where"] for error in answer.json()["errors"]] == names


def test_the_page_takes_any_query(call: Caller) -> None:
    assert call.get("/?from=mail&from=chat").status_code == 200


def test_files_have_heads(call: Caller) -> None:
    job = call.post(
        "/v1/detect", json={"clip_id": "demo"}, headers={"Prefer": "respond-async"}
    ).headers["Location"]
    call.get(f"{job}/events")
    for path in ("/", "/docs", "/viewer/main.js", f"{job}/result"):
        head, whole = call("HEAD", path), call.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == str(len(whole.content))
    assert call("HEAD", "/v1/clips").status_code == 405
