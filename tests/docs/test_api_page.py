"""Every example of docs/api.md is run, one after the other, as a reader would."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.service.processes import Process, service_process
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.stream import Sensor

PAGE = Path(__file__).parent.parent.parent / "docs" / "api.md"
EXAMPLES = re.findall(r"```(bash|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with service_process(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.mark.parametrize(
    ("language", "text"), EXAMPLES, ids=[f"{number}" for number in range(len(EXAMPLES))]
)
def test_an_example_works(service: Process, tmp_path: Path, language: str, text: str) -> None:
    if language == "bash" and shutil.which("curl") is None:
        pytest.skip("needs curl")
    planes = (np.random.default_rng(0).random((384, 250, 400)) < 0.1).astype(np.uint8)
    write_recording(tmp_path / "clip.dat", planes, Sensor(400, 250))
    assert "http://127.0.0.1:8000" in text
    text = text.replace("http://127.0.0.1:8000", str(service.client.base_url))
    command = (
        ["bash", "-euo", "pipefail", "-c"]
        if language == "bash"
        else [sys.executable, "-W", "error", "-c"]
    )
    done = subprocess.run(  # noqa: S603 - our own page
        [*command, text], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for file in tmp_path.glob("found.json"):
        assert '"detections"' in file.read_text()
