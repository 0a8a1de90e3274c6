"""A picture's size comes in; how fast its packed planes become counts, beside memcpy, goes out."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vidar_det.evaluation.speed import SpeedFigure, SpeedSpec, Work, median_laps
from vidar_det.spikes.layouts import M1K40_SIDE, plane_format
from vidar_det.spikes.stores import MemoryBytes, PackedStore, Run

PACKED_BYTES = 64 << 20
"""At least: more than caches hold, so that neither side reads from them."""
WINDOW = 256
COUNTED = (32, 64, 256)
"""Planes behind one count."""


def measure_counting(spec: SpeedSpec, packed_bytes: int = PACKED_BYTES) -> list[SpeedFigure]:
    """Packed planes to counts against copying the same bytes, on one thread and on all.

    The layouts are plain and, at 1000x1000, the camera's own.

    Args:
        spec: the picture's size, how long, and how many threads.
        packed_bytes: at least so many are drawn.

    Returns:
        Bytes copied per second, then planes counted per second, as a share of them.
    """
    layouts = ["plain"]
    if (spec.width, spec.height) == (M1K40_SIDE, M1K40_SIDE):
        layouts.append("m1k40")
    return [figure for layout in layouts for figure in _measure(layout, spec, packed_bytes)]


def _measure(layout: str, spec: SpeedSpec, packed_bytes: int) -> list[SpeedFigure]:
    form = plane_format(layout, spec.width, spec.height)
    windows = -(-packed_bytes // (WINDOW * form.plane_bytes))
    windows = -(-windows // spec.used) * spec.used  # as many for each thread
    planes = windows * WINDOW
    packed = np.random.default_rng(0).integers(0, 256, planes * form.plane_bytes, dtype=np.uint8)
    copy = np.empty_like(packed)
    store = PackedStore(MemoryBytes(packed), form, [Run(0, planes)], "ud")
    size = packed.size // windows

    def copying(window: int) -> None:
        part = slice(window * size, (window + 1) * size)
        np.copyto(copy[part], packed[part])

    def counting(length: int) -> Callable[[int], None]:
        def count(window: int) -> None:
            store.counts(window * WINDOW, (window + 1) * WINDOW, WINDOW // length)

        return count

    group = f"decode, {layout}"
    figures = []
    with ThreadPoolExecutor(spec.used) as pool:
        for threads in dict.fromkeys((1, spec.used)):
            each = pool.map if threads > 1 else map
            label = f"{threads} thread" + "s" * (threads > 1)

            def walk(
                look: Callable[[int], None], each: Callable[..., Iterable[None]] = each
            ) -> Work:
                return lambda: list(each(look, range(windows)))

            works = {"memcpy": walk(copying)}
            works |= {f"counts of {length} planes": walk(counting(length)) for length in COUNTED}
            laps = median_laps(works, spec.seconds)
            lap = laps.pop("memcpy")
            ceiling = f"memcpy, {label}"
            figures.append(SpeedFigure(group, ceiling, packed.nbytes / lap / 1e9, "GB/s"))
            figures += [
                SpeedFigure(group, f"{name}, {label}", planes / own, "planes/s", ceiling, lap / own)
                for name, own in laps.items()
            ]
    return figures
