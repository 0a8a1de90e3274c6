from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import FormatError, GeometryError
from vidar_det.spikes.bytespan import ByteSpan
from vidar_det.spikes.guess import array_shape, guess_array_layout, row_correlation
from vidar_det.spikes.layouts import plane_format
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream


def smooth_planes(count: int, width: int, height: int) -> np.ndarray:
    """Spikes of a smooth picture that looks different in every part."""
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    rates = 0.3 + 0.25 * np.sin(5 * x + 3 * y) * np.cos(7 * y * y - 4 * x)
    charge = np.random.default_rng(2).random((height, width))
    spikes = np.empty((count, height, width), np.uint8)
    for plane in spikes:
        charge += rates
        plane[:] = charge >= 1
        charge -= plane
    return spikes


def packed_bytes(layout: str, count: int, width: int, height: int) -> bytes:
    form = plane_format(layout, width, height)
    return form.pack(smooth_planes(count, width, height)).tobytes()


def opened(folder: Path, data: bytes, **options: object) -> SpikeStream:
    path = folder / "clip.dat"
    path.write_bytes(data)
    return open_recording(path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layout", "count", "width", "height"),
    [
        ("plain", 67, 400, 250),
        ("row-padded", 67, 400, 250),
        ("plain", 100, 400, 250),
        ("plain", 64, 800, 500),
        ("plain", 65, 640, 480),
        ("plain", 61, 600, 400),
    ],
)
def test_size_and_pixels_tell_the_known_geometries(
    tmp_path: Path, layout: str, count: int, width: int, height: int
) -> None:
    stream = opened(tmp_path, packed_bytes(layout, count, width, height))
    assert stream.shape == (count, height, width)
    assert stream.layout == layout
    assert stream.report.warnings == ()


def test_two_layouts_of_one_geometry_that_fit_are_refused_and_both_named(tmp_path: Path) -> None:
    data = packed_bytes("plain", 26, 400, 250)
    for options in ({}, {"width": 400, "height": 250}):
        with pytest.raises(GeometryError) as caught:
            opened(tmp_path, data, **options)
        assert "plain 400x250 (12500-byte planes)" in str(caught.value)
        assert "row-padded 400x250 (13000-byte planes)" in str(caught.value)
    assert opened(tmp_path, data, layout="plain").shape == (26, 250, 400)


def test_two_geometries_that_no_picture_tells_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match=r"400x250.* and .*800x500|800x500.* and .*400x250"):
        opened(tmp_path, np.random.default_rng(0).bytes(64 * 50_000))


def test_a_size_that_fits_no_geometry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match=r"clip\.dat: found 250001 bytes.*640x480"):
        opened(tmp_path, bytes(250_001))


def test_a_trailing_partial_plane_is_dropped_and_reported_where_the_geometry_is_given(
    tmp_path: Path,
) -> None:
    data = packed_bytes("row-padded", 40, 400, 250)[:-5_000]
    stream = opened(tmp_path, data, width=400, height=250)
    assert (stream.layout, len(stream)) == ("row-padded", 39)
    assert stream.report.trailing_bytes == 8_000
    stream = opened(tmp_path, data, width=400, height=250, layout="plain")
    assert stream.report.trailing_bytes == len(data) % 12_500
    assert any("row-padded 400x250" in warning for warning in stream.report.warnings)


def test_a_width_alone_picks_among_known_geometries(tmp_path: Path) -> None:
    assert opened(tmp_path, packed_bytes("plain", 5, 640, 480), width=640).shape == (5, 480, 640)
    with pytest.raises(GeometryError, match="width 123"):
        opened(tmp_path, bytes(50_000), width=123)


def test_a_guess_that_the_pixels_do_not_confirm_is_doubted(tmp_path: Path) -> None:
    stream = opened(tmp_path, np.random.default_rng(0).bytes(67 * 12_500))
    assert stream.shape == (67, 250, 400)
    assert "guessed from the size alone" in stream.report.warnings[0]


def test_less_than_a_plane_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="found 100 bytes"):
        opened(tmp_path, bytes(100))
    with pytest.raises(FormatError, match="found 12499 bytes"):
        opened(tmp_path, bytes(12_499), width=400, height=250, layout="plain")


def test_a_picture_without_contrast_has_no_correlation(tmp_path: Path) -> None:
    (tmp_path / "dark.dat").write_bytes(bytes(25_000))
    form = plane_format("plain", 400, 250)
    assert np.isnan(row_correlation(ByteSpan([tmp_path / "dark.dat"]), form))


@pytest.mark.parametrize(
    ("shape", "binary", "length", "options", "layout", "seen"),
    [
        ((250, 400, 500), True, None, RecordingOptions(), "array-hwt", (500, 250, 400)),
        ((500, 250, 400), True, None, RecordingOptions(), "array-thw", (500, 250, 400)),
        ((9, 3, 5), True, None, RecordingOptions(5, 3), "array-thw", (9, 3, 5)),
        ((2, 3, 5), False, 13, RecordingOptions(), "time-packed", (13, 3, 5)),
        ((2, 3, 5), True, 13, RecordingOptions(), "time-packed", (13, 3, 5)),
        ((2, 3, 5), False, None, RecordingOptions(5, 3), "time-packed", (16, 3, 5)),
        ((2, 3, 5), False, None, RecordingOptions(37, 3), "row-packed", (2, 3, 37)),
        (
            (4, 4, 4),
            True,
            None,
            RecordingOptions(layout="array-hwt"),
            "array-hwt",
            (4, 4, 4),
        ),
    ],
)
def test_an_array_is_read_in_the_only_way_that_fits(
    shape: tuple[int, int, int],
    binary: bool,
    length: int | None,
    options: RecordingOptions,
    layout: str,
    seen: tuple[int, int, int],
) -> None:
    assert guess_array_layout(shape, binary, length, options, "a.npy") == (layout, seen)


@pytest.mark.parametrize(
    ("shape", "binary", "length", "options", "words"),
    [
        ((50, 250, 400), False, None, RecordingOptions(), ("time-packed", "row-packed")),
        ((40, 30, 20), True, None, RecordingOptions(), ("array-thw", "array-hwt")),
        ((40, 30, 20), True, None, RecordingOptions(400, 250), ("400", "250")),
        ((40, 30, 20), True, None, RecordingOptions(400, 250, "array-thw"), ("array-thw",)),
        ((2, 3, 5), False, 99, RecordingOptions(layout="time-packed"), ("99",)),
    ],
)
def test_an_array_that_fits_no_way_or_several_is_refused(
    shape: tuple[int, int, int],
    binary: bool,
    length: int | None,
    options: RecordingOptions,
    words: tuple[str, ...],
) -> None:
    with pytest.raises(GeometryError) as caught:
        guess_array_layout(shape, binary, length, options, "a.npy")
    assert all(word in str(caught.value) for word in words)


def test_a_width_that_is_no_multiple_of_eight_is_taken_where_it_fits() -> None:
    assert array_shape("row-packed", (4, 3, 2), None, 13) == (4, 3, 13)
    assert array_shape("row-packed", (4, 3, 2), None, 99) == (4, 3, 16)
