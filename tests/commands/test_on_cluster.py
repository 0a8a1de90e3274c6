"""The commands on a Ray cluster: what they find is what one process finds."""

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import CLIP_HEIGHT, CLIP_WIDTH
from vidar_det.commands.simulate import SimulateSettings, simulate
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.stream import Sensor

pytest.importorskip("ray", reason="needs the extra 'ray'")
pytestmark = [pytest.mark.ray, pytest.mark.slow]

START_S, RUN_S = 180, 300
QUIET = os.environ | {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of one machine, started as a head is in a container."""
    log = tmp_path_factory.mktemp("ray") / "log"
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--port=0"]
    small = ["--num-cpus=2", "--include-dashboard=false", "--object-store-memory=134217728"]
    with log.open("w") as out:
        head = subprocess.Popen(  # noqa: S603 - Ray's own command
            [*command, *small, "--block"],
            env=QUIET,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + START_S
        while not (found := re.search(r"--address='([^']+)'", log.read_text())):
            assert head.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield found[1]
    finally:
        head.terminate()
        head.wait(60)


def run(*words: str | Path) -> None:
    command = [sys.executable, "-m", "vidar_det", *map(str, words)]
    done = subprocess.run(  # noqa: S603 - our own command
        command, env=QUIET, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    assert done.returncode == 0, done.stderr


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    document.pop("timing_ms", None)
    return document


def test_predictions_are_those_of_one_process(
    address: str, fresh_weights: Path, clip_planes: NDArray[np.uint8], tmp_path: Path
) -> None:
    sources = [tmp_path / f"{name}.dat" for name in "abc"]
    for number, source in enumerate(sources):
        planes = np.roll(clip_planes, number, axis=2)
        write_recording(source, planes, Sensor(CLIP_WIDTH, CLIP_HEIGHT))
    words = ("predict", *sources, "--weights", fresh_weights, "--no-video", "--conf", "0.01")
    run(*words, "--out", tmp_path / "here")
    run(*words, "--out", tmp_path / "there", "--engine", "ray", "--address", address)
    for name in "abc":
        here, there = (
            read(tmp_path / place / name / "predictions.json") for place in ("here", "there")
        )
        assert here["detections"]
        assert here == there


def test_scores_are_those_of_one_process(address: str, fresh_weights: Path, tmp_path: Path) -> None:
    simulate("street", tmp_path / "data", SimulateSettings(planes=200, size=(96, 64), count=3))
    words = ("val", "--data", tmp_path / "data", "--weights", fresh_weights, "--no-report")
    run(*words, "--out", tmp_path / "here")
    run(*words, "--out", tmp_path / "there", "--engine", "ray", "--address", address)
    for file in ("metrics.json", "predictions.json"):
        assert read(tmp_path / "here" / file) == read(tmp_path / "there" / file)


def test_a_cluster_is_started_where_none_is_named(
    fresh_weights: Path, clip: Path, tmp_path: Path
) -> None:
    words = ("predict", clip, "--weights", fresh_weights, "--no-video")
    run(*words, "--out", tmp_path / "out", "--engine", "ray")
    assert read(tmp_path / "out" / "predictions.json")["images"]


def test_a_failure_is_told_in_its_own_words(
    address: str, fresh_weights: Path, clip: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "vidar_det", "predict", clip, "--weights", fresh_weights]
    command += ["--out", tmp_path / "out", "--start", "999", "--engine", "ray"]
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--address", address],
        env=QUIET,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 1
    assert "found 200 planes" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
