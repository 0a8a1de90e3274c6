import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidar_det.errors import ConfigError, GeometryError
from vidar_det.spikes.layouts import FLIPS, check_layout, flipped, plane_format, resolve_flip


@pytest.mark.parametrize(
    ("layout", "width", "height", "plane_bytes", "row_bytes"),
    [
        ("plain", 400, 250, 12_500, 50),
        ("plain", 7, 5, 5, None),
        ("row-padded", 400, 250, 13_000, 52),
        ("row-packed", 13, 2, 4, 2),
        ("m1k40", 1000, 1000, 128_000, None),
    ],
)
def test_a_layout_knows_its_plane(
    layout: str, width: int, height: int, plane_bytes: int, row_bytes: int | None
) -> None:
    form = plane_format(layout, width, height)
    assert (form.plane_bytes, form.row_bytes) == (plane_bytes, row_bytes)


@settings(max_examples=20, deadline=None)
@given(
    layout=st.sampled_from(["plain", "row-padded", "row-packed"]),
    width=st.integers(1, 40),
    height=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_planes_survive_packing(layout: str, width: int, height: int, seed: int) -> None:
    planes = np.random.default_rng(seed).integers(0, 2, (3, height, width), dtype=np.uint8)
    form = plane_format(layout, width, height)
    packed = form.pack(planes)
    assert packed.shape == (3, form.plane_bytes)
    assert np.array_equal(form.unpack(packed), planes)


@pytest.mark.parametrize(
    ("layout", "width", "height", "byte", "bit"),
    [
        ("plain", 400, 250, (3 * 400 + 13) // 8, 5),
        ("row-padded", 400, 250, 3 * 52 + 1, 5),
        ("row-packed", 21, 9, 3 * 3 + 1, 5),
        ("plain", 21, 9, (3 * 21 + 13) // 8, (3 * 21 + 13) % 8),
        ("m1k40", 1000, 1000, 3 * 128 + 1, 5),
    ],
)
def test_one_lit_pixel_lies_in_its_bit(
    layout: str, width: int, height: int, byte: int, bit: int
) -> None:
    form = plane_format(layout, width, height)
    packed = np.zeros((1, form.plane_bytes), np.uint8)
    packed[0, byte] = 1 << bit
    assert np.argwhere(form.unpack(packed)).tolist() == [[0, 3, 13]]


def test_the_right_half_of_an_m1k40_row_is_its_second_block() -> None:
    packed = np.zeros((1, 128_000), np.uint8)
    packed[0, 3 * 128 + 64] = 1
    packed[0, 3 * 128 + 62] = 0b0001_1000  # pixel 499, and a bit of the trailer
    unpacked = plane_format("m1k40", 1000, 1000).unpack(packed)
    assert np.argwhere(unpacked).tolist() == [[0, 3, 499], [0, 3, 500]]


def test_flips_undo_themselves_and_name_their_axis() -> None:
    picture = np.arange(6).reshape(1, 2, 3)
    assert flipped(picture, "ud")[0, 0].tolist() == [3, 4, 5]
    assert flipped(picture, "lr")[0, 0].tolist() == [2, 1, 0]
    assert flipped(picture, "both")[0, 0].tolist() == [5, 4, 3]
    for flip in FLIPS:
        assert np.array_equal(flipped(flipped(picture, flip), flip), picture)


def test_auto_flip_follows_the_container() -> None:
    assert [resolve_flip("auto", name) for name in ("plain", "row-padded", "m1k40")] == ["ud"] * 3
    assert resolve_flip("auto", "time-packed") == "none"
    assert resolve_flip("lr", "plain") == "lr"
    with pytest.raises(ConfigError, match="'both'"):
        resolve_flip("bothh", "plain")


def test_impossible_layouts_are_refused() -> None:
    with pytest.raises(GeometryError, match="row-padded"):
        check_layout("row-paded")
    with pytest.raises(GeometryError, match="1000x1000"):
        plane_format("m1k40", 400, 250)
    with pytest.raises(GeometryError, match="0x250"):
        plane_format("plain", 0, 250)
    with pytest.raises(GeometryError, match="no packed planes"):
        plane_format("array-thw", 4, 4)
