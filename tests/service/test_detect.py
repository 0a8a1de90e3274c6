import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from tests.service.conftest import Caller, ScriptedEngine, Start, files_in
from vidar_det.errors import CheckpointError, RangeError


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def spooled(call: Caller) -> list[str]:
    return files_in(call.parts.spool.folder)


def test_a_raw_clip_is_answered_with_one_envelope(
    call: Caller, sent: dict[str, Any], engine: ScriptedEngine
) -> None:
    answer = call.post("/v1/detect", **sent, headers={"X-Request-ID": "mine"})
    assert answer.status_code == 200, answer.text
    envelope = answer.json()
    assert envelope["request_id"] == answer.headers["X-Request-ID"] == "mine"
    assert [image["plane_start"] for image in envelope["images"]] == [0, 50, 100, 150]
    assert envelope["categories"] == [{"id": 1, "name": "person"}, {"id": 2, "name": "vehicle"}]
    assert envelope["detections"][0] == {
        "image_id": 0,
        "category_id": 2,
        "bbox": [1.0, 2.0, 3.0, 4.0],
        "score": 0.5,
    }
    assert envelope["clip"]["sha256"] == hashlib.sha256(sent["content"]).hexdigest()
    assert spooled(call) == []
    assert call.parts.spool.used_bytes == 0
    assert engine.ended == 1


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd", "x-gzip", " GZIP "])
def test_a_clip_may_come_compressed(call: Caller, sent: dict[str, Any], coding: str) -> None:
    pack = {"identity": bytes, "zstd": zstd.compress}.get(coding, gzip.compress)
    wanted = hashlib.sha256(sent["content"]).hexdigest()
    body = pack(sent["content"])
    answer = call.post(
        "/v1/detect", content=body, params=sent["params"], headers={"Content-Encoding": coding}
    )
    assert answer.json()["clip"]["sha256"] == wanted


def test_a_clip_may_come_as_a_form(call: Caller, sent: dict[str, Any]) -> None:
    files = {"clip": ("../../etc/passwd", sent["content"], "text/html")}
    answer = call.post("/v1/detect", files=files, params=sent["params"])
    assert answer.json()["clip"]["sha256"] == hashlib.sha256(sent["content"]).hexdigest()
    assert spooled(call) == []


def test_a_clip_may_be_named(call: Caller, sent: dict[str, Any], engine: ScriptedEngine) -> None:
    clip_id = call.post("/v1/clips", **sent).json()["id"]
    answer = call.post("/v1/detect", json={"clip_id": clip_id})
    assert answer.json()["clip"]["width"] == 48
    assert engine.tasks[-1].clip.parent.name == clip_id


def test_lines_come_one_per_window_and_end_with_a_summary(
    call: Caller, sent: dict[str, Any]
) -> None:
    answer = call.post("/v1/detect", **sent, headers={"Accept": "application/x-ndjson"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    *windows, summary = lines_of(answer.text)
    assert [line["type"] for line in windows] == ["window"] * 4
    assert [line["plane_start"] for line in windows] == [0, 50, 100, 150]
    assert windows[0]["detections"][0]["bbox"] == [1.0, 2.0, 3.0, 4.0]
    assert (summary["type"], summary["images"], summary["detections"]) == ("summary", 4, 4)
    whole = call.post("/v1/detect", **sent).json()
    assert summary["clip"] == whole["clip"]
    assert [one for line in windows for one in line["detections"]] == whole["detections"]
    assert spooled(call) == []


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (RangeError("no such plane"), 422, "range-error"),
        (CheckpointError("/secret/weights"), 500, "internal-error"),
        (ZeroDivisionError("secret"), 500, "internal-error"),
    ],
)
def test_a_failure_after_the_200_is_the_last_line(
    start: Start,
    engine: ScriptedEngine,
    sent: dict[str, Any],
    failure: Exception,
    status: int,
    kind: str,
) -> None:
    engine.failure = failure
    call = start()
    answer = call.post("/v1/detect", **sent, headers={"Accept": "application/x-ndjson"})
    assert answer.status_code == 200
    *windows, last = lines_of(answer.text)
    assert [line["type"] for line in windows] == ["window", "window"]
    assert (last["type"], last["status"]) == ("error", status)
    assert last["problem"] == f"urn:vidar-det:problem:{kind}"
    assert last["request_id"] == answer.headers["X-Request-ID"]
    assert "secret" not in answer.text
    assert spooled(call) == []


@pytest.mark.parametrize("failure", [CheckpointError("/secret/x"), ZeroDivisionError("secret")])
def test_a_failure_of_our_own_is_a_500_without_internals(
    start: Start, engine: ScriptedEngine, sent: dict[str, Any], failure: Exception
) -> None:
    engine.failure = failure
    call = start()
    answer = call.post("/v1/detect", **sent)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert "secret" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (spooled(call), engine.ended) == ([], 1)


def test_the_question_reaches_the_engine_and_empty_values_count_as_not_given(
    call: Caller, engine: ScriptedEngine
) -> None:
    query = (
        "width=&height=&layout=&rate_hz=&flip=&start=3&planes=100&window=&stride=7&model=nano"
        "&conf=0.4&iou=&max_det=5&classes=person,%20vehicle"
    )
    assert call.post(f"/v1/detect?{query}", json={"clip_id": "demo"}).status_code == 200
    task = engine.tasks[0]
    assert task.model == "nano"
    assert task.question.classes == ("person", "vehicle")
    assert (task.question.thresholds.conf, task.question.thresholds.iou) == (0.4, 0.6)
    assert task.question.thresholds.max_det == 5
    selection = task.question.selection
    assert (selection.start, selection.planes, selection.window, selection.stride) == (
        3,
        100,
        None,
        7,
    )


@pytest.mark.parametrize(
    "query",
    [
        "conf=1.5",
        "conf=nan",
        "iou=-1",
        "max_det=0",
        "max_det=99999",
        "width=0",
        "height=x",
        "layout=nope",
        "flip=sideways",
        "rate_hz=0",
        "rate_hz=inf",
        "rate_hz=nan",
        "rate_hz=1e-300",
        "rate_hz=1e300",
        "start=-1",
        "planes=0",
        "window=0",
        "stride=0",
        "model=nanoo",
        "bogus=1",
    ],
)
def test_an_option_that_is_wrong_is_a_422(call: Caller, query: str) -> None:
    answer = call.post(f"/v1/detect?{query}", json={"clip_id": "demo"})
    assert answer.status_code == 422
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(problem["errors"]) <= 20
    assert problem["instance"] == "/v1/detect"


def test_an_unknown_model_is_refused_with_the_nearest(call: Caller) -> None:
    answer = call.post("/v1/detect?model=nanoo", json={"clip_id": "demo"})
    assert "did you mean 'nano'?" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "query"),
    [
        (b"", "width=48&height=40"),
        (b"abc", "width=48&height=40"),
        (b"abc", ""),
        (b"abc" * 100, "width=48"),
        (b"abc" * 100, "layout=m1k40"),
        (b"\0" * 240, "width=100000&height=100000"),
        (b"\0" * 240, "width=48&height=40&layout=array-thw"),
        (b"% evt 3.0\n" * 100, "width=8&height=1&layout=plain"),
    ],
)
def test_bytes_that_are_no_clip_are_a_422_and_leave_nothing(
    call: Caller, content: bytes, query: str
) -> None:
    answer = call.post(f"/v1/detect?{query}", content=content)
    assert answer.status_code == 422, answer.text
    assert str(call.parts.spool.folder) not in answer.text
    assert spooled(call) == []


def test_a_numpy_archive_is_refused_before_it_unpacks(call: Caller, tmp_path: Path) -> None:
    import numpy as np

    np.savez_compressed(tmp_path / "bomb.npz", spikes=np.zeros((64, 40, 48), np.uint8))
    np.save(tmp_path / "harmless.npy", np.zeros((64, 40, 48), np.uint8))
    archive, array = ((tmp_path / name).read_bytes() for name in ("bomb.npz", "harmless.npy"))
    for content in (archive, array + archive):  # the second one is both, to who looks at its end
        answer = call.post("/v1/detect", content=content)
        assert answer.status_code == 422
        assert "archive" in answer.json()["detail"]
    answer = call.post("/v1/detect?layout=array-thw", content=array)
    assert answer.json()["clip"]["planes"] == 64


def test_a_partial_plane_at_the_end_is_no_error(call: Caller, sent: dict[str, Any]) -> None:
    sent["content"] += b"abc"
    answer = call.post("/v1/detect", **sent)
    assert answer.status_code == 200
    assert answer.json()["clip"]["trailing_bytes"] == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 50_000, 400),
        (b'{"clip_id": "' + b"x" * 70_000 + b'"}', 413),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"clip_id": 3}', 422),
        (b'{"clip_id": "demo", "more": 1}', 422),
        (b'{"clip_id": "nothere"}', 404),
        (b'{"clip_id": "../demo"}', 404),
        (b'{"clip_id": "../../../../etc/passwd"}', 404),
        (b'{"clip_id": "demo\\u0000"}', 404),
    ],
)
def test_a_reference_that_is_wrong_is_refused(call: Caller, body: bytes, status: int) -> None:
    answer = call.post(
        "/v1/detect", content=body, headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Encoding": "br"}, 415),
        ({"Content-Encoding": "gzip, gzip"}, 415),
        ({"Content-Encoding": "gzip"}, 400),
        ({"Content-Encoding": "zstd"}, 400),
        ({"Content-Type": "multipart/form-data"}, 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 400),
        ({"Accept": "text/html"}, 406),
        ({"Accept": "application/json;q=0"}, 406),
    ],
)
def test_headers_that_do_not_fit_are_refused(
    call: Caller, sent: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    answer = call.post("/v1/detect", **sent, headers=headers)
    assert answer.status_code == status, answer.text
    assert spooled(call) == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_as_sent_is_a_413(
    start: Start, sent: dict[str, Any], chunked: bool
) -> None:
    call = start(max_body_bytes=1000)
    body = sent["content"]
    sent["content"] = [body[:500], body[500:1001]] if chunked else body[:1001]
    answer = call.post("/v1/detect", **sent)
    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, 1000)
    assert spooled(call) == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_a_body_beyond_the_decoded_limit_is_a_413(start: Start, pack: Any) -> None:
    call = start(max_decoded_bytes=100_000)
    coding = {bytes: "identity", gzip.compress: "gzip"}.get(pack, "zstd")
    answer = call.post(
        "/v1/detect", content=pack(bytes(100_001)), headers={"Content-Encoding": coding}
    )
    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, 100_000)
    assert spooled(call) == []
    assert call.parts.spool.used_bytes == 0


def test_a_large_clip_becomes_a_job_unless_lines_are_wanted(
    start: Start, sent: dict[str, Any]
) -> None:
    call = start(sync_bytes=len(sent["content"]) - 1)
    answer = call.post("/v1/detect", **sent)
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['id']}"
    answer = call.post("/v1/detect", **sent, headers={"Accept": "application/x-ndjson"})
    assert answer.status_code == 200


def test_a_stretch_of_a_large_clip_is_answered_at_once(start: Start, sent: dict[str, Any]) -> None:
    call = start(sync_bytes=len(sent["content"]) - 1)
    clip_id = call.post("/v1/clips", **sent).json()["id"]
    for planes, status in ((50, 200), (None, 202)):
        query = {} if planes is None else {"planes": planes}
        answer = call.post("/v1/detect", params=query, json={"clip_id": clip_id})
        assert answer.status_code == status


def test_a_full_spool_is_a_507(start: Start, sent: dict[str, Any]) -> None:
    call = start(spool_bytes=1000, demo=False)
    answer = call.post("/v1/detect", **sent)
    assert (answer.status_code, answer.json()["limit_bytes"]) == (507, 1000)
    assert (spooled(call), call.parts.spool.used_bytes) == ([], 0)


def test_a_full_engine_is_a_503_that_says_when_to_come_back(
    call: Caller, engine: ScriptedEngine, sent: dict[str, Any]
) -> None:
    engine.is_full = True
    answer = call.post("/v1/detect", **sent)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
