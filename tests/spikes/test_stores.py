from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import FormatError
from vidar_det.spikes import stores
from vidar_det.spikes.bytespan import ByteSpan
from vidar_det.spikes.layouts import FLIPS, flipped, plane_format
from vidar_det.spikes.stores import ArrayStore, MemoryBytes, PackedStore, Run, TimePackedStore

RNG_SEED = 4


def random_planes(*shape: int) -> np.ndarray:
    return np.random.default_rng(RNG_SEED).integers(0, 2, shape, dtype=np.uint8)


def sums(planes: np.ndarray, bins: int) -> np.ndarray:
    return planes.reshape(bins, -1, *planes.shape[1:]).sum(axis=1)


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.parametrize(("layout", "width"), [("plain", 7), ("plain", 16), ("row-padded", 40)])
def test_packed_planes_are_decoded_and_counted_upright(layout: str, width: int, flip: str) -> None:
    upright = random_planes(24, 5, width)
    form = plane_format(layout, width, 5)
    packed = form.pack(flipped(upright, flip))
    store = PackedStore(MemoryBytes(packed), form, [Run(0, 24)], flip)
    assert store.shape == (24, 5, width)
    assert np.array_equal(store.decode(3, 20), upright[3:20])
    counts = store.counts(4, 24, 5)
    assert counts.flags.c_contiguous
    assert np.array_equal(counts, sums(upright[4:], 5))


def test_runs_pieces_and_file_borders_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upright = random_planes(30, 4, 8)
    form = plane_format("plain", 8, 4)
    packed = form.pack(upright)
    data = packed[:11].tobytes() + b"junk" + packed[11:].tobytes()
    borders = [0, 5, 6, 42, 61, len(data)]
    paths = [tmp_path / f"{index}.dat" for index in range(len(borders) - 1)]
    for index, path in enumerate(paths):
        path.write_bytes(data[borders[index] : borders[index + 1]])
    monkeypatch.setattr(stores, "PIECE_BYTES", 3 * form.plane_bytes)
    store = PackedStore(ByteSpan(paths), form, [Run(0, 11), Run(48, 19)], "none")
    assert np.array_equal(store.decode(0, 30), upright)
    assert np.array_equal(store.counts(0, 30, 2), sums(upright, 2))
    store.release(0, 30)
    assert np.array_equal(store.counts(5, 23, 9), sums(upright[5:23], 9))


def test_time_packed_planes_are_cut_at_any_plane() -> None:
    planes = random_planes(29, 3, 5)
    packed = np.packbits(planes, axis=0, bitorder="little")
    store = TimePackedStore(packed, 29)
    for start, stop, bins in ((0, 29, 1), (3, 27, 4), (5, 7, 2), (8, 16, 1), (1, 29, 28)):
        assert np.array_equal(store.decode(start, stop), planes[start:stop])
        assert np.array_equal(store.counts(start, stop, bins), sums(planes[start:stop], bins))


def test_unpacked_planes_may_have_time_last_and_fill_long_bins() -> None:
    planes = np.ascontiguousarray(random_planes(3, 5, 600))
    planes[0, 0] = 1
    store = ArrayStore(planes.transpose(2, 0, 1), "array")
    counts = store.counts(0, 600, 1)
    assert counts[0, 0, 0] == 600
    assert np.array_equal(counts, sums(planes.transpose(2, 0, 1), 1))


def test_a_value_beside_0_and_1_is_refused_where_it_is_read() -> None:
    planes = random_planes(10, 3, 5)
    planes[7, 1, 1] = 9
    store = ArrayStore(planes, "clip.npy")
    assert np.array_equal(store.decode(0, 7), planes[:7])
    with pytest.raises(FormatError, match=r"clip\.npy: found the value 9"):
        store.counts(0, 10, 1)
