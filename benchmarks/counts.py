"""How fast packed planes become counts, against copying the same bytes in the same run.

    python benchmarks/counts.py [--seconds 1]

One thread. Each figure is the median over repeated passes over more than 100 MB of random planes,
so that neither side reads from the caches.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from vidar_det.spikes.counts import count_rows

SIZES = [(250, 400, 8192), (1000, 1000, 1024)]
BINS = [32, 64, 256]


def median_seconds(work: Callable[[], object], seconds: float) -> float:
    """Run once to compile and warm up, then repeatedly for the time given."""
    work()
    laps: list[float] = []
    start = time.perf_counter()
    while len(laps) < 5 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        work()
        laps.append(time.perf_counter() - begin)
    return float(np.median(laps))


def measure(height: int, width: int, planes: int, seconds: float) -> None:
    generator = np.random.default_rng(0)
    row_bytes = width // 8
    packed = generator.integers(0, 256, (planes, height * row_bytes), dtype=np.uint8)
    copy = np.empty_like(packed)
    copying = packed.nbytes / median_seconds(lambda: np.copyto(copy, packed), seconds)
    print(f"{width}x{height}, {planes} planes, {packed.nbytes / 1e6:.0f} MB")
    print(f"  memcpy {copying / 1e9:18.2f} GB/s")
    for length in BINS:

        def work(bins: int = planes // length) -> object:
            return count_rows(packed, bins, height, row_bytes, width, flip_ud=True)

        lap = median_seconds(work, seconds)
        speed = packed.nbytes / lap
        print(
            f"  bins of {length:3} {planes / lap:12,.0f} planes/s {speed / 1e9:6.2f} GB/s "
            f"{speed / copying:5.2f} of memcpy"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of counting packed planes.")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each figure")
    seconds = parser.parse_args().seconds
    for height, width, planes in SIZES:
        measure(height, width, planes, seconds)


if __name__ == "__main__":
    main()
