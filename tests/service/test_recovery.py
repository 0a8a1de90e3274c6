"""Jobs of a service that is killed, or told to stop, at any moment; through a real socket."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.service.conftest import files_in
from tests.service.processes import END_S, Process, service_process

ASYNC = {"Prefer": "respond-async"}
LONG = {"stride": 2}  # 129 windows
DEMO = {"clip_id": "demo"}

pytestmark = pytest.mark.slow


def begin(service: Process, key: str) -> str:
    headers = ASYNC | {"Idempotency-Key": key}
    answer = service.client.post("/v1/detect", params=LONG, json=DEMO, headers=headers)
    assert answer.status_code == 202, answer.text
    location: str = answer.headers["Location"]
    return location


def found(envelope: dict[str, Any]) -> tuple[Any, Any]:
    return envelope["images"], envelope["detections"]


def test_a_job_ends_once_however_often_its_service_is_killed(tmp_path: Path) -> None:
    with service_process(tmp_path) as service:
        location = begin(service, "k")  # and at once
    for share in (0.05, 0.5):
        with service_process(tmp_path) as service:
            assert begin(service, "k") == location
            seen = (job["progress"] for job in service.events(location))
            assert next(progress for progress in seen if progress >= share)
    with service_process(tmp_path) as service:
        *_, end = service.events(location)
        assert (end["state"], end["attempts"] >= 3) == ("succeeded", True)
        result = service.client.get(f"{location}/result").json()
        assert begin(service, "k") == location
        direct = service.client.post("/v1/detect", params=LONG, json=DEMO).json()
        assert found(result) == found(direct)
        assert len(result["images"]) == 129
    with service_process(tmp_path) as service:
        assert service.client.get(f"{location}/result").json() == result
        assert service.client.get("/v1/jobs").json() == {"jobs": [end]}
    assert files_in(tmp_path / "spool") == [f"jobs/{end['id']}/answer.json"]


def test_a_service_that_is_told_to_stop_ends_what_is_under_way_and_nothing_new(
    tmp_path: Path,
) -> None:
    with service_process(tmp_path, grace_s="60") as service:
        location = begin(service, "k")
        next(job for job in service.events(location) if job["state"] == "running")
        service.process.send_signal(signal.SIGTERM)
        answer = service.client.get("/v1/jobs")
        while answer.status_code == 200:  # the signal is on its way
            answer = service.client.get("/v1/jobs")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert service.client.get("/v2/health/ready").status_code == 503
        service.process.wait(END_S)
    with service_process(tmp_path) as service:
        job = service.client.get(location).json()
        assert (job["state"], job["attempts"]) == ("succeeded", 1)


def test_a_job_that_takes_longer_than_the_grace_begins_anew(tmp_path: Path) -> None:
    dark = {"content": bytes(64 * 8 * 40_000), "params": {"width": 64, "height": 64} | LONG}
    kind = ASYNC | {"Content-Type": "application/octet-stream"}
    with service_process(tmp_path, grace_s="0") as service:
        answer = service.client.post("/v1/detect", **dark, headers=kind)  # 20,000 windows
        location = answer.headers["Location"]
        next(job for job in service.events(location) if job["progress"] > 0)
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(END_S)
    assert "failure" not in (tmp_path / "log").read_text()
    with service_process(tmp_path) as service:
        again = next(job for job in service.events(location) if job["state"] == "running")
        assert again["attempts"] == 1  # to be told to stop is nobody's fault
        service.client.delete(location)
        *_, end = service.events(location)
        assert (end["state"], end["attempts"]) == ("cancelled", 1)
    lines = (tmp_path / "log").read_text().splitlines()
    assert any(json.loads(line)["route"] == "/v1/detect" for line in lines if line[0] == "{")
