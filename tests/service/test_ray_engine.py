"""A service whose detectors run on a Ray cluster, in processes of their own."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.processes import END_S, Process, service_process

pytest.importorskip("ray", reason="needs the extra 'ray'")
pytestmark = [pytest.mark.ray, pytest.mark.slow]

DEMO = {"clip_id": "demo"}
LINES = {"Accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with service_process(tmp_path_factory.mktemp("here")) as service:
        yield service


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Ends in good order, and with it every process that it began."""
    with service_process(tmp_path_factory.mktemp("there"), engine="ray") as service:
        yield service
        begun = descendants(service.process.pid)
        assert begun
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(END_S)
        assert not [pid for pid in begun if Path(f"/proc/{pid}").exists()]


def descendants(pid: int) -> set[int]:
    found = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


def without_times(envelope: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in envelope.items() if key not in ("timing_ms", "request_id")}


def number_of(service: Process, name: str) -> float:
    lines = service.client.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def wait_until_idle(service: Process) -> None:
    until = time.monotonic() + END_S
    while number_of(service, "vidar_queue_depth"):
        assert time.monotonic() < until


@pytest.mark.parametrize("query", [{}, {"stride": 16, "conf": 0.01}, {"classes": "vehicle"}])
def test_answers_are_those_of_one_process(
    here: Process, there: Process, query: dict[str, Any]
) -> None:
    assert there.client.get("/v2/models").json() == here.client.get("/v2/models").json()
    envelopes, lines = [], []
    for service in (here, there):
        answer = service.client.post("/v1/detect", params=query, json=DEMO)
        assert answer.status_code == 200, answer.text
        envelopes.append(without_times(answer.json()))
        answer = service.client.post("/v1/detect", params=query, json=DEMO, headers=LINES)
        lines.append([without_times(json.loads(line)) for line in answer.text.splitlines()])
    assert envelopes[0]["images"]
    assert envelopes[0] == envelopes[1]
    assert lines[0] == lines[1]


def test_problems_are_those_of_one_process(here: Process, there: Process) -> None:
    for query in ({"start": 999}, {"window": 63}, {"classes": "vehicles"}, {"model": "x"}):
        answers = [s.client.post("/v1/detect", params=query, json=DEMO) for s in (here, there)]
        told = [answer.json() | {"request_id": ""} for answer in answers]
        assert told[0]["status"] == 422
        assert told[0] == told[1]


def test_a_job_runs_there(there: Process) -> None:
    answer = there.client.post("/v1/detect", json=DEMO, headers={"Prefer": "respond-async"})
    *_, end = there.events(answer.headers["Location"])
    assert end["state"] == "succeeded"


def test_what_happens_there_is_counted_here(there: Process) -> None:
    windows, decoded = "vidar_windows_total", "vidar_decode_seconds_count"
    before = number_of(there, windows), number_of(there, decoded)
    there.client.post("/v1/detect", json=DEMO)
    assert number_of(there, windows) == before[0] + 3
    assert number_of(there, decoded) == before[1] + 3
    wait_until_idle(there)


def test_nobody_looks_on_for_a_client_that_went(there: Process) -> None:
    many = {"stride": 1}
    with there.client.stream("POST", "/v1/detect", params=many, json=DEMO, headers=LINES) as answer:
        next(answer.iter_lines())
    wait_until_idle(there)
    begun = number_of(there, "vidar_windows_total")
    there.client.post("/v1/detect", json=DEMO)
    assert number_of(there, "vidar_windows_total") - begun < 100


def test_copies_that_die_are_missed_and_come_back(there: Process) -> None:
    for pid in descendants(there.process.pid):
        if Path(f"/proc/{pid}/cmdline").read_text().startswith("ray::ServeReplica"):
            os.kill(pid, signal.SIGKILL)
    seen, until = set(), time.monotonic() + END_S
    while time.monotonic() < until:
        answer = there.client.post("/v1/detect", json=DEMO)
        seen.add(answer.status_code)
        assert answer.status_code == 200 or answer.headers["Retry-After"]
        if answer.status_code == 200:
            break
    assert seen <= {200, 503}
    while there.client.get("/v2/health/ready").status_code != 200:
        assert time.monotonic() < until
        time.sleep(1)
