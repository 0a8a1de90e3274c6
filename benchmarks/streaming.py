"""Does the detector keep up with a camera, for how long, and how late are its boxes?

    python -m benchmarks.streaming nano small [--windows 100000] [--precision bf16] [--folder DIR]

A simulated street of 400x250 pixels, 20,000 planes a second, repeated without end:

- *endless*: windows without gaps, reading, counting and NMS included: how much faster than the
  camera, whether every window came once, in order and with the same boxes each time round, and
  the process's memory on the way;
- *live*: another process writes the street to a file at the camera's rate while this one follows
  it: milliseconds from a window's last plane to its boxes;
- *start*: seconds from starting the command to its first line of boxes, with a warm cache.

DIR should lie in memory: the camera writes 250 MB a second.
"""

import argparse
import itertools
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from vidar_det import load_detector, open_recording
from vidar_det.commands.follow import FollowSettings, follow_recording
from vidar_det.commands.predict import PredictSettings
from vidar_det.detections.boxes import Detections
from vidar_det.detections.predictions import WindowRecord
from vidar_det.detector.execution import Execution
from vidar_det.detector.predictor import Detector
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream

RATE_HZ, PLANES, PLANE_BYTES = 20_000, 12_800, 12_500
BLOCK = 32  # planes that the camera writes at once
SETTLED_S = 0.5  # of the live stream; windows before are not judged
STARTS = 5
OPTIONS = RecordingOptions(400, 250, "plain", "ud", float(RATE_HZ))


class Endless:
    """The planes of a recording, again and again, as a store of planes."""

    def __init__(self, recording: SpikeStream, planes: int) -> None:
        self.store, self.length = recording.store, len(recording)
        self.shape = (planes, *recording.shape[1:])

    def decode(self, start: int, stop: int) -> Any:
        at = start % self.length
        return self.store.decode(at, at + stop - start)

    def counts(self, start: int, stop: int, bins: int) -> Any:
        at = start % self.length
        return self.store.counts(at, at + stop - start, bins)

    def release(self, start: int, stop: int) -> None:
        at = start % self.length
        self.store.release(at, at + stop - start)


def simulate_street(folder: Path) -> SpikeStream:
    path = folder / "street.dat"
    command = ["simulate", "street", "-o", str(path), "--planes", str(PLANES)]
    run_command(command)
    return open_recording(path)


def run_command(words: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "vidar_det", *words], check=True, capture_output=True)  # noqa: S603 - our own command


def walk_endlessly(detector: Detector, street: SpikeStream, windows: int) -> None:
    """Look at many windows; compare each with the first time round."""
    length = detector.spec.window
    around = len(street) // length
    store = Endless(street, windows * length)
    endless = SpikeStream(store, street.sensor, layout=street.layout, flip=street.flip)
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
    print(
        f"{detector.name} endless: {seen:,} of {windows:,} windows in {took:.0f} s, {factor:.2f} x "
        f"real time; {differing} differ from the first time round; "
        f"memory {' '.join(f'{each:.0f}' for each in memory)} MB",
        flush=True,
    )


def same(one: Detections, other: Detections) -> bool:
    return (
        np.array_equal(one.xyxy, other.xyxy)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.class_ids, other.class_ids)
    )


def follow_camera(detector: Detector, street: SpikeStream, folder: Path, seconds: float) -> None:
    """Look at what another process writes at the camera's rate."""
    path, length = folder / "live.dat", detector.spec.window
    path.unlink(missing_ok=True)
    for _, _ in detector.stream(street, stop=8 * length):
        pass  # compiled, and warm
    arrived: list[float] = []

    def note(window: WindowRecord, found: Detections) -> None:
        arrived.append(time.monotonic())

    ours, theirs = multiprocessing.Pipe()
    camera = multiprocessing.Process(target=write_planes, args=(street.path, path, seconds, theirs))
    camera.start()
    ready = threading.Thread(target=ours.recv)
    ready.start()
    keep_up, look = FollowSettings(timeout_s=2.0), PredictSettings(overwrite=True)
    follow_recording(detector, path, OPTIONS, folder / "live", look, keep_up, note)
    ready.join()
    written: list[float] = ours.recv()
    camera.join()
    path.unlink()
    last_blocks = (np.arange(len(arrived)) + 1) * length // BLOCK - 1
    late_ms = 1e3 * (np.array(arrived) - np.array(written)[last_blocks])
    judged = late_ms[round(SETTLED_S * RATE_HZ / length) :]
    p50, p99 = np.percentile(judged, [50, 99])
    behind = 1e3 * (written[-1] - written[0] - seconds)
    print(
        f"{detector.name} live: {len(arrived):,} of {len(written) * BLOCK // length:,} windows, "
        f"boxes {p50:.1f} ms (p50), {p99:.1f} ms (p99), {judged.max():.1f} ms (most) after the "
        f"last plane; the camera ended {behind:.0f} ms late",
        flush=True,
    )


def write_planes(street: Path, path: Path, seconds: float, told: Connection) -> None:
    """Append planes at the camera's rate; then tell when each block was there."""
    content, size = street.read_bytes(), BLOCK * PLANE_BYTES
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


def time_starts(name: str, street: SpikeStream, folder: Path) -> None:
    """Start the command on a whole recording; stop the clock at the first line."""
    took = []
    words = ["predict", str(street.path), "--weights", name, "--follow", "--timeout", "0.1"]
    words += ["--out", str(folder / "start"), "--overwrite"]
    for _ in range(STARTS):
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
    parser.add_argument("--live-s", type=float, default=10.0)
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as made:
        folder = Path(made)
        street = simulate_street(folder)
        for name in args.weights:
            live, many = (Execution(args.runtime, args.precision, streams=n) for n in (1, 0))
            follow_camera(load_detector(name, execution=live), street, folder, args.live_s)
            time_starts(name, street, folder)
            walk_endlessly(load_detector(name, execution=many), street, args.windows)


if __name__ == "__main__":
    main()
