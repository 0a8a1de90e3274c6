"""Work comes in; how fast it runs, beside what else takes turns with it, goes out.

All that is compared takes turns in one call, so that what else the machine does falls on all of it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np

from vidar_det.detector.execution import Execution
from vidar_det.detector.graphs import has_bf16, has_openvino
from vidar_det.detector.openvino_runtime import Precision
from vidar_det.detector.threads import available_cpus
from vidar_det.errors import ConfigError

LEAST_LAPS = 5


@dataclass(frozen=True)
class SpeedFigure:
    """One figure, and what stands beside it.

    Attributes:
        group: which part of the way.
        name: what ran.
        value: how fast.
        unit: of the value.
        beside: what it is compared with; empty = nothing.
        ratio: the value over that; for times, how many times as fast it is.
    """

    group: str
    name: str
    value: float
    unit: str
    beside: str = ""
    ratio: float | None = None


@dataclass(frozen=True)
class SpeedSpec:
    """How long to measure, and with what.

    Attributes:
        seconds: for each figure.
        threads: that compute.
        height: of the picture, pixels.
        width: of the picture, pixels.
        runtimes: names of those that are measured; empty = all there are.
        precisions: those that are measured; empty = all there are.
    """

    seconds: float = 1.0
    threads: int = 0
    height: int = 250
    width: int = 400
    runtimes: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()

    @property
    def used(self) -> int:
        """Threads that compute; as many as there are where none are named."""
        return self.threads or available_cpus()


Work = Callable[[], object]


def median_laps(works: Mapping[str, Work], seconds: float) -> dict[str, float]:
    """Let works take turns, and return the median seconds of each.

    Each runs once beforehand, to compile and warm up; then all in turn until each had its time.

    Example:
        >>> sorted(median_laps({"a": lambda: None, "b": lambda: None}, seconds=0.01))
        ['a', 'b']
    """
    laps: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    start = time.perf_counter()
    while (
        time.perf_counter() - start < seconds * len(works)
        or min(map(len, laps.values())) < LEAST_LAPS
    ):
        for name, work in works.items():
            begin = time.perf_counter()
            work()
            laps[name].append(time.perf_counter() - begin)
    return {name: float(np.median(each)) for name, each in laps.items()}


def executions(spec: SpeedSpec, streams: int = 0) -> dict[str, Execution]:
    """Every way of running a network that this machine has and that is wanted, by name.

    Args:
        spec: what is wanted.
        streams: windows side by side; see ``Execution``.

    Raises:
        ConfigError: nothing is left, or a name is none.

    Example:
        >>> list(executions(SpeedSpec(runtimes=("torch",))))
        ['torch f32']
    """
    precisions: tuple[Precision, ...] = get_args(Precision)
    for kind, found, known in (
        ("runtime", spec.runtimes, ("torch", "openvino")),
        ("precision", spec.precisions, precisions),
    ):
        if unknown := sorted(set(found) - set(known)):
            raise ConfigError(f"{kind}: found {unknown[0]!r}, wanted some of {', '.join(known)}")
    ways = {"torch f32": Execution("torch", threads=spec.used)}
    if has_openvino():
        for precision in precisions:
            if precision != "bf16" or has_bf16():
                way = Execution("openvino", precision, spec.used, streams)
                ways[f"openvino {precision}"] = way
    wanted = {
        name: way
        for name, way in ways.items()
        if (not spec.runtimes or way.runtime in spec.runtimes)
        and (not spec.precisions or way.precision in spec.precisions)
    }
    if not wanted:
        raise ConfigError(f"bench: none of {', '.join(ways)} is wanted")
    return wanted
