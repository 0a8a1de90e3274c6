"""The service goes and comes back; sockets work, or do not."""

import re
import socket
from pathlib import Path

import pytest
from playwright.sync_api import expect

from service.app import create_app
from service.replay.protocol import PLANES, unpack
from service.settings import Settings
from tests.service.replay.conftest import Serve, serving
from tests.service.replay.engine import ViewedEngine
from tests.service.viewer.conftest import Open
from tests.service.viewer.page import press, rows, seek, shown

pytestmark = pytest.mark.browser


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
