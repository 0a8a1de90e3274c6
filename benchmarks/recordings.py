"""Open and walk a recording of 10 GB: what does it cost in time and memory?

    python benchmarks/recordings.py [--gigabytes 10] [--walked 10] [--folder DIR]

The file is sparse (it takes no room on the disk) and is removed at the end. Memory is the resident
set of the process, mapped file pages included.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from vidar_det.spikes.layouts import plane_format
from vidar_det.spikes.m1k40 import PLANE_BYTES, stamp
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.stream import SpikeStream

WINDOW_PLANES, BINS = 128, 2


def resident_mb() -> float:
    """Resident memory of this process, in megabytes."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def peak_mb(reset: bool = False) -> float:
    """Highest resident memory since the last reset, in megabytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def make_sparse(path: Path, size: int) -> None:
    """Make a file of zeros that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)


def make_m1k40(path: Path, planes: int) -> None:
    """Make dark planes with trailers."""
    plane = stamp(np.zeros((1, PLANE_BYTES), np.uint8)).tobytes()
    with path.open("wb") as file:
        for _ in range(planes):
            file.write(plane)


def report_opening(name: str, path: Path, **options: object) -> SpikeStream:
    """Open once and print time and memory growth."""
    before = resident_mb()
    start = peak_mb(reset=True)
    clock = time.perf_counter()
    stream = open_recording(path, **options)  # type: ignore[arg-type]
    elapsed_ms = 1e3 * (time.perf_counter() - clock)
    gigabytes = path.stat().st_size / 1e9
    print(
        f"open {name}, {gigabytes:.1f} GB, {len(stream):,} planes: {elapsed_ms:.1f} ms, "
        f"memory {resident_mb() - before:+.1f} MB, at its peak {peak_mb() - start:+.1f} MB"
    )
    return stream


def report_walk(name: str, stream: SpikeStream, plane_bytes: int, gigabytes: float) -> None:
    """Count every window of a stretch and print rate and memory growth."""
    stop = min(len(stream), int(gigabytes * 1e9) // plane_bytes)
    for window in stream.windows(WINDOW_PLANES, stop=min(stop, 4 * WINDOW_PLANES)):
        window.counts(BINS)  # compiled before the clock starts
    start = peak_mb(reset=True)
    clock, planes = time.perf_counter(), 0
    for window in stream.windows(WINDOW_PLANES, stop=stop):
        window.counts(BINS)
        planes += window.length
    elapsed = time.perf_counter() - clock
    walked = planes * plane_bytes / 1e9
    print(
        f"walk {name}, {walked:.1f} GB in windows of {WINDOW_PLANES} planes: {elapsed:.1f} s, "
        f"{planes / elapsed:,.0f} planes/s, {walked / elapsed:.2f} GB/s, "
        f"memory at its peak {peak_mb() - start:+.1f} MB"
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=10.0, help="size of the sparse file")
    parser.add_argument("--walked", type=float, default=10.0, help="how much of it is walked")
    parser.add_argument("--m1k40", type=float, default=1.0, help="size of the 1000x1000 file")
    parser.add_argument("--folder", type=Path, default=None, help="where the files are made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "sparse.dat"
        size = plane_format("plain", 400, 250).plane_bytes
        make_sparse(path, int(arguments.gigabytes * 1e9) // size * size)
        stream = report_opening("plain 400x250", path, width=400, height=250, layout="plain")
        report_walk("plain 400x250", stream, size, arguments.walked)
        report_opening("plain 400x250 once more", path, width=400, height=250, layout="plain")
        large = Path(folder) / "m1k40.dat"
        make_m1k40(large, int(arguments.m1k40 * 1e9) // PLANE_BYTES)
        stream = report_opening("m1k40 1000x1000", large)
        report_walk("m1k40 1000x1000", stream, PLANE_BYTES, arguments.m1k40)


if __name__ == "__main__":
    main()
