"""What somebody sees and does in the viewer, in Debian's Chromium."""

import io
import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from service.app import create_app
from service.in_place import prepare_recording
from service.replay.protocol import PLANES, unpack
from service.settings import Settings
from tests.service.replay.conftest import Serve, serving
from tests.service.replay.engine import ViewedEngine, boxes_of
from tests.service.viewer.conftest import PATIENCE_MS, Open
from vidar_det import load_detector, open_recording
from vidar_det.detections.coco import results_of
from vidar_det.detector.predictor import Thresholds

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def page(serve: Serve, visit: Open) -> Page:
    """The viewer on the recording that comes along, its first picture and boxes shown."""
    opened: Page = visit(f"http://{serve()}/#clip=demo")
    expect(rows(opened)).to_have_count(1)
    expect(opened.get_by_role("status")).to_contain_text("At plane 0")
    return opened


def rows(page: Page) -> Any:
    return page.locator("#found tbody tr")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def seek(page: Page, plane: int) -> None:
    page.get_by_role("slider", name="Seek").fill(str(plane))
    expect(page.get_by_role("timer", name="Clock")).to_contain_text(f"plane {plane} of")


def is_dark(page: Page, canvas: str = "#canvas-a") -> bool:
    """Whether a canvas shows no picture."""
    script = """canvas => {
        const copy = new OffscreenCanvas(64, 40).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0, 64, 40);
        const { data } = copy.getImageData(0, 0, 64, 40);
        let most = 0;
        for (let i = 0; i < data.length; i += 4) most = Math.max(most, data[i]);
        return most < 64;
    }"""
    return bool(page.locator(canvas).evaluate(script))


def test_every_control_has_the_name_it_is_promised_under(page: Page) -> None:
    for name in ("Play/Pause", "Step back", "Step forward"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_visible()
    for name in ("Seek", "Confidence", "Speed", "Window"):
        expect(page.get_by_role("slider", name=name, exact=True)).to_be_visible()
    for name in ("View", "Model"):
        expect(page.get_by_role("combobox", name=name, exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Replay").locator("canvas").first).to_be_visible()
    expect(page.get_by_role("timer", name="Clock")).to_have_attribute("aria-live", "off")


def test_play_runs_and_pause_stops_and_says_where(page: Page) -> None:
    assert not is_dark(page)
    press(page, "Play/Pause")
    expect(page.get_by_role("button", name="Play/Pause")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("timer", name="Clock")).not_to_contain_text("plane 0 of")
    press(page, "Play/Pause")
    expect(page.get_by_role("button", name="Play/Pause")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("status")).to_contain_text(
        re.compile(r"At plane \d+, [\d.]+ ms: 1 veh")
    )
    told = page.locator("#clock-plane").inner_text()
    page.wait_for_timeout(300)
    assert page.locator("#clock-plane").inner_text() == told


def test_steps_go_by_planes_and_windows(page: Page) -> None:
    clock = page.locator("#clock-plane")
    press(page, "Step forward")
    expect(clock).to_have_text("plane 1 of 384")
    press(page, "Next window")
    expect(clock).to_have_text("plane 65 of 384")
    press(page, "Previous window")
    press(page, "Step back")
    press(page, "Step back")  # there is nothing before the first plane
    expect(clock).to_have_text("plane 0 of 384")


def test_seeking_shows_the_moment_and_writes_it_into_the_address(page: Page) -> None:
    seek(page, 200)
    expect(page.locator("#clock-time")).to_have_text("10.000 ms")
    expect(page.locator("#canvas-a")).to_have_attribute("data-plane", "200")
    expect(page.get_by_role("status")).to_contain_text("plane 200")
    page.wait_for_url(re.compile(r"#clip=demo&t=0\.01$"))
    page.goto(page.url.replace("t=0.01", "t=0.0125"))
    expect(page.locator("#clock-plane")).to_have_text("plane 250 of 384")


def test_a_link_opens_at_its_moment(serve: Serve, visit: Open) -> None:
    page = visit(f"http://{serve()}/#clip=demo&t=0.005")
    expect(page.locator("#clock-plane")).to_have_text("plane 100 of 384")


@pytest.mark.parametrize(
    ("typed", "shown"), [("77", "plane 77"), ("12.5 ms", "plane 250"), ("0.01s", "plane 200")]
)
def test_a_plane_or_a_time_can_be_typed(page: Page, typed: str, shown: str) -> None:
    page.get_by_role("textbox", name="Go to").fill(typed)
    page.keyboard.press("Enter")
    expect(page.locator("#clock-plane")).to_contain_text(f"{shown} of")


def test_nonsense_that_is_typed_is_answered(page: Page) -> None:
    page.get_by_role("textbox", name="Go to").fill("soon")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Wanted a plane")


def test_speed_goes_from_five_hundred_times_slower_to_life(page: Page) -> None:
    slider = page.get_by_role("slider", name="Speed")
    expect(page.locator("#speed-value")).to_have_text("1/333 ×")
    slider.fill("0")
    expect(page.locator("#speed-value")).to_have_text("1/500 ×")
    slider.fill("100")
    expect(page.locator("#speed-value")).to_have_text("1 ×")
    press(page, "Play/Pause")  # 384 planes take 19 ms
    expect(page.get_by_role("status")).to_contain_text(re.compile("End of the|plane 383"))
    expect(page.locator("#clock-plane")).to_have_text("plane 383 of 384")


@pytest.mark.parametrize("view", ["tfp", "tfi", "raw", "heat"])
def test_every_view_shows_a_picture_still_and_running(page: Page, view: str) -> None:
    page.get_by_role("combobox", name="View").select_option(view)
    seek(page, 150)
    page.wait_for_timeout(400)
    assert not is_dark(page)
    press(page, "Play/Pause")
    expect(page.get_by_role("timer", name="Clock")).not_to_contain_text("plane 150 of")
    assert not is_dark(page)
    assert page.locator("#legend").is_visible() == (view == "heat")


def test_the_page_draws_from_bits_what_the_service_draws(page: Page) -> None:
    """A picture from the service, then the same moment from planes: only JPEG's loss differs."""
    script = """async ([start, count, plane, view]) => {
        const { PlaneBlock } = await import("/viewer/planes.js");
        const { unpack } = await import("/viewer/protocol.js");
        const socket = new WebSocket(`ws://${location.host}/v1/replay/demo`);
        socket.binaryType = "arraybuffer";
        const frames = [], told = {};
        await new Promise((resolve) => {
            socket.onopen = () => {
                socket.send(JSON.stringify({ type: "credit", count: 1 }));
                const wish = { type: "watch", generation: 1, plane, view, window: count };
                socket.send(JSON.stringify(wish));
                socket.send(JSON.stringify({ type: "planes", start, count }));
            };
            socket.onmessage = ({ data }) => {
                if (typeof data === "string") Object.assign(told, JSON.parse(data));
                else if (frames.push(unpack(data)) === 2) resolve();
            };
        });
        socket.close();
        const [jpeg, bits] = frames[0].kind === 1 ? frames : [...frames].reverse();
        const bitmap = await createImageBitmap(new Blob([jpeg.payload], { type: "image/jpeg" }));
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        canvas.getContext("2d").drawImage(bitmap, 0, 0);
        const theirs = canvas.getContext("2d").getImageData(0, 0, bitmap.width, bitmap.height).data;
        const ours = new PlaneBlock(bits).draw(view, plane, start, count, told).data;
        let sum = 0;
        for (let i = 0; i < ours.length; i += 4) sum += Math.abs(ours[i] - theirs[i]);
        return sum / (ours.length / 4);
    }"""
    for view in ("tfp", "tfi", "heat"):
        assert page.evaluate(script, [100, 64, 132, view]) < 5, view


def test_confidence_and_classes_act_at_once(page: Page) -> None:
    seek(page, 140)
    expect(rows(page)).to_have_count(2)
    confidence = page.get_by_role("slider", name="Confidence")
    confidence.fill("0.5")
    expect(rows(page)).to_have_count(1)
    confidence.fill("0.05")
    expect(rows(page)).to_have_count(3)
    page.get_by_role("checkbox", name="vehicle").uncheck()
    expect(rows(page)).to_have_count(2)


def test_two_models_stand_side_by_side_and_differences_are_shown(page: Page) -> None:
    seek(page, 140)
    page.get_by_role("combobox", name="Compare").select_option("half")
    expect(page.locator("#caption-b")).to_contain_text("half · 1 differ")
    for side in "ab":  # nothing of it is cut off
        for line in page.locator(f"#caption-{side} > *").all():
            assert line.evaluate("line => line.scrollWidth <= line.clientWidth")
    expect(page.locator("#caption-b")).to_contain_text("8.0 ms a window")
    expect(page.locator("#caption-b")).to_contain_text("0.23 M parameters")
    expect(page.locator("#caption-a")).to_contain_text("mAP 0.")
    expect(page.locator("#found tr.differs")).to_have_count(1)
    told = [(row.get_attribute("data-model"), row.inner_text()) for row in rows(page).all()]
    assert [model for model, _ in told] == ["nano", "nano", "half"]
    assert all(model in text for model, text in told)
    assert not is_dark(page, "#canvas-b")
    seek(page, 10)
    expect(page.locator("#caption-b")).to_contain_text("both agree")
    page.get_by_role("combobox", name="Compare").select_option("")
    expect(page.locator("#side-b")).to_be_hidden()


def size_of(png: bytes) -> tuple[int, int]:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return picture.shape[1], picture.shape[0]


def test_a_saved_picture_shows_all_sides_and_says_what_it_shows(page: Page) -> None:
    seek(page, 140)
    expect(rows(page)).to_have_count(2)
    width, height = size_of(saved(page, "PNG"))
    assert width == 512
    assert height > 320 + 20  # there are lines below
    page.get_by_role("combobox", name="Compare").select_option("half")
    expect(rows(page)).to_have_count(3)
    assert size_of(saved(page, "PNG")) == (512 + 8 + 512, height)


def test_without_a_model_nothing_is_compared(page: Page) -> None:
    page.get_by_role("combobox", name="Compare").select_option("half")
    expect(page.locator("#side-b")).to_be_visible()
    page.get_by_role("combobox", name="Model").select_option("")
    expect(page.locator("#side-b")).to_be_hidden()
    expect(page.locator("#caption-a")).to_contain_text("no model")
    expect(page.get_by_role("combobox", name="Compare")).to_be_disabled()
    expect(rows(page)).to_have_count(0)
    page.get_by_role("combobox", name="Model").select_option("half")
    expect(page.get_by_role("combobox", name="Compare")).to_be_enabled()
    expect(page.get_by_role("combobox", name="Compare")).to_have_value("")
    expect(rows(page)).to_have_count(1)


def test_tracks_have_numbers(page: Page) -> None:
    seek(page, 70)
    expect(rows(page).first).to_contain_text("#1")


def test_a_loop_runs_again_and_again(page: Page) -> None:
    seek(page, 300)
    press(page, "Loop up to here")
    seek(page, 290)
    press(page, "Loop from here")
    press(page, "Play/Pause")
    page.wait_for_timeout(600)
    plane = int(re.findall(r"\d+", page.locator("#clock-plane").inner_text())[0])
    assert 290 <= plane <= 300
    press(page, "No loop")
    expect(page.get_by_role("button", name="No loop")).to_be_disabled()


def test_pause_on_detection_stops_where_something_appears(page: Page) -> None:
    page.get_by_role("checkbox", name="vehicle").uncheck()
    page.get_by_role("checkbox", name="Pause on detection").check()
    page.get_by_role("slider", name="Speed").fill("40")
    press(page, "Play/Pause")
    expect(page.get_by_role("button", name="Play/Pause")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("status")).to_contain_text("1 person")
    plane = int(re.findall(r"\d+", page.locator("#clock-plane").inner_text())[0])
    assert 128 <= plane < 192


def test_what_is_shown_can_be_saved(page: Page, tmp_path: Path) -> None:
    seek(page, 140)
    expect(rows(page)).to_have_count(2)
    with page.expect_download() as png:
        press(page, "PNG")
    png.value.save_as(tmp_path / "shown.png")
    assert (tmp_path / "shown.png").read_bytes()[:4] == b"\x89PNG"
    assert png.value.suggested_filename == "demo-140.png"
    with page.expect_download() as document:
        press(page, "JSON")
    told = json.loads(Path(document.value.path()).read_text())
    assert told["images"] == [
        {"id": 0, "plane_start": 128, "plane_count": 64, "t_start_us": 6400.0}
    ]
    shown = [json.loads(row.get_attribute("data-box"))[:4] for row in rows(page).all()]
    assert [one["bbox"] for one in told["detections"]] == shown
    with page.expect_download() as film:
        press(page, "MP4")
    with av.open(io.BytesIO(Path(film.value.path()).read_bytes())) as video:
        assert sum(1 for _ in video.decode(video=0)) == 128  # planes 128 to 383, two a frame


def saved(page: Page, name: str) -> bytes:
    """The file that a button saves."""
    with page.expect_download() as download:
        press(page, name)
    return Path(download.value.path()).read_bytes()


def is_coloured(film: bytes) -> bool:
    """Whether boxes are drawn in a video of grey pictures."""
    with av.open(io.BytesIO(film)) as video:
        picture = next(video.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    return bool(np.abs(picture[..., 0] - picture[..., 2]).max() > 64)


def test_what_is_filtered_out_is_not_saved(page: Page) -> None:
    seek(page, 140)
    expect(rows(page)).to_have_count(2)
    assert is_coloured(saved(page, "MP4"))
    page.get_by_role("checkbox", name="vehicle").uncheck()
    (found,) = json.loads(saved(page, "JSON"))["detections"]
    assert found["category_id"] == 1
    for name in ("person", "cycle"):
        page.get_by_role("checkbox", name=name).uncheck()
    assert json.loads(saved(page, "JSON"))["detections"] == []
    assert not is_coloured(saved(page, "MP4"))


def loop(page: Page, first: int, last: int) -> None:
    seek(page, last)
    press(page, "Loop up to here")
    seek(page, first)
    press(page, "Loop from here")


def test_a_document_tells_of_the_windows_that_the_page_shows(page: Page) -> None:
    loop(page, 70, 150)
    expect(page.locator("#selection")).to_have_text(
        "MP4: planes 70 to 150. JSON: planes 64 to 191."
    )
    told = json.loads(saved(page, "JSON"))
    assert [one["plane_start"] for one in told["images"]] == [64, 128]
    for image, start in enumerate((64, 128)):
        seek(page, start)
        found = [one["bbox"] for one in told["detections"] if one["image_id"] == image]
        expect(rows(page)).to_have_count(len(found))
        assert [json.loads(row.get_attribute("data-box"))[:4] for row in rows(page).all()] == found


def test_without_a_model_there_are_no_boxes_to_save(page: Page) -> None:
    page.get_by_role("combobox", name="Model").select_option("")
    expect(page.get_by_role("button", name="JSON")).to_be_disabled()
    assert not is_coloured(saved(page, "MP4"))


def test_boxes_on_the_page_are_those_of_predict(serve: Serve, visit: Open) -> None:
    detector, recording = load_detector("nano"), open_recording("data/demo.dat")
    page = visit(f"http://{serve(engine=None)}/#clip=demo")
    expect(page.locator("#caption-a")).to_contain_text("nano")
    for window, found in detector.stream(recording, thresholds=Thresholds(conf=0.25)):
        seek(page, window.start + 64)
        expect(page.get_by_role("status")).to_contain_text(f"plane {window.start + 64}")
        expect(page.get_by_role("status")).not_to_contain_text("looking")
        expect(rows(page)).to_have_count(len(found))
        shown = [json.loads(row.get_attribute("data-box")) for row in rows(page).all()]
        wanted = results_of(found, 0)
        assert [box[:4] for box in shown] == [one["bbox"] for one in wanted]
        assert [box[4:6] for box in shown] == [[one["score"], one["category_id"]] for one in wanted]


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    clock = page.locator("#clock-plane")
    page.keyboard.press("ArrowRight")
    expect(clock).to_have_text("plane 1 of 384")
    page.keyboard.press("Shift+ArrowRight")
    expect(clock).to_have_text("plane 65 of 384")
    page.keyboard.press("End")
    expect(clock).to_have_text("plane 383 of 384")
    page.keyboard.press("Home")
    expect(clock).to_have_text("plane 0 of 384")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play/Pause")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play/Pause")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press(".")
    expect(page.locator("#speed-value")).not_to_have_text("1/333 ×")
    page.keyboard.press("v")
    expect(page.get_by_role("combobox", name="View")).to_have_value("tfi")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    page.keyboard.press("g")
    expect(page.get_by_role("textbox", name="Go to")).to_be_focused()
    page.keyboard.type("42")
    page.keyboard.press("Enter")
    expect(clock).to_have_text("plane 42 of 384")


def test_the_keyboard_reaches_every_control_in_reading_order(page: Page) -> None:
    page.locator("body").evaluate("() => document.activeElement.blur()")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.id"))
    order = ["seek", "play", "speed", "goto", "loop-a", "view", "window", "model", "confidence"]
    places = [reached.index(name) for name in [*order, "save-png"]]
    assert places == sorted(places)


def test_a_clip_is_chosen_from_the_list_and_left_again(serve: Serve, visit: Open) -> None:
    page = visit(f"http://{serve()}/")
    page.get_by_role("link", name="demo.dat").click()
    expect(page.get_by_role("region", name="Replay")).to_be_visible()
    page.get_by_role("link", name="All clips").click()
    expect(page.get_by_role("region", name="Replay")).to_be_hidden()
    expect(page.get_by_role("link", name="demo.dat")).to_be_visible()


def smooth_clip(path: Path, width: int = 400, height: int = 250) -> Path:
    """A recording that shows a picture: brighter to the right, darker below."""
    light = np.linspace(0.1, 0.9, width)[None, :] * np.linspace(1, 0.2, height)[:, None]
    planes = np.random.default_rng(0).random((128, height, width)) < light
    path.write_bytes(np.packbits(planes.reshape(128, -1), axis=1, bitorder="little").tobytes())
    return path


def test_a_file_is_sent_with_the_geometry_that_looks_right(
    serve: Serve, visit: Open, tmp_path: Path, pictures: Path
) -> None:
    page = visit(f"http://{serve()}/")
    page.locator("#file").set_input_files(smooth_clip(tmp_path / "mine.dat"))
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("radio").first).to_be_checked()
    expect(dialog).to_contain_text("400 × 250 plain: 128 planes")
    page.screenshot(path=pictures / "geometry.png")
    dialog.get_by_role("spinbutton", name="Width").fill("500")
    dialog.get_by_role("spinbutton", name="Height").fill("200")
    expect(dialog).to_contain_text("500 × 200 plain: 128 planes")
    dialog.get_by_text("400 × 250 plain").click()
    dialog.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name="mine.dat")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("400 × 250 · 128 planes")
    assert not is_dark(page)


@pytest.fixture
def dialog(serve: Serve, visit: Open, tmp_path: Path) -> Any:
    """The question for the geometry of a file that was chosen."""
    page = visit(f"http://{serve()}/")
    page.locator("#file").set_input_files(smooth_clip(tmp_path / "mine.dat"))
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("400 × 250 plain: 128 planes")
    return asked


def size(dialog: Any, width: str, height: str) -> None:
    dialog.get_by_role("spinbutton", name="Width").fill(width)
    dialog.get_by_role("spinbutton", name="Height").fill(height)


def test_what_is_typed_is_what_is_opened(dialog: Any) -> None:
    size(dialog, "500", "200")
    dialog.get_by_role("button", name="Open").click()  # before it can have been looked at
    expect(dialog.page.locator("#facts")).to_contain_text("500 × 200 · 128 planes")


@pytest.mark.parametrize(
    ("width", "height", "sentence"),
    [
        ("5000", "5000", "It cannot be read as planes of 5,000 × 5,000 pixels"),
        ("9000", "10", "whole numbers from 1 to 8,192"),
        ("2.5", "10", "whole numbers"),
        ("500", "", "Type the height, too"),
    ],
)
def test_a_size_that_cannot_be_is_answered_and_not_opened(
    dialog: Any, width: str, height: str, sentence: str
) -> None:
    size(dialog, width, height)
    expect(dialog).to_contain_text(sentence)
    expect(dialog.get_by_role("button", name="Open")).to_be_disabled()
    size(dialog, "400", "250")
    expect(dialog.get_by_role("button", name="Open")).to_be_enabled()


def test_a_late_answer_to_what_was_typed_before_is_left_out(dialog: Any) -> None:
    page, held = dialog.page, []
    page.route("**/v1/geometries*width=500*", lambda route: held.append(route))
    size(dialog, "500", "200")
    while not held:
        page.wait_for_timeout(20)
    size(dialog, "800", "500")
    expect(dialog.get_by_role("radio").first).to_be_checked()
    expect(dialog).to_contain_text("800 × 500 plain: 32 planes")
    with page.expect_response("**/v1/geometries*width=500*"):
        held[0].continue_()
    page.evaluate("() => new Promise((done) => setTimeout(done))")  # the page has taken it by now
    expect(dialog).not_to_contain_text("500 × 200")
    dialog.get_by_role("button", name="Open").click()
    expect(page.locator("#facts")).to_contain_text("800 × 500 · 32 planes")


def test_a_stored_geometry_is_corrected(serve: Serve, visit: Open, tmp_path: Path) -> None:
    address = serve()
    answer = httpx.post(
        f"http://{address}/v1/clips",
        content=smooth_clip(tmp_path / "mine.dat").read_bytes(),
        headers={"Content-Type": "application/octet-stream"},
        params={"width": 800, "height": 500, "layout": "plain", "name": "mine.dat"},
    )
    page = visit(f"http://{address}/#clip={answer.json()['id']}")
    expect(page.locator("#facts")).to_contain_text("800 × 500 · 32 planes")
    press(page, "Geometry")
    page.get_by_role("dialog").get_by_role("button", name="Open").click()
    expect(page.locator("#facts")).to_contain_text("400 × 250 · 128 planes")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"short", "shorter than one plane"),
    ],
)
def test_a_file_that_is_no_recording_is_explained(
    serve: Serve, visit: Open, tmp_path: Path, content: bytes, sentence: str
) -> None:
    page = visit(f"http://{serve()}/")
    (tmp_path / "note.dat").write_bytes(content)
    page.locator("#file").set_input_files(tmp_path / "note.dat")
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    page.get_by_role("link", name="demo.dat").click()
    expect(page.get_by_role("region", name="Replay")).to_be_visible()


def test_a_file_that_shows_no_picture_is_doubted(serve: Serve, visit: Open, tmp_path: Path) -> None:
    page = visit(f"http://{serve()}/")
    (tmp_path / "noise.dat").write_bytes(np.random.default_rng(0).bytes(100_000))
    page.locator("#file").set_input_files(tmp_path / "noise.dat")
    expect(page.get_by_role("dialog")).to_contain_text("this may be no recording")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_an_archive_is_refused_in_words(serve: Serve, visit: Open, tmp_path: Path) -> None:
    page = visit(f"http://{serve()}/", expected=("422",))
    np.save(tmp_path / "wrong.npy", np.zeros((3, 4)))
    page.locator("#file").set_input_files(tmp_path / "wrong.npy")
    expect(page.get_by_role("alert")).to_contain_text(re.compile("found|wanted"))


def test_a_clip_that_is_gone_leads_back_to_the_list(serve: Serve, visit: Open) -> None:
    page = visit(f"http://{serve()}/#clip=0123456789abcdef0123456789abcdef")
    expect(page.get_by_role("alert")).to_contain_text("not here any more")
    expect(page.get_by_role("link", name="demo.dat")).to_be_visible()


def test_two_viewers_watch_the_same_clip(serve: Serve, visit: Open) -> None:
    address = serve()
    pages = [visit(f"http://{address}/#clip=demo") for _ in range(2)]
    for number, page in enumerate(pages):
        expect(rows(page)).to_have_count(1)
        seek(page, 50 + number)
    for number, page in enumerate(pages):
        expect(page.locator("#clock-plane")).to_have_text(f"plane {50 + number} of 384")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def brings(message: str | bytes, plane: int) -> bool:
    """Whether a message brings planes to step through, this one among them."""
    if isinstance(message, str):
        return False
    found = unpack(message)[0]
    return found.kind == PLANES and found.start <= plane < found.start + found.count


def test_the_page_comes_back_when_the_service_does(visit: Open, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "spool")
    port = free_port()
    with serving(create_app(settings, ViewedEngine()), port):
        page = visit("about:blank", expected=("WebSocket", "Failed to load"))
        with page.expect_websocket() as opened:
            page.goto(f"http://127.0.0.1:{port}/#clip=demo")
        expect(rows(page)).to_have_count(1)
        with opened.value.expect_event("framereceived", lambda one: brings(one, 223)):
            seek(page, 222)
        expect(rows(page)).to_have_count(2)
    lost, play = page.locator("#connection"), page.get_by_role("button", name="Play/Pause")
    expect(lost).to_contain_text("The service is gone. Trying again")
    expect(play).to_be_disabled()
    press(page, "Step forward")  # the planes around are here: the page stays usable
    expect(page.locator("#canvas-a")).to_have_attribute("data-plane", "223")
    seek(page, 20)  # but those are not: the picture stays, and its boxes
    expect(page.locator("#status")).to_contain_text("At plane 20, 1.000 ms: no picture while")
    expect(page.locator("#canvas-a")).to_have_attribute("data-plane", "223")
    expect(rows(page)).to_have_count(2)
    expect(lost).to_contain_text("The service is gone")
    with serving(create_app(settings, ViewedEngine()), port):
        expect(lost).to_be_hidden()
        expect(page.locator("#canvas-a")).to_have_attribute("data-plane", "20")
        expect(rows(page)).to_have_count(1)
        press(page, "Play/Pause")
        expect(page.get_by_role("timer", name="Clock")).not_to_contain_text("plane 20 of")
        page.close()


def test_a_replay_that_ran_runs_on_when_the_service_is_back(visit: Open, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "spool")
    port = free_port()
    with serving(create_app(settings, ViewedEngine()), port):
        page = visit(
            f"http://127.0.0.1:{port}/#clip=demo", expected=("WebSocket", "Failed to load")
        )
        expect(rows(page)).to_have_count(1)
        press(page, "Loop up to here")
        seek(page, 380)
        press(page, "Loop up to here")
        press(page, "Play/Pause")
        play = page.get_by_role("button", name="Play/Pause")
        expect(play).to_have_attribute("aria-pressed", "true")
    expect(play).to_have_attribute("aria-pressed", "false")
    with serving(create_app(settings, ViewedEngine()), port):
        expect(play).to_have_attribute("aria-pressed", "true")
        page.close()


def test_a_growing_recording_is_followed_with_boxes(serve: Serve, visit: Open, clip: Path) -> None:
    placed = prepare_recording(clip)
    page = visit(f"http://{serve([placed])}/#clip={placed.clip_id}")
    page.get_by_role("checkbox", name="Follow").check()
    expect(page.locator("#clock-plane")).to_have_text("plane 199 of 200")
    expect(page.get_by_role("status")).to_contain_text("1 person, 1 vehicle in planes 128 to 191")
    with clip.open("ab") as file:
        file.write(bytes(240 * 100))
    expect(page.locator("#clock-plane")).to_have_text("plane 299 of 300")
    expect(page.locator("#facts")).to_contain_text("300 planes")
    expect(page.locator("#caption-a")).to_contain_text("planes 192 to 255")
    left = boxes_of("nano", 192).xyxy[0, 0]
    assert json.loads(rows(page).first.get_attribute("data-box"))[0] == left


def test_a_window_that_is_not_whole_is_said_to_be_none(
    serve: Serve, visit: Open, clip: Path
) -> None:
    placed = prepare_recording(clip)
    page = visit(f"http://{serve([placed])}/#clip={placed.clip_id}")
    expect(rows(page)).to_have_count(1)
    seek(page, 195)
    expect(page.get_by_role("status")).to_contain_text("At plane 195, 9.750 ms: no whole window")
    expect(rows(page)).to_have_count(0)
    seek(page, 191)
    expect(rows(page)).to_have_count(2)


def shown(page: Page) -> str:
    """What the canvas shows, as a digest."""
    script = """async () => {
        const canvas = document.getElementById("canvas-a");
        const { width, height } = canvas;
        const read = { willReadFrequently: true };
        const copy = new OffscreenCanvas(width, height).getContext("2d", read);
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, width, height);
        const digest = await crypto.subtle.digest("SHA-256", data);
        return [...new Uint8Array(digest)].map((byte) => byte.toString(16)).join("");
    }"""
    return str(page.evaluate(script))


@pytest.mark.parametrize("reason", ["This browser has no WebSocket", "Sockets to the service fail"])
def test_where_no_socket_works_there_are_stills(serve: Serve, visit: Open, reason: str) -> None:
    address = serve()
    page = visit("about:blank", expected=("WebSocket",))
    if "browser" in reason:
        page.add_init_script("delete window.WebSocket")
    else:
        page.route_web_socket(re.compile("replay"), lambda socket: socket.close(code=1001))
    page.goto(f"http://{address}/#clip=demo")
    expect(page.locator("#connection")).to_contain_text(reason)
    expect(page.locator("#connection")).to_contain_text("stills only, without boxes")
    for plane in (0, 100):
        seek(page, plane)
        expect(page.locator("#canvas-a")).to_have_attribute("data-plane", str(plane))
    still = shown(page)
    page.get_by_role("combobox", name="View").select_option("tfi")
    expect(page.locator("#canvas-a")).to_have_attribute("data-view", "tfi")
    expect(page.locator("#canvas-a")).to_have_attribute("data-plane", "100")
    assert shown(page) != still
    expect(page.get_by_role("button", name="Play/Pause")).to_be_disabled()
    expect(page.locator("#view option[value=heat]")).to_be_disabled()
    expect(page.locator("#connection")).to_be_visible()


def test_with_keys_the_page_asks_for_one(serve: Serve, visit: Open) -> None:
    from service.keys import new_key

    key, line = new_key("lab")
    page = visit(f"http://{serve(api_keys=(line,))}/#clip=demo", expected=("401",))
    page.get_by_label("Key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("not known")
    page.get_by_label("Key").fill(key)
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 720), (390, 844)], ids=["wide", "phone"])
def test_the_page_has_no_barriers_and_fits(
    serve: Serve, visit: Open, scheme: str, size: tuple[int, int], pictures: Path
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    page = visit(f"http://{serve()}/", color_scheme=scheme, viewport=viewport, bypass_csp=True)
    name = f"{scheme}-{size[0]}"
    expect(page.get_by_role("link", name="demo.dat")).to_be_visible()
    check_barriers(page)
    page.screenshot(path=pictures / f"list-{name}.png")
    page.get_by_role("link", name="demo.dat").click()
    expect(rows(page)).to_have_count(1)
    page.get_by_role("combobox", name="Compare").select_option("half")
    seek(page, 140)
    expect(rows(page)).to_have_count(3)
    check_barriers(page)
    page.screenshot(path=pictures / f"replay-{name}.png", full_page=True)
    scrolled = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(scrolled) == 0
    page.keyboard.press("?")
    check_barriers(page)


def check_barriers(page: Page) -> None:
    """Look for what keeps people out, by the rules of axe-core."""
    found = Axe().run(page)
    told = [
        (one["id"], [node["target"] for node in one["nodes"]])
        for one in found.response["violations"]
    ]
    assert told == []


def test_nothing_moves_while_it_plays(page: Page) -> None:
    """The layout does not shift: what stands beside the picture stays where it is."""
    places = """() => ["#stage", ".strip", "#play", "#speed", "#save-png"].map((one) => {
        const { x, y, width, height } = document.querySelector(one).getBoundingClientRect();
        return [x, y, width, height];
    })"""
    before = page.evaluate(places)
    page.get_by_role("slider", name="Speed").fill("60")
    press(page, "Play/Pause")
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert page.evaluate(places) == before


def test_nothing_is_fetched_from_elsewhere(serve: Serve, visit: Open) -> None:
    address = serve()
    page = visit("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://{address}/#clip=demo")
    expect(rows(page)).to_have_count(1)
    elsewhere = [
        url for url in asked if not url.startswith((f"http://{address}/", "data:", "blob:"))
    ]
    assert elsewhere == []
    assert len(asked) > 10


def test_vehicles_are_where_they_were_written_down(page: Page) -> None:
    seek(page, 10)
    (row,) = rows(page).all()
    left, top, width, height = json.loads(row.get_attribute("data-box"))[:4]
    (wanted,) = boxes_of("half", 0).xyxy.tolist()
    assert [left, top, left + width, top + height] == wanted
