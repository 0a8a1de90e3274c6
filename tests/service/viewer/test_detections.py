"""What somebody sees of detections: boxes, tracks, two models side by side."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.service.replay.conftest import Serve
from tests.service.replay.engine import boxes_of
from tests.service.viewer.conftest import Open
from tests.service.viewer.page import (
    RECORDER,
    SlowService,
    is_dark,
    painted,
    press,
    rows,
    seek,
    stroked_boxes,
    wait_for_painted,
)
from vidar_det import load_detector, open_recording
from vidar_det.detections.coco import results_of
from vidar_det.detector.predictor import Thresholds

pytestmark = pytest.mark.browser


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


def test_the_status_line_tells_what_the_filter_lets_through(page: Page) -> None:
    status = page.get_by_role("status")
    seek(page, 140)
    expect(status).to_have_text("At plane 140, 7.000 ms: 1 person, 1 vehicle.")
    page.get_by_role("slider", name="Confidence").fill("0.5")
    expect(status).to_have_text("At plane 140, 7.000 ms: 1 vehicle.")
    page.get_by_role("checkbox", name="vehicle").uncheck()
    expect(status).to_have_text("At plane 140, 7.000 ms: nothing found.")
    page.get_by_role("slider", name="Seek").fill("383")
    expect(status).to_have_text("At the end, plane 383, 19.150 ms: nothing found.")
    page.get_by_role("checkbox", name="vehicle").check()
    expect(status).to_have_text("At the end, plane 383, 19.150 ms: 1 vehicle.")


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


def test_pause_on_detection_stops_at_the_first_plane_of_what_appears(page: Page) -> None:
    page.get_by_role("checkbox", name="Pause on detection").check()
    page.get_by_role("slider", name="Speed").fill("7")
    press(page, "Play/Pause")
    play = page.get_by_role("button", name="Play/Pause")
    expect(page.locator("#clock-plane")).to_have_text("plane 128 of 384")
    expect(play).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("status")).to_contain_text("1 person, 1 vehicle")
    press(page, "Play/Pause")  # the person has been seen by now, though its track has no number
    expect(page.locator("#clock-plane")).to_have_text("plane 383 of 384")


def test_boxes_that_come_after_the_end_take_the_head_back(serve: Serve, visit: Open) -> None:
    page = visit("about:blank")
    slow = SlowService(page)
    slow.keep_back('{"type": "boxes"')
    page.goto(f"http://{serve()}/#clip=demo")
    page.get_by_role("checkbox", name="Pause on detection").check()
    page.get_by_role("slider", name="Speed").fill("60")
    press(page, "Play/Pause")
    expect(page.locator("#clock-plane")).to_have_text("plane 383 of 384")
    expect(page.get_by_role("button", name="Play/Pause")).to_have_attribute("aria-pressed", "false")
    slow.let_go()
    expect(page.locator("#clock-plane")).to_have_text("plane 128 of 384")
    expect(page.get_by_role("status")).to_contain_text("1 person, 1 vehicle")


def box(category: int, track: int) -> list[float]:
    return [0, 0, 9, 9, 0.9, category, track]


@pytest.mark.parametrize(
    ("before", "now", "appears"),
    [
        ([], [box(1, -1)], True),
        ([box(1, 1)], [box(1, 1)], False),
        ([box(1, 1)], [box(1, 1), box(1, -1)], True),
        ([box(1, 1), box(1, -1)], [box(1, 1), box(1, 2)], False),
        ([box(1, 1)], [box(1, 2)], True),
        ([box(1, 1)], [box(2, -1)], True),
        ([box(1, 1)], [], False),
    ],
)
def test_what_appears_is_a_new_track_or_more_of_a_class(
    page: Page, before: list[list[float]], now: list[list[float]], appears: bool
) -> None:
    script = """async ([before, now]) =>
        (await import("/viewer/appearance.js")).hasRisen(before, now)"""
    assert page.evaluate(script, [before, now]) is appears


def test_boxes_on_both_sides_are_those_of_predict(serve: Serve, visit: Open) -> None:
    recording = open_recording("data/demo.dat")
    page = visit("about:blank")
    page.add_init_script(RECORDER)
    page.goto(f"http://{serve(engine=None, models=('nano', 'small'))}/#clip=demo")
    page.get_by_role("combobox", name="Compare").select_option("small")
    windows = {
        name: list(load_detector(name).stream(recording, thresholds=Thresholds(conf=0.25)))
        for name in ("nano", "small")
    }
    for number, (window, _) in enumerate(windows["nano"]):
        plane = window.start + 64
        page.get_by_role("slider", name="Seek").fill(str(plane))
        for canvas, name in (("canvas-a", "nano"), ("canvas-b", "small")):
            wanted = results_of(windows[name][number][1], 0)
            told = page.locator(f"#found tbody tr[data-model={name}]")
            expect(page.locator(f"#{canvas}")).to_have_attribute("data-plane", str(plane))
            expect(page.locator(f"#{canvas}")).not_to_have_attribute(
                "aria-label", re.compile("looking")
            )
            expect(told).to_have_count(len(wanted))
            shown = [json.loads(row.get_attribute("data-box"))[:6] for row in told.all()]
            assert shown == [[*one["bbox"], one["score"], one["category_id"]] for one in wanted]
            marks = canvas.replace("canvas", "marks")
            drawn = stroked_boxes(page, 256, 160, marks)[::-1]  # the surest on top
            assert [index for index, _ in drawn] == [one["category_id"] - 1 for one in wanted]
            for (_, box), one in zip(drawn, wanted, strict=True):
                assert box == pytest.approx(one["bbox"], abs=0.01)


def test_labels_and_trails_are_drawn_where_they_are_wanted(serve: Serve, visit: Open) -> None:
    page = visit("about:blank")
    page.add_init_script(RECORDER)
    page.goto(f"http://{serve()}/#clip=demo")
    expect(rows(page)).to_have_count(1)
    seek(page, 200)
    wait_for_painted(page, "stroke", 1)  # the vehicle's trail: the person has come but now
    labels = [text for *_, (text, *_) in painted(page, "fillText")]
    assert labels == ["vehicle 0.90 #1", "person 0.40 #2"]
    page.get_by_role("checkbox", name="Labels").uncheck()
    wait_for_painted(page, "fillText", 0)
    wait_for_painted(page, "stroke", 1)
    page.get_by_role("checkbox", name="Trails").uncheck()
    wait_for_painted(page, "stroke", 0)
    assert len(stroked_boxes(page, 256, 160)) == 2


def test_vehicles_are_where_they_were_written_down(page: Page) -> None:
    seek(page, 10)
    (row,) = rows(page).all()
    left, top, width, height = json.loads(row.get_attribute("data-box"))[:4]
    (wanted,) = boxes_of("half", 0).xyxy.tolist()
    assert [left, top, left + width, top + height] == wanted
