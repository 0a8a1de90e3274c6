"""Recordings that a camera still writes, over a real socket."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from service.in_place import prepare_recording
from tests.service.replay.conftest import Serve, watching
from vidar_det.spikes.m1k40 import PLANE_BYTES
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.stream import Sensor


@pytest.fixture
def folder(clip: Path) -> Path:
    """A folder of one numbered file of 200 planes, and its sidecar."""
    numbered = clip.parent / "numbered"
    numbered.mkdir()
    shutil.copy(clip, numbered / "1.dat")
    shutil.copy(clip.with_suffix(".toml"), clip.parent / "numbered.toml")
    return numbered


def test_a_folder_that_gains_a_file_is_followed(serve: Serve, folder: Path) -> None:
    placed = prepare_recording(folder)
    with watching(serve([placed]), placed.clip_id) as viewer:
        told = viewer.hear("clip")["clip"]
        assert (told["name"], told["planes"], told["is_in_place"]) == ("numbered", 200, True)
        viewer.grant(8)
        viewer.wish(follow=True, models=["nano"])
        assert viewer.hear("boxes", start=128)["count"] == 64
        shutil.copy(folder / "1.dat", folder / "2.dat")
        viewer.hear("grown", planes=400)
        assert viewer.hear("boxes", start=320)["count"] == 64
        while all(shown.plane != 399 for shown, _ in viewer.shown):
            viewer.next()


def test_planes_that_are_lost_while_it_grows_are_told_of(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "square.dat"
    planes = np.random.default_rng(3).integers(0, 2, (6, 1000, 1000), dtype=np.uint8)
    write_recording(path, planes, Sensor(1000, 1000), layout="m1k40")
    recorded = path.read_bytes()
    path.write_bytes(recorded[: 4 * PLANE_BYTES])
    placed = prepare_recording(path)
    with watching(serve([placed]), placed.clip_id) as viewer:
        assert viewer.hear("clip")["clip"]["holes"] == []
        lost = 4 * PLANE_BYTES + 64 * 900
        with path.open("ab") as file:
            file.write(recorded[4 * PLANE_BYTES : lost] + recorded[lost + 64 :])
        assert viewer.hear("grown", planes=5)["holes"] == [[4, 1]]
