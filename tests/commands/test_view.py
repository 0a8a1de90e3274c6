"""The command that opens a browser on a recording."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from service.in_place import prepare_recording
from service.settings import Settings
from service.spool import Spool
from vidar_det.cli import app
from vidar_det.commands.view import default_models, free_folder
from vidar_det.errors import GeometryError, SourceError
from vidar_det.spikes.sidecar import RecordingOptions


@pytest.mark.parametrize("name", ["clip.dat", "numbered"])
def test_a_recording_is_served_in_place_until_the_command_is_told_to_stop(
    clip: Path, tmp_path: Path, name: str
) -> None:
    recording = clip.with_name(name)
    if recording != clip:
        recording.mkdir()
        shutil.copy(clip, recording / "1.dat")
        shutil.copy(clip.with_suffix(".toml"), clip.with_name("numbered.toml"))
    environment = os.environ | {"VIDAR_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "vidar_det", "view", str(recording), "--no-browser"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--weights", "nano"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        address, _, clip_id = url.partition("/#clip=")
        page = httpx.get(f"{address}/", timeout=60)
        assert "text/html" in page.headers["content-type"]
        assert "script-src 'self'" in page.headers["content-security-policy"]
        described = httpx.get(f"{address}/v1/clips/{clip_id}", timeout=60).json()
        assert (described["name"], described["clip"]["planes"]) == (name, 200)
        process.terminate()
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert clip.stat().st_size == 48_000


def test_what_is_not_there_is_refused_at_once() -> None:
    done = CliRunner().invoke(app, ["view", "nothing.dat", "--no-browser"])
    assert done.exit_code == 1


def test_a_port_that_is_taken_is_refused_at_once(clip: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = CliRunner().invoke(app, ["view", str(clip), "--no-browser", "--port", str(port)])
    assert done.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in "".join(done.output.split("\n"))


def test_a_geometry_in_doubt_is_chosen_and_told_of(tmp_path: Path) -> None:
    (tmp_path / "clip.dat").write_bytes(bytes(8 * 12_500))
    prepared = prepare_recording(tmp_path / "clip.dat")
    assert (prepared.options.width, prepared.options.height) == (400, 250)
    assert "is a guess" in prepared.doubts[0]
    told = prepare_recording(tmp_path / "clip.dat", RecordingOptions(400, 250, "plain"))
    assert told.doubts == ()


def test_what_fits_no_geometry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.dat").write_bytes(b"no recording")
    with pytest.raises(GeometryError):
        prepare_recording(tmp_path / "clip.dat", RecordingOptions(width=7))
    with pytest.raises(SourceError):
        prepare_recording(tmp_path / "nothing.dat")


def test_a_second_viewer_finds_a_folder_of_its_own(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    first = Spool(free_folder(settings), 1)
    first.open()
    try:
        assert first.folder == tmp_path
        assert free_folder(settings) == tmp_path / "viewers" / "1"
    finally:
        first.close()


def test_the_usual_net_comes_first() -> None:
    assert default_models()[0] == "nano"
