"""A random generator comes in, a drawn car, van, bus or truck goes out, seen from any side."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from vidar_det.spikes.drawn.canvas import Picture, Point
from vidar_det.spikes.drawn.solids import BODY, FRONT, GLASS, REAR, Block, Vehicle, View, render


def draw_vehicle(generator: np.random.Generator) -> tuple[Picture, float]:
    """Draw one vehicle of a random kind, paint and view.

    Args:
        generator: source of randomness.

    Returns:
        grey and alpha, ``(h, w) uint8``, at most about 180 px high and 400 px wide; and the
        picture's height in metres.

    Example:
        >>> (grey, alpha), height_m = draw_vehicle(np.random.default_rng(0))
        >>> grey.dtype
        dtype('uint8')
    """
    builders = (_build_car, _build_car, _build_car, _build_van, _build_bus, _build_truck)
    vehicle = builders[int(generator.integers(len(builders)))](generator)
    yaw = float(generator.choice([0.0, 0.0, 0.5, 0.9, 1.2, 1.57, -0.6, -1.1, -1.57]))
    view = View(
        yaw=min(1.52, max(-1.52, yaw + float(generator.uniform(-0.15, 0.15)))),
        pitch=float(generator.choice([0.02, 0.08, 0.2, 0.45])),
        distance_m=float(generator.uniform(14.0, 60.0)),
    )
    return render(vehicle, view, generator)


def _paint(rng: np.random.Generator) -> float:
    """Paints cluster at white, silver and near black."""
    tone = rng.choice([0.06, 0.15, 0.35, 0.6, 0.85, 0.98]) + rng.normal(0, 0.05)
    return float(np.clip(tone, 0.03, 1.0))


def _fit_out(blocks: tuple[Block, ...], axles: tuple[float, ...], radius: float) -> Vehicle:
    return Vehicle(blocks, axles, radius, glass=0.1, chrome=0.3, lamp=0.8)


def _trim(vehicle: Vehicle, rng: np.random.Generator) -> Vehicle:
    is_lit = rng.random() < 0.3
    return replace(
        vehicle,
        glass=float(rng.uniform(0.05, 0.3)),
        chrome=float(rng.uniform(0.08, 0.7)),
        lamp=1.0 if is_lit else float(rng.uniform(0.5, 0.9)),
    )


def _build_car(rng: np.random.Generator) -> Vehicle:
    """Saloon, hatchback or off-roader: only the outline of the tail and the heights differ."""
    length, height = float(rng.uniform(3.7, 4.9)), float(rng.uniform(1.38, 1.75))
    half, belt, low = 0.5 * length, 0.62 * height, 0.22
    is_saloon = rng.random() < 0.45
    nose_z, tail_z = 0.47 * height, (0.6 if is_saloon else 0.56) * height
    rear_base = -half + (0.2 if is_saloon else 0.04) * length
    rear_roof = rear_base + (0.13 if is_saloon else float(rng.uniform(0.03, 0.12))) * length
    screen_base = half - float(rng.uniform(0.22, 0.29)) * length
    screen_roof = screen_base - float(rng.uniform(0.1, 0.17)) * length
    top = height
    outline = [(-half, low), (-half, tail_z), (rear_base, belt), (rear_roof, top - 0.03)]
    outline += [(0.5 * (rear_roof + screen_roof), top), (screen_roof, top - 0.04)]
    outline += [(screen_base, belt), (half - 0.12, nose_z + 0.06), (half, nose_z - 0.08)]
    profile = (*outline, (half, low))
    kinds = (REAR, BODY, GLASS, BODY, BODY, GLASS, BODY, BODY, FRONT)
    post = 0.5 * (rear_roof + screen_roof) - 0.05
    sill, eave = belt + 0.03, top - 0.12
    back = (
        (rear_base + 0.2, sill),
        (rear_roof + 0.12, eave),
        (post - 0.05, eave),
        (post - 0.05, sill),
    )
    fore = (
        (post + 0.05, sill),
        (post + 0.05, eave),
        (screen_roof - 0.06, eave),
        (screen_base - 0.15, sill),
    )
    seams = (
        ((post, eave), (post, low + 0.1)),
        ((screen_base - 0.15, sill), (screen_base - 0.2, 0.4)),
        ((-half, 0.5 * belt), (half, 0.5 * belt)),
        ((-half + 0.1, belt), (screen_base, belt)),
    )
    block = Block(profile, kinds, (back, fore), seams, float(rng.uniform(0.82, 0.95)), _paint(rng))
    axle = 0.31 * length
    return _trim(_fit_out((block,), (-axle, axle), float(rng.uniform(0.3, 0.36))), rng)


def _build_van(rng: np.random.Generator) -> Vehicle:
    length, height = float(rng.uniform(4.4, 5.9)), float(rng.uniform(1.9, 2.6))
    half, belt, low = 0.5 * length, 0.55 * height, 0.3
    screen = half - float(rng.uniform(0.5, 0.9))
    roof = screen - float(rng.uniform(0.3, 0.6))
    outline = ((-half, low), (-half, belt), (-half + 0.08, height - 0.06), (-half + 0.3, height))
    profile = (*outline, (roof, height), (screen, belt), (half, 0.75 * belt), (half, low))
    kinds = (REAR, GLASS, BODY, BODY, GLASS, BODY, FRONT)
    fore = (
        (roof - 0.7, belt),
        (roof - 0.7, height - 0.3),
        (roof, height - 0.3),
        (screen - 0.1, belt),
    )
    windows: list[tuple[Point, ...]] = [fore]
    if rng.random() < 0.5:
        edges = np.linspace(-half + 0.25, roof - 0.8, 3).tolist()
        for a, b in pairwise(edges):
            windows.append(_pane(a, b - 0.08, belt, height - 0.3))
    seams = (
        ((roof - 0.75, height - 0.2), (roof - 0.75, low)),
        ((0.0, height - 0.2), (0.0, low)),
        ((-half, 0.6 * belt), (half, 0.6 * belt)),
    )
    block = Block(profile, kinds, tuple(windows), seams, 0.98, _paint(rng))
    return _trim(_fit_out((block,), (-0.3 * length, 0.33 * length), 0.34), rng)


def _build_bus(rng: np.random.Generator) -> Vehicle:
    length, height = float(rng.uniform(9.0, 12.5)), float(rng.uniform(2.9, 3.4))
    half, belt, low = 0.5 * length, 1.25, 0.35
    outline = ((-half, low), (-half, 1.6), (-half, height - 0.2), (-half + 0.15, height))
    profile = (*outline, (half - 0.2, height), (half, height - 0.35), (half, 1.15), (half, low))
    kinds = (REAR, GLASS, BODY, BODY, BODY, GLASS, FRONT)
    edges = np.linspace(-half + 0.3, half - 0.3, int(rng.integers(6, 10))).tolist()
    panes = tuple(_pane(a, b - 0.1, belt, height - 0.55) for a, b in pairwise(edges))
    bands = (((-half, belt - 0.1), (half, belt - 0.1)), ((-half, 0.8), (half, 0.8)))
    doors = tuple(((x, low), (x, height - 0.6)) for x in (half - 1.4, half - 0.4, -0.6, 0.5))
    block = Block(profile, kinds, panes, bands + doors, 1.25, _paint(rng))
    return _trim(_fit_out((block,), (-0.27 * length, 0.3 * length), 0.5), rng)


def _build_truck(rng: np.random.Generator) -> Vehicle:
    length, height = float(rng.uniform(6.0, 9.5)), float(rng.uniform(2.7, 3.8))
    half, low, cab_top = 0.5 * length, 0.5, float(rng.uniform(2.4, 2.9))
    start = half - float(rng.uniform(1.7, 2.2))
    cargo = Block(
        profile=((-half, 0.9), (-half, height), (start - 0.15, height), (start - 0.15, 0.9)),
        kinds=(BODY, BODY, BODY),
        side_glass=(),
        seams=tuple(
            ((x, 1.0), (x, height - 0.1)) for x in np.linspace(-half + 0.2, start - 0.4, 5).tolist()
        ),
        half_width=1.22,
        tone=_paint(rng),
    )
    outline = ((start, low), (start, cab_top - 0.1), (start + 0.2, cab_top), (half - 0.5, cab_top))
    cab = Block(
        profile=(*outline, (half - 0.08, 1.5), (half, 1.3), (half, low)),
        kinds=(BODY, BODY, BODY, GLASS, BODY, FRONT),
        side_glass=(_pane(start + 0.5, half - 0.4, 1.55, cab_top - 0.25),),
        seams=(((start + 0.4, low), (start + 0.4, cab_top - 0.2)), ((start, 1.4), (half, 1.4))),
        half_width=1.15,
        tone=_paint(rng),
    )
    axles = (-half + 1.2, -half + 2.3, half - 1.0) if length > 8 else (-half + 1.5, half - 1.0)
    return _trim(_fit_out((cargo, cab), axles, 0.48), rng)


def _pane(left: float, right: float, low: float, high: float) -> tuple[Point, ...]:
    return (left, low), (left, high), (right, high), (right, low)
