"""A vehicle's outline and a viewpoint come in, its shaded picture goes out.

A vehicle is one or two *blocks*: a side profile, extruded to the vehicle's width. Lengths are
metres; x runs from tail to nose, y to the viewer's side, z up. `View` projects to the picture.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vidar_det.spikes.drawn.canvas import Canvas, Picture, Point, blemishes, cloud_noise

TALLEST_PX, WIDEST_PX = 176.0, 400.0
Solid = tuple[float, float, float]
GLASS, BODY, FRONT, REAR = "glass", "body", "front", "rear"


@dataclass(frozen=True)
class Block:
    """One extruded part of a vehicle.

    Attributes:
        profile: x, z along the upper outline from tail bottom to nose bottom.
        kinds: what each piece of the outline is: glass, body, front or rear.
        side_glass: windows of the side, each a polygon in x, z.
        seams: lines of the side (doors, edges), each two points in x, z.
        half_width: metres.
        tone: paint, 0..1.
    """

    profile: tuple[Point, ...]
    kinds: tuple[str, ...]
    side_glass: tuple[tuple[Point, ...], ...]
    seams: tuple[tuple[Point, Point], ...]
    half_width: float
    tone: float


@dataclass(frozen=True)
class Vehicle:
    """Blocks on wheels: ``axles`` are x of the wheels, ``wheel_radius`` in metres."""

    blocks: tuple[Block, ...]
    axles: tuple[float, ...]
    wheel_radius: float
    glass: float
    chrome: float
    lamp: float


@dataclass(frozen=True)
class View:
    """Where the viewer stands: ``yaw`` 0 sees the side, pi/2 the nose, -pi/2 the tail."""

    yaw: float
    pitch: float
    distance_m: float

    def project(self, point: Solid) -> Point:
        """Picture coordinates in metres, y down."""
        x, y, z = point
        u = x * math.cos(self.yaw) - y * math.sin(self.yaw)
        v = x * math.sin(self.yaw) + y * math.cos(self.yaw)
        near = v * math.cos(self.pitch) + z * math.sin(self.pitch)
        scale = self.distance_m / (self.distance_m - near)
        return u * scale, (v * math.sin(self.pitch) - z * math.cos(self.pitch)) * scale

    def faces(self, nx: float, nz: float) -> bool:
        """Whether a surface with this normal (in the x, z plane) can be seen."""
        return (nx * math.sin(self.yaw) * math.cos(self.pitch) + nz * math.sin(self.pitch)) > 0.02


def render(vehicle: Vehicle, view: View, generator: np.random.Generator) -> tuple[Picture, float]:
    """Draw a vehicle as seen from a view.

    Args:
        vehicle: what to draw.
        view: from where.
        generator: source of the dirt and of the light's direction.

    Returns:
        grey and alpha, ``(h, w) uint8``, and the picture's height in metres.
    """
    corners = [
        view.project((x, y, z))
        for block in vehicle.blocks
        for x, z in (*block.profile, (block.profile[0][0], 0.0), (block.profile[-1][0], 0.0))
        for y in (-block.half_width, block.half_width)
    ]
    low, high = np.min(corners, axis=0) - 0.15, np.max(corners, axis=0) + 0.15
    width, height = (high - low).tolist()
    scale = min(TALLEST_PX / height, WIDEST_PX / width)
    canvas = Canvas((width, height), scale)

    def place(point: Solid) -> Point:
        x, y = view.project(point)
        return x - float(low[0]), y - float(low[1])

    brush = _Brush(canvas, place, view, vehicle, float(generator.uniform(0.3, 1.0)))
    brush.draw(generator)
    picture = canvas.finish(blemishes((90, 160), 0.05, generator))
    return picture, len(picture[0]) / scale


@dataclass(frozen=True)
class _Brush:
    """Draws one vehicle; ``sun`` is how much brighter upward surfaces are."""

    canvas: Canvas
    place: Callable[[Solid], Point]
    view: View
    vehicle: Vehicle
    sun: float

    def draw(self, generator: np.random.Generator) -> None:
        half = self.vehicle.blocks[0].half_width
        order = self.vehicle.blocks if self.view.yaw > 0 else self.vehicle.blocks[::-1]
        for block in order:
            self._draw_belly(block)
        self._draw_treads(half)
        sees_side = self.view.distance_m * math.cos(self.view.yaw) > half
        for block in order:
            self._draw_shell(block)
            if sees_side:
                self._draw_side(block, generator)
        if sees_side:
            self._draw_wheels(half)

    def _draw_belly(self, block: Block) -> None:
        """The dark gap between the body and the road."""
        (x0, z0), (x1, z1) = block.profile[0], block.profile[-1]
        y, low = 0.9 * block.half_width, 0.55 * min(z0, z1)
        for ends in (((x0 + 0.1, y), (x1 - 0.1, y)), ((x1 - 0.1, -y), (x1 - 0.1, y))):
            (ax, ay), (bx, by) = ends
            quad: list[Solid] = [(ax, ay, low), (bx, by, low), (bx, by, z1 + 0.1)]
            self._polygon([*quad, (ax, ay, z0 + 0.1)], 0.03)
        tail: list[Solid] = [(x0 + 0.1, -y, low), (x0 + 0.1, y, low), (x0 + 0.1, y, z0 + 0.1)]
        self._polygon([*tail, (x0 + 0.1, -y, z0 + 0.1)], 0.03)

    def _draw_shell(self, block: Block) -> None:
        """The pieces of the extruded outline that face the viewer, far ones first."""
        pieces = list(zip(block.profile[:-1], block.profile[1:], block.kinds, strict=True))
        if self.view.yaw < 0:
            pieces.reverse()
        for (ax, az), (bx, bz), kind in pieces:
            length = math.hypot(bx - ax, bz - az)
            nx, nz = -(bz - az) / length, (bx - ax) / length
            if not self.view.faces(nx, nz):
                continue
            light = 0.62 + 0.38 * self.sun * max(0.0, nz) + 0.12 * max(0.0, nx)
            piece = _Piece((ax, az), (bx, bz), block.half_width)
            self._polygon(piece.part((0, 1), (0, 1)), block.tone * light)
            if kind == GLASS:
                glass = piece.part((0.07, 0.93), (0.06, 0.94))
                self._fade(glass, (self.vehicle.glass * 1.6 + 0.06, self.vehicle.glass))
            elif kind in (FRONT, REAR):
                self._draw_end(piece, kind)

    def _draw_end(self, piece: "_Piece", kind: str) -> None:
        """Lamps, grille, bumper and number plate; `across` runs over the width, `up` along z."""
        vehicle, is_front = self.vehicle, kind == FRONT
        lamp = vehicle.lamp if is_front else 0.35
        self._polygon(piece.band((0.0, 1.0), (0.0, 0.16)), 0.06)
        self._polygon(piece.band((0.03, 0.97), (0.16, 0.4)), vehicle.chrome)
        for left, right in ((0.04, 0.24), (0.76, 0.96)):
            self._polygon(piece.band((left, right), (0.5, 0.82)), lamp)
            bulb = piece.band((left + 0.05, right - 0.05), (0.56, 0.76))
            self._polygon(bulb, min(1.0, 1.4 * lamp))
        if is_front:
            self._polygon(piece.band((0.28, 0.72), (0.48, 0.8)), 0.08)
            self._polygon(piece.band((0.28, 0.72), (0.62, 0.66)), vehicle.chrome)
        self._polygon(piece.band((0.38, 0.62), (0.22, 0.36)), 0.9)

    def _draw_side(self, block: Block, generator: np.random.Generator) -> None:
        y, tone = block.half_width, block.tone
        outline: list[Solid] = [(x, y, z) for x, z in block.profile]
        shade = 0.75 + 0.2 * math.cos(self.view.yaw)
        self._fade(outline, (min(1.0, tone * (shade + 0.25)), tone * (shade - 0.2)))
        points = [self.place(point) for point in outline]
        mirror = 1.0 + 0.12 * cloud_noise((24, 60), 12.0, generator)
        self.canvas.pattern(points, np.clip(mirror, 0.5, 1.5).astype(np.float32))
        for glass in block.side_glass:
            dark = self.vehicle.glass * float(generator.uniform(0.7, 1.5))
            self._fade([(x, y, z) for x, z in glass], (1.5 * dark + 0.06, dark))
        for (ax, az), (bx, bz) in block.seams:
            ends = [self.place((ax, y, az)), self.place((bx, y, bz))]
            self.canvas.line(ends, 0.022, 0.45 * tone)
        (x0, z0), (x1, z1) = block.profile[0], block.profile[-1]
        sill: list[Solid] = [(x0, y, z0), (x1, y, z1), (x1, y, z1 + 0.1), (x0, y, z0 + 0.1)]
        self._polygon(sill, 0.4 * tone)

    def _draw_treads(self, half: float) -> None:
        """Tyres under the body, as seen from the front, from behind and across."""
        radius = self.vehicle.wheel_radius
        for axle in self.vehicle.axles:
            self._disc((axle, -half + 0.05, radius), radius, 0.04)
            for y in (-half + 0.02, half - 0.24):
                low: list[Solid] = [(axle, y, 0.0), (axle, y + 0.22, 0.0)]
                self._polygon([*low, (axle, y + 0.22, 2 * radius), (axle, y, 2 * radius)], 0.05)

    def _draw_wheels(self, y: float) -> None:
        """Arches, tyres, rims and spokes of the side that faces the viewer."""
        radius, rim = self.vehicle.wheel_radius, 0.55 * self.vehicle.chrome + 0.1
        for axle in self.vehicle.axles:
            self._disc((axle, y + 0.005, 1.05 * radius), 1.2 * radius, 0.02)
            for share, tone in ((1.0, 0.05), (0.66, rim), (0.2, 0.1)):
                self._disc((axle, y + 0.01, radius), share * radius, tone)
            for spoke in range(5):
                turn = math.tau * spoke / 5 + axle
                dx, dz = 0.6 * radius * math.cos(turn), 0.6 * radius * math.sin(turn)
                ends = [(axle, y + 0.01, radius), (axle + dx, y + 0.01, radius + dz)]
                self.canvas.line([self.place(p) for p in ends], 0.18 * radius, 0.25)

    def _disc(self, centre: Solid, radius: float, tone: float) -> None:
        x, y, z = centre
        turn = [math.tau * k / 28 for k in range(28)]
        rim: list[Solid] = [(x + radius * math.cos(a), y, z + radius * math.sin(a)) for a in turn]
        self._polygon([(px, py, max(0.0, pz)) for px, py, pz in rim], tone)

    def _polygon(self, points: list[Solid], tone: float) -> None:
        self.canvas.polygon([self.place(point) for point in points], tone)

    def _fade(self, points: list[Solid], tones: tuple[float, float]) -> None:
        self.canvas.fade([self.place(point) for point in points], tones)


@dataclass(frozen=True)
class _Piece:
    """A rectangle of the shell: from one outline point to the next, over the whole width."""

    start: Point
    end: Point
    half_width: float

    def part(self, across: tuple[float, float], along: tuple[float, float]) -> list[Solid]:
        """A sub-rectangle in shares of width and of the way from start to end."""
        (ax, az), (bx, bz) = self.start, self.end
        corners = [(across[0], along[0]), (across[1], along[0])]
        corners += [(across[1], along[1]), (across[0], along[1])]
        return [
            (ax + t * (bx - ax), (2 * s - 1) * self.half_width, az + t * (bz - az))
            for s, t in corners
        ]

    def band(self, across: tuple[float, float], up: tuple[float, float]) -> list[Solid]:
        """A sub-rectangle in shares of width and of the way from the lower edge to the upper."""
        climbs = self.end[1] > self.start[1]
        return self.part(across, up if climbs else (1 - up[1], 1 - up[0]))
