import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.passes import COOKIE, Passes, take_ticket


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.text(max_size=64))
def test_a_pass_names_its_holder(holder: str) -> None:
    passes = Passes()
    holder = holder.encode("utf-8", "ignore").decode()
    assert passes.holder(passes.issue(holder, COOKIE, 60), COOKIE) == holder


def test_a_pass_ends() -> None:
    clock = Clock()
    passes = Passes(clock)
    given = passes.issue("lab", COOKIE, 60)
    clock.now += 59
    assert passes.holder(given, COOKIE) == "lab"
    clock.now += 1
    assert passes.holder(given, COOKIE) is None


def test_a_pass_of_another_service_is_none() -> None:
    assert Passes().holder(Passes().issue("lab", COOKIE, 60), COOKIE) is None


@given(st.text(max_size=200))
def test_whatever_else_is_shown_is_none(shown: str) -> None:
    assert Passes().holder(shown, COOKIE) is None


@given(st.integers(0, 90), st.integers(1, 17))
def test_a_pass_that_was_touched_is_none(place: int, shift: int) -> None:
    passes, signs = Passes(), "0123456789abcdefz."
    given = passes.issue("lab", COOKIE, 60)
    place %= len(given)
    other = signs[(signs.index(given[place]) + shift) % len(signs)]
    assert passes.holder(given[:place] + other + given[place + 1 :], COOKIE) is None


def test_a_pass_is_good_for_what_it_was_given_for() -> None:
    passes = Passes()
    ticket = passes.issue("lab", "/v1/replay/demo", 60)
    assert passes.holder(ticket, "/v1/replay/demo") == "lab"
    for other in (COOKIE, "/v1/replay/demo2", "/v1/replay/dem", ""):
        assert passes.holder(ticket, other) is None
    assert passes.holder(passes.issue("lab", COOKIE, 60), "/v1/replay/demo") is None


@pytest.mark.parametrize(
    ("kind", "path", "is_taken"),
    [
        ("http", "/v1/jobs/j1/events", True),
        ("websocket", "/anywhere", True),
        ("http", "/v1/jobs/j1", False),
        ("http", "/v1/clips", False),
    ],
)
def test_a_ticket_leaves_the_query_where_it_may_open_something(
    kind: str, path: str, is_taken: bool
) -> None:
    scope = {"type": kind, "path": path, "query_string": b"a=1&ticket=t.1&b"}
    take_ticket(scope)
    assert scope.get("state") == ({"ticket": "t.1"} if is_taken else None)
    assert scope["query_string"] == (b"a=1&b" if is_taken else b"a=1&ticket=t.1&b")
