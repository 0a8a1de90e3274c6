"""What somebody plays, seeks and steps through."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.in_place import prepare_recording
from service.replay.protocol import PICTURE, PLANES
from tests.service.replay.conftest import Serve
from tests.service.viewer.conftest import Open
from tests.service.viewer.page import SlowService, is_dark, press, seek, shown, smooth_clip, wait
from vidar_det.spikes.sidecar import RecordingOptions

pytestmark = pytest.mark.browser

PLANE = "() => document.getElementById('canvas-a').dataset.plane"
SMALL = RecordingOptions(width=80, height=40, layout="plain")


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
    ("typed", "shown"),
    [
        ("77", "plane 77"),
        ("12.5 ms", "plane 250"),
        ("12,5 ms", "plane 250"),
        ("0.01s", "plane 200"),
        ("0,000,250", "plane 250"),
    ],
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


def test_every_view_shows_another_picture_still_and_running(page: Page) -> None:
    seek(page, 150)
    canvas, digests = page.locator("#canvas-a"), set()
    for view in ("tfi", "raw", "heat", "tfp"):
        page.get_by_role("combobox", name="View").select_option(view)
        expect(canvas).to_have_attribute("data-view", view)
        expect(canvas).to_have_attribute("data-plane", "150")
        assert not is_dark(page)
        digests.add(shown(page))
        assert page.locator("#legend").is_visible() == (view == "heat")
    assert len(digests) == 4
    for view in ("tfi", "raw", "heat", "tfp"):
        page.get_by_role("combobox", name="View").select_option(view)
        expect(canvas).to_have_attribute("data-view", view)
        still = shown(page)
        press(page, "Play/Pause")
        expect(canvas).not_to_have_attribute("data-plane", str(page.evaluate(PLANE)))
        press(page, "Play/Pause")
        assert shown(page) != still
        assert not is_dark(page)


def test_a_late_picture_leaves_alone_what_was_chosen_since(serve: Serve, visit: Open) -> None:
    page = visit("about:blank")
    slow = SlowService(page)
    page.goto(f"http://{serve()}/#clip=demo")
    wait(page, lambda: slow.has_sent(PLANES))
    slow.hold()
    page.get_by_role("slider", name="Window").fill("384")  # more planes than have come
    wait(page, lambda: slow.has_sent(PICTURE))
    page.get_by_role("combobox", name="View").select_option("raw")  # which is drawn here
    expect(page.locator("#canvas-a")).to_have_attribute("data-view", "raw")
    slow.release_until(PICTURE)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    expect(page.locator("#canvas-a")).to_have_attribute("data-view", "raw")


def test_while_the_bar_is_dragged_the_picture_follows(page: Page) -> None:
    bar = page.locator("#seek").bounding_box()
    assert bar is not None
    middle = bar["y"] + bar["height"] / 2
    page.mouse.move(bar["x"] + 1, middle)
    page.mouse.down()
    for share in (0.25, 0.75, 0.5):
        page.mouse.move(bar["x"] + share * bar["width"], middle)
        plane = page.locator("#seek").input_value()
        assert abs(int(plane) - share * 383) < 4
        expect(page.locator("#canvas-a")).to_have_attribute("data-plane", plane)
    page.mouse.up()
    expect(page.get_by_role("status")).to_contain_text(f"At plane {plane}, ")


def test_the_window_is_never_longer_than_what_a_picture_counts(
    serve: Serve, visit: Open, tmp_path: Path
) -> None:
    placed = prepare_recording(smooth_clip(tmp_path / "long.dat", 80, 40, 1000), SMALL)
    page = visit(f"http://{serve([placed])}/#clip={placed.clip_id}")
    slider = page.get_by_role("slider", name="Window")
    slider.fill("1000")
    expect(page.locator("#window-value")).to_have_text("1000 = 50.00 ms")
    page.get_by_role("combobox", name="View").select_option("tfi")
    expect(page.locator("#window-value")).to_have_text("512 = 25.60 ms")
    expect(slider).to_have_attribute("max", "512")
    page.get_by_role("combobox", name="View").select_option("tfp")
    expect(page.locator("#window-value")).to_have_text("1000 = 50.00 ms")


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


def test_pictures_wait_in_order_and_the_oldest_gives_way(page: Page) -> None:
    script = """async () => {
        const { Queue } = await import("/viewer/queue.js");
        const queue = new Queue(), gone = [], came = [], ends = [];
        const make = async (plane) => {
            const source = await createImageBitmap(new ImageData(1, 1));
            const close = source.close.bind(source);
            source.close = () => { gone.push(plane); close(); };
            return { source, plane, view: "tfp" };
        };
        for (const plane of [1, 2, 3]) {
            const decoded = new Promise((resolve) => ends.push(resolve));
            queue.inTurn(async () => { await decoded; came.push(plane); });
        }
        ends.reverse().forEach((end) => end());
        await queue.before;
        for (const plane of [1, 2, 3, 4, 5, 6]) queue.add(await make(plane));
        const next = [queue.next().plane, queue.next().plane];
        queue.clear();
        return { came, next, gone, left: queue.next() };
    }"""
    told = page.evaluate(script)
    assert told == {"came": [1, 2, 3], "next": [3, 4], "gone": [1, 2, 5, 6], "left": None}


def test_the_last_picture_is_shown_last_however_slowly_the_page_paints(
    serve: Serve, visit: Open
) -> None:
    slow = """(() => {
        const soon = window.requestAnimationFrame;
        window.requestAnimationFrame = (paint) => soon(() => setTimeout(paint, 70));
    })()"""
    page = visit("about:blank")
    page.add_init_script(slow)
    page.goto(f"http://{serve()}/#clip=demo")
    play = page.get_by_role("button", name="Play/Pause")
    wait(page, lambda: page.evaluate(PLANE) == "0")
    page.get_by_role("slider", name="Speed").fill("42")  # all of it in half a second
    for _ in range(3):
        play.click()  # which presses it at once: no test of a moment that may be over
        expect(play).to_have_attribute("aria-pressed", "false")
        wait(page, lambda: page.evaluate(PLANE) == "383")
        page.wait_for_timeout(500)  # for any that would still come
        assert page.evaluate(PLANE) == "383"


def test_more_planes_are_counted_than_a_byte_holds(page: Page) -> None:
    script = """async ([width, height, count, start, many]) => {
        const { PlaneBlock } = await import("/viewer/planes.js");
        const rowBytes = Math.ceil(width / 8);
        const payload = crypto.getRandomValues(new Uint8Array(rowBytes * height * count));
        for (let i = 0; i < payload.length; i++) payload[i] |= 5; // two pixels fire always
        const block = new PlaneBlock({ start: 100, count, width, height, payload });
        const told = block.counts(100 + start, many);
        const wanted = [];
        for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
            let sum = 0;
            for (let plane = start; plane < start + many; plane++) {
                const byte = payload[(plane * height + y) * rowBytes + (x >> 3)];
                sum += (byte >> (x & 7)) & 1;
            }
            wanted.push(sum);
        }
        return [[...told], wanted];
    }"""
    for many in (1, 255, 256, 590):
        told, wanted = page.evaluate(script, [13, 3, 600, 7, many])
        assert told == wanted, many


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


def test_each_end_of_a_loop_is_shown_by_its_own_button(page: Page) -> None:
    a, b = (page.get_by_role("button", name=f"Loop {name} here") for name in ("from", "up to"))
    seek(page, 100)
    a.click()
    expect(a).to_have_attribute("aria-pressed", "true")
    expect(b).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#handle-a")).to_be_visible()
    expect(page.locator("#handle-b")).to_be_hidden()
    expect(page.locator("#selection")).to_contain_text("MP4: planes 100 to 383")
    seek(page, 50)
    b.click()  # before its beginning: that gives way
    expect(a).to_have_attribute("aria-pressed", "false")
    expect(b).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#selection")).to_contain_text("MP4: planes 0 to 50")
    press(page, "No loop")
    expect(b).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#handle-b")).to_be_hidden()


def test_the_ends_of_a_loop_are_dragged_on_the_strip(page: Page) -> None:
    seek(page, 96)
    press(page, "Loop from here")
    strip, handle = page.locator("#seek").bounding_box(), page.locator("#handle-a").bounding_box()
    assert strip is not None
    assert handle is not None
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + 20)
    page.mouse.down()
    page.mouse.move(strip["x"] + strip["width"] / 2, handle["y"] + 20)
    page.mouse.up()
    expect(page.get_by_role("status")).to_contain_text(re.compile("Loop from plane 19[0-4] to 383"))
    expect(page.locator("#clock-plane")).to_have_text("plane 96 of 384")  # which is left alone


def test_the_strip_says_what_lies_under_the_pointer(page: Page) -> None:
    strip = page.locator("#seek").bounding_box()
    assert strip is not None
    for name in ("high", "low"):
        expect(page.locator(f"#strip-{name}")).to_have_text(re.compile(r"^[\d,]+ /s$"))
    high, low = (
        int(page.locator(f"#strip-{name}").inner_text()[:-3].replace(",", ""))
        for name in ("high", "low")
    )
    assert 0 < low < high
    page.mouse.move(strip["x"] + strip["width"] / 4, strip["y"] + 20)
    hover = page.locator("#strip-hover")
    expect(hover).to_contain_text(re.compile(r"plane 9[0-9] · 4\.\d+ ms · [\d,]+ spikes/s · 1 veh"))
    page.mouse.move(strip["x"], strip["y"] - 200)
    expect(hover).to_be_hidden()


def test_the_strip_shows_how_rates_differ_and_what_was_not_looked_at(page: Page) -> None:
    """Rates that differ by a tenth fill the height; a mark is hatched until it is looked at."""
    script = """async () => {
        const { Strip } = await import("/viewer/strip.js");
        const canvas = Object.assign(document.createElement("canvas"), { style: "width: 100px" });
        document.body.append(canvas);
        canvas.style.height = "56px";
        const context = canvas.getContext("2d", { willReadFrequently: true });
        const strip = new Strip(canvas);
        strip.add({ first: 0, columns: 2, rates: [0.30, 0.33] });
        const filter = { confidence: 0.25, hidden: new Set() };
        const found = [{ start: 0, count: 50, boxes: [] }];
        strip.paint({ planes: 100, loop: null, found, isLookedAt: true, filter });
        const filled = (x, top, bottom) => {
            const { data } = context.getImageData(x, top, 8, bottom - top);
            return data.filter((value, index) => index % 4 === 3 && value > 0).length / 8;
        };
        canvas.remove();
        return [filled(20, 0, 47), filled(70, 0, 47), filled(20, 50, 56), filled(70, 50, 56)];
    }"""
    low, high, seen, unseen = page.evaluate(script)
    assert low < 8
    assert high > 35
    assert seen == 0
    assert unseen > 0
