import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

# continuous integration tries the same examples each time; a developer's machine tries new ones
settings.register_profile("repeatable", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("repeatable")

CLIP_WIDTH, CLIP_HEIGHT, CLIP_PLANES = 48, 40, 200


@pytest.fixture(scope="session", autouse=True)
def graph_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled graphs of this run, shared by its workers, beside those of no user."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDAR_CACHE_DIR", str(shared / "graphs"))
        yield


@pytest.fixture(scope="session")
def fresh_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nano net that never learned, but fires: it finds boxes of every class, all wrong."""
    import torch
    from torch import nn

    from vidar_det.detector.checkpoint import save_checkpoint
    from vidar_det.detector.network import build_detector
    from vidar_det.detector.spec import size_spec

    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = build_detector(size_spec("nano"))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                nn.init.normal_(module.weight, 1.0, 0.3)
        network(torch.rand(4, 2, 64, 64))
        for branch in (*network.head.scores, *network.head.boxes):
            nn.init.normal_(branch.read.weight, std=0.5)
    save_checkpoint(path, network, version="fresh")
    return path


@pytest.fixture(scope="session")
def clip_planes() -> NDArray[np.uint8]:
    generator = np.random.default_rng(5)
    shape = (CLIP_PLANES, CLIP_HEIGHT, CLIP_WIDTH)
    planes = (generator.random(shape) < 0.3).astype(np.uint8)
    planes.setflags(write=False)
    return planes


@pytest.fixture
def clip(tmp_path: Path, clip_planes: NDArray[np.uint8]) -> Path:
    """200 planes of 48x40 in a folder of their own, with a sidecar."""
    from vidar_det.spikes.recording import write_recording
    from vidar_det.spikes.stream import Sensor

    folder = tmp_path / "recordings"
    folder.mkdir()
    write_recording(folder / "clip.dat", clip_planes, Sensor(CLIP_WIDTH, CLIP_HEIGHT))
    return folder / "clip.dat"


@pytest.fixture(scope="session")
def write_bare() -> Callable[[Path, NDArray[np.uint8]], None]:
    """Writes planes as a camera does: plain, upside down, no sidecar."""
    from vidar_det.spikes.recording import write_recording
    from vidar_det.spikes.stream import Sensor

    def write(path: Path, planes: NDArray[np.uint8]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_recording(path, planes, Sensor(planes.shape[2], planes.shape[1]))
        path.with_suffix(".toml").unlink()

    return write


@pytest.fixture(scope="session")
def write_pku(
    write_bare: Callable[[Path, NDArray[np.uint8]], None],
) -> Callable[..., Path]:
    """Writes a folder in the layout of PKU-Vidar-DVS; keys are ``SPLIT/SEQUENCE/NUMBER``."""

    def write(
        root: Path, labels: Mapping[str, str], recordings: Mapping[str, NDArray[np.uint8]]
    ) -> Path:
        for key, planes in recordings.items():
            split, sequence, number = key.split("/")
            write_bare(root / split / "Vidar" / sequence / f"{number}.dat", planes)
            height, width = planes.shape[1:]
            (root / "config.yaml").write_text(f"spike_w: {width}\nspike_h: {height}\n")
        for key, text in labels.items():
            split, sequence, number = key.split("/")
            path = root / split / "labels" / sequence / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    return write
