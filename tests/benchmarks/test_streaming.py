"""Boxes are paired with the planes that they were found in."""

import numpy as np
import pytest

from benchmarks.streaming import BLOCK, RATE_HZ, SETTLED_S, lateness_ms

LENGTH = 128
WRITTEN = [number * BLOCK / RATE_HZ for number in range(round(2 * SETTLED_S * RATE_HZ / BLOCK))]
STARTS = range(0, len(WRITTEN) * BLOCK - LENGTH + 1, LENGTH)


def arrivals(late_s: float) -> dict[int, float]:
    return {start: WRITTEN[(start + LENGTH) // BLOCK - 1] + late_s for start in STARTS}


def test_a_window_is_paired_with_its_own_last_plane_whatever_order_it_comes_in() -> None:
    backwards = dict(reversed(arrivals(0.004).items()))
    late_ms = lateness_ms(backwards, WRITTEN, LENGTH)
    assert np.allclose(late_ms, 4.0)
    assert len(late_ms) == sum(start >= SETTLED_S * RATE_HZ for start in STARTS)


@pytest.mark.parametrize("missing", [0, LENGTH, STARTS[-1]])
def test_a_window_that_never_came_is_noticed(missing: int) -> None:
    arrived = arrivals(0.004)
    del arrived[missing]
    with pytest.raises(AssertionError, match="windows are missing"):
        lateness_ms(arrived, WRITTEN, LENGTH)
