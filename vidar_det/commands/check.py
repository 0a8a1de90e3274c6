"""An installation comes in; what works in it, and what does not, goes out."""

import importlib.metadata
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidar_det import __version__
from vidar_det.detector.spec import DEFAULT_WEIGHTS
from vidar_det.errors import VidarError

if TYPE_CHECKING:  # whether torch can be loaded is one of the checks
    from vidar_det.detector.execution import RuntimeName
    from vidar_det.detector.openvino_runtime import Precision

PACKAGES = ("numpy", "numba", "torch", "spikingjelly", "opencv-python", "av", "pycocotools")
WIDTH, HEIGHT, PLANES = 96, 64, 128
LEARNING_STEPS = 12


@dataclass(frozen=True)
class CheckResult:
    """One thing that was tried.

    Attributes:
        name: what was tried.
        passed: whether it works.
        detail: what was seen, or why it failed.
        seconds: how long it took.
    """

    name: str
    passed: bool
    detail: str
    seconds: float


def run_checks(
    weights: str = DEFAULT_WEIGHTS,
    report: Callable[[int, int], None] = lambda done, total: None,
    runtime: "RuntimeName" = "auto",
    precision: "Precision" = "f32",
    threads: int | None = None,
) -> list[CheckResult]:
    """Try each part of an installation on a small synthetic recording.

    Args:
        weights: name or path of the weights to load.
        report: told after each part.
        runtime: what runs them.
        precision: of the arithmetic.
        threads: that compute; None = as many as there are.

    Returns:
        A result for each part; a failure does not stop the rest.

    Example:
        >>> all(result.passed for result in run_checks())  # doctest: +SKIP
        True
    """
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("versions", _versions),
        ("compiled kernels", _kernels),
        ("recordings", _recordings),
        ("counts", _counts),
        ("video", _video),
        ("weights", lambda: _weights(weights, runtime, precision, threads)),
        ("learning", _learning),
    )
    results = []
    for name, check in checks:
        begin = time.perf_counter()
        try:
            passed, detail = True, check()
        except Exception as error:  # noqa: BLE001  # whatever breaks is what the user asked to know
            passed, detail = False, f"{type(error).__name__}: {error}"
        results.append(CheckResult(name, passed, detail, time.perf_counter() - begin))
        report(len(results), len(checks))
    return results


def _versions() -> str:
    versions = [f"vidar-det {__version__}", f"Python {platform.python_version()}"]
    return ", ".join([*versions, *(f"{p} {importlib.metadata.version(p)}" for p in PACKAGES)])


def _kernels() -> str:
    """Compile, or load, the kernel that counts; say where its machine code is kept."""
    from vidar_det.spikes.bitslices import count_words
    from vidar_det.spikes.counts import count_packed

    packed = np.zeros((64, WIDTH * HEIGHT // 8), np.uint8)
    count_packed(packed, 1)
    spent_s = _seconds(lambda: count_packed(packed, 1))
    stats: Any = getattr(count_words, "stats", None)  # Numba's, unknown to type checkers
    place = getattr(stats, "cache_path", None) or "no folder: compiled anew by each process"
    return f"64 planes of {WIDTH}x{HEIGHT} counted in {spent_s * 1e3:.2f} ms; kept in {place}"


def _recordings() -> str:
    """Write each container and read it back."""
    from vidar_det.spikes.recording import open_recording, write_recording
    from vidar_det.spikes.stream import Sensor

    planes, sensor = _planes(), Sensor(WIDTH, HEIGHT)
    layouts = {"plain": "dat", "row-padded": "dat", "array-thw": "npz", "time-packed": "npz"}
    with tempfile.TemporaryDirectory() as folder:
        for layout, suffix in layouts.items():
            path = Path(folder) / f"{layout}.{suffix}"
            write_recording(path, planes, sensor, layout=layout)
            if not np.array_equal(open_recording(path)[:], planes):
                raise VidarError(f"{layout}: the planes read back differ from those written")
    return f"{len(layouts)} layouts written and read back"


def _counts() -> str:
    """Count packed bits, and compare with the sum of the planes."""
    from vidar_det.spikes.recording import open_recording, write_recording
    from vidar_det.spikes.stream import Sensor

    planes = _planes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.dat"
        write_recording(path, planes, Sensor(WIDTH, HEIGHT))
        counts = open_recording(path).counts(0, PLANES, bins=4)
    wanted = planes.reshape(4, PLANES // 4, HEIGHT, WIDTH).sum(axis=1)
    if not np.array_equal(counts, wanted):
        raise VidarError("counts of packed planes differ from the sums of the planes")
    return f"{int(wanted.sum()):,} spikes counted exactly"


def _video() -> str:
    from vidar_det.spikes.video import VideoWriter

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with VideoWriter(path, 30.0) as video:
            video.write(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        if video.codec == "mpeg4":
            return "MPEG-4 only, few browsers play it: this build of av has no H.264 encoder"
        return f"H.264 written with {video.codec}"


def _weights(
    weights: str, runtime: "RuntimeName", precision: "Precision", threads: int | None
) -> str:
    """Load the weights and look at one window."""
    from vidar_det.detector.execution import Execution
    from vidar_det.detector.predictor import load_detector

    detector = load_detector(weights, execution=Execution(runtime, precision, threads or 0))
    counts = np.zeros((detector.spec.encoding.bins, HEIGHT, WIDTH), np.uint16)
    detector.predict(counts)
    spent_s = _seconds(lambda: detector.predict(counts))
    figures = f"{detector.params:,} parameters, classes {', '.join(detector.spec.classes)}"
    ran = detector.runtime.describe()
    took = (
        f"a window of {WIDTH}x{HEIGHT} takes {spent_s * 1e3:.1f} ms in {ran.name} {ran.precision}"
    )
    return "; ".join((figures, took, *detector.runtime.warnings))


def _learning() -> str:
    """Take a few steps of training on one batch: the loss must fall."""
    from vidar_det.training.recipe import ComposedMix, PhaseSpec, RecipeSpec
    from vidar_det.training.rehearsal import learn_by_heart
    from vidar_det.training.simulation import collate
    from vidar_det.training.sources import open_data

    phase = PhaseSpec(windows=4, batch=4)
    drawn = ComposedMix(procedural_sprites=2, procedural_backgrounds=2)
    recipe = RecipeSpec((phase,), composed=(drawn,), width=2 * WIDTH, height=2 * HEIGHT)
    windows = open_data(recipe, Path()).windows(phase, 0)
    batch = collate([windows[index] for index in range(phase.batch)])
    tried = learn_by_heart(recipe, batch, lambda _: 0.0, steps=LEARNING_STEPS)
    losses = f"from {tried.first_loss:.2f} to {tried.last_loss:.2f}"
    if not tried.last_loss < tried.first_loss:
        raise VidarError(f"the loss went {losses}, wanted a fall")
    return f"loss on one batch {losses} in {tried.steps} steps"


def _planes() -> NDArray[np.uint8]:
    generator = np.random.default_rng(0)
    return (generator.random((PLANES, HEIGHT, WIDTH)) < 0.2).astype(np.uint8)


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
