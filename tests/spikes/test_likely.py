from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import SourceError
from vidar_det.spikes.layouts import plane_format
from vidar_det.spikes.likely import likely_geometries
from vidar_det.spikes.sidecar import Layout, RecordingOptions


def write(path: Path, layout: Layout, width: int, height: int) -> Path:
    """Thirty planes of a picture that grows brighter to the right and darker below."""
    generator = np.random.default_rng(0)
    light = np.linspace(0.1, 0.9, width)[None, :] * np.linspace(1, 0.2, height)[:, None]
    planes = (generator.random((30, height, width)) < light).astype(np.uint8)
    path.write_bytes(plane_format(layout, width, height).pack(planes).tobytes())
    return path


@pytest.mark.parametrize(
    ("layout", "width", "height"),
    [
        ("plain", 400, 250),
        ("plain", 800, 500),
        ("plain", 600, 400),
        ("plain", 640, 480),
        ("row-padded", 400, 250),
    ],
)
def test_the_right_geometry_comes_first(
    tmp_path: Path, layout: Layout, width: int, height: int
) -> None:
    path = write(tmp_path / "clip.dat", layout, width, height)
    best = likely_geometries(path)[0]
    assert (best.layout, best.width, best.height) == (layout, width, height)
    assert (best.planes, best.trailing_bytes) == (30, 0)


def test_a_geometry_of_the_users_own_is_judged_too(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.dat", "plain", 512, 128)
    assert likely_geometries(path, RecordingOptions(width=512, height=128))[0].width == 512


def test_a_beginning_is_judged_by_the_whole_size(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.dat", "plain", 400, 250)
    assert likely_geometries(path, size_bytes=12_500_007)[0].planes == 1000
    assert likely_geometries(path, size_bytes=12_500_007)[0].trailing_bytes == 7


def test_less_than_a_plane_has_no_geometry(tmp_path: Path) -> None:
    (tmp_path / "clip.dat").write_bytes(b"short")
    assert likely_geometries(tmp_path / "clip.dat") == ()


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.dat").touch()
    with pytest.raises(SourceError):
        likely_geometries(tmp_path / "clip.dat")
