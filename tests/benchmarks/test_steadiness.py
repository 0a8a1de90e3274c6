"""How late windows are at least follows from when pieces of arithmetic were done."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.steadiness import lateness_s, record_pieces, slowness

PIECE_S, PIECES = 0.001, 4000
EVEN = np.arange(1, PIECES + 1) * PIECE_S


def with_a_bout(begin: int, count: int, times: float) -> NDArray[np.float64]:
    """Pieces of which some in a row are so many times slower."""
    took = np.full(PIECES, PIECE_S)
    took[begin : begin + count] *= times
    return np.cumsum(took)


def test_on_an_even_machine_windows_take_what_they_cost() -> None:
    late = lateness_s([EVEN, EVEN], cost_s=0.005, interval_s=0.004)
    assert np.allclose(late, 0.005)
    assert len(late) > 900
    np.testing.assert_allclose(slowness([EVEN], 0.005), (1.0, 1.0))


def test_windows_pile_up_behind_a_core_that_is_too_slow() -> None:
    late = lateness_s([EVEN], cost_s=0.005, interval_s=0.004)
    assert np.allclose(np.diff(late), 0.001)


def test_one_slow_bout_makes_those_behind_it_late_until_they_have_caught_up() -> None:
    slow = with_a_bout(1000, 20, 10.0)  # 0.2 s for what takes 0.02 s
    late = lateness_s([slow], cost_s=0.004, interval_s=0.008)
    assert np.median(late) < 0.005
    assert 0.15 < late.max() < 0.2
    assert np.all(np.diff(late[late.argmax() :]) <= 1e-9)
    np.testing.assert_allclose(slowness([slow], 0.005), (1.0, 10.0))


def test_a_second_core_takes_what_a_slow_one_cannot() -> None:
    slow = with_a_bout(1000, 20, 10.0)
    late = lateness_s([slow, EVEN], cost_s=0.004, interval_s=0.008)
    assert late.max() < 0.02  # one window was on the slow core, none behind it


def test_pieces_are_done_one_after_the_other_on_every_core() -> None:
    ends = record_pieces(0.05)
    assert len(ends) >= 1
    for end in ends:
        assert np.all(np.diff(end) > 0)
        assert end[-1] >= 0.05
