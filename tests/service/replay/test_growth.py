"""Recordings that a camera still writes, over a real socket."""

import shutil
from pathlib import Path

import pytest

from service.in_place import prepare_recording
from tests.service.replay.conftest import Serve, watching


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
