import dataclasses
import sqlite3
from pathlib import Path

import pytest

from service.job import JobOrder
from service.job_store import JobStore
from service.problems import Problem
from vidar_det.detector.clip_prediction import Question
from vidar_det.detector.predictor import Thresholds
from vidar_det.errors import OutputError
from vidar_det.spikes.selection import Selection
from vidar_det.spikes.sidecar import RecordingOptions

ORDER = JobOrder(
    sha256="ab",
    planes=100,
    options=RecordingOptions(400, 250, "plain", "ud", 20_000.5),
    question=Question(Selection(3, 97, 64, 32), Thresholds(0.1, 0.30000000000000004), ("person",)),
    model="nano",
    request_id="r1",
    clip_id="demo",
)


def test_a_job_comes_back_as_it_went(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    added = store.add("j1", ORDER, 1.25, "lab", "k1", 9)
    assert store.get("j1") == added
    assert added.order == ORDER
    store.close()
    again = JobStore(tmp_path / "jobs.sqlite")
    assert again.get("j1") == added
    again.close()


def test_jobs_are_taken_in_their_order_and_once(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    for number, created in ((1, 5.0), (2, 3.0), (3, 5.0)):
        store.add(f"j{number}", ORDER, created, "lab", "", 9)
    taken = [store.take(9.0) for _ in range(4)]
    assert [job and job.id for job in taken] == ["j2", "j1", "j3", None]
    assert [job.id for job in store.newest(2)] == ["j3", "j1"]
    store.requeue()
    again = store.take(10.0)
    assert again is not None
    assert (again.id, again.attempts, again.started) == ("j2", 2, 10.0)
    store.close()


def test_a_job_ends_once(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    store.add("j1", ORDER, 1.0, "lab", "", 9)
    assert not store.end("j1", "succeeded", 2.0)
    store.take(2.0)
    assert store.cancel("j1", 3.0)
    assert not store.end("j1", "succeeded", 4.0, {"status": 422})
    assert not store.cancel("j1", 5.0)
    job = store.get("j1")
    assert job is not None
    assert (job.state, job.finished, job.problem) == ("cancelled", 3.0, None)
    assert job.has_ended
    store.close()


def test_a_key_names_the_first_job_of_its_caller(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    assert store.add("j1", ORDER, 1.0, "lab", "k", 9).id == "j1"
    assert store.add("j2", ORDER, 2.0, "lab", "k", 9).id == "j1"
    assert store.add("j3", ORDER, 3.0, "field", "k", 9).id == "j3"
    assert store.add("j4", ORDER, 4.0, "lab", "", 9).id == "j4"
    assert store.count("queued") == 3
    store.take(5.0)
    store.end("j1", "failed", 6.0, {"status": 422})
    assert store.expire(6.0) == []
    assert store.expire(6.5) == ["j1"]
    assert store.add("j5", ORDER, 7.0, "lab", "k", 9).id == "j5"
    store.close()


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    store.add("j1", ORDER, 1.0, "lab", "", 9)
    with pytest.raises(sqlite3.IntegrityError):
        store.add("j1", ORDER, 1.0, "lab", "", 9)
    assert store.count("queued") == 1
    store.close()


def test_a_full_disk_is_a_507(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    store._db.execute("PRAGMA max_page_count = 1")
    long = dataclasses.replace(ORDER, sha256="x" * 1_000_000)
    with pytest.raises(Problem) as caught:
        store.add("long", long, 1.0, "lab", "", 9)
    assert caught.value.status == 507
    store._db.execute("PRAGMA max_page_count = 1000")
    assert store.add("after", ORDER, 1.0, "lab", "", 9).id == "after"
    store.close()


def test_so_many_jobs_wait_and_a_key_that_is_known_needs_no_room(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    store.check_room(1, "lab", "k")
    store.add("j1", ORDER, 1.0, "lab", "k", 1)
    for ask in (
        lambda: store.check_room(1, "lab", ""),
        lambda: store.check_room(1, "field", "k"),
        lambda: store.add("j2", ORDER, 2.0, "lab", "", 1),
        lambda: store.add("j2", ORDER, 2.0, "lab", "other", 0),
    ):
        with pytest.raises(Problem) as caught:
            ask()
        assert (caught.value.status, caught.value.kind) == (503, "jobs-full")
    store.check_room(1, "lab", "k")
    assert store.add("j2", ORDER, 2.0, "lab", "k", 1).id == "j1"
    assert store.count("queued") == 1
    store.close()


def test_a_list_that_another_process_holds_is_a_503(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    store._db.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Problem) as caught:
        store.add("j1", ORDER, 1.0, "lab", "", 9)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "5"})
    other.close()
    assert store.add("j1", ORDER, 1.0, "lab", "", 9).id == "j1"
    store.close()


def test_to_be_told_to_end_is_no_attempt(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    store.add("j1", ORDER, 1.0, "lab", "", 9)
    for forgive, attempts in ((True, 1), (False, 1), (True, 2), (False, 2)):
        job = store.take(2.0)
        assert job is not None
        assert job.attempts == attempts
        store.requeue(forgive)
    store.close()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"not a database at all" * 99)
    with pytest.raises(OutputError, match="cannot keep jobs"):
        JobStore(tmp_path / "noise")
    with pytest.raises(OutputError, match="cannot keep jobs"):
        JobStore(tmp_path / "missing" / "jobs.sqlite")
    store = JobStore(tmp_path / "later")
    store._db.execute("PRAGMA user_version = 2")
    store.close()
    with pytest.raises(OutputError, match="version 2"):
        JobStore(tmp_path / "later")
