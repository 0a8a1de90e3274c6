import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.replay.player import LATE_S, Pace, Player

planes = st.integers(1, 10**7)


@given(planes, st.floats(0, 20_000), st.integers(0, 10**8), st.floats(0, 1e6))
def test_the_head_never_leaves_the_recording(
    count: int, speed: float, plane: int, now: float
) -> None:
    assert 0 <= Player(count, speed, plane, since=10.0).at(now) < count


@given(planes, st.floats(1, 20_000), st.floats(0, 1e4), st.data())
def test_the_head_never_leaves_its_loop(
    count: int, speed: float, seconds: float, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, count - 1))
    last = data.draw(st.integers(first + 1, count + 5))
    player = Player(count, speed, first, since=0.0, loop=(first, last))
    assert first <= player.at(seconds) < max(first + 1, last)
    assert not player.has_ended(seconds)


def test_a_head_that_stands_still_stays() -> None:
    player = Player(100, 0.0, 30)
    assert (player.at(0.0), player.at(1e6), player.has_ended(1e6)) == (30, 30, False)


def test_in_a_longer_recording_the_head_goes_on_from_where_it_is() -> None:
    player = Player(100, 10.0, 0).grown(200, now=9.0)
    assert (player.at(9.0), player.at(19.0)) == (90, 190)
    assert player.grown(50, now=19.0).at(19.0) == 49


def test_a_picture_that_is_a_little_late_is_still_the_one_that_was_due() -> None:
    pace = Pace(due=1.0)
    taken = [pace.take(now, fps=50.0) for now in (1.0, 1.045, 1.045, 1.045)]
    assert taken == pytest.approx([1.0, 1.02, 1.04, None])


def test_what_is_very_late_is_left_out() -> None:
    pace = Pace(due=1.0)
    assert pace.take(9.0, fps=50.0) == pytest.approx(9.0 - LATE_S)
    assert pace.due == pytest.approx(9.02 - LATE_S)
