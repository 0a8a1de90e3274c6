"""Clips of doubtful geometry: guesses with pictures, and corrections."""

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from service.geometry import HEAD_BYTES
from tests.service.conftest import Caller

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


def test_the_clip_that_comes_along_stays_as_it_is(call: Caller) -> None:
    assert call("PATCH", "/v1/clips/demo", params={"width": 400}).status_code == 403
