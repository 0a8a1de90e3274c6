"""The list of clips, and files that are sent."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.service.replay.conftest import Serve
from tests.service.viewer.conftest import Open
from tests.service.viewer.page import is_dark, smooth_clip

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
