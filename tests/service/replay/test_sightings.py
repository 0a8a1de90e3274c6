import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engines import ModelNote
from service.replay import sightings as module
from service.replay.sightings import Sightings
from vidar_det.detections.boxes import Detections

LENGTH, WINDOWS = 64, 8
MODEL = ModelNote("nano", "1", 9, 2, LENGTH, ("person", "vehicle"))


def seen(start: int) -> Detections:
    """One object that drives to the right, and one that is there from the third window on."""
    rows = [(start / 8, 80, 70 + start / 8, 130)]
    if start >= 2 * LENGTH:
        rows.append((300, 10, 340, 60))
    boxes = np.array(rows, np.float32)
    return Detections(boxes, np.full(len(rows), 0.9, np.float32), np.zeros(len(rows), np.int64))


def tracks(sightings: Sightings, window: int) -> list[int]:
    return [box[6] for box in json.loads(sightings.messages[window * LENGTH])["boxes"]]


def looked_at(windows: list[int], after_gaps: tuple[int, ...] = ()) -> Sightings:
    sightings = Sightings(MODEL)
    for window in windows:
        sightings.add(window * LENGTH, seen(window * LENGTH), after_gaps)
    return sightings


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(WINDOWS)))
def test_tracks_are_the_same_in_whatever_order_windows_are_looked_at(order: list[int]) -> None:
    assert looked_at(order).messages == looked_at(list(range(WINDOWS))).messages


def test_a_window_that_closes_a_gap_renumbers_those_behind_it() -> None:
    sightings = looked_at([0, 1, 3, 4])
    assert [tracks(sightings, one) for one in (0, 1, 3, 4)] == [[-1], [1], [-1, -1], [1, 2]]
    sightings.add(2 * LENGTH, seen(2 * LENGTH))
    assert [tracks(sightings, one) for one in (2, 3, 4)] == [[1, -1], [1, 2], [1, 2]]


def test_tracks_end_where_planes_are_lost() -> None:
    gapless, torn = looked_at([0, 1, 2, 3]), looked_at([0, 1, 2, 3], (2 * LENGTH,))
    assert tracks(gapless, 2) == [1, -1]
    assert tracks(torn, 2) == [-1, -1]


def test_what_was_found_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 3 * 800)
    assert sorted(looked_at([2, 3, 4, 5]).messages) == [3 * LENGTH, 4 * LENGTH, 5 * LENGTH]


def test_no_more_trackers_wait_than_people_watch() -> None:
    sightings = looked_at(list(range(0, 60, 2)))
    assert len(sightings._trackers) == module.KEPT_TRACKERS
    sightings.add(LENGTH, seen(LENGTH))  # its tracker is gone: the stretch is tracked anew
    assert tracks(sightings, 1) == [1]
