import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidar_det.errors import RangeError, SourceError
from vidar_det.spikes.selection import (
    Selection,
    open_source,
    recording_warnings,
    window_grid,
)
from vidar_det.spikes.stream import Hole, RecordingReport, Sensor, SpikeStream


def stream_of(planes: int, holes: tuple[Hole, ...] = ()) -> SpikeStream:
    stream = SpikeStream.from_planes(np.zeros((planes, 2, 2), np.uint8), Sensor(2, 2))
    return dataclasses.replace(stream, holes=holes)


def test_a_selection_runs_to_the_end_unless_it_says_how_far() -> None:
    stream = stream_of(100)
    assert Selection(start=10).span(stream) == (10, 100)
    assert Selection(start=10, planes=20).span(stream) == (10, 30)


@pytest.mark.parametrize(("start", "planes"), [(100, None), (0, 101), (-1, None), (5, 0)])
def test_planes_that_do_not_exist_are_refused(start: int, planes: int | None) -> None:
    with pytest.raises(RangeError, match="found 100 planes, wanted planes"):
        Selection(start, planes).span(stream_of(100))


@given(
    planes=st.integers(1, 60),
    length=st.integers(1, 20),
    stride=st.integers(1, 30),
    cuts=st.sets(st.integers(1, 59), max_size=3),
)
def test_a_grid_counts_the_windows_that_it_gives(
    planes: int, length: int, stride: int, cuts: set[int]
) -> None:
    holes = tuple(Hole(cut, 5) for cut in sorted(cuts) if cut < planes)
    stream = stream_of(planes, holes)
    selection = Selection(window=length, stride=stride)
    windows = list(stream.windows(length, stride))
    if not windows:
        with pytest.raises(RangeError, match="choose a shorter window"):
            window_grid(stream, selection, length=8)
        return
    grid = window_grid(stream, selection, length=8)
    assert [window.start for window in grid] == [window.start for window in windows]
    assert len(grid) == len(windows)
    seen = {plane for window in windows for plane in range(window.start, window.start + length)}
    assert grid.unseen_planes == planes - len(seen)


@given(planes=st.integers(4, 200), most=st.integers(1, 12))
def test_spread_windows_are_few_and_distinct(planes: int, most: int) -> None:
    stream = stream_of(planes, (Hole(planes // 2, 3),) if planes >= 16 else ())
    picked = window_grid(stream, Selection(), length=4).spread(most)
    starts = [window.start for window in picked]
    assert 1 <= len(picked) <= most
    assert starts == sorted(set(starts))


def test_the_job_decides_the_window_where_the_user_does_not() -> None:
    stream = stream_of(100)
    assert window_grid(stream, Selection(), length=16).length == 16
    assert window_grid(stream, Selection(), length=16).stride == 16
    assert window_grid(stream, Selection(window=8, stride=2), length=16).stride == 2


def test_a_window_or_stride_below_one_plane_is_refused() -> None:
    with pytest.raises(RangeError, match="wanted at least 1 plane each"):
        window_grid(stream_of(10), Selection(stride=0), length=4)


def test_a_missing_source_is_named() -> None:
    with pytest.raises(SourceError, match=r"nowhere\.dat: found nothing"):
        open_source("nowhere.dat")


def test_a_file_that_begins_and_ends_anywhere_says_what_it_lost() -> None:
    report = RecordingReport(
        leading_bytes=5, trailing_bytes=6, resyncs=1, lost_planes=2, warnings=("2.dat is empty",)
    )
    stream = dataclasses.replace(stream_of(4), report=report, layout="m1k40")
    warnings = recording_warnings(stream)
    assert warnings[0] == "2.dat is empty"
    assert [warning.split()[0] for warning in warnings[1:]] == ["5", "6", "1", "2"]
