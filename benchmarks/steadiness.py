"""How evenly does this machine work, and how late is even the best detector's answer?

    python -m benchmarks.steadiness [--seconds 10] [--interval-ms 6.4] [--costs-ms 1 2 3 4 5]

The same small piece of arithmetic, again and again, on every core, nothing else running: a machine
that is shared with others does some pieces many times slower than the rest, though no core is taken
away that this system knows of. When each piece was done tells how late a detector is at least whose
windows cost so much, however it is written: a window comes at an even pace, and whichever core is
done with it first takes it.
"""

import argparse
import hashlib
import os
import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ends = list[NDArray[np.float64]]
"""For each core, when each piece was done, in seconds from the beginning."""

SLOW_S = 0.002  # of arithmetic, whose slow times other benchmarks tell beside their own
PIECE_S = 5e-4  # about, at the machine's usual speed
PROBE_BYTES, PROBES = 1 << 16, 400


def record_pieces(seconds: float) -> Ends:
    """Do pieces on all cores at once."""
    size = int(PROBE_BYTES * PIECE_S / _probe_s())
    done: list[list[float]] = [[] for _ in os.sched_getaffinity(0)]
    begin = time.perf_counter()

    def work(mine: list[float]) -> None:
        piece = bytes(size)
        while not mine or mine[-1] < seconds:
            hashlib.blake2b(piece)  # other threads run meanwhile
            mine.append(time.perf_counter() - begin)

    workers = [threading.Thread(target=work, args=(mine,)) for mine in done]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [np.array(mine) for mine in done]


def _probe_s() -> float:
    piece, took = bytes(PROBE_BYTES), []
    for _ in range(PROBES):
        begin = time.perf_counter()
        hashlib.blake2b(piece)
        took.append(time.perf_counter() - begin)
    return float(np.median(took))


def slowness(ends: Ends, seconds: float) -> tuple[float, float]:
    """How much slower than usual work of this length was: one time in a hundred, and at most."""
    usual_s = np.median(np.concatenate([np.diff(end) for end in ends]))
    count = max(1, round(seconds / usual_s))
    took = np.concatenate([end[count:] - end[:-count] for end in ends])
    late, most = np.percentile(took, [99, 100]) / np.median(took)
    return float(late), float(most)


def lateness_s(ends: Ends, cost_s: float, interval_s: float) -> NDArray[np.float64]:
    """How late windows are at least that each keep one core busy, and come at an even pace.

    Args:
        ends: when pieces were done.
        cost_s: what a window costs of one core on average, slow times included.
        interval_s: from one window to the next.

    Returns:
        Seconds from each window's coming until it is done; the last ones, for which the record
        does not last, are left out.

    Example:
        >>> even = np.arange(1, 101) * 0.001
        >>> lateness_s([even, even], cost_s=0.003, interval_s=0.002)[:3].round(6).tolist()
        [0.003, 0.003, 0.003]
    """
    mean_s = np.mean(np.concatenate([np.diff(end) for end in ends]))
    cost = max(1, round(cost_s / mean_s))
    free = [0] * len(ends)
    late: list[float] = []
    while True:
        comes = len(late) * interval_s
        firsts = [
            max(mine, int(np.searchsorted(end, comes + 1e-9)))
            for mine, end in zip(free, ends, strict=True)
        ]
        done = [
            (float(end[first + cost - 1]), core)
            for core, (first, end) in enumerate(zip(firsts, ends, strict=True))
            if first + cost <= len(end)
        ]
        if len(done) < len(ends):
            break
        when, core = min(done)
        free[core] = firsts[core] + cost
        late.append(when - comes)
    return np.array(late)


def describe(ends: Ends, costs_s: Sequence[float], interval_s: float) -> None:
    """Print what was recorded."""
    for seconds in (SLOW_S, 0.005):
        late, most = slowness(ends, seconds)
        words = f"arithmetic of {1e3 * seconds:g} ms on each core"
        print(f"{words}: {late:.1f} times that at p99, {most:.0f} times at most")
    for cost in costs_s:
        p50, p99 = 1e3 * np.percentile(lateness_s(ends, cost * len(ends), interval_s), [50, 99])
        print(
            f"windows that cost {1e3 * cost:.1f} ms of all {len(ends)} cores, one every "
            f"{1e3 * interval_s:g} ms: late by at least {p50:.1f} ms (p50), {p99:.1f} ms (p99)",
            flush=True,
        )


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--interval-ms", type=float, default=6.4, help="one window lasts so long")
    parser.add_argument("--costs-ms", type=float, nargs="+", default=[1.0, 2.0, 3.0, 4.0, 5.0])
    given = parser.parse_args()
    costs = [ms / 1e3 for ms in given.costs_ms]
    describe(record_pieces(given.seconds), costs, given.interval_ms / 1e3)


if __name__ == "__main__":
    main()
