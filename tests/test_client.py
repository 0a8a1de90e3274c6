"""The client calls a service behind a real socket."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from service.app import create_app
from service.keys import new_key
from service.settings import Settings
from tests.service.conftest import ScriptedEngine
from tests.service.processes import END_S, service_process
from vidar_det.client import Client, RemoteJob, _wait_s
from vidar_det.errors import RangeError, ServiceError, SourceError

KEY, KEY_LINE = new_key("lab")
GEOMETRY: dict[str, Any] = {"width": 48, "height": 40, "layout": "plain"}


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def client(tmp_path: Path, engine: ScriptedEngine) -> Iterator[Client]:
    settings = Settings(data_dir=tmp_path / "spool", api_keys=(KEY_LINE,))
    config = uvicorn.Config(
        create_app(settings, engine), port=0, log_config=None, ws="none", http="httptools"
    )
    listener = config.bind_socket()
    listener.listen()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        with Client(f"http://127.0.0.1:{listener.getsockname()[1]}", KEY, patience_s=0) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(timeout=60)
        listener.close()


def test_a_file_is_answered_with_predictions(client: Client, clip: Path) -> None:
    found = client.detect(clip, **GEOMETRY)
    assert [window.plane_start for window in found.windows] == [0, 50, 100, 150]
    assert found.detections[3].xyxy.tolist() == [[1, 2, 4, 6]]
    assert found.classes == ("person", "vehicle")
    assert found.clip.planes == 200


def test_windows_come_one_by_one(client: Client, clip: Path) -> None:
    found = list(client.stream(str(clip), **GEOMETRY))
    whole = client.detect(clip, **GEOMETRY)
    assert [window for window, _ in found] == list(whole.windows)
    assert [boxes.scores.tolist() for _, boxes in found] == [[0.5]] * 4


def test_a_clip_is_sent_once_and_asked_about_often(client: Client, clip: Path) -> None:
    remote = client.add_clip(clip, **GEOMETRY)
    assert client.clip(remote.id) == remote
    assert remote in client.clips()
    assert len(client.detect(remote).windows) == 4
    assert len(list(client.stream(remote))) == 4
    client.delete_clip(remote)
    with pytest.raises(ServiceError, match="404"):
        client.clip(remote.id)


def test_a_job_is_awaited(client: Client, clip: Path, engine: ScriptedEngine) -> None:
    engine.hold.set()
    job = client.submit(clip, key="k", **GEOMETRY)
    assert client.submit(clip, key="k", **GEOMETRY).id == job.id
    assert engine.has_begun.wait(30)
    assert client.job(job.id).state == "running"
    told: list[float] = []

    def report(progress: float) -> None:
        told.append(progress)
        engine.hold.clear()

    found = client.wait(job, report)
    assert len(found.windows) == 4
    assert (told[0] < 1, told[-1]) == (True, 1.0)
    assert client.cancel(job).state == "succeeded"


def test_a_job_that_fails_raises_its_problem(
    client: Client, clip: Path, engine: ScriptedEngine
) -> None:
    engine.failure = RangeError("no such plane")
    job = client.submit(clip, **GEOMETRY)
    with pytest.raises(ServiceError, match="no such plane") as caught:
        client.wait(job)
    assert caught.value.problem["status"] == 422


def test_a_failure_on_the_way_is_raised(client: Client, clip: Path, engine: ScriptedEngine) -> None:
    engine.failure = RangeError("no such plane")
    windows = client.stream(clip, **GEOMETRY)
    assert next(windows)[0].id == 0
    with pytest.raises(ServiceError, match="no such plane"):
        list(windows)


def test_a_refusal_is_told_in_the_services_words(client: Client, clip: Path) -> None:
    with pytest.raises(ServiceError, match="not served") as caught:
        client.detect(clip, model="nanoo", **GEOMETRY)
    assert caught.value.problem["type"] == "urn:vidar-det:problem:unknown-model"
    with pytest.raises(ServiceError, match="422"):
        client.detect(clip, widht=3)
    with pytest.raises(SourceError, match="cannot be read"):
        client.detect(clip.with_name("missing.dat"))


def test_a_service_that_is_busy_is_asked_again(
    client: Client, clip: Path, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.is_full = True
    with pytest.raises(ServiceError, match="503"):
        client.detect(clip, **GEOMETRY)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        engine.is_full = False

    monkeypatch.setattr("vidar_det.client.time.sleep", sleep)
    client._patience_s = 60
    assert len(client.detect(clip, **GEOMETRY).windows) == 4
    assert waited == [1.0]


def test_classes_may_be_a_list(client: Client, clip: Path, engine: ScriptedEngine) -> None:
    client.detect(clip, classes=["person", "vehicle"], **GEOMETRY)
    client.detect(clip, classes="vehicle", **GEOMETRY)
    asked = [task.question.classes for task in engine.tasks]
    assert asked == [("person", "vehicle"), ("vehicle",)]


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [("7", 7, 7), ("", 1, 1), ("later", 1, 1), ("-3", 1, 1), (formatdate(0, usegmt=True), 0, 0)],
)
def test_when_to_come_back_is_read_in_every_form(said: str, least: float, most: float) -> None:
    assert least <= _wait_s(said) <= most
    in_an_hour = formatdate(time.time() + 3600, usegmt=True)
    assert 3000 < _wait_s(in_an_hour) <= 3600


def test_a_service_that_is_not_there_is_told() -> None:
    with (
        Client("http://127.0.0.1:9", patience_s=0) as client,
        pytest.raises(ServiceError, match="cannot be reached"),
    ):
        client.clips()


CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"
NO_CLIPS = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"clips":[]}'


@contextlib.contextmanager
def _scripted(*answers: bytes) -> Iterator[str]:
    """A server that gives each connection one answer, and ends it; the address comes out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(END_S)


def test_a_question_whose_connection_ends_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidar_det.client.time.sleep", lambda seconds: None)
    with _scripted(b"", b"", NO_CLIPS) as address, Client(address) as client:
        assert client.clips() == []


def test_a_clip_is_not_sent_twice_where_the_first_may_have_arrived(clip: Path) -> None:
    with (
        _scripted(b"") as address,
        Client(address) as client,
        pytest.raises(ServiceError, match="cannot be reached"),
    ):
        client.detect(clip, **GEOMETRY)


def test_an_answer_that_breaks_off_is_told() -> None:
    with (
        _scripted(CUT_OFF) as address,
        Client(address) as client,
        pytest.raises(ServiceError, match="cannot be reached"),
    ):
        client.clips()


@pytest.mark.slow
def test_a_job_is_awaited_through_a_restart(tmp_path: Path) -> None:
    with service_process(tmp_path) as service:
        port = str(service.client.base_url.port)
        client = Client(str(service.client.base_url), patience_s=END_S)
        job = client.submit(client.clip("demo"), stride=2)
        found: list[Any] = []
        waiting = threading.Thread(target=lambda: found.append(client.wait(job)))
        waiting.start()
        next(event for event in service.events(f"/v1/jobs/{job.id}") if event["progress"] > 0)
        service.process.send_signal(signal.SIGKILL)
        service.process.wait(END_S)
    with service_process(tmp_path, port=port):
        waiting.join(END_S)
        assert len(found[0].windows) == 129
        assert client.job(job.id) == RemoteJob(job.id, "succeeded", 1.0)
        client.close()
