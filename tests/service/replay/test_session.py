"""What a viewer sees and is told, over a real socket."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed, InvalidStatus

from service.in_place import prepare_recording
from service.keys import new_key
from service.log import is_no_socket_line
from service.replay import projector
from service.replay.protocol import PICTURE, PLANES
from tests.service.replay.conftest import PATIENCE_S, Serve, watching
from tests.service.replay.engine import ViewedEngine
from vidar_det import load_detector, open_recording
from vidar_det.detections.coco import results_of
from vidar_det.detector.predictor import Thresholds
from vidar_det.spikes.reconstruction import texture_from_playback, to_grey8
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeWindow


def placed_id(address: str) -> str:
    clips = httpx.get(f"http://{address}/v1/clips").json()["clips"]
    return next(str(clip["id"]) for clip in clips if clip["id"] != "demo")


def test_a_viewer_is_introduced_to_the_clip_and_its_models(serve: Serve) -> None:
    with watching(serve(), "demo") as viewer:
        told = viewer.hear("clip")
    assert (told["clip"]["name"], told["clip"]["planes"], told["clip"]["holes"]) == (
        "demo.dat",
        384,
        [],
    )
    assert [model["name"] for model in told["models"]] == ["nano", "half"]
    assert 0 < told["models"][0]["mAP"] < 1
    assert len(told["palette"]) == 256


def test_a_picture_shows_the_planes_around_the_moment(serve: Serve, clip: Path) -> None:
    address = serve([prepare_recording(clip)])
    with watching(address, placed_id(address)) as viewer:
        white = viewer.hear("clip")["white"]
        viewer.grant()
        viewer.wish(plane=100, view="tfp", window=50)
        shown, payload = viewer.see()
    assert (shown.kind, shown.plane, shown.start, shown.count) == (PICTURE, 100, 75, 50)
    picture = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_GRAYSCALE)
    wanted = to_grey8(texture_from_playback(SpikeWindow(open_recording(clip), 75, 50)), white)
    assert picture is not None
    assert np.abs(picture.astype(int) - wanted).mean() < 4  # of noise, which JPEG keeps worst


@pytest.mark.parametrize("view", ["tfp", "tfi", "heat"])
def test_every_view_is_a_picture_of_the_whole_sensor(serve: Serve, view: str) -> None:
    with watching(serve(), "demo") as viewer:
        viewer.grant()
        viewer.wish(plane=0, view=view, window=64)
        shown, payload = viewer.see()
    decoded = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (160, 256, 3)
    assert (shown.view, shown.start, shown.count) == (view, 0, 64)


def test_a_raw_plane_comes_as_its_bits(
    serve: Serve, clip: Path, clip_planes: NDArray[np.uint8]
) -> None:
    address = serve([prepare_recording(clip)])
    with watching(address, placed_id(address)) as viewer:
        viewer.grant()
        viewer.wish(plane=7, view="raw")
        shown, payload = viewer.see()
        viewer.say(type="planes", start=190, count=64)
        more, bits = viewer.see()
    assert (shown.kind, shown.plane, shown.count) == (PLANES, 7, 1)
    assert (more.start, more.count) == (190, 10)  # as many as there are
    for start, packed in ((7, payload), (190, bits)):
        rows = np.frombuffer(packed, np.uint8).reshape(-1, 40, 6)
        planes = np.unpackbits(rows, axis=2, bitorder="little")[:, :, :48]
        np.testing.assert_array_equal(planes, clip_planes[start : start + len(planes)])


def test_pictures_cost_credits_and_late_ones_are_left_out(serve: Serve) -> None:
    with watching(serve(), "demo") as viewer:
        viewer.grant(2)
        viewer.wish(plane=0, playing=True, speed=1 / 100, fps=120)
        first, second = viewer.see()[0].plane, viewer.see()[0].plane
        viewer.wait_for_silence()
        viewer.grant()
        third = viewer.see()[0].plane
    assert first <= second < third
    assert third - second > second - first  # what the head passed meanwhile was never shown


def test_the_play_head_keeps_its_speed_and_stops_at_the_end(serve: Serve) -> None:
    with watching(serve(), "demo") as viewer:
        viewer.grant(8)
        viewer.hear("clip")
        begin = time.monotonic()
        generation = viewer.wish(plane=0, playing=True, speed=1 / 40)  # 384 planes in 0.77 s
        while True:
            found = viewer.next()
            if isinstance(found, tuple):
                viewer.grant()
            elif found["type"] == "ended":
                break
        took_s = time.monotonic() - begin
    assert found["generation"] == generation
    assert took_s >= 0.7
    planes = [shown.plane for shown, _ in viewer.shown]
    assert planes == sorted(planes)
    assert planes[-1] == 383


def test_a_loop_begins_again(serve: Serve) -> None:
    with watching(serve(), "demo") as viewer:
        viewer.grant(8)
        viewer.wish(plane=100, playing=True, speed=1 / 100, loop=(100, 140))
        planes = []
        while len(planes) < 60:
            planes.append(viewer.see()[0].plane)
            viewer.grant()
    assert min(planes) >= 100
    assert max(planes) < 140
    assert planes != sorted(planes)


def test_a_wish_is_acknowledged_before_the_first_picture_that_obeys_it(serve: Serve) -> None:
    with watching(serve(), "demo") as viewer:
        viewer.grant(8)
        for plane in (10, 300, 20):
            generation = viewer.wish(plane=plane)
            viewer.hear("now", generation=generation)
            assert viewer.see()[0].plane == plane


def test_boxes_are_those_of_predict_for_the_same_windows(serve: Serve) -> None:
    detector, recording = load_detector("nano"), open_recording("data/demo.dat")
    address = serve(engine=None)
    with watching(address, "demo") as viewer:
        viewer.wish(plane=0, models=["nano"])
        found = [viewer.hear("boxes") for _ in range(3)]
        pace = viewer.hear("pace")
    assert pace["ms"] > 0
    for told, (window, wanted) in zip(
        found, detector.stream(recording, thresholds=Thresholds(conf=0.05)), strict=True
    ):
        assert (told["start"], told["count"]) == (window.start, window.length)
        assert [box[:4] for box in told["boxes"]] == [one["bbox"] for one in results_of(wanted, 0)]
        assert [box[4:6] for box in told["boxes"]] == [
            [one["score"], one["category_id"]] for one in results_of(wanted, 0)
        ]


def test_after_a_leap_the_picture_comes_before_anybody_looks(
    serve: Serve, engine: ViewedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "SETTLE_S", PATIENCE_S)
    with watching(serve(), "demo") as viewer:
        viewer.grant(8)
        viewer.wish(plane=300, models=["nano"])
        assert viewer.see()[0].plane == 300
        assert engine.tasks == []
        viewer.wish(plane=200, models=["nano"], playing=True)
        viewer.hear("boxes", start=192)


def test_where_the_head_rests_its_window_is_looked_at_alone(
    serve: Serve, engine: ViewedEngine
) -> None:
    with watching(serve(), "demo") as viewer:
        viewer.wish(plane=130, models=["nano"])
        assert viewer.hear("boxes")["start"] == 128
        viewer.hear("boxes", start=256)
    first, second = (task.question.selection for task in engine.tasks[:2])
    assert (first.start, first.planes) == (128, 64)
    assert (second.start, second.planes) == (192, 192)


def test_boxes_are_found_once_for_all_viewers(serve: Serve, engine: ViewedEngine) -> None:
    address = serve()
    for _ in range(2):
        with watching(address, "demo") as viewer:
            viewer.wish(plane=0, models=["nano"])
            assert [viewer.hear("boxes")["start"] for _ in range(4)] == [0, 64, 128, 192]
    looked_at = [task.question.selection.start for task in engine.tasks]
    assert sorted(looked_at) == sorted(set(looked_at))


def test_tracks_are_numbered_and_go_on_across_batches(serve: Serve) -> None:
    with watching(serve(), "demo") as viewer:
        viewer.wish(plane=0, models=["half"])
        tracks = [viewer.hear("boxes")["boxes"][0][6] for _ in range(4)]
        viewer.wish(plane=256, models=["half"])
        tracks += [viewer.hear("boxes")["boxes"][0][6] for _ in range(2)]
    assert tracks == [-1, 1, 1, 1, 1, 1]


def test_the_strip_covers_the_whole_recording(serve: Serve) -> None:
    with watching(serve(), "demo") as viewer:
        first, second = viewer.hear("strip"), viewer.hear("strip")
    assert (first["first"], second["first"]) == (0, 32)
    assert len(first["rates"] + second["rates"]) == first["columns"] == 48
    assert all(0 < rate < 1 for rate in first["rates"])


def test_a_growing_recording_is_followed(serve: Serve, clip: Path) -> None:
    recorded = clip.read_bytes()
    address = serve([prepare_recording(clip)])
    with watching(address, placed_id(address)) as viewer:
        viewer.grant(8)
        viewer.wish(follow=True)
        assert viewer.see()[0].plane == 199
        with clip.open("ab") as file:
            file.write(recorded[: len(recorded) // 2])
        assert viewer.hear("grown")["planes"] == 300
        assert viewer.see()[0].plane == 299


def test_a_recording_that_is_replaced_is_introduced_anew(serve: Serve, clip: Path) -> None:
    address = serve([prepare_recording(clip)])
    with watching(address, placed_id(address)) as viewer:
        viewer.hear("clip")
        other = clip.with_name("other.dat")
        other.write_bytes(clip.read_bytes()[: 240 * 50])
        other.replace(clip)
        assert viewer.hear("clip")["clip"]["planes"] == 50


def test_a_recording_that_vanishes_is_told_of(serve: Serve, clip: Path) -> None:
    address = serve([prepare_recording(clip)])
    with watching(address, placed_id(address)) as viewer:
        viewer.hear("clip")
        clip.unlink()
        problem = viewer.hear("problem")["problem"]
    assert "gone" in problem["detail"]
    assert str(clip.parent) not in problem["detail"]


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "[]", '{"type": "dance"}', '{"type": "watch", "generation": 1, "window": 0}'],
)
def test_nonsense_is_answered_and_the_replay_goes_on(serve: Serve, text: str) -> None:
    with watching(serve(), "demo") as viewer:
        viewer.socket.send(text)
        assert viewer.hear("problem")["problem"]["status"] == 422
        viewer.grant()
        viewer.wish(plane=3)
        assert viewer.see()[0].plane == 3


def test_a_clip_that_is_not_there_closes_for_good(serve: Serve) -> None:
    with watching(serve(), "nothing") as viewer:
        assert viewer.hear("problem")["problem"]["status"] == 404
        with pytest.raises(ConnectionClosed) as closed:
            viewer.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404


def test_a_clip_that_is_deleted_plays_on_for_those_who_watch(
    serve: Serve, clip: Path, sent: dict[str, Any]
) -> None:
    address = serve()
    url = f"http://{address}/v1/clips"
    headers = {"Content-Type": "application/octet-stream"}
    clip_id = httpx.post(url, headers=headers, **sent).json()["id"]
    with watching(address, clip_id) as viewer:
        viewer.hear("clip")
        assert httpx.delete(f"{url}/{clip_id}").status_code == 204
        viewer.grant()
        viewer.wish(plane=5)
        assert viewer.see()[0].plane == 5
    with watching(address, clip_id) as late:
        assert late.hear("problem")["problem"]["status"] == 404


def test_viewers_who_leave_in_the_middle_tear_no_engine(
    serve: Serve, engine: ViewedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.is_slow = True
    caplog.set_level("INFO", logger="vidar_det.service")
    address = serve()
    for plane in (0, 128, 256):
        with watching(address, "demo") as viewer:
            viewer.grant(8)
            viewer.wish(plane=plane, models=["nano", "half"])
            viewer.hear("boxes")
    with watching(address, "demo") as viewer:
        viewer.wish(plane=0, models=["nano"])
        viewer.hear("boxes")
    assert engine.torn == 0
    assert "failure" not in caplog.text


def test_an_engine_without_room_is_waited_for(serve: Serve, engine: ViewedEngine) -> None:
    engine.is_full = True
    with watching(serve(), "demo") as viewer:
        viewer.wish(plane=0, models=["nano"])
        viewer.hear("now")
        engine.is_full = False
        assert viewer.hear("boxes")["start"] == 0


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}], ids=str
)
def test_sockets_of_other_sites_and_names_are_refused(
    serve: Serve, headers: dict[str, str]
) -> None:
    address = serve()
    head = {"Host": address} | headers
    url = f"http://{address}/v1/replay/demo"
    asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert httpx.get(url, headers=head | asked | key).status_code == 403


def test_sockets_of_the_own_site_are_welcome(serve: Serve) -> None:
    address = serve()
    with watching(address, "demo", origin=f"http://{address}") as viewer:
        viewer.hear("clip")


def test_with_keys_a_socket_wants_a_cookie_or_a_ticket(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "filters", [])
    caplog.set_level(logging.INFO)
    key, line = new_key("lab")
    address = serve(api_keys=(line,))
    bearer = {"Authorization": f"Bearer {key}"}
    with pytest.raises(InvalidStatus) as refused, watching(address, "demo"):
        pass
    problem = json.loads(refused.value.response.body or b"")
    assert (refused.value.response.status_code, problem["title"]) == (401, "Key wanted")
    with httpx.Client(base_url=f"http://{address}") as client:
        assert client.post("/v1/tickets").status_code == 401
        asked = {"params": {"path": "/v1/replay/demo"}, "headers": bearer}
        ticket = client.post("/v1/tickets", **asked).json()["ticket"]
        begun = client.post("/v1/session", headers=bearer)
        assert "HttpOnly" in begun.headers["set-cookie"]
        assert "SameSite=strict" in begun.headers["set-cookie"]
        cookie = {"Cookie": f"vidar_session={client.cookies['vidar_session']}"}
        assert client.get("/v2/models").status_code == 200
        assert client.get(f"/v1/clips?ticket={ticket}", headers={"Cookie": ""}).status_code == 401
    with watching(address, f"demo?ticket={ticket}") as viewer:
        viewer.hear("clip")
    with watching(address, "demo", additional_headers=cookie) as viewer:
        viewer.hear("clip")
    for wrong in (f"demo?ticket={ticket}x", f"other?ticket={ticket}", f"other?a=b&ticket={ticket}"):
        with pytest.raises(InvalidStatus), watching(address, wrong):
            pass
    told = [one.getMessage() for one in caplog.records if one.name != "uvicorn.access"]
    ours = "\n".join(words for words in told if not words.startswith("HTTP Request"))
    assert '"WebSocket /v1/replay/demo" [accepted]' in ours
    assert ticket not in ours


def test_sockets_are_logged_once_and_counted(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "filters", [is_no_socket_line])
    caplog.set_level(logging.INFO)
    address = serve()
    with watching(address, "demo") as viewer:
        assert viewer.socket.response is not None
        request_id = viewer.socket.response.headers["X-Request-ID"]
        viewer.hear("clip")
    wrong = {"Origin": "https://evil.example"}
    with pytest.raises(InvalidStatus), watching(address, "demo", additional_headers=wrong):
        pass
    counted = 'vidar_requests_total{method="SOCKET",route="/v1/replay/{clip_id}",status="101"} 1.0'
    until = time.monotonic() + PATIENCE_S
    while counted not in httpx.get(f"http://{address}/metrics").text:  # once the viewer is missed
        assert time.monotonic() < until
        time.sleep(0.05)
    told = [one.getMessage() for one in caplog.records if one.name == "uvicorn.error"]
    assert not [words for words in told if "replay" in words or "handshake" in words]
    lines = [json.loads(one.getMessage()) for one in caplog.records if one.name.startswith("vidar")]
    sockets = {line["status"]: line for line in lines if line["method"] == "SOCKET"}
    assert sockets[101]["request_id"] == request_id
    assert sockets[101]["route"] == "/v1/replay/{clip_id}"
    assert sockets[101]["bytes_out"] > 0
    assert sockets[403]["problem"] == "origin-refused"


def test_sockets_keep_the_limits_of_calls(serve: Serve) -> None:
    address = serve(calls_at_once=1)
    with watching(address, "demo") as viewer:
        viewer.hear("clip")
        with pytest.raises(InvalidStatus) as refused, watching(address, "demo"):
            pass
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "1"


def test_a_recording_in_place_is_neither_copied_nor_deleted(
    serve: Serve, clip: Path, tmp_path: Path
) -> None:
    options = RecordingOptions(width=48, height=40, layout="plain")
    address = serve([prepare_recording(clip, options)])
    clip_id = placed_id(address)
    stored = sum(file.lstat().st_size for file in (tmp_path / "spool" / "incoming").rglob("*"))
    assert stored < clip.stat().st_size
    assert httpx.delete(f"http://{address}/v1/clips/{clip_id}").status_code == 403
    answer = httpx.post(f"http://{address}/v1/detect", json={"clip_id": clip_id}, timeout=60)
    assert answer.status_code == 200
    assert answer.json()["clip"]["sha256"] is None
    described = httpx.get(f"http://{address}/v1/clips/{clip_id}")
    assert "etag" not in described.headers
    assert json.loads(described.text)["name"] == "clip.dat"


def test_more_viewers_than_seats_are_told_to_come_back(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.routes.replay.MOST_VIEWERS", 1)
    address = serve()
    with watching(address, "demo") as viewer:
        viewer.hear("clip")
        with watching(address, "demo") as second:
            assert second.hear("problem")["problem"]["status"] == 503
