import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

from service.job import Job
from service.job_store import JobStore
from service.jobs import Jobs
from service.keys import new_key
from service.problems import Problem, busy
from service.settings import Settings
from tests.service.conftest import Caller, ScriptedEngine, Start, files_in, running
from vidar_det.errors import CheckpointError, RangeError

ASYNC = {"Prefer": "respond-async"}


def begin(call: Caller, sent: dict[str, Any], **headers: str) -> str:
    """Ask for a job; give its path."""
    answer = call.post("/v1/detect", **sent, headers=ASYNC | headers)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Preference-Applied"] == "respond-async"
    location: str = answer.headers["Location"]
    assert location == f"/v1/jobs/{answer.json()['id']}"
    return location


def events_of(call: Caller, location: str) -> list[dict[str, Any]]:
    """Follow a job to its end."""
    answer = call.get(f"{location}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.split("\n\n")
    assert events.pop() == ""
    return [json.loads(event.removeprefix("event: job\ndata: ")) for event in events]


def end_of(call: Caller, location: str) -> dict[str, Any]:
    return events_of(call, location)[-1]


def spooled(call: Caller) -> list[str]:
    return files_in(call.parts.spool.folder)


def bytes_spooled(call: Caller) -> int:
    """Each file once, however often it is linked."""
    folder = call.parts.spool.folder
    found = [folder / name for name in spooled(call)]
    return sum({file.stat().st_ino: file.stat().st_size for file in found}.values())


def test_a_job_ends_with_what_a_direct_answer_says(call: Caller, sent: dict[str, Any]) -> None:
    location = begin(call, sent)
    end = end_of(call, location)
    assert (end["state"], end["progress"], end["attempts"]) == ("succeeded", 1.0, 1)
    assert end["problem"] is None
    assert end["created"] <= end["started"] <= end["finished"]
    result = call.get(f"{location}/result")
    assert result.headers["content-type"] == "application/json"
    assert result.json()["request_id"] == end["request_id"]
    direct = call.post("/v1/detect", **sent).json()
    assert result.json() | {"request_id": ""} == direct | {"request_id": ""}
    assert spooled(call) == [f"jobs/{end['id']}/answer.json"]
    assert call.parts.spool.used_bytes == bytes_spooled(call)


@pytest.mark.parametrize("body", [{"clip_id": "demo"}, None])
def test_a_clip_that_lies_here_already_may_be_a_job(
    call: Caller, sent: dict[str, Any], body: dict[str, str] | None
) -> None:
    clip_id = body["clip_id"] if body else call.post("/v1/clips", **sent).json()["id"]
    location = begin(call, {"json": {"clip_id": clip_id}})
    assert end_of(call, location)["state"] == "succeeded"
    direct = call.post("/v1/detect", json={"clip_id": clip_id}).json()
    assert call.get(f"{location}/result").json()["images"] == direct["images"]
    assert call.get(f"/v1/clips/{clip_id}").status_code == 200
    assert call.parts.spool.used_bytes == bytes_spooled(call)


def test_a_job_that_waits_or_works_says_so(
    call: Caller, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    engine.hold.set()
    first, second = begin(call, sent), begin(call, sent)
    assert engine.has_begun.wait(30)
    assert call.get(first).json()["state"] == "running"
    assert call.get(first).json()["progress"] == 0.25
    assert call.get(second).json()["state"] == "queued"
    for location in (first, second):
        answer = call.get(f"{location}/result")
        assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")
    assert [job["state"] for job in call.get("/v1/jobs").json()["jobs"]] == ["queued", "running"]
    assert len(call.get("/v1/jobs?limit=1").json()["jobs"]) == 1
    metrics = call.get("/metrics").text
    assert "vidar_jobs_queued 1.0" in metrics
    engine.hold.clear()
    states = [event["state"] for event in events_of(call, second)]
    assert states[-1] == "succeeded"
    assert end_of(call, first)["state"] == "succeeded"
    assert 'vidar_jobs_total{state="succeeded"} 2.0' in call.get("/metrics").text


def test_cancelled_jobs_leave_nothing(
    call: Caller, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    engine.hold.set()
    working, waiting = begin(call, sent), begin(call, sent)
    assert engine.has_begun.wait(30)
    for location in (working, waiting):
        assert call.delete(location).json()["state"] == "cancelled"
        assert call.get(f"{location}/result").status_code == 410
    engine.hold.clear()
    after = begin(call, sent)
    assert end_of(call, after)["state"] == "succeeded"
    assert spooled(call) == [f"jobs/{after.rpartition('/')[2]}/answer.json"]
    assert call.parts.spool.used_bytes == bytes_spooled(call)
    assert call.delete(working).json()["state"] == "cancelled"


def test_a_job_that_ended_keeps_its_result_when_it_is_cancelled(
    call: Caller, sent: dict[str, Any]
) -> None:
    location = begin(call, sent)
    end_of(call, location)
    assert call.delete(location).json()["state"] == "succeeded"
    assert call.get(f"{location}/result").status_code == 200


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (RangeError("no such plane"), 422, "range-error"),
        (Problem(507, "spool-full", "full"), 507, "spool-full"),
        (CheckpointError("/secret/weights"), 500, "internal-error"),
        (ZeroDivisionError("secret"), 500, "internal-error"),
    ],
)
def test_a_job_that_fails_says_why_and_the_next_one_runs(
    call: Caller,
    engine: ScriptedEngine,
    sent: dict[str, Any],
    failure: Exception,
    status: int,
    kind: str,
) -> None:
    engine.failure = failure
    location = begin(call, sent)
    end = end_of(call, location)
    assert end["state"] == "failed"
    assert end["problem"]["type"] == f"urn:vidar-det:problem:{kind}"
    assert end["problem"]["instance"] == location
    answer = call.get(f"{location}/result")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()) == (status, end["problem"])
    assert "secret" not in answer.text
    assert (spooled(call), call.parts.spool.used_bytes) == ([], 0)
    engine.failure = None
    assert end_of(call, begin(call, sent))["state"] == "succeeded"


@pytest.mark.parametrize("query", ["start=999", "classes=vehicles", "layout=m1k40", "conf=2"])
def test_what_is_wrong_with_a_job_is_told_at_once(
    call: Caller, sent: dict[str, Any], query: str
) -> None:
    name, value = query.split("=")
    sent["params"] = sent["params"] | {name: value}
    answer = call.post("/v1/detect", **sent, headers=ASYNC)
    assert answer.status_code == 422
    assert call.get("/v1/jobs").json() == {"jobs": []}
    assert (spooled(call), call.parts.spool.used_bytes) == ([], 0)


def test_the_same_key_gives_the_same_job(call: Caller, sent: dict[str, Any]) -> None:
    first = begin(call, sent, **{"Idempotency-Key": "k1"})
    assert begin(call, sent, **{"Idempotency-Key": "k1"}) == first
    end_of(call, first)
    assert begin(call, sent, **{"Idempotency-Key": "k1"}) == first
    assert begin(call, sent, **{"Idempotency-Key": "k2"}) != first
    assert begin(call, sent) != first
    for location in [f"/v1/jobs/{job['id']}" for job in call.get("/v1/jobs").json()["jobs"]]:
        end_of(call, location)
    assert len(spooled(call)) == 3
    assert call.parts.spool.used_bytes == bytes_spooled(call)


def test_a_key_that_named_something_else_is_refused(call: Caller, sent: dict[str, Any]) -> None:
    headers = ASYNC | {"Idempotency-Key": "k1"}
    location = begin(call, sent, **headers)
    other = sent | {"params": sent["params"] | {"conf": 0.5}}
    for asked in (other, {"json": {"clip_id": "demo"}}):
        answer = call.post("/v1/detect", **asked, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["type"].endswith("idempotency-key-reused")
    end_of(call, location)
    assert call.parts.spool.used_bytes == bytes_spooled(call)
    long = ASYNC | {"Idempotency-Key": "k" * 256}
    assert call.post("/v1/detect", **sent, headers=long).status_code == 422


def test_each_caller_has_keys_of_its_own(start: Start, sent: dict[str, Any]) -> None:
    keys = [new_key(name) for name in ("lab", "field")]
    call = start(api_keys=tuple(line for _, line in keys))
    jobs = {begin(call, sent, **{"Idempotency-Key": "k", "X-API-Key": key}) for key, _ in keys}
    assert len(jobs) == 2


def test_a_clip_that_is_deleted_stays_until_its_job_has_ended(
    call: Caller, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    clip = call.post("/v1/clips", **sent).headers["Location"]
    body = {"json": {"clip_id": clip.rpartition("/")[2]}}
    engine.hold.set()
    jobs = [begin(call, body), begin(call, body)]
    assert engine.has_begun.wait(30)
    assert call.delete(clip).status_code == 204
    assert call.get(clip).status_code == 404
    assert call.post("/v1/detect", **body).status_code == 404
    assert call.parts.spool.used_bytes >= len(sent["content"])
    engine.hold.clear()
    for location in jobs:
        assert end_of(call, location)["state"] == "succeeded"
        assert len(call.get(f"{location}/result").json()["images"]) == 4
    assert [name.rpartition("/")[2] for name in spooled(call)] == ["answer.json"] * 2
    assert call.parts.spool.used_bytes == bytes_spooled(call)


def test_so_many_jobs_wait_and_no_more(
    start: Start, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    call = start(jobs_queued=1)
    engine.hold.set()
    begin(call, sent)
    assert engine.has_begun.wait(30)
    begin(call, sent)
    answer = call.post("/v1/detect", **sent, headers=ASYNC)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    engine.hold.clear()


def test_a_large_clip_waits_for_room_as_every_job_does(start: Start, sent: dict[str, Any]) -> None:
    call = start(jobs_queued=0, sync_bytes=1)
    answer = call.post("/v1/detect", **sent)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert (spooled(call), call.parts.spool.used_bytes) == ([], 0)


def test_a_job_that_is_known_needs_no_room(
    start: Start, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    call = start(jobs_queued=1)
    engine.hold.set()
    begin(call, sent)
    assert engine.has_begun.wait(30)
    waiting = begin(call, sent, **{"Idempotency-Key": "k"})
    assert begin(call, sent, **{"Idempotency-Key": "k"}) == waiting
    assert call.post("/v1/detect", **sent, headers=ASYNC).status_code == 503
    engine.hold.clear()


def test_an_end_that_cannot_be_written_down_is_written_later(
    call: Caller, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.jobs.RETRY_S", 0.01)
    failures: list[Exception] = [sqlite3.OperationalError(), Problem(507, "spool-full", "full")]
    end = JobStore.end

    def fail_first(*arguments: Any) -> bool:
        if failures:
            raise failures.pop()
        return end(*arguments)

    monkeypatch.setattr(JobStore, "end", fail_first)
    assert end_of(call, begin(call, sent))["state"] == "succeeded"
    assert failures == []


def test_a_cancel_between_two_steps_of_a_beginning_is_noticed(
    call: Caller, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = JobStore.take

    def take_and_cancel(store: JobStore, now: float) -> Job | None:
        job = take(store, now)
        if job is not None:
            anyio.from_thread.run(call.parts.jobs.cancel, job.id)
        return job

    monkeypatch.setattr(JobStore, "take", take_and_cancel)
    location = begin(call, {"json": {"clip_id": "demo"}})
    assert end_of(call, location)["state"] == "cancelled"
    monkeypatch.setattr(JobStore, "take", take)
    assert end_of(call, begin(call, {"json": {"clip_id": "demo"}}))["state"] == "succeeded"
    assert len(engine.tasks) == 1


def test_a_sweep_that_fails_takes_nothing_with_it(
    start: Start, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = threading.Event()

    def fail(self: Jobs) -> None:
        swept.set()
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(Jobs, "expire", fail)
    call = start()
    assert swept.wait(30)
    assert end_of(call, begin(call, sent))["state"] == "succeeded"
    assert call.get("/v2/health/ready").status_code == 200


def test_a_service_that_runs_no_jobs_is_not_ready_and_takes_none(
    start: Start, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end(self: Jobs) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Jobs, "work", end)
    call = start()
    call._portal.call(anyio.sleep, 0)  # the workers begin
    assert call.get("/v2/health/ready").status_code == 503
    assert call.post("/v1/detect", **sent, headers=ASYNC).status_code == 503


def test_a_job_waits_for_a_full_engine(
    call: Caller, engine: ScriptedEngine, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.jobs.BUSY_S", 0.01)
    asked, check = [], engine.check_room

    def check_room() -> None:
        asked.append(0)
        engine.is_full = len(asked) < 3
        check()

    monkeypatch.setattr(engine, "check_room", check_room)
    assert end_of(call, begin(call, sent))["state"] == "succeeded"
    assert len(asked) == 3


def test_a_job_whose_looker_went_begins_anew(
    call: Caller, engine: ScriptedEngine, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.jobs.BUSY_S", 0.01)
    engine.failure = busy(503, "engine-lost", "gone")
    end = end_of(call, begin(call, sent))
    assert (end["state"], end["problem"]["status"]) == ("failed", 503)
    assert len(engine.tasks) == 5
    check = engine.check_room

    def mend_at_the_third() -> None:
        engine.failure = None if len(engine.tasks) == 7 else engine.failure
        check()

    monkeypatch.setattr(engine, "check_room", mend_at_the_third)
    assert end_of(call, begin(call, sent))["state"] == "succeeded"
    assert len(engine.tasks) == 8
    assert call.parts.spool.used_bytes == bytes_spooled(call)


def test_jobs_survive_a_restart(tmp_path: Path, sent: dict[str, Any]) -> None:
    settings = Settings(data_dir=tmp_path / "spool")
    held = ScriptedEngine()
    with running(settings, held) as call:
        done = begin(call, sent)
        wanted = (end_of(call, done), call.get(f"{done}/result").json())
        held.hold.set()
        held.has_begun.clear()
        under_way, waiting = begin(call, sent, **{"Idempotency-Key": "k"}), begin(call, sent)
        unwanted = begin(call, sent)
        call.delete(unwanted)
        assert held.has_begun.wait(30)
        folder = call.parts.spool.folder / "jobs"
    (folder / "stray").mkdir()
    (folder / "stray" / "clip.dat").write_bytes(b"x")
    (folder / under_way.rpartition("/")[2] / "answer.json").write_bytes(b"half")
    with running(settings, ScriptedEngine()) as call:
        assert (end_of(call, done), call.get(f"{done}/result").json()) == wanted
        assert begin(call, sent, **{"Idempotency-Key": "k"}) == under_way
        for location in (under_way, waiting):
            end = end_of(call, location)
            assert (end["state"], end["attempts"]) == ("succeeded", 1)  # it was told to end
            result = call.get(f"{location}/result").json()
            assert result | {"request_id": ""} == wanted[1] | {"request_id": ""}
        assert call.get(unwanted).json()["state"] == "cancelled"
        assert len(spooled(call)) == 3
        assert call.parts.spool.used_bytes == bytes_spooled(call)


def test_a_job_that_ends_the_process_every_time_is_given_up(
    tmp_path: Path, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.jobs.MOST_ATTEMPTS", 1)
    monkeypatch.setattr("service.jobs.JobStore.requeue", lambda self, **_: None)
    settings, held = Settings(data_dir=tmp_path / "spool"), ScriptedEngine()
    held.hold.set()
    with running(settings, held) as call:
        location = begin(call, sent)
        assert held.has_begun.wait(30)
    with running(settings, ScriptedEngine()) as call:
        end = end_of(call, location)
        assert end["state"] == "failed"
        assert end["problem"]["type"].endswith("job-gave-up")
        assert spooled(call) == []


def test_results_that_lay_long_are_forgotten(
    call: Caller, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    location = begin(call, sent)
    finished = end_of(call, location)["finished"]
    jobs, age = call.parts.jobs, call.parts.settings.max_age_s
    monkeypatch.setattr(jobs, "_clock", lambda: finished + age - 1)
    jobs.expire()
    assert call.get(location).status_code == 200
    monkeypatch.setattr(jobs, "_clock", lambda: finished + age + 1)
    jobs.expire()
    assert call.get(location).status_code == 404
    assert (spooled(call), call.parts.spool.used_bytes) == ([], 0)


@pytest.mark.parametrize("path", ["", "/events", "/result"])
def test_a_job_that_does_not_exist_is_a_404(call: Caller, path: str) -> None:
    for name in ("nothere", "..", "..%2f..%2fetc%2fpasswd", "x" * 5000):
        answer = call.get(f"/v1/jobs/{name}{path}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_service_about_to_stop_begins_nothing_new(
    call: Caller, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    engine.hold.set()
    running_job, waiting = begin(call, sent), begin(call, sent)
    assert engine.has_begun.wait(30)
    call.parts.drain.begin()
    for method, path in (("POST", "/v1/detect"), ("GET", "/v1/jobs"), ("GET", running_job)):
        answer = call(method, path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["type"].endswith("draining")
    assert call.get("/v2/health/live").status_code == 200
    assert call.get("/v2/health/ready").status_code == 503
    assert call.get("/metrics").status_code == 200
    engine.hold.clear()

    async def idle() -> None:
        with anyio.fail_after(30):
            while call.parts.jobs.running:
                await anyio.sleep(0.01)

    anyio.run(idle)
    call.parts.drain.is_on = False
    assert call.get(running_job).json()["state"] == "succeeded"
    assert call.get(waiting).json()["state"] == "queued"


def test_events_end_when_the_service_is_about_to_stop(
    call: Caller, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    engine.hold.set()
    location = begin(call, sent)
    assert engine.has_begun.wait(30)

    async def follow() -> str:
        job = await call.parts.jobs.get(location.rpartition("/")[2])
        from service.routes.jobs import _events

        said = []
        async for event in _events(call.parts, job):
            said.append(event)
            call.parts.drain.begin()
        return b"".join(said).decode()

    assert '"state":"running"' in call._portal.call(follow)
    engine.hold.clear()
