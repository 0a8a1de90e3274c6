import dataclasses
import json

import pytest

from vidar_det.detector.spec import EncodingSpec, NeuronSpec, read_spec, size_spec
from vidar_det.errors import ConfigError


@pytest.mark.parametrize("size", ["nano", "small", "medium"])
def test_a_spec_survives_json(size: str) -> None:
    spec = size_spec(size)
    assert read_spec(json.loads(json.dumps(spec.to_mapping())), "memory") == spec


@pytest.mark.parametrize("size", ["nano", "small", "medium"])
def test_all_widths_fill_vector_units(size: str) -> None:
    spec = size_spec(size)
    blocks = (*spec.stages, *spec.top_down, *spec.bottom_up)
    widths = [spec.stem, spec.pool, *spec.lateral]
    widths += [w for block in blocks for w in (block.main, block.bypass, block.out, *block.hidden)]
    widths += [w for head in spec.heads for w in (head.box, head.score)]
    assert all(width % 8 == 0 for width in widths)


def test_the_default_window_is_two_bins_of_64_planes() -> None:
    encoding = EncodingSpec()
    assert (encoding.window, encoding.bins, encoding.planes_per_count) == (128, 4, 32)


def test_an_unknown_size_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'nano'"):
        size_spec("nanno")


def test_an_unknown_key_is_refused() -> None:
    mapping = size_spec("nano").to_mapping() | {"widths": 3}
    with pytest.raises(ConfigError, match="widths"):
        read_spec(mapping, "memory")


@pytest.mark.parametrize(
    "change",
    [{"stages": ()}, {"classes": ("a", "a")}, {"classes": ()}, {"stem": 0}, {"reg_max": 1}],
)
def test_a_spec_that_builds_no_network_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        dataclasses.replace(size_spec("nano"), **change)  # type: ignore[arg-type]  # on purpose


def test_bins_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="do not divide"):
        EncodingSpec(bin_planes=63, parts=2)


def test_a_neuron_without_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match="levels 0"):
        NeuronSpec(levels=0)
