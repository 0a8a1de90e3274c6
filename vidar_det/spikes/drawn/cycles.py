"""A random generator comes in, a drawn bicycle or motorcycle goes out, half of them with a rider.

Lengths are metres, x to the right, y down; the rider is a picture of its own on the same canvas.
"""

import math

import numpy as np

from vidar_det.spikes.drawn.canvas import Canvas, Picture, Point, blemishes
from vidar_det.spikes.drawn.figures import Pose, draw_body, draw_wardrobe

PIXELS_PER_METRE = 100.0
PERSON_M = 1.75
SIZE_M = (2.4, 2.3)
GROUND_M = 2.2


def draw_cycle(generator: np.random.Generator) -> tuple[Picture, Picture | None]:
    """Draw a bicycle or a motorcycle from the side or from the front.

    Args:
        generator: source of randomness.

    Returns:
        The machine, and the rider on the same canvas or None; grey and alpha, ``(h, w) uint8``.

    Example:
        >>> (grey, alpha), rider = draw_cycle(np.random.default_rng(0))
        >>> grey.shape == alpha.shape
        True
    """
    canvas = Canvas(SIZE_M, PIXELS_PER_METRE)
    tone = float(generator.beta(0.8, 1.2))
    is_motorcycle, is_side = generator.random() < 0.45, generator.random() < 0.75
    if is_motorcycle:
        draw = _draw_motorcycle if is_side else _draw_motorcycle_front
    else:
        draw = _draw_bicycle if is_side else _draw_bicycle_front
    draw(canvas, tone, generator)
    machine = canvas.finish(blemishes((80, 80), 0.05, generator), crop=False)
    rider = None
    if generator.random() < 0.5:
        pose = _side_pose(is_motorcycle) if is_side else _front_pose()
        rider = _draw_rider(pose, generator)
    return _cropped_together(machine, rider)


def _draw_rider(pose: Pose, generator: np.random.Generator) -> Picture:
    canvas = Canvas((SIZE_M[0] / PERSON_M, SIZE_M[1] / PERSON_M), PIXELS_PER_METRE * PERSON_M)
    draw_body(canvas, pose, draw_wardrobe(generator), generator)
    return canvas.finish(blemishes((80, 80), 0.1, generator), crop=False)


def _cropped_together(machine: Picture, rider: Picture | None) -> tuple[Picture, Picture | None]:
    cover = machine[1] if rider is None else np.maximum(machine[1], rider[1])
    rows = np.flatnonzero((cover > 7).any(axis=1))
    columns = np.flatnonzero((cover > 7).any(axis=0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    def cut(picture: Picture) -> Picture:
        return np.ascontiguousarray(picture[0][window]), np.ascontiguousarray(picture[1][window])

    return cut(machine), None if rider is None else cut(rider)


def _wheel(
    canvas: Canvas, centre: Point, radius: float, tyre: float, rng: np.random.Generator
) -> None:
    turn = [math.tau * k / 40 for k in range(41)]
    for r, width, tone in ((radius, tyre, 0.05), (radius - 0.8 * tyre, 0.35 * tyre, 0.5)):
        rim = [(centre[0] + r * math.cos(a), centre[1] + r * math.sin(a)) for a in turn]
        canvas.line(rim, width, tone)
    start = float(rng.uniform(0, 1))
    for k in range(12):
        a = start + math.tau * k / 12
        tip = (centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a))
        canvas.line([centre, tip], 0.009, 0.45)


def _draw_bicycle(canvas: Canvas, tone: float, generator: np.random.Generator) -> None:
    radius = 0.34
    rear, front = (0.67, GROUND_M - radius), (1.72, GROUND_M - radius)
    crank, seat = (1.12, GROUND_M - 0.3), (0.97, GROUND_M - 0.85)
    head = (1.56, GROUND_M - 0.86)
    for wheel in (rear, front):
        _wheel(canvas, wheel, radius, 0.05, generator)
    for ends in ((rear, crank), (crank, seat), (seat, head), (crank, head), (rear, seat)):
        canvas.line(ends, 0.04, tone)
    canvas.line([head, front], 0.035, 0.8 * tone)
    canvas.line([head, (1.53, GROUND_M - 1.0), (1.68, GROUND_M - 1.04)], 0.035, 0.1)
    canvas.line([(seat[0] - 0.14, seat[1] - 0.07), (seat[0] + 0.12, seat[1] - 0.05)], 0.07, 0.06)
    canvas.ellipse(crank, (0.09, 0.09), 0.3)
    canvas.line(
        [(crank[0] - 0.08, crank[1] - 0.14), (crank[0] + 0.08, crank[1] + 0.14)], 0.03, 0.15
    )
    if generator.random() < 0.4:
        top = GROUND_M - 1.05
        basket = [(1.6, top), (1.95, top), (1.9, top + 0.26), (1.65, top + 0.26)]
        canvas.polygon(basket, 0.35)
    if generator.random() < 0.4:
        canvas.line([(0.55, GROUND_M - 0.76), (0.95, GROUND_M - 0.76)], 0.03, 0.2)


def _draw_motorcycle(canvas: Canvas, tone: float, generator: np.random.Generator) -> None:
    radius = float(generator.uniform(0.28, 0.33))
    g = GROUND_M
    rear, front = (0.6, g - radius), (1.85, g - radius)
    for wheel in (rear, front):
        _wheel(canvas, wheel, radius - 0.05, 0.13, generator)
        canvas.ellipse(wheel, (0.1, 0.1), 0.4)
    canvas.line([front, (1.6, g - 0.95)], 0.07, 0.6)
    canvas.polygon([(0.95, g - 0.22), (1.5, g - 0.22), (1.55, g - 0.6), (0.9, g - 0.6)], 0.16)
    for fin in range(4):
        y = g - 0.3 - 0.07 * fin
        canvas.line([(1.1, y), (1.45, y)], 0.02, 0.5)
    tank = [(1.05, g - 0.66), (1.15, g - 0.9), (1.5, g - 0.93), (1.62, g - 0.75), (1.5, g - 0.6)]
    canvas.fade(tank, (min(1.0, tone + 0.25), 0.7 * tone))
    canvas.line([(0.45, g - 0.82), (0.75, g - 0.78), (1.1, g - 0.76)], 0.12, 0.07)
    canvas.polygon([(0.3, g - 0.86), (0.7, g - 0.75), (0.75, g - 0.6), (0.5, g - 0.68)], tone)
    canvas.line([(0.4, g - 0.3), (1.1, g - 0.25)], 0.09, 0.65)
    canvas.line([(1.55, g - 0.98), (1.42, g - 1.05)], 0.04, 0.1)
    canvas.ellipse((1.72, g - 0.86), (0.1, 0.12), 0.9)
    if generator.random() < 0.5:
        shield = [(1.55, g - 1.2), (1.68, g - 1.15), (1.9, g - 0.75), (1.6, g - 0.7)]
        canvas.fade(shield, (0.5, tone))
    canvas.line(
        [(1.6, g - 2.15 * radius), (1.85, g - 2.2 * radius), (2.1, g - 1.8 * radius)], 0.05, tone
    )


def _draw_bicycle_front(canvas: Canvas, tone: float, generator: np.random.Generator) -> None:
    x, g, bar = 1.2, GROUND_M, float(generator.uniform(0.24, 0.34))
    canvas.ellipse((x, g - 0.34), (0.03, 0.34), 0.06)
    canvas.line([(x - 0.06, g - 0.34), (x - 0.05, g - 0.72), (x + 0.05, g - 0.72)], 0.03, tone)
    canvas.line([(x + 0.05, g - 0.72), (x + 0.06, g - 0.34)], 0.03, tone)
    canvas.line([(x, g - 0.7), (x, g - 1.02)], 0.05, tone)
    canvas.line(
        [(x - bar, g - 1.0), (x - 0.1, g - 1.05), (x + 0.1, g - 1.05), (x + bar, g - 1.0)],
        0.04,
        0.08,
    )
    canvas.ellipse((x, g - 0.92), (0.06, 0.06), 0.85)
    canvas.line([(x - 0.17, g - 0.28), (x + 0.17, g - 0.3)], 0.05, 0.1)


def _draw_motorcycle_front(canvas: Canvas, tone: float, generator: np.random.Generator) -> None:
    x, g, bar = 1.2, GROUND_M, float(generator.uniform(0.3, 0.4))
    canvas.ellipse((x, g - 0.31), (0.08, 0.31), 0.05)
    for side in (-0.12, 0.12):
        canvas.line([(x + side, g - 0.3), (x + 0.9 * side, g - 0.9)], 0.06, 0.55)
    canvas.polygon(
        [(x - 0.1, g - 0.6), (x + 0.1, g - 0.6), (x + 0.08, g - 0.5), (x - 0.08, g - 0.5)], tone
    )
    cowl = [(x - 0.24, g - 0.62), (x - 0.26, g - 0.9), (x - 0.12, g - 1.15), (x + 0.12, g - 1.15)]
    canvas.fade([*cowl, (x + 0.26, g - 0.9), (x + 0.24, g - 0.62)], (tone, 0.6 * tone))
    canvas.line([(x - bar, g - 1.0), (x, g - 1.05), (x + bar, g - 1.0)], 0.05, 0.1)
    canvas.ellipse((x, g - 0.88), (0.1, 0.09), 0.95)
    for side in (-bar, bar):
        canvas.ellipse((x + side, g - 1.15), (0.07, 0.045), 0.25)


def _in_persons(*points: Point) -> list[Point]:
    return [(x / PERSON_M, y / PERSON_M) for x, y in points]


def _side_pose(is_motorcycle: bool) -> Pose:
    g, reach_x = GROUND_M, 1.42 if is_motorcycle else 1.6
    hip_y = g - 0.88 if is_motorcycle else g - 0.98
    head, neck, hip = _in_persons((1.2, g - 1.62), (1.12, g - 1.45), (0.92, hip_y))
    shoulder, elbow, hand = _in_persons((1.13, g - 1.38), (1.26, g - 1.12), (reach_x, g - 1.06))
    near_knee, near_ankle = _in_persons((1.32, g - 0.75), (1.12, g - 0.38))
    far_knee, far_ankle = _in_persons((1.26, g - 0.6), (1.14, g - 0.24))
    return Pose(
        head=head,
        neck=neck,
        hip=hip,
        arms=((shoulder, elbow, hand), (shoulder, elbow, hand)),
        legs=((hip, far_knee, far_ankle), (hip, near_knee, near_ankle)),
        widths=(0.075, 0.07, 0.08),
        facing=1,
        shows_face=True,
    )


def _front_pose() -> Pose:
    g, x = GROUND_M, 1.2
    head, neck, hip = _in_persons((x, g - 1.72), (x, g - 1.54), (x, g - 0.98))
    arms, legs = [], []
    for side in (-1, 1):
        arm = _in_persons(
            (x + 0.18 * side, g - 1.46), (x + 0.34 * side, g - 1.25), (x + 0.28 * side, g - 1.02)
        )
        leg = _in_persons(
            (x + 0.1 * side, g - 0.98),
            (x + 0.2 * side, g - 0.8 + 0.1 * side),
            (x + 0.17 * side, g - 0.35 + 0.1 * side),
        )
        arms.append((arm[0], arm[1], arm[2]))
        legs.append((leg[0], leg[1], leg[2]))
    return Pose(
        head, neck, hip, (arms[0], arms[1]), (legs[0], legs[1]), (0.115, 0.09, 0.095), 0, True
    )
