from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vidar_det import load_detector
from vidar_det.detections.boxes import Detections
from vidar_det.detector.checkpoint import save_checkpoint
from vidar_det.detector.execution import Execution, RuntimeName, build_runtime
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.predictor import Detector, StageTimes, Thresholds
from vidar_det.detector.spec import DetectorSpec, size_spec
from vidar_det.detector.torch_runtime import TorchRuntime
from vidar_det.errors import RangeError, ShapeError
from vidar_det.spikes.stores import ArrayStore
from vidar_det.spikes.stream import Sensor, SpikeStream, SpikeWindow

HEIGHT, WIDTH = 50, 70
EAGER = Thresholds(conf=0.0001, max_det=20)


@pytest.fixture(scope="module")
def detector(
    tmp_path_factory: pytest.TempPathFactory, lively: Callable[[DetectorSpec], SpikingDetector]
) -> Detector:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_checkpoint(path, lively(size_spec("nano")), version="fresh")
    return load_detector(str(path.parent))


@pytest.fixture(scope="module")
def recording() -> SpikeStream:
    rng = np.random.default_rng(0)
    planes = (rng.random((300, HEIGHT, WIDTH)) < 0.3).astype(np.uint8)
    return SpikeStream.from_planes(planes, Sensor(WIDTH, HEIGHT))


def test_the_detector_says_what_it_is(detector: Detector) -> None:
    assert (detector.version, detector.spec.window) == ("fresh", 128)
    assert detector.params > 100_000


def test_windows_come_in_order_without_gaps(detector: Detector, recording: SpikeStream) -> None:
    found = list(detector.stream(recording, thresholds=EAGER))
    assert [window.start for window, _ in found] == [0, 128]
    for _, detections in found:
        assert 0 < len(detections) <= EAGER.max_det
        assert detections.xyxy.min() >= 0
        assert (detections.xyxy <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()


def test_window_stride_and_range_can_be_chosen(detector: Detector, recording: SpikeStream) -> None:
    stream = detector.stream(recording, window=64, stride=50, start=10, stop=200)
    assert [window.start for window, _ in stream] == [10, 60, 110]


def test_a_window_and_its_counts_give_the_same_boxes(
    detector: Detector, recording: SpikeStream
) -> None:
    window = next(iter(recording.windows(128)))
    direct = detector.predict(window, EAGER)
    counted = detector.predict(window.counts(4), EAGER)
    assert np.array_equal(direct.xyxy, counted.xyxy)


def test_a_window_depends_on_its_own_planes_alone(
    detector: Detector, recording: SpikeStream
) -> None:
    windows = [window for window, _ in detector.stream(recording, stride=60, thresholds=EAGER)]
    detector.predict(windows[0], EAGER)
    again = detector.predict(windows[1], EAGER)
    assert np.array_equal(again.xyxy, detector.predict(windows[1], EAGER).xyxy)


class Diary(ArrayStore):
    """Notes what is read and released, by first plane."""

    def __init__(self, planes: np.ndarray) -> None:
        super().__init__(planes, "planes")
        self.read: list[int] = []
        self.released: list[int] = []

    def counts(self, start: int, stop: int, bins: int) -> np.ndarray:
        self.read.append(start)
        return super().counts(start, stop, bins)

    def release(self, start: int, stop: int) -> None:
        assert stop - start == 4
        self.released.append(start)


class Counter(Detector):
    def predict(self, window: Any, *_: object, **__: object) -> Detections:
        assert isinstance(window, SpikeWindow)
        window.counts(4)
        return Detections.empty()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_window_is_released_once_its_result_was_taken(
    workers: int, lively: Callable[[DetectorSpec], SpikingDetector]
) -> None:
    spec = size_spec("nano")
    runtime = TorchRuntime(lively(spec))
    runtime.side_by_side = workers
    diary = Diary(np.zeros((80, 2, 3), np.uint8))
    stream = SpikeStream(diary, Sensor(3, 2))
    for number, (window, _) in enumerate(
        Counter(runtime, spec, "", "", 0).stream(stream, window=4)
    ):
        assert window.start in diary.read
        assert diary.released == list(range(0, 4 * number, 4))
    assert diary.released == list(range(0, 80, 4))


def test_times_add_up(detector: Detector, recording: SpikeStream) -> None:
    times = StageTimes()
    list(detector.stream(recording, times=times))
    assert times.counting_s > 0
    assert times.inference_s > times.postprocessing_s > 0


@pytest.mark.parametrize("window", [0, 3, 130])
def test_a_window_that_does_not_divide_into_bins_is_refused(
    detector: Detector, recording: SpikeStream, window: int
) -> None:
    with pytest.raises(RangeError, match="multiple of 4"):
        list(detector.stream(recording, window=window))


def test_counts_of_another_shape_are_refused(detector: Detector) -> None:
    with pytest.raises(ShapeError, match=r"wanted \(4, H, W\)"):
        detector.predict(np.zeros((3, 8, 8), np.uint16))


@pytest.mark.parametrize("values", [{"conf": 1.5}, {"iou": -0.1}, {"max_det": 0}])
def test_thresholds_outside_their_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(RangeError):
        Thresholds(**values)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_counts_that_cannot_be_are_refused(runtime: RuntimeName, detector: Detector) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed")
    built = build_runtime(detector.runtime.source.network, Execution(runtime, threads=1))
    seer = Detector(built, detector.spec, "seer", "", 0)
    counts = np.full((4, HEIGHT, WIDTH), 32, np.int64)
    seer.predict(counts)
    with pytest.raises(RangeError, match="found 0 to 33, wanted 0 to 32"):
        seer.predict(counts + 1)
    with pytest.raises(RangeError, match="found -1 to 0, wanted 0 to 32"):
        seer.predict(counts - 33)
    seer.predict(counts + 1, planes_per_count=64)
    with pytest.raises(RangeError, match="wanted 0 to 31"):
        seer.predict(counts, planes_per_count=31)
