"""The list of clips, and files that are sent."""

import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.service.replay.conftest import Serve
from tests.service.viewer.conftest import Open
from tests.service.viewer.page import drop, is_dark, press, rows, smooth_clip

pytestmark = pytest.mark.browser


def test_a_clip_is_chosen_from_the_list_and_left_again(serve: Serve, visit: Open) -> None:
    page = visit(f"http://{serve()}/")
    page.get_by_role("link", name="demo.dat").click()
    expect(page.get_by_role("region", name="Replay")).to_be_visible()
    page.get_by_role("link", name="All clips").click()
    expect(page.get_by_role("region", name="Replay")).to_be_hidden()
    expect(page.get_by_role("link", name="demo.dat")).to_be_visible()


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
    expect(page.get_by_role("alert")).to_contain_text("“note.dat”")
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


SIDECAR = b'width = 500\nheight = 200  # as the camera says\nflip = "none"\nrate_hz = 10_000.0\n'


def test_a_file_is_dropped_on_the_replay_as_on_the_list(page: Page, tmp_path: Path) -> None:
    content = smooth_clip(tmp_path / "small.dat", 80, 40).read_bytes()
    held: list[Any] = []
    page.route("**/v1/clips?*", lambda route: held.append(route))
    drop(page, ("Mine.dat", content), ("Mine.toml", b"width = 80\nheight = 40\n"))
    page.get_by_role("dialog").get_by_role("button", name="Open").click()
    expect(page.locator("#upload")).to_be_visible()
    expect(page.get_by_role("region", name="Replay")).to_be_visible()
    held[0].continue_()
    expect(page.get_by_role("heading", name="Mine.dat")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("80 × 40 · 128 planes")
    expect(page.locator("#upload")).to_be_hidden()


def test_what_a_sidecar_says_is_believed(serve: Serve, visit: Open, tmp_path: Path) -> None:
    page = visit(f"http://{serve()}/")
    content = smooth_clip(tmp_path / "mine.dat").read_bytes()[: 12_500 * 8]
    drop(page, ("mine.toml", SIDECAR), ("mine.dat", content))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("500 × 200 plain: 8 planes")
    dialog.get_by_role("button", name="Open").click()
    expect(page.locator("#facts")).to_contain_text("500 × 200 · 8 planes at 10,000 Hz")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"mine.toml": SIDECAR}, "“mine.toml” says how a recording is stored; drop that"),
        ({"mine.dat": b"1", "yours.toml": SIDECAR}, "does not belong to “mine.dat”"),
        ({"a.dat": b"1", "b.dat": b"1"}, "One recording at a time"),
        ({"a.npz": b"PK34"}, "“a.npz” is an archive"),
        ({"empty.dat": b""}, "“empty.dat” is empty."),
    ],
    ids=str,
)
def test_a_drop_that_is_no_recording_is_explained(
    serve: Serve, visit: Open, files: dict[str, bytes], sentence: str
) -> None:
    page = visit(f"http://{serve()}/")
    drop(page, *files.items())
    expect(page.get_by_role("alert")).to_contain_text(sentence)


def test_a_folder_that_is_dropped_is_explained(serve: Serve, visit: Open) -> None:
    page = visit(f"http://{serve()}/")
    page.evaluate("""() => {
        const item = { webkitGetAsEntry: () => ({ isDirectory: true, name: "numbered" }) };
        const dataTransfer = { items: [item], files: [new File([], "numbered")], types: ["Files"] };
        document.dispatchEvent(Object.assign(new Event("drop"), { dataTransfer }));
    }""")
    expect(page.get_by_role("alert")).to_contain_text("“numbered” is a folder")


def test_a_file_that_vanishes_before_it_is_sent_is_told_of(
    serve: Serve, visit: Open, tmp_path: Path
) -> None:
    page = visit(f"http://{serve()}/", expected=("ERR_FILE_NOT_FOUND", "ERR_"))
    path = smooth_clip(tmp_path / "mine.dat")
    page.locator("#file").set_input_files(path)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("400 × 250")
    path.unlink()
    dialog.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("“mine.dat” can no longer be read")


def test_sending_can_be_cancelled(serve: Serve, visit: Open, tmp_path: Path) -> None:
    page = visit(f"http://{serve()}/", expected=("ERR_",))
    page.route("**/v1/clips?*", lambda route: None)  # which is never answered
    page.locator("#file").set_input_files(smooth_clip(tmp_path / "mine.dat"))
    page.get_by_role("dialog").get_by_role("button", name="Open").click()
    expect(page.locator("#upload")).to_contain_text("Sending mine.dat")
    drop(page, ("other.npy", b"1"))
    expect(page.get_by_role("alert")).to_contain_text("Another recording is on its way")
    press(page, "Cancel")
    expect(page.get_by_role("alert")).to_contain_text("cancelled")
    expect(page.locator("#upload")).to_be_hidden()
    expect(page.get_by_role("link", name="mine.dat")).to_have_count(0)


def send(address: str, folder: Path, name: str) -> str:
    answer = httpx.post(
        f"http://{address}/v1/clips",
        content=smooth_clip(folder / "small.dat", 80, 40).read_bytes(),
        headers={"Content-Type": "application/octet-stream"},
        params={"width": 80, "height": 40, "layout": "plain", "name": name},
    )
    return str(answer.json()["id"])


def test_a_clip_is_deleted_once_that_is_confirmed(
    serve: Serve, visit: Open, tmp_path: Path
) -> None:
    address = serve()
    for name in ("first.dat", "second.dat", "third.dat"):
        send(address, tmp_path, name)
    page = visit(f"http://{address}/")
    press(page, "Delete second.dat")
    dialog = page.get_by_role("dialog", name="Delete “second.dat”?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("link", name="second.dat")).to_be_visible()
    press(page, "Delete second.dat")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="second.dat")).to_have_count(0)
    expect(page.get_by_role("link", name="first.dat")).to_be_focused()


def test_who_watches_a_clip_that_is_deleted_is_told_so(
    serve: Serve, visit: Open, tmp_path: Path
) -> None:
    address = serve()
    clip_id = send(address, tmp_path, "mine.dat")
    page = visit(f"http://{address}/#clip={clip_id}", expected=("404",))
    expect(rows(page)).to_have_count(1)
    assert httpx.delete(f"http://{address}/v1/clips/{clip_id}").status_code == 204
    press(page, "MP4")
    expect(page.get_by_role("alert")).to_contain_text("This clip was deleted; it plays on here")
    press(page, "Next window")
    expect(page.locator("#clock-plane")).to_have_text("plane 64 of 128")


def test_the_list_comes_once_the_service_answers(serve: Serve, visit: Open) -> None:
    page = visit("about:blank", expected=("ERR_FAILED",))
    page.route("**/v1/clips", lambda route: route.abort())
    page.goto(f"http://{serve()}/")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    page.unroute("**/v1/clips")
    expect(page.get_by_role("link", name="demo.dat")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_another_clip_begins_with_an_empty_stage(page: Page) -> None:
    page.route_web_socket(re.compile("replay/other"), lambda socket: None)  # it says nothing
    page.evaluate("location.hash = '#clip=other'")
    expect(page.get_by_role("status")).to_have_text("Opening.")
    expect(page.locator("#canvas-a")).not_to_have_attribute("data-plane", re.compile("."))
    expect(rows(page)).to_have_count(0)
