"""Does the detector keep up with a camera, for how long, and how late are its boxes?

    python -m benchmarks.streaming nano small [--windows 100000] [--precision f32 bf16]
    python -m benchmarks.streaming nano --width 1000 --height 1000 --layout m1k40 --live-s 0

A simulated street, of 400x250 pixels unless told, 20,000 planes a second, repeated without end:

- *endless*: windows without gaps, reading, counting and NMS included: how much faster than the
  camera, whether every window came once, in order and with the same boxes each time round, and
  the process's memory on the way;
- *live*: another process writes the street to a file at the camera's rate while this one follows
  it: milliseconds from a window's last plane to its boxes. Beside it, how late arithmetic that
  costs as much would be at least on this machine, without the camera's process (``steadiness.py``);
- *start*: seconds from starting the command to its first line of boxes, with a warm cache.

DIR should lie in memory: the camera writes 250 MB a second. OUT receives streaming.json.
"""

import argparse
import dataclasses
import itertools
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks.steadiness import SLOW_S, lateness_s, record_pieces, slowness
from vidar_det import load_detector, open_recording
from vidar_det.commands.follow import FollowSettings, follow_recording
from vidar_det.commands.predict import PredictSettings
from vidar_det.detections.boxes import Detections
from vidar_det.detections.predictions import WindowRecord
from vidar_det.detector.execution import Execution
from vidar_det.detector.openvino_runtime import Precision
from vidar_det.detector.predictor import Detector
from vidar_det.evaluation.endless import repeat
from vidar_det.evaluation.machine import describe_machine
from vidar_det.outputs import prepare_output_folder, write_json
from vidar_det.spikes.layouts import plane_format
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.sidecar import Flip, Layout, RecordingOptions
from vidar_det.spikes.stream import SpikeStream

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
RATE_HZ, STREET_BYTES = 20_000, 160_000_000
WHOLE = 128  # the street's planes are a multiple of it
BLOCK = 32  # planes that the camera writes at once
SETTLED_S = 0.5  # of the live stream; windows before are not judged


def simulate_street(folder: Path, width: int, height: int, layout: str) -> SpikeStream:
    plane_bytes = plane_format(layout, width, height).plane_bytes
    planes = STREET_BYTES // plane_bytes // WHOLE * WHOLE
    path = folder / "street.dat"
    size = ["--width", str(width), "--height", str(height), "--planes", str(planes)]
    run_command(["simulate", "street", "-o", str(path), *size])
    street = open_recording(path)
    if layout == street.layout:
        return street
    own = folder / f"street-{layout}.dat"
    write_recording(own, street, street.sensor, layout=layout)
    path.unlink()
    return open_recording(own)


def run_command(words: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "vidar_det", *words], check=True, capture_output=True)  # noqa: S603 - our own command


def walk_endlessly(detector: Detector, street: SpikeStream, windows: int) -> dict[str, Any]:
    """Look at many windows; compare each with the first time round."""
    length = detector.spec.window
    around = len(street) // length
    endless = repeat(street, length, windows)
    first: list[Detections] = []
    differing, memory, wanted = 0, [], itertools.count()
    begin = time.perf_counter()
    for window, found in detector.stream(endless):
        number = next(wanted)
        assert window.start == number * length
        if number < around:
            first.append(found)
        else:
            differing += not same(found, first[number % around])
        if number % max(1, windows // 10) == 0:
            memory.append(resident_mb())
    took = time.perf_counter() - begin
    seen = next(wanted)
    assert seen == windows
    factor = seen * length / RATE_HZ / took
    boxes = float(np.mean([len(found) for found in first]))
    print(
        f"{label(detector)} endless: {seen:,} of {windows:,} windows in {took:.0f} s, {factor:.2f} "
        f"x real time, {boxes:.1f} boxes a window; {differing} differ from the first time round; "
        f"memory {' '.join(f'{each:.0f}' for each in memory)} MB",
        flush=True,
    )
    return {
        "windows": seen,
        "seconds": took,
        "real_time_factor": factor,
        "boxes_per_window": boxes,
        "differing": differing,
        "memory_mb": memory,
    }


def same(one: Detections, other: Detections) -> bool:
    return (
        np.array_equal(one.xyxy, other.xyxy)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.class_ids, other.class_ids)
    )


def follow_camera(
    live: Detector, behind: Detector, street: SpikeStream, folder: Path, seconds: float
) -> dict[str, Any]:
    """Look at what another process writes at the camera's rate."""
    path, length = folder / "live.dat", live.spec.window
    path.unlink(missing_ok=True)
    for detector in (live, behind):
        for _, _ in detector.stream(street, stop=8 * length):
            pass  # compiled, and warm
    arrived: dict[int, float] = {}

    def note(window: WindowRecord, found: Detections) -> None:
        assert window.plane_start not in arrived
        arrived[window.plane_start] = time.monotonic()

    sensor = street.sensor
    stored = cast("Layout", street.layout), cast("Flip", street.flip)
    options = RecordingOptions(sensor.width, sensor.height, *stored, rate_hz=float(RATE_HZ))
    plane_bytes = plane_format(street.layout, sensor.width, sensor.height).plane_bytes
    ours, theirs = multiprocessing.Pipe()
    args = (street.path, path, seconds, plane_bytes, theirs)
    camera = multiprocessing.Process(target=write_planes, args=args)
    camera.start()
    ready = threading.Thread(target=ours.recv)
    ready.start()
    keep_up = FollowSettings(timeout_s=2.0, behind=behind)
    follow_recording(
        live, path, options, folder / "live", PredictSettings(overwrite=True), keep_up, note
    )
    ready.join()
    written: list[float] = ours.recv()
    camera.join()
    path.unlink()
    late_ms = lateness_ms(arrived, written, length)
    p50, p99 = np.percentile(late_ms, [50, 99])
    behind_ms = 1e3 * (written[-1] - written[0] - seconds)
    print(
        f"{label(live)} live: {len(arrived):,} windows, boxes {p50:.1f} ms (p50), {p99:.1f} ms "
        f"(p99), {late_ms.max():.1f} ms (most) after the last plane; the camera ended "
        f"{behind_ms:.0f} ms late",
        flush=True,
    )
    return {
        "windows": len(arrived),
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "most_ms": float(late_ms.max()),
        "camera_late_ms": behind_ms,
    }


def lateness_ms(
    arrived: Mapping[int, float], written: Sequence[float], length: int
) -> NDArray[np.float64]:
    """How long after its last plane was written each window's boxes came, once settled.

    Args:
        arrived: when, by the first plane of the window.
        written: when each block of planes was there.
        length: planes of a window.
    """
    starts = range(0, len(written) * BLOCK - length + 1, length)
    assert sorted(arrived) == list(starts), "windows are missing, or none of the stream's"
    judged = [start for start in starts if start >= SETTLED_S * RATE_HZ]
    late = [arrived[start] - written[(start + length - 1) // BLOCK] for start in judged]
    return 1e3 * np.array(late)


def write_planes(
    street: Path, path: Path, seconds: float, plane_bytes: int, told: Connection
) -> None:
    """Append planes at the camera's rate; then tell when each block was there."""
    content, size = street.read_bytes(), BLOCK * plane_bytes
    blocks = round(seconds * RATE_HZ / BLOCK)
    written = []
    told.send(None)
    with path.open("wb", buffering=0) as file:
        begin = time.monotonic()
        for number in range(blocks):
            time.sleep(max(0.0, begin + (number + 1) * BLOCK / RATE_HZ - time.monotonic()))
            at = number * size % len(content)
            file.write(content[at : at + size])
            written.append(time.monotonic())
    told.send(written)


def time_starts(name: str, street: SpikeStream, folder: Path, starts: int) -> list[float]:
    """Start the command on a whole recording, in f32; stop the clock at the first line."""
    took: list[float] = []
    words = ["predict", str(street.path), "--weights", name, "--follow", "--timeout", "0.1"]
    words += ["--out", str(folder / "start"), "--overwrite"]
    for _ in range(1 + starts):
        begin = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "vidar_det", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            took.append(time.perf_counter() - begin)
            process.stdout.read()
    took = sorted(took[1:])  # the first fills the caches
    print(f"{name} start: first boxes after {took[0]:.2f} to {took[-1]:.2f} s", flush=True)
    return took


def label(detector: Detector) -> str:
    """Name a net and the precision that it really runs in."""
    return f"{detector.name} {detector.runtime.describe().precision}"


def resident_mb() -> float:
    """Resident memory of this process: its own, and what it mapped of files."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    kinds = ("RssAnon:", "RssFile:", "RssShmem:")  # a file in memory is the last
    return sum(int(status.split(kind)[1].split()[0]) for kind in kinds) / 1024


def main() -> None:
    """Measure each net."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--live-s", type=float, default=10.0, help="0: no camera is followed")
    parser.add_argument("--starts", type=int, default=4, help="0: none is timed")
    parser.add_argument("--width", type=int, default=400)
    parser.add_argument("--height", type=int, default=250)
    parser.add_argument("--layout", default="plain", choices=["plain", "row-padded", "m1k40"])
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["f32"])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.out is not None:
        prepare_output_folder(args.out, overwrite=True)
    told = {key: value for key, value in vars(args).items() if key not in ("folder", "out")}
    document: dict[str, Any] = {"machine": describe_machine(), "asked": told, "weights": {}}
    with tempfile.TemporaryDirectory(dir=args.folder) as made:
        street = simulate_street(Path(made), args.width, args.height, args.layout)
        for name in args.weights:
            figures: dict[str, Any] = {}
            document["weights"][name] = figures
            if args.starts:
                figures["start_s"] = time_starts(name, street, Path(made), args.starts)
            for precision in args.precision:
                figures[precision] = measure(name, precision, args, street, Path(made))
                if args.out is not None:  # what is done stays, whatever ends the rest
                    write_json(args.out / "streaming.json", document, overwrite=True)


def measure(
    name: str, precision: Precision, args: argparse.Namespace, street: SpikeStream, folder: Path
) -> dict[str, Any]:
    """Measure one net in one precision."""
    live, many = (
        load_detector(name, execution=Execution(args.runtime, precision, args.threads, streams))
        for streams in (1, 0)
    )
    ran = many.runtime.describe()
    figures = {
        "runtime": dataclasses.asdict(ran),
        "warnings": list(many.runtime.warnings),
        "live": follow_camera(live, many, street, folder, args.live_s) if args.live_s else None,
        "endless": walk_endlessly(many, street, args.windows),
    }
    if args.live_s:
        factor = figures["endless"]["real_time_factor"]
        figures["arithmetic"] = time_arithmetic(many.spec.window, factor, args.live_s)
    return figures


def time_arithmetic(length: int, factor: float, seconds: float) -> dict[str, float]:
    """How late mere arithmetic would be that costs as much as a network's windows do."""
    ends = record_pieces(seconds)
    window_s = length / RATE_HZ
    late_ms = 1e3 * lateness_s(ends, window_s / factor * len(ends), window_s)
    p50, p99 = np.percentile(late_ms, [50, 99])
    slow, slowest = slowness(ends, SLOW_S)
    print(
        f"arithmetic that costs as much: late by at least {p50:.1f} ms (p50), {p99:.1f} ms (p99); "
        f"{1e3 * SLOW_S:g} ms of it take {slow:.1f} times as long at p99, {slowest:.0f} at most",
        flush=True,
    )
    return {"p50_ms": float(p50), "p99_ms": float(p99), "slow": slow, "slowest": slowest}


if __name__ == "__main__":
    main()
