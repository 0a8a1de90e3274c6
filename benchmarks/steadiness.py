"""How evenly does this machine work, and how late is the best detector's answer at least?

    python -m benchmarks.steadiness [--seconds 10] [--window-ms 6.4] [--costs-ms 2 5 8]

The same arithmetic in small pieces, again and again, on every core, nothing else running: a machine
that is shared with others does some of them many times slower than the rest, though nobody takes a
core away that this system knows of. From when each piece was done follows how late a detector is at
least whose windows cost so much of all cores, however it is written: a window comes every 6.4 ms,
and the core that is done with it first takes it.
"""

import argparse
import hashlib
import itertools
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE_S = 5e-4  # about, at the machine's usual speed
PIECE_BYTES, PROBES = 1 << 16, 400
Ends = list[NDArray[np.float64]]


def do_piece(bytes_: bytes) -> None:
    """A piece of arithmetic; other threads run meanwhile."""
    hashlib.blake2b(bytes_)


def record_pieces(seconds: float, threads: int) -> Ends:
    """Do pieces on some threads at once; give each thread's seconds at which one was done."""
    took = []
    for _ in range(PROBES):
        begin = time.perf_counter()
        do_piece(bytes(PIECE_BYTES))
        took.append(time.perf_counter() - begin)
    piece = bytes(max(4096, int(PIECE_BYTES * PIECE_S / float(np.median(took)))))
    done: list[list[float]] = [[] for _ in range(threads)]
    begin = time.perf_counter()

    def work(mine: list[float]) -> None:
        while not mine or mine[-1] < seconds:
            do_piece(piece)
            mine.append(time.perf_counter() - begin)

    workers = [threading.Thread(target=work, args=(mine,)) for mine in done]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [np.array(mine) for mine in done]


def least_lateness_ms(ends: Sequence[NDArray[np.float64]], cost: int, interval_s: float) -> Any:
    """How late windows would be that cost some pieces each, and come at an even pace.

    Args:
        ends: when each piece was done, for each core, in seconds.
        cost: pieces of a window.
        interval_s: from one window to the next.

    Returns:
        Milliseconds from each window's coming until it is done; those that come too late to be
        done within the record are left out.

    Example:
        >>> even = np.arange(1, 101) * 0.001
        >>> least_lateness_ms([even], cost=2, interval_s=0.01)[:2].round(6).tolist()
        [2.0, 2.0]
    """
    free, late = [0] * len(ends), []
    for number in itertools.count():
        comes = number * interval_s
        first = [
            max(mine, int(np.searchsorted(end, comes, side="left")) + 1 if comes else 0)
            for mine, end in zip(free, ends, strict=True)
        ]
        done = [
            (end[begin + cost - 1], core)
            for core, (begin, end) in enumerate(zip(first, ends, strict=True))
            if begin + cost <= len(end)
        ]
        if not done:
            return 1e3 * np.array(late)
        when, core = min(done)
        free[core] = first[core] + cost
        late.append(when - comes)


def describe(seconds: float, window_s: float, costs_s: Sequence[float]) -> dict[str, Any]:
    """Measure, print and give the figures.

    Args:
        seconds: how long.
        window_s: what a window lasts.
        costs_s: what a window may cost of all cores together, at the machine's usual speed.
    """
    cores = len(os.sched_getaffinity(0))
    ends = record_pieces(seconds, cores)
    took = np.concatenate([np.diff(end) for end in ends])
    usual = float(np.median(took))
    told: dict[str, Any] = {"cores": cores, "piece_ms": 1e3 * usual, "least_late_ms": {}}
    for ms in (2.0, 5.0):
        count = max(1, round(ms / 1e3 / usual))
        runs = np.concatenate([end[count:] - end[:-count] for end in ends])
        slower = np.percentile(runs, [99, 100]) / np.median(runs)
        told[f"slower_over_{ms:g}_ms"] = slower.tolist()
        print(f"arithmetic of {ms:g} ms: {slower[0]:.1f} times that at p99, {slower[1]:.1f} at most")
    for cost in costs_s:
        pieces = max(1, round(cost * cores / usual))
        p50, p99 = np.percentile(least_lateness_ms(ends, pieces, window_s), [50, 99])
        told["least_late_ms"][f"{1e3 * cost:g}"] = [float(p50), float(p99)]
        print(
            f"windows that cost {1e3 * cost:.1f} ms of {cores} cores, one every "
            f"{1e3 * window_s:g} ms: late by at least {p50:.1f} ms (p50), {p99:.1f} ms (p99)"
        )
    return told


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--window-ms", type=float, default=6.4)
    parser.add_argument("--costs-ms", type=float, nargs="+", default=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    given = parser.parse_args()
    costs = [ms / 1e3 for ms in given.costs_ms]
    describe(given.seconds, given.window_ms / 1e3, costs)


if __name__ == "__main__":
    main()
