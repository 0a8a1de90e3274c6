"""Side by side, and yet in order."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidar_det.detector.pipeline import work_in_order


@given(count=st.integers(0, 40), workers=st.integers(1, 5))
def test_every_item_comes_back_once_and_in_order(count: int, workers: int) -> None:
    found = list(work_in_order(range(count), lambda number: number * 2, workers))
    assert found == [(number, number * 2) for number in range(count)]


def test_items_are_worked_on_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=30)
    assert [result for _, result in work_in_order([0, 1], lambda _: meeting.wait() >= 0, 2)] == [
        True,
        True,
    ]


def test_a_slow_reader_holds_the_source_back() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = work_in_order(source(), lambda number: number, workers=3)
    for asked in range(1, 5):
        next(results)
        assert len(taken) <= 2 * 3 + asked
    results.close()  # type: ignore[attr-defined]  # a generator


@pytest.mark.parametrize("workers", [1, 3])
def test_a_failure_comes_in_its_place_and_ends_the_rest(workers: int) -> None:
    done: list[int] = []

    def work(number: int) -> int:
        if number == 4:
            raise ZeroDivisionError
        done.append(number)
        return number

    results = work_in_order(range(1000), work, workers)
    assert [next(results)[1] for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert max(done) < 50


@pytest.mark.parametrize("workers", [1, 3])
def test_what_was_begun_comes_before_the_failure_of_the_source(workers: int) -> None:
    def source() -> Iterator[int]:
        yield from range(9)
        raise ZeroDivisionError

    found = []
    with pytest.raises(ZeroDivisionError):
        found.extend(result for _, result in work_in_order(source(), lambda one: one, workers))
    assert found == list(range(9))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_where_nothing_has_come_the_walk_ends_once_nothing_is_worked_on(workers: int) -> None:
    source = iter([0, 1, *[None] * 9, 2])
    found = list(work_in_order(source, lambda number: number + 1, workers))
    assert found == [(0, 1), (1, 2)]


def test_what_comes_while_others_are_worked_on_follows_them() -> None:
    came: list[int | None] = [0, 1]

    def source() -> Iterator[int | None]:
        while True:
            yield came.pop(0) if came else None

    found: list[int] = []
    for item, _ in work_in_order(source(), lambda number: number, workers=2):
        found.append(item)
        if item == 0:
            came.extend([2, 3])
    assert found == [0, 1, 2, 3]
