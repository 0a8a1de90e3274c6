from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from vidar_det.config import build_spec, did_you_mean
from vidar_det.errors import ConfigError, RangeError


@dataclass(frozen=True)
class Lens:
    focus_m: float = 1.0
    kind: Literal["prime", "zoom"] = "prime"


@dataclass(frozen=True)
class Camera:
    name: str
    width: int = 4
    cooled: bool = False
    lens: Lens = field(default_factory=Lens)
    span: tuple[float, float] = (0.0, 1.0)
    filters: tuple[Lens, ...] = ()
    gain: float | None = None
    extra: Any = None
    binning: Literal[1, 2] = 1
    trigger: int | str = 0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise RangeError(f"width: found {self.width}, wanted 1 or more")


def test_defaults_fill_what_is_not_named() -> None:
    assert build_spec(Camera, {"name": "a"}, "x.toml") == Camera("a")


def test_nested_tables_lists_and_whole_numbers_are_taken() -> None:
    mapping = {
        "name": "a",
        "lens": {"focus_m": 2, "kind": "zoom"},
        "span": [1, 2],
        "filters": [{"focus_m": 3.0}],
        "gain": 1,
        "extra": object,
    }
    spec = build_spec(Camera, mapping, "x.toml")
    assert spec.lens == Lens(2.0, "zoom")
    assert isinstance(spec.lens.focus_m, float)
    assert spec.span == (1.0, 2.0)
    assert spec.filters == (Lens(3.0),)
    assert spec.gain == 1.0
    assert spec.extra is object


def test_none_is_taken_where_it_may_be() -> None:
    assert build_spec(Camera, {"name": "a", "gain": None}, "x.toml").gain is None


def test_a_finished_spec_is_taken_as_it_is() -> None:
    assert build_spec(Camera, {"name": "a", "lens": Lens(5.0)}, "x.toml").lens == Lens(5.0)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"name": "a", "widht": 3}, "x.toml: unknown key 'widht'; did you mean 'width'"),
        ({"name": "a", "zzz": 3}, "known are binning, cooled"),
        ({}, "key 'name' is missing"),
        ({"name": 3}, "x.toml: name: found 3, wanted str"),
        ({"name": "a", "width": 3.5}, "width: found 3.5, wanted int"),
        ({"name": "a", "width": True}, "width: found True, wanted int"),
        ({"name": "a", "cooled": 1}, "cooled: found 1, wanted bool"),
        ({"name": "a", "lens": 3}, "lens: found 3, wanted a table"),
        ({"name": "a", "lens": {"kind": "prme"}}, "did you mean 'prime'"),
        ({"name": "a", "lens": {"focus": 1}}, "x.toml: lens: unknown key 'focus'"),
        ({"name": "a", "span": [1.0]}, "span: found 1 values, wanted 2"),
        ({"name": "a", "span": "12"}, "span: found '12', wanted a list"),
        ({"name": "a", "filters": [{"focus_m": "near"}]}, "filters[0]: focus_m: found 'near'"),
        ({"name": "a", "gain": "high"}, "gain: found 'high', wanted float"),
        ({"name": "a", "gain": True}, "gain: found True, wanted float"),
        ({"name": "a", "width": None}, "width: found None, wanted int"),
        ({"name": "a", "binning": 3}, "x.toml: binning: 3 is not a choice; known are 1, 2"),
        ({"name": "a", "binning": True}, "binning: True is not a choice"),
        ({"name": "a", "binning": [1]}, "binning: [1] is not a choice"),
        ({"name": "a", "trigger": 0.5}, "trigger: found 0.5, wanted str"),
        ({"name": "a", 7: 3}, "x.toml: unknown key 7; known are"),
        ([], "x.toml: found [], wanted a table"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(mapping: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_spec(Camera, mapping, "x.toml")
    assert words in str(caught.value)


def test_a_union_takes_each_of_its_kinds() -> None:
    for trigger in (3, "rising"):
        assert build_spec(Camera, {"name": "a", "trigger": trigger}, "x.toml").trigger == trigger


def test_what_the_spec_itself_refuses_names_the_source() -> None:
    with pytest.raises(ConfigError, match=r"x\.toml: width: found 0, wanted 1 or more") as caught:
        build_spec(Camera, {"name": "a", "width": 0}, "x.toml")
    assert isinstance(caught.value.__cause__, RangeError)


def test_the_mapping_stays_unchanged() -> None:
    mapping = {"name": "a", "span": [1, 2]}
    build_spec(Camera, mapping, "x.toml")
    assert mapping == {"name": "a", "span": [1, 2]}


def test_a_far_word_lists_what_is_known() -> None:
    assert did_you_mean("zebra", ["b", "a"]) == "; known are a, b"


def test_nothing_known_is_said() -> None:
    assert did_you_mean("zebra", []) == "; none are known"
