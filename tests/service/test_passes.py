from hypothesis import given
from hypothesis import strategies as st

from service.passes import Passes


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.text(max_size=64))
def test_a_pass_names_its_holder(holder: str) -> None:
    passes = Passes()
    holder = holder.encode("utf-8", "ignore").decode()
    assert passes.holder(passes.issue(holder, 60)) == holder


def test_a_pass_ends() -> None:
    clock = Clock()
    passes = Passes(clock)
    given = passes.issue("lab", 60)
    clock.now += 59
    assert passes.holder(given) == "lab"
    clock.now += 1
    assert passes.holder(given) is None


def test_a_pass_of_another_service_is_none() -> None:
    assert Passes().holder(Passes().issue("lab", 60)) is None


@given(st.text(max_size=200))
def test_whatever_else_is_shown_is_none(shown: str) -> None:
    assert Passes().holder(shown) is None


@given(st.data())
def test_a_pass_that_was_touched_is_none(data: st.DataObject) -> None:
    passes = Passes()
    given = passes.issue("lab", 60)
    place = data.draw(st.integers(0, len(given) - 1))
    other = data.draw(st.sampled_from("0123456789abcdefz.").filter(lambda one: one != given[place]))
    assert passes.holder(given[:place] + other + given[place + 1 :]) is None
