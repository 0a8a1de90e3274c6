"""Counts from packed planes, proved against np.unpackbits."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidar_det.errors import RangeError, ShapeError
from vidar_det.spikes.counts import bin_length, count_packed, count_rows


def random_planes(seed: int, planes: int, plane_bytes: int) -> NDArray[np.uint8]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (planes, plane_bytes), dtype=np.uint8)


def unpacked_counts(packed: NDArray[np.uint8], bins: int) -> NDArray[np.uint16]:
    planes = np.unpackbits(packed, axis=1, bitorder="little")
    return planes.reshape(bins, -1, planes.shape[1]).sum(axis=1, dtype=np.uint32).astype(np.uint16)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    bins=st.integers(1, 4),
    planes=st.integers(1, 40),
    plane_bytes=st.integers(1, 70),
)
def test_counts_equal_unpacked_sums(seed: int, bins: int, planes: int, plane_bytes: int) -> None:
    packed = random_planes(seed, bins * planes, plane_bytes)
    before = packed.copy()
    counts = count_packed(packed, bins)
    assert counts.shape == (bins, plane_bytes * 8)
    assert counts.dtype == np.uint16
    assert counts.flags.c_contiguous
    np.testing.assert_array_equal(counts, unpacked_counts(before, bins))
    np.testing.assert_array_equal(packed, before)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 63, 64, 65, 239, 240, 241, 255, 256, 1000])
@pytest.mark.parametrize("plane_bytes", [1, 7, 8, 9, 50])
def test_every_bin_length_is_exact(length: int, plane_bytes: int) -> None:
    packed = random_planes(length, 2 * length, plane_bytes)
    np.testing.assert_array_equal(count_packed(packed, 2), unpacked_counts(packed, 2))


@pytest.mark.parametrize("length", [255, 256, 65_535])
def test_a_pixel_that_always_fires_counts_every_plane(length: int) -> None:
    counts = count_packed(np.full((length, 9), 255, np.uint8), 1)
    assert (counts == length).all()


@pytest.mark.parametrize("plane_bytes", [16_384, 16_385, 40_003])
def test_planes_wider_than_one_block_are_exact(plane_bytes: int) -> None:
    packed = random_planes(plane_bytes, 34, plane_bytes)
    np.testing.assert_array_equal(count_packed(packed, 2), unpacked_counts(packed, 2))


def test_the_first_pixel_is_the_lowest_bit() -> None:
    counts = count_packed(np.array([[0b0000_0001, 0b1000_0000]], np.uint8), 1)
    assert np.flatnonzero(counts[0]).tolist() == [0, 15]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 7),
    row_bytes=st.integers(1, 9),
    planes=st.integers(1, 20),
    flip_ud=st.booleans(),
    flip_lr=st.booleans(),
    data=st.data(),
)
def test_rows_stand_upright(
    seed: int,
    rows: int,
    row_bytes: int,
    planes: int,
    flip_ud: bool,
    flip_lr: bool,
    data: st.DataObject,
) -> None:
    width = data.draw(st.integers(1, row_bytes * 8))
    footer = data.draw(st.integers(0, 5))
    packed = random_planes(seed, 2 * planes, rows * row_bytes + footer)
    whole = unpacked_counts(packed[:, : rows * row_bytes], 2).reshape(2, rows, row_bytes * 8)
    wanted = whole[:, :, :width]
    wanted = wanted[:, ::-1] if flip_ud else wanted
    wanted = wanted[:, :, ::-1] if flip_lr else wanted
    counts = count_rows(packed, 2, rows, row_bytes, width, flip_ud, flip_lr)
    assert counts.flags.c_contiguous
    np.testing.assert_array_equal(counts, wanted)


@pytest.mark.parametrize("flip_lr", [False, True])
def test_a_long_bin_adds_to_flipped_rows(flip_lr: bool) -> None:
    packed = random_planes(0, 700, 6)
    whole = unpacked_counts(packed, 1).reshape(1, 3, 16)[:, ::-1]
    wanted = whole[:, :, ::-1] if flip_lr else whole
    np.testing.assert_array_equal(count_rows(packed, 1, 3, 2, 16, True, flip_lr), wanted)


@pytest.mark.parametrize("offset", range(9))
@pytest.mark.parametrize("plane_bytes", [5, 8, 24, 29])
def test_unaligned_and_spaced_planes_are_exact(offset: int, plane_bytes: int) -> None:
    memory = random_planes(offset, 40, 64)
    view = memory[::2, offset : offset + plane_bytes]
    np.testing.assert_array_equal(count_packed(view, 4), unpacked_counts(view, 4))


def test_planes_in_reverse_order_are_exact() -> None:
    view = random_planes(3, 34, 21)[::-1]
    np.testing.assert_array_equal(count_packed(view, 2), unpacked_counts(view, 2))


def test_a_read_only_memory_map_with_a_header_is_counted_in_place(tmp_path: Path) -> None:
    packed = random_planes(5, 33, 13)
    path = tmp_path / "planes.bin"
    path.write_bytes(b"abc" + packed.tobytes())
    mapped = np.memmap(path, np.uint8, "r", offset=3, shape=packed.shape)
    np.testing.assert_array_equal(count_packed(mapped, 3), unpacked_counts(packed, 3))


def test_a_writable_array_stays_writable() -> None:
    packed = random_planes(0, 4, 8)
    count_packed(packed, 1)
    assert packed.flags.writeable


@pytest.mark.parametrize("bins", [0, -1, 3, 11])
def test_bins_that_do_not_divide_the_planes_are_refused(bins: int) -> None:
    with pytest.raises(RangeError, match=f"found {bins} for 10 planes"):
        count_packed(np.zeros((10, 4), np.uint8), bins)


def test_no_planes_make_no_bins() -> None:
    with pytest.raises(RangeError, match="for 0 planes"):
        count_packed(np.zeros((0, 4), np.uint8), 1)


def test_a_bin_that_would_overflow_is_refused() -> None:
    with pytest.raises(RangeError, match="65536 planes"):
        count_packed(np.zeros((65_536, 1), np.uint8), 1)


def test_bin_length_divides_evenly() -> None:
    assert bin_length(256, 4) == 64


@pytest.mark.parametrize(
    "packed",
    [
        np.zeros(8, np.uint8),
        np.zeros((2, 8), np.uint16),
        np.zeros((2, 0), np.uint8),
        np.zeros((2, 8), np.uint8)[:, ::2],
        np.zeros((8, 2), np.uint8).T,
        [[1, 2]],
    ],
)
def test_arrays_that_are_no_packed_planes_are_refused(packed: NDArray[np.uint8]) -> None:
    with pytest.raises(ShapeError, match="packed planes"):
        count_packed(packed, 1)


@pytest.mark.parametrize(
    ("rows", "row_bytes", "width"), [(0, 4, 8), (3, 4, 8), (2, 4, 33), (2, 4, 0)]
)
def test_rows_that_planes_do_not_hold_are_refused(rows: int, row_bytes: int, width: int) -> None:
    with pytest.raises(ShapeError, match="8 bytes each"):
        count_rows(np.zeros((1, 8), np.uint8), 1, rows, row_bytes, width)
