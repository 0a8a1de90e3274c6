import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from service.clips import ClipStore
from service.settings import Settings
from service.spool import Spool
from tests.service.conftest import Caller, ScriptedEngine, Start, files_in
from vidar_det.spikes.recording import open_recording


def test_a_clip_that_is_sent_is_described_listed_and_deleted(
    call: Caller, sent: dict[str, Any], clip: Path
) -> None:
    answer = call.post("/v1/clips", **sent)
    assert answer.status_code == 201
    note = answer.json()
    assert answer.headers["Location"] == f"/v1/clips/{note['id']}"
    assert answer.headers["ETag"] == f'"{note["clip"]["sha256"]}"'
    assert note["clip"]["planes"] == 200
    assert note["size_bytes"] == len(sent["content"])
    again = call.get(answer.headers["Location"])
    assert (again.json(), again.headers["ETag"]) == (note, answer.headers["ETag"])
    listed = call.get("/v1/clips").json()["clips"]
    assert [one["id"] for one in listed] == ["demo", note["id"]]
    stored = call.parts.clips.get(note["id"]).path
    assert stored.read_bytes() == clip.read_bytes()
    assert open_recording(stored).shape == (200, 40, 48)
    assert call.delete(answer.headers["Location"]).status_code == 204
    assert call.delete(answer.headers["Location"]).status_code == 404
    assert files_in(call.parts.spool.folder) == []
    assert call.parts.spool.used_bytes == 0


def test_a_form_is_stored_as_its_clip(call: Caller, sent: dict[str, Any], clip: Path) -> None:
    files = {"clip": ("x.dat", sent["content"])}
    note = call.post("/v1/clips", files=files, params=sent["params"]).json()
    assert call.parts.clips.get(note["id"]).path.read_bytes() == clip.read_bytes()


@pytest.mark.parametrize("content", [b"", b"abc", b"PK\x03\x04"])
def test_what_is_no_clip_is_not_stored(call: Caller, content: bytes) -> None:
    answer = call.post("/v1/clips?width=48&height=40", content=content)
    assert answer.status_code == 422
    assert files_in(call.parts.spool.folder) == []
    assert call.parts.spool.used_bytes == 0


def test_a_reference_is_no_clip_to_store(call: Caller) -> None:
    assert call.post("/v1/clips", json={"clip_id": "demo"}).status_code == 415


def test_the_recording_that_comes_along_stays(call: Caller) -> None:
    assert call.get("/v1/clips/demo").json()["clip"]["width"] == 256
    assert call.delete("/v1/clips/demo").status_code == 403


def test_without_the_demo_there_is_none(start: Start) -> None:
    assert start(demo=False).get("/v1/clips").json() == {"clips": []}


@pytest.mark.parametrize(
    "name",
    [
        "nothere",
        "..",
        "../demo",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "demo%00",
        "demo%2f..%2fdemo",
        "x" * 5000,
        "%ff%fe",
        "C:%5cwindows",
        "clip.dat",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_path_leads_out_of_the_store(call: Caller, method: str, name: str) -> None:
    for suffix in ("", "/frame"):
        answer = call(method, f"/v1/clips/{name}{suffix}")
        assert answer.status_code in (404, 405)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "root:" not in answer.text


def test_clips_survive_a_restart_and_broken_ones_do_not(
    start: Start, sent: dict[str, Any], tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path / "spool", demo=False)
    call = start(demo=False)
    ids = [call.post("/v1/clips", **sent).json()["id"] for _ in range(5)]
    home = call.parts.spool.folder / "clips"
    call.parts.spool.close()
    (home / ids[1] / "clip.json").write_text("{")
    (home / ids[2] / "clip.dat").write_bytes(b"short")
    note = json.loads((home / ids[3] / "clip.json").read_text())
    (home / ids[3] / "clip.json").write_text(json.dumps(note | {"id": "../other"}))
    shutil.move(home / ids[4], home / "renamed")
    (home / "stray").touch()
    spool = Spool(settings.data_dir, 1 << 30)
    spool.open()
    store = ClipStore(spool, settings)
    store.open()
    assert [note.id for note in store.notes()] == [ids[0]]
    assert [folder.name for folder in home.iterdir() if folder.is_dir()] == [ids[0]]
    kept = sum(file.stat().st_size for file in (home / ids[0]).iterdir())
    assert spool.used_bytes == kept
    spool.close()


def test_a_clip_in_use_goes_when_the_last_one_lets_go(call: Caller, sent: dict[str, Any]) -> None:
    clip_id = call.post("/v1/clips", **sent).json()["id"]
    store = call.parts.clips
    with store.lease(clip_id) as clip:
        with store.lease(clip_id):
            assert call.delete(f"/v1/clips/{clip_id}").status_code == 204
        assert call.get(f"/v1/clips/{clip_id}").status_code == 404
        assert clip.path.is_file()
    assert not clip.path.exists()
    assert call.parts.spool.used_bytes == 0


def test_a_clip_that_nobody_used_for_long_is_deleted(
    call: Caller, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, now = call.parts.clips, [1e9]
    monkeypatch.setattr(store, "_clock", lambda: now[0])
    idle, used, lent = (call.post("/v1/clips", **sent).json()["id"] for _ in range(3))
    lease = store.lease(lent)
    lease.__enter__()
    now[0] += call.parts.settings.max_age_s - 1
    assert store.expire() == []
    call.post("/v1/detect", json={"clip_id": used})
    now[0] += 2
    (gone,) = store.expire()
    assert gone.note.id == idle
    store.erase(gone)
    assert {note.id for note in store.notes()} == {"demo", used, lent}
    assert idle not in "".join(files_in(call.parts.spool.folder))
    lease.__exit__(None, None, None)


def picture(content: bytes) -> np.ndarray[Any, Any]:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return image


def test_a_plane_is_shown_as_it_is(
    call: Caller, sent: dict[str, Any], clip_planes: np.ndarray[Any, Any]
) -> None:
    clip_id = call.post("/v1/clips", **sent).json()["id"]
    answer = call.get(f"/v1/clips/{clip_id}/frame?plane=7&view=raw&window=")
    assert answer.headers["content-type"] == "image/png"
    assert np.array_equal(picture(answer.content), clip_planes[7] * 255)


@pytest.mark.parametrize("view", ["tfp", "tfi"])
@pytest.mark.parametrize("plane", [0, 100, 199])
def test_light_is_shown_around_any_plane(
    call: Caller, sent: dict[str, Any], view: str, plane: int
) -> None:
    clip_id = call.post("/v1/clips", **sent).json()["id"]
    answer = call.get(
        f"/v1/clips/{clip_id}/frame?plane={plane}&view={view}", headers={"Accept": "image/jpeg"}
    )
    assert answer.headers["content-type"] == "image/jpeg"
    assert picture(answer.content).shape == (40, 48)


@pytest.mark.parametrize(
    "query",
    [
        "plane=200",
        "plane=-1",
        "view=film",
        "window=0",
        "window=65536",
        "view=tfi&window=513",
        "view=raw&window=2",
        "more=1",
    ],
)
def test_a_picture_that_does_not_exist_is_a_422(
    call: Caller, sent: dict[str, Any], query: str
) -> None:
    clip_id = call.post("/v1/clips", **sent).json()["id"]
    answer = call.get(f"/v1/clips/{clip_id}/frame?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_picture_of_another_type_is_not_made(call: Caller) -> None:
    answer = call.get("/v1/clips/demo/frame", headers={"Accept": "image/webp"})
    assert answer.status_code == 406


def test_sidecar_and_query_agree_on_a_clip_that_was_stored(
    call: Caller, sent: dict[str, Any], engine: ScriptedEngine
) -> None:
    clip_id = call.post("/v1/clips", **sent).json()["id"]
    answer = call.post("/v1/detect?flip=none", json={"clip_id": clip_id})
    assert (answer.json()["clip"]["flip"], answer.json()["clip"]["height"]) == ("none", 40)
