"""What is shown goes out as files: PNG, MP4, JSON."""

import io
import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.service.viewer.page import loop, press, rows, saved, seek

pytestmark = pytest.mark.browser


def size_of(png: bytes) -> tuple[int, int]:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return picture.shape[1], picture.shape[0]


def is_coloured(film: bytes) -> bool:
    """Whether boxes are drawn in a video of grey pictures."""
    with av.open(io.BytesIO(film)) as video:
        picture = next(video.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    return bool(np.abs(picture[..., 0] - picture[..., 2]).max() > 64)


def test_a_saved_picture_shows_all_sides_and_says_what_it_shows(page: Page) -> None:
    seek(page, 140)
    expect(rows(page)).to_have_count(2)
    width, height = size_of(saved(page, "PNG"))
    assert width == 512
    assert height > 320 + 20  # there are lines below
    page.get_by_role("combobox", name="Compare").select_option("half")
    expect(rows(page)).to_have_count(3)
    assert size_of(saved(page, "PNG")) == (512 + 8 + 512, height)


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


def test_a_document_tells_of_the_windows_that_the_page_shows(page: Page) -> None:
    loop(page, 70, 150)
    expect(page.locator("#selection")).to_have_text("MP4: planes 70 to 150 JSON: planes 64 to 191")
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
