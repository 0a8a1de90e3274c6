"""A task that names a clip comes in; its windows come out one by one, whichever machine looks.

An engine gets a reference to a clip, never its bytes: 12.5 MB cost 66 ms to hand over.
"""

import contextlib
import functools
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import numpy as np

from service.log import log_line
from service.metrics import Observer
from service.problems import Problem, busy
from service.recordings import open_clip
from service.settings import Settings
from vidar_det.config import did_you_mean
from vidar_det.detections.boxes import Detections
from vidar_det.detections.predictions import Predictions, WindowRecord
from vidar_det.detector.clip_prediction import ClipPrediction, Question
from vidar_det.detector.execution import Execution
from vidar_det.detector.predictor import Detector, StageTimes, load_detector
from vidar_det.detector.weights_file import find_weights
from vidar_det.spikes.demo import RECORDING_FILE, find_demo
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.sidecar import RecordingOptions

USUAL_SIZE = (250, 400)
"""Rows and columns of the Vidar camera: tried first, so that nobody waits for its graph."""

TURN_S = 0.02
"""How long one request is looked at before another has its turn: small pictures take 4 ms, and to
hand each over alone costs a fifth more."""


@dataclass(frozen=True)
class Task:
    """What is asked about which clip.

    Attributes:
        clip: path of the file.
        sha256: of the file; empty where nobody computed it.
        options: what the client said about it, over its sidecar.
        question: which windows, and which boxes are kept.
        model: name of the weights.
        request_id: of the request that asked.
    """

    clip: Path
    sha256: str
    options: RecordingOptions
    question: Question
    model: str
    request_id: str


@dataclass(frozen=True)
class WindowFound:
    """One window that was looked at.

    Attributes:
        window: which.
        detections: what was found.
    """

    window: WindowRecord
    detections: Detections


Step = WindowFound | Predictions
"""Windows in order, and last the frame: everything that the answer says beside windows."""


@dataclass(frozen=True)
class ModelNote:
    """What is known about served weights.

    Attributes:
        name: as asked for.
        version: of the weights.
        params: how many numbers were learned.
        time_steps: network steps for one window.
        window: planes of a window, unless a request names another.
        classes: what it finds.
    """

    name: str
    version: str
    params: int
    time_steps: int
    window: int
    classes: tuple[str, ...]


class Engine(Protocol):
    """Where detectors run."""

    @property
    def models(self) -> tuple[ModelNote, ...]:
        """What is served, the default first; empty until ``start`` is done."""

    async def start(self) -> None:
        """Load every model, and look at one window with each."""

    async def stop(self) -> None:
        """Let go of what ``start`` took."""

    def check_room(self) -> None:
        """Turn a task away before its clip is sent; 503 where there is no room."""

    async def check_health(self) -> None:
        """Say whether detectors can be reached; 503 where none can. For probes: cheap."""

    def detect(self, task: Task) -> AsyncGenerator[Step, None]:
        """Look; close the iterator to stop early. 503 where there is no room, or a looker went."""


class _ObservedTimes(StageTimes):
    """Shows each window's seconds to the metrics as they are added."""

    def __init__(self, metrics: Observer) -> None:
        super().__init__()
        self._metrics = metrics

    def add(self, counting_s: float, inference_s: float, postprocessing_s: float) -> None:
        super().add(counting_s, inference_s, postprocessing_s)
        self._metrics.observe("decode", counting_s)
        self._metrics.observe("inference", inference_s - postprocessing_s)
        self._metrics.observe("postprocessing", postprocessing_s)


class InlineEngine:
    """Runs detectors in threads of this process.

    Requests take turns, a few windows each, so that a short one never waits for a long one to end,
    and a client that reads slowly holds no thread. Windows are not gathered into
    batches: on a CPU that gains nothing (``benchmarks/batches.py``).

    Args:
        settings: models, workers, queue.
        metrics: told what happens.
    """

    def __init__(self, settings: Settings, metrics: Observer) -> None:
        self._settings, self._metrics = settings, metrics
        self._detectors: dict[str, Detector] = {}
        self._workers = anyio.CapacityLimiter(settings.workers)
        self._held = 0

    @property
    def models(self) -> tuple[ModelNote, ...]:
        """See ``Engine``."""
        return tuple(_note(detector) for detector in self._detectors.values())

    async def start(self) -> None:
        """See ``Engine``.

        Raises:
            CheckpointError: weights that do not exist or do not fit.
        """
        for model in self._settings.models:
            load = functools.partial(_load, model, self._settings)
            detector = await anyio.to_thread.run_sync(load, limiter=self._workers)
            self._detectors[detector.name] = detector
            for warning in detector.runtime.warnings:
                log_line({"model": detector.name, "warning": warning})

    async def stop(self) -> None:
        """See ``Engine``; there is nothing to let go of."""

    def check_room(self) -> None:
        """See ``Engine``."""
        if self._held >= self._settings.engine_places:
            raise busy(503, "engine-busy", f"{self._held} requests wait for a worker already")

    async def check_health(self) -> None:
        """See ``Engine``; threads of this process can be reached."""

    async def detect(self, task: Task) -> AsyncGenerator[Step, None]:
        """See ``Engine``."""
        self.check_room()
        detector = self._detectors[task.model]
        turns = _turns(self._look(detector, task))
        self._held += 1
        self._metrics.observe("queue_depth", 1)
        try:
            while True:
                take = functools.partial(self._take, turns, time.perf_counter())
                steps = await anyio.to_thread.run_sync(take, limiter=self._workers)
                if steps is None:
                    return
                for step in steps:
                    yield step
        finally:
            with anyio.CancelScope(shield=True):  # windows begun ahead end before the clip may go
                await anyio.to_thread.run_sync(turns.close)
            self._held -= 1
            self._metrics.observe("queue_depth", -1)

    def _take(self, turns: Iterator[list[Step]], asked: float) -> list[Step] | None:
        self._metrics.observe("queue_wait", time.perf_counter() - asked)
        return next(turns, None)

    def _look(self, detector: Detector, task: Task) -> Generator[Step, None, None]:
        """Look at a clip; blocking."""
        metrics = self._metrics
        recording = open_clip(task.clip, task.options, self._settings.max_pixels)
        times = _ObservedTimes(metrics)
        prediction = ClipPrediction(detector, recording, task.question, times)
        metrics.observe("clip_bytes", task.clip.stat().st_size)
        for record, window, found in prediction:
            metrics.observe("windows", 1)
            if record.id == 0:
                spikes = window.counts(detector.spec.encoding.bins)
                rate = float(np.mean(spikes)) * len(spikes) / window.length
                metrics.observe("firing_rate", rate)
            yield WindowFound(record, found)
        yield prediction.frame(task.sha256 or None, task.request_id)


def _turns(steps: Generator[Step, None, None]) -> Generator[list[Step], None, None]:
    """Gather what is found in one turn; the first step has a turn of its own, since it is awaited.

    What was found before a failure comes before it.
    """
    with contextlib.closing(steps):
        if (first := next(steps, None)) is not None:
            yield [first]
        found: list[Step] = []
        begin = time.perf_counter()
        try:
            for step in steps:
                found.append(step)
                if time.perf_counter() - begin >= TURN_S:
                    yield found
                    found, begin = [], time.perf_counter()
        except Exception:
            yield found
            raise
        yield found


def check_models(settings: Settings) -> None:
    """Refuse weights that do not exist and what cannot run them, before anything is loaded.

    Raises:
        CheckpointError: weights that do not exist.
        ConfigError: runtime and precision do not go together.
    """
    _execution(settings)
    for model in settings.models:
        find_weights(_weights(model)[1])


def choose_model(engine: Engine, name: str | None) -> ModelNote:
    """Find a served model; None is the default.

    Raises:
        Problem: 422, no such model is served.
    """
    models = engine.models
    for model in models:
        if name in (None, model.name):
            return model
    known = did_you_mean(str(name)[:64], [model.name for model in models])
    raise Problem(422, "unknown-model", f"model {str(name)[:64]!r} is not served{known}")


def _execution(settings: Settings) -> Execution:
    return Execution(settings.runtime, settings.precision, settings.threads or 0)


def _load(model: str, settings: Settings) -> Detector:
    """Load weights under their public name, and look once: compiled, allocated, mapped."""
    name, weights = _weights(model)
    loaded = load_detector(weights, execution=_execution(settings))
    detector = Detector(loaded.runtime, loaded.spec, name, loaded.version, loaded.params)
    recording = open_recording(find_demo() / RECORDING_FILE)
    bins = detector.spec.encoding.bins
    detector.predict(next(recording.windows(len(recording) // bins * bins)))
    detector.predict(np.zeros((bins, *USUAL_SIZE), np.uint16))
    return detector


def _weights(model: str) -> tuple[str, str]:
    """Split ``NAME=PATH``; a name alone is both."""
    name, _, path = model.partition("=")
    return name, path or name


def _note(detector: Detector) -> ModelNote:
    spec = detector.spec
    return ModelNote(
        name=detector.name,
        version=detector.version,
        params=detector.params,
        time_steps=spec.encoding.steps,
        window=spec.window,
        classes=spec.classes,
    )
