"""Recordings that a camera still writes."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from service.in_place import prepare_recording
from tests.service.replay.conftest import Serve
from tests.service.replay.engine import boxes_of
from tests.service.viewer.conftest import Open
from tests.service.viewer.page import rows, seek

pytestmark = pytest.mark.browser


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
    page.get_by_role("status").get_by_text("At plane 299").wait_for()
    left = boxes_of("nano", 192).xyxy[0, 0]
    assert json.loads(rows(page).first.get_attribute("data-box"))[0] == left
    seek(page, 290)  # whoever goes elsewhere does not follow any more
    expect(page.get_by_role("checkbox", name="Follow")).not_to_be_checked()


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


def test_a_recording_that_vanishes_is_named_as_it_is_written(
    serve: Serve, visit: Open, clip: Path
) -> None:
    placed = prepare_recording(clip)
    page = visit(f"http://{serve([placed])}/#clip={placed.clip_id}")
    expect(rows(page)).to_have_count(1)
    clip.unlink()
    expect(page.get_by_role("status")).to_have_text("clip.dat: is gone.")
