import numpy as np
import pytest

from service.problems import Problem
from service.replay.pictures import Lightbox, span_around
from service.replay.protocol import PLANES, VIEWS, Shown, View, pack, unpack
from service.replay.strip import rate_strip
from vidar_det.spikes.reconstruction import texture_from_intervals, to_grey8
from vidar_det.spikes.stores import ArrayStore
from vidar_det.spikes.stream import Hole, Sensor, SpikeStream, SpikeWindow


@pytest.fixture
def stream() -> SpikeStream:
    """Ninety planes of 13x5, of which some are lost before plane 40."""
    planes = (np.random.default_rng(0).random((90, 5, 13)) < 0.3).astype(np.uint8)
    return SpikeStream(ArrayStore(planes, "made up"), Sensor(13, 5), holes=(Hole(40, 7),))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("plane", [0, 39, 40, 89])
@pytest.mark.parametrize("window", [1, 30, 65_535])
def test_a_picture_counts_no_planes_across_a_gap(
    stream: SpikeStream, view: View, plane: int, window: int
) -> None:
    start, count = span_around(stream, view, plane, window)
    assert start <= plane < start + count
    assert (start + count <= 40) == (plane < 40)
    SpikeWindow(stream, start, count)
    shown, picture = Lightbox(stream).draw(view, plane, window)
    assert (shown.start, shown.count, shown.size) == (start, count, (13, 5))
    assert picture.shape[:2] == (5, 13)


def test_brightness_stays_the_same_over_a_recording(stream: SpikeStream) -> None:
    box = Lightbox(stream)
    _, picture = box.draw("tfi", 10, 30)
    start, count = span_around(stream, "tfi", 10, 30)
    wanted = texture_from_intervals(SpikeWindow(stream, start, count), 10 - start)
    np.testing.assert_array_equal(picture, to_grey8(wanted, box.white))


def test_bits_are_rows_of_whole_bytes(stream: SpikeStream) -> None:
    shown, payload = Lightbox(stream).bits(3, 2)
    rows = np.frombuffer(payload, np.uint8).reshape(2, 5, 2)
    bits = np.unpackbits(rows, axis=2, bitorder="little")
    np.testing.assert_array_equal(bits[:, :, :13], stream[3:5])
    assert shown == Shown(PLANES, "raw", 3, 3, 2, (13, 5), 2)


def test_one_message_holds_so_many_planes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.replay.pictures.MOST_PACKED_BYTES", 25)
    planes = SpikeStream.from_planes(np.ones((9, 5, 13), np.uint8), Sensor(13, 5))
    shown, payload = Lightbox(planes).bits(0, 9)
    assert (shown.count, len(payload)) == (2, 20)


@pytest.mark.parametrize("message", [b"", bytes(40), bytes(39)])
def test_what_is_no_message_is_refused(message: bytes) -> None:
    with pytest.raises(Problem):
        unpack(message)


def test_a_message_that_was_cut_is_refused() -> None:
    message = pack(Shown(PLANES, "raw", 0, 0, 1, (8, 1), 1), 1, b"ab")
    with pytest.raises(Problem):
        unpack(message[:-1])


def test_the_strip_of_a_long_recording_reads_a_part_of_it() -> None:
    planes = np.zeros((20_000, 2, 2), np.uint8)
    planes[10_000:] = 1
    pieces = list(rate_strip(SpikeStream.from_planes(planes, Sensor(2, 2))))
    rates = [rate for piece in pieces for rate in piece.rates]
    assert len(rates) == pieces[0].columns == 512
    assert [piece.first for piece in pieces] == list(range(0, 512, 32))
    assert rates == [0.0] * 256 + [1.0] * 256
