"""A recording comes in, detections per window go out."""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidar_det.detections.boxes import Detections
from vidar_det.detector.decoding import decode
from vidar_det.detector.execution import Execution, build_runtime
from vidar_det.detector.pipeline import work_in_order
from vidar_det.detector.runtime import Runtime
from vidar_det.detector.source import NetworkSource
from vidar_det.detector.spec import DEFAULT_WEIGHTS, DetectorSpec
from vidar_det.detector.weights_file import find_weights, read_header
from vidar_det.errors import RangeError, ShapeError
from vidar_det.spikes.stream import SpikeStream, SpikeWindow


@dataclass(frozen=True)
class Thresholds:
    """Which boxes are kept.

    Attributes:
        conf: lowest score, 0 to 1.
        iou: overlap above which the weaker box of one class is dropped, 0 to 1.
        max_det: most boxes of one window.

    Raises:
        RangeError: a value lies outside its range.

    Example:
        >>> Thresholds(conf=0.4).max_det
        300
    """

    conf: float = 0.25
    iou: float = 0.6
    max_det: int = 300

    def __post_init__(self) -> None:
        if not 0 <= self.conf <= 1 or not 0 <= self.iou <= 1 or self.max_det < 1:
            raise RangeError(
                f"found conf {self.conf}, iou {self.iou}, max_det {self.max_det}; "
                "wanted 0 to 1, 0 to 1, at least 1"
            )


@dataclass
class StageTimes:
    """Seconds spent so far in the two stages of prediction, summed over windows.

    Windows that are worked on at the same time are summed too, so that both stages together may
    have taken longer than the clock says.

    Attributes:
        counting_s: reading and counting.
        inference_s: the network and its post-processing.
        postprocessing_s: what of that went into boxes.
    """

    counting_s: float = 0.0
    inference_s: float = 0.0
    postprocessing_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, counting_s: float, inference_s: float, postprocessing_s: float) -> None:
        """Add one window's seconds; any thread may call it."""
        with self._lock:
            self.counting_s += counting_s
            self.inference_s += inference_s
            self.postprocessing_s += postprocessing_s


class Detector:
    """A spiking detector that is ready to run; make one with ``load_detector``.

    Attributes:
        name: as it was asked for.
        version: the training run, from the checkpoint.
        spec: the network's spec.
        params: learnable numbers.

    Example:
        >>> from vidar_det.spikes.stream import Sensor
        >>> detector = load_detector("nano")
        >>> dark = SpikeStream.from_planes(np.zeros((300, 250, 400), np.uint8), Sensor(400, 250))
        >>> [(window.time_us, len(found)) for window, found in detector.stream(dark)]
        [(0.0, 0), (6400.0, 0)]
    """

    def __init__(
        self, runtime: Runtime, spec: DetectorSpec, name: str, version: str, params: int
    ) -> None:
        self.runtime, self.spec = runtime, spec
        self.name, self.version, self.params = name, version, params

    def window_length(self, window: int | None = None) -> int:
        """Planes of a window: ``spec.window``, or as many as were asked for.

        Raises:
            RangeError: they do not divide into the network's bins.
        """
        length, bins = self.spec.window if window is None else window, self.spec.encoding.bins
        if length < bins or length % bins:
            raise RangeError(f"window of {length} planes: wanted a multiple of {bins}")
        return length

    def executed(self, execution: Execution) -> "Detector":
        """The same network, run in another way."""
        runtime = build_runtime(self.runtime.source, execution)
        return Detector(runtime, self.spec, self.name, self.version, self.params)

    def predict(
        self,
        window: SpikeWindow | NDArray[np.integer[Any]],
        thresholds: Thresholds | None = None,
        planes_per_count: int | None = None,
        times: StageTimes | None = None,
    ) -> Detections:
        """Detect objects in one window.

        Args:
            window: a window of a recording, or its ``(S * parts, H, W)`` counts.
            thresholds: which boxes are kept.
            planes_per_count: planes behind one count, when counts are given; by default the
                spec's.
            times: the stages' seconds are added here.

        Returns:
            Boxes on the upright picture, best first.

        Raises:
            RangeError: the window's planes do not divide into the network's bins, or a count is
                none of ``planes_per_count``.
            ShapeError: counts with another number of bins.

        Example:
            >>> len(load_detector("nano").predict(np.zeros((4, 250, 400), np.uint16)))
            0
        """
        thresholds = thresholds or Thresholds()
        times = times or StageTimes()
        bins = self.spec.encoding.bins
        begin = time.perf_counter()
        if isinstance(window, SpikeWindow):
            planes = window.length // bins
            counts: NDArray[np.integer[Any]] = window.counts(bins)
        else:
            planes, counts = planes_per_count or self.spec.encoding.planes_per_count, window
            _check_counts(counts, planes)
        if counts.ndim != 3 or len(counts) != bins:
            raise ShapeError(f"counts: found {counts.shape}, wanted ({bins}, H, W)")
        counted = time.perf_counter()
        cells = self.runtime.run(counts, planes)
        ran = time.perf_counter()
        height, width = counts.shape[1:]
        detections = decode(
            cells.scores,
            cells.distances,
            (height, width),
            cells.padded,
            thresholds.conf,
            thresholds.iou,
            thresholds.max_det,
        )
        done = time.perf_counter()
        times.add(counted - begin, done - counted, done - ran)
        return detections

    def stream(
        self,
        recording: SpikeStream,
        *,
        window: int | None = None,
        stride: int | None = None,
        start: int = 0,
        stop: int | None = None,
        thresholds: Thresholds | None = None,
        times: StageTimes | None = None,
    ) -> Iterator[tuple[SpikeWindow, Detections]]:
        """Detect objects window by window, in constant memory.

        As many windows are worked on at once as the runtime runs side by side; they come in order,
        with what ``predict`` finds in each.

        Args:
            recording: what ``open_recording`` returned.
            window: planes per window, by default ``spec.window``; a longer window gathers more
                light, a shorter one reacts sooner.
            stride: planes from one window to the next; by default the window, gap-free.
            start: first plane.
            stop: one past the last plane; by default the end.
            thresholds: which boxes are kept.
            times: the stages' seconds are added here.

        Yields:
            Each window and its detections, in order.

        Raises:
            RangeError: the window does not divide into the network's bins, or the range lies
                outside the recording.

        Example:
            >>> from vidar_det import open_recording
            >>> recording = open_recording("clip.dat")  # doctest: +SKIP
            >>> for window, found in detector.stream(recording, stride=64):  # doctest: +SKIP
            ...     print(window.start, found.xyxy)
        """
        length = self.window_length(window)
        windows = recording.windows(length, stride, start, stop, keep=True)
        yield from self.work_through(windows, thresholds, times)

    def work_through(
        self,
        windows: Iterable[SpikeWindow | None],
        thresholds: Thresholds | None = None,
        times: StageTimes | None = None,
    ) -> Iterator[tuple[SpikeWindow, Detections]]:
        """Detect objects in windows as they come; see ``stream``.

        Args:
            windows: kept until they were looked at; None where nothing has come yet, see
                ``work_in_order``.
            thresholds: which boxes are kept.
            times: the stages' seconds are added here.

        Yields:
            Each window and its detections, in order.
        """

        def work(found: SpikeWindow) -> Detections:
            return self.predict(found, thresholds, times=times)

        for found, detections in work_in_order(windows, work, self.runtime.side_by_side):
            yield found, detections
            found.release()  # not before: windows ahead of it were drawn, and it may be read again


def load_detector(
    name: str = DEFAULT_WEIGHTS, *, device: str = "cpu", execution: Execution | None = None
) -> Detector:
    """Load a detector by name or path.

    Args:
        name: ``nano`` or another named net, a weights folder, or a ``.safetensors`` file.
        device: torch device, where ``execution`` is not given.
        execution: where and how it runs; by default in OpenVINO on a CPU, if it is installed.

    Returns:
        The detector.

    Raises:
        CheckpointError: no such weights, or they do not fit their own spec.
        ConfigError: the runtime is not installed.

    Example:
        >>> load_detector("nano").spec.classes
        ('person', 'vehicle', 'cycle')
    """
    path = find_weights(name)
    header = read_header(path)
    source = NetworkSource.stored(path, header.spec)
    runtime = build_runtime(source, execution or Execution(device=device))
    return Detector(runtime, header.spec, name, header.version, header.params)


def _check_counts(counts: NDArray[np.integer[Any]], planes: int) -> None:
    """A count is looked up in a table of what it stands for, which ends at the planes behind it."""
    least, most = (int(bound(initial=0)) for bound in (counts.min, counts.max))
    if least < 0 or most > planes:
        raise RangeError(f"counts: found {least} to {most}, wanted 0 to {planes} (planes a count)")
