"""A network comes in; how much faster than a camera it looks at a recording goes out."""

import tempfile
from pathlib import Path

from vidar_det.detector.execution import build_runtime
from vidar_det.detector.network import SpikingDetector, count_params
from vidar_det.detector.predictor import Detector
from vidar_det.evaluation.endless import repeat, write_tiled_demo
from vidar_det.evaluation.speed import SpeedFigure, SpeedSpec, Work, executions, median_laps
from vidar_det.spikes.stream import SpikeStream

WINDOWS = 16
"""Of one lap."""


def measure_stream(name: str, network: SpikingDetector, spec: SpeedSpec) -> list[SpeedFigure]:
    """A mapped file, window by window without gaps, decoding and NMS included.

    The recording that comes along fills the picture, so that there are objects to find.

    Args:
        name: of the network.
        network: in evaluation mode.
        spec: how long, and with what.

    Returns:
        Real-time factors, seconds of the sensor over seconds of the clock; then boxes per window.
    """
    window = network.spec.window
    found: dict[str, int] = {}

    def watch(label: str, detector: Detector, recording: SpikeStream) -> Work:
        def look() -> None:
            found[label] = sum(len(boxes) for _, boxes in detector.stream(recording))

        return look

    with tempfile.TemporaryDirectory() as folder:
        tiled = write_tiled_demo(Path(folder) / "street.dat", spec.width, spec.height, window)
        recording = repeat(tiled, window, WINDOWS)
        works = {}
        for label, execution in executions(spec).items():
            runtime = build_runtime(network, execution)
            detector = Detector(runtime, network.spec, name, "", count_params(network))
            works[label] = watch(label, detector, recording)
        laps = median_laps(works, spec.seconds)
    group, sensor_s = f"stream, {name}", len(recording) / recording.sensor.rate_hz
    factors = {label: sensor_s / lap for label, lap in laps.items()}
    return [
        *(SpeedFigure(group, n, f, "x real time", "sensor", f) for n, f in factors.items()),
        *(SpeedFigure(group, n, count / WINDOWS, "boxes a window") for n, count in found.items()),
    ]
