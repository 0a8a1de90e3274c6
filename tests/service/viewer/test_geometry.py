"""A recording of doubtful geometry, and who knows better."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.service.replay.conftest import Serve
from tests.service.viewer.conftest import Open
from tests.service.viewer.page import press, smooth_clip

pytestmark = pytest.mark.browser


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
    dialog.page.keyboard.press("Tab")  # which leaves the field
    dialog.get_by_role("button", name="Open").click()  # before it can have been looked at
    expect(dialog.page.locator("#facts")).to_contain_text("500 × 200 · 128 planes")


def test_who_goes_elsewhere_is_not_asked_any_more(dialog: Any) -> None:
    page = dialog.page
    page.evaluate("location.hash = 'clip=demo'")
    expect(dialog).to_be_hidden()
    expect(page.locator("#facts")).to_contain_text("256 × 160")
    page.evaluate("history.back()")
    expect(page.locator("#shelf")).to_be_visible()
    page.locator("#file").set_input_files(  # nothing is on its way any more
        {"name": "tiny.dat", "mimeType": "", "buffer": b"tiny"}
    )
    expect(page.get_by_role("alert")).to_contain_text("shorter than one plane")


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
    dialog.get_by_text("400 × 250 plain").click()  # what is chosen by its picture is meant
    expect(dialog.get_by_role("button", name="Open")).to_be_enabled()
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
