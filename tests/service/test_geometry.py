"""Clips of doubtful geometry: guesses with pictures, and corrections."""

import base64
import errno
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from backports import zstd

from service.clips import Clip, ClipStore
from service.geometry import HEAD_BYTES
from service.in_place import PlacedRecording, place_recording
from service.settings import Settings
from service.spool import Spool
from tests.service.conftest import Caller, files_in
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.sidecar import RecordingOptions

RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def smooth() -> bytes:
    """Six planes of 400x250 that show a picture: brighter to the right, darker below."""
    generator = np.random.default_rng(3)
    light = np.linspace(0.1, 0.9, 400)[None, :] * np.linspace(1, 0.2, 250)[:, None]
    planes = generator.random((64, 250, 400)) < light
    return np.packbits(planes.reshape(64, -1), axis=1, bitorder="little").tobytes()


def picture_of(geometry: dict[str, Any]) -> tuple[int, ...]:
    content = base64.b64decode(geometry["picture"].partition(",")[2])
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return decoded.shape


def test_the_right_geometry_comes_first_with_its_picture(call: Caller, smooth: bytes) -> None:
    answer = call.post("/v1/geometries", content=smooth, headers=RAW)
    best, *others = answer.json()["geometries"]
    assert (best["width"], best["height"], best["layout"]) == (400, 250, "plain")
    assert (best["planes"], best["trailing_bytes"], best["flip"]) == (64, 0, "ud")
    assert best["likeness"] > max(other["likeness"] for other in others)
    assert picture_of(best) == (250, 400)


def test_the_beginning_is_enough_when_the_size_is_said(call: Caller, smooth: bytes) -> None:
    answer = call.post(
        "/v1/geometries", content=smooth[:50_000], headers=RAW, params={"size_bytes": len(smooth)}
    )
    assert answer.json()["geometries"][0]["planes"] == 64


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_the_beginning_may_come_compressed_or_as_a_form(
    call: Caller, smooth: bytes, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    wanted = call.post("/v1/geometries", content=smooth, headers=RAW).json()
    headers = RAW | {"Content-Encoding": coding}
    assert call.post("/v1/geometries", content=pack(smooth), headers=headers).json() == wanted
    assert call.post("/v1/geometries", files={"clip": smooth}).json() == wanted
    bomb = pack(bytes(HEAD_BYTES + 1))
    assert call.post("/v1/geometries", content=bomb, headers=headers).status_code == 413
    assert (files_in(call.parts.spool.folder), call.parts.spool.used_bytes) == ([], 0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Encoding": "br"}, 415),
        ({"Content-Encoding": "gzip"}, 400),
    ],
)
def test_a_beginning_of_another_kind_is_refused(
    call: Caller, smooth: bytes, headers: dict[str, str], status: int
) -> None:
    answer = call.post("/v1/geometries", content=smooth, headers=headers)
    assert answer.status_code == status
    assert (files_in(call.parts.spool.folder), call.parts.spool.used_bytes) == ([], 0)


def test_a_geometry_of_the_users_own_comes_first(call: Caller, smooth: bytes) -> None:
    params = {"width": 500, "height": 200, "flip": "lr"}
    first = call.post("/v1/geometries", content=smooth, headers=RAW, params=params).json()
    assert first["geometries"][0]["width"] == 500
    assert first["geometries"][0]["flip"] == "lr"


def test_a_beginning_that_is_too_long_is_refused_and_nothing_is_left(
    call: Caller, tmp_path: Path
) -> None:
    answer = call.post("/v1/geometries", content=bytes(HEAD_BYTES + 1), headers=RAW)
    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, HEAD_BYTES)
    assert list((tmp_path / "spool" / "incoming").iterdir()) == []


def test_less_than_a_plane_has_no_geometry(call: Caller) -> None:
    assert call.post("/v1/geometries", content=b"x", headers=RAW).json() == {"geometries": []}


def test_a_stored_clip_is_read_in_another_way_from_now_on(call: Caller, smooth: bytes) -> None:
    params = {"width": 800, "height": 500, "layout": "plain", "name": "street.dat"}
    clip = call.post("/v1/clips", content=smooth, headers=RAW, params=params).json()
    assert (clip["name"], clip["clip"]["planes"]) == ("street.dat", 16)
    path = f"/v1/clips/{clip['id']}"
    best = call.get(f"{path}/geometries").json()["geometries"][0]
    assert (best["width"], best["height"]) == (400, 250)
    changed = call("PATCH", path, params={"width": 400, "height": 250, "flip": "none"}).json()
    assert (changed["clip"]["planes"], changed["clip"]["flip"]) == (64, "none")
    assert changed["clip"]["sha256"] == clip["clip"]["sha256"]
    assert call.get(path).json() == changed


def test_a_geometry_that_cannot_be_is_refused_and_nothing_changes(
    call: Caller, smooth: bytes
) -> None:
    params = {"width": 400, "height": 250, "layout": "plain"}
    clip = call.post("/v1/clips", content=smooth, headers=RAW, params=params).json()
    path = f"/v1/clips/{clip['id']}"
    assert call("PATCH", path, params={"width": 9999, "height": 9999}).status_code == 422
    assert call.get(path).json() == clip


def test_a_clip_that_was_read_in_another_way_is_still_counted_whole(
    call: Caller, smooth: bytes
) -> None:
    params = {"width": 800, "height": 500, "layout": "plain"}
    path = call.post("/v1/clips", content=smooth, headers=RAW, params=params).headers["Location"]
    spool = call.parts.spool
    for flip, rate in (("none", 40_000), ("both", 1), ("ud", 123_456.789)):
        params = {"width": 400, "height": 250, "flip": flip, "rate_hz": rate}
        assert call("PATCH", path, params=params).status_code == 200
        files = (spool.folder / name for name in files_in(spool.folder))
        assert spool.used_bytes == sum(file.stat().st_size for file in files)
    assert call.delete(path).status_code == 204
    assert spool.used_bytes == 0


def test_a_recording_in_place_is_read_in_another_way_and_stays_uncounted(
    tmp_path: Path, smooth: bytes
) -> None:
    (tmp_path / "street.dat").write_bytes(smooth)
    settings = Settings(data_dir=tmp_path / "spool")
    spool = Spool(settings.data_dir, settings.spool_bytes)
    spool.open()
    placed = PlacedRecording(tmp_path / "street.dat", RecordingOptions(800, 500, "plain"))
    clip = place_recording(spool, placed, settings.max_pixels)
    changed = ClipStore(spool, settings).reshape(clip, RecordingOptions(400, 250))
    assert (changed.note.clip.planes, open_recording(clip.path).shape) == (64, (64, 250, 400))
    assert {file.name for file in tmp_path.iterdir()} == {"spool", "street.dat"}
    assert spool.used_bytes == 0
    spool.close()


def test_a_geometry_that_finds_no_room_changes_nothing(
    call: Caller, smooth: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    params = {"width": 800, "height": 500, "layout": "plain"}
    clip = call.post("/v1/clips", content=smooth, headers=RAW, params=params).json()
    stored, used = call.parts.clips.get(clip["id"]).path, call.parts.spool.used_bytes
    before = {file.name: file.read_bytes() for file in stored.parent.iterdir()}
    monkeypatch.setattr("service.spool.os.fsync", fail)
    path = f"/v1/clips/{clip['id']}"
    answer = call("PATCH", path, params={"width": 400, "height": 250})
    assert (answer.status_code, answer.json()["title"]) == (507, "Spool full")
    assert call.get(path).json() == clip
    assert {file.name: file.read_bytes() for file in stored.parent.iterdir()} == before
    assert call.parts.spool.used_bytes == used


def test_a_clip_that_is_deleted_while_it_is_read_in_another_way_stays_deleted(
    call: Caller, smooth: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {"width": 800, "height": 500, "layout": "plain"}
    clip = call.post("/v1/clips", content=smooth, headers=RAW, params=params).json()
    store = call.parts.clips

    def delete_meanwhile(clip: Clip, options: RecordingOptions) -> Clip:
        changed = ClipStore.reshape(store, clip, options)
        assert store.remove(clip.note.id) is None
        return changed

    monkeypatch.setattr(store, "reshape", delete_meanwhile)
    path = f"/v1/clips/{clip['id']}"
    answer = call("PATCH", path, params={"width": 400, "height": 250})
    assert (answer.status_code, answer.json()["title"]) == (404, "No such clip")
    assert call.get(path).status_code == 404
    assert [note.id for note in store.notes()] == ["demo"]
    assert (files_in(call.parts.spool.folder), call.parts.spool.used_bytes) == ([], 0)


def test_the_clip_that_comes_along_stays_as_it_is(call: Caller) -> None:
    assert call("PATCH", "/v1/clips/demo", params={"width": 400}).status_code == 403
