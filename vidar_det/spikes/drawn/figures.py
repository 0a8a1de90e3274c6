"""A random generator comes in, a drawn person goes out: standing, walking or riding."""

import math
from dataclasses import dataclass

import numpy as np

from vidar_det.spikes.drawn.canvas import Canvas, Picture, Point, blemishes, cloud_noise

PIXELS_PER_PERSON = 184.0
HEAD_RADIUS = 0.066


@dataclass(frozen=True)
class Wardrobe:
    """Tones (0..1) and cuts of one person's clothes; ``build`` scales all widths."""

    skin: float
    hair: float
    top: float
    bottom: float
    shoes: float
    build: float
    has_long_sleeves: bool
    has_bare_shins: bool
    coat_end: float
    has_skirt: bool
    has_hat: bool
    bag: str


@dataclass(frozen=True)
class Pose:
    """Joints of a body, in persons' heights, y down. Far limbs are drawn first and darker.

    Attributes:
        head: centre of the head.
        neck: where the torso begins.
        hip: where the torso ends.
        arms: far and near: shoulder, elbow, hand.
        legs: far and near: hip, knee, ankle.
        widths: half widths of the torso at shoulder, waist, hip.
        facing: -1 left, 1 right, 0 towards or away from the viewer.
        shows_face: False when seen from behind.
    """

    head: Point
    neck: Point
    hip: Point
    arms: tuple[tuple[Point, Point, Point], tuple[Point, Point, Point]]
    legs: tuple[tuple[Point, Point, Point], tuple[Point, Point, Point]]
    widths: tuple[float, float, float]
    facing: int
    shows_face: bool


def draw_wardrobe(generator: np.random.Generator) -> Wardrobe:
    """Choose clothes; dark ones are the most common, as in the street."""
    rng = generator
    tones = rng.beta(0.9, 1.3, 4)
    return Wardrobe(
        skin=float(rng.uniform(0.3, 0.85)),
        hair=float(rng.beta(1.0, 2.5)),
        top=float(0.04 + 0.94 * tones[0]),
        bottom=float(0.04 + 0.8 * tones[1]),
        shoes=float(0.03 + 0.9 * tones[2]),
        build=float(rng.uniform(0.82, 1.28)),
        has_long_sleeves=bool(rng.random() < 0.6),
        has_bare_shins=bool(rng.random() < 0.2),
        coat_end=float(rng.choice([0.0, 0.0, 0.06, 0.16])),
        has_skirt=bool(rng.random() < 0.15),
        has_hat=bool(rng.random() < 0.2),
        bag=str(rng.choice(["none", "none", "none", "back", "hand"])),
    )


def draw_person(generator: np.random.Generator) -> Picture:
    """Draw one person standing or walking, seen from the side, the front or behind.

    Args:
        generator: source of randomness.

    Returns:
        grey and alpha, ``(h, w) uint8``, about 190 px high.

    Example:
        >>> grey, alpha = draw_person(np.random.default_rng(0))
        >>> grey.shape == alpha.shape
        True
    """
    pose = _side_pose(generator) if generator.random() < 0.55 else _front_pose(generator)
    canvas = Canvas((0.9, 1.12), PIXELS_PER_PERSON)
    draw_body(canvas, pose, draw_wardrobe(generator), generator)
    return canvas.finish(blemishes((112, 90), 0.1, generator))


def draw_body(
    canvas: Canvas, pose: Pose, clothes: Wardrobe, generator: np.random.Generator
) -> None:
    """Draw a posed body, far limbs first."""
    dim = float(generator.uniform(0.6, 0.95))
    _draw_arm(canvas, pose, clothes, near=False, dim=dim)
    _draw_leg(canvas, pose, clothes, near=False, dim=dim)
    _draw_leg(canvas, pose, clothes, near=True, dim=1.0)
    _draw_torso(canvas, pose, clothes, generator)
    _draw_head(canvas, pose, clothes)
    _draw_arm(canvas, pose, clothes, near=True, dim=1.0)


def reach(start: Point, length: float, angle: float) -> Point:
    """The point at a distance; angle 0 hangs down, positive swings to the right."""
    return start[0] + length * math.sin(angle), start[1] + length * math.cos(angle)


def _side_pose(rng: np.random.Generator) -> Pose:
    swing = math.radians(float(rng.choice([0.0, 12.0, 20.0, 26.0, 31.0])))
    phase = float(rng.uniform(0, math.tau))
    lean = float(rng.normal(0.03, 0.03))
    hip, neck = (0.45, 0.53), (0.45 + lean, 0.17)
    legs, arms = [], []
    for side in (0.0, math.pi):
        thigh = swing * math.sin(phase + side)
        bend = 1.3 * swing * max(0.0, math.cos(phase + side)) + 0.05
        knee = reach(hip, 0.235, thigh)
        legs.append((hip, knee, reach(knee, 0.235, thigh - bend)))
        arm = -0.8 * thigh
        elbow = reach((neck[0], 0.215), 0.165, arm)
        arms.append(((neck[0], 0.215), elbow, reach(elbow, 0.155, arm + 0.25 + 0.8 * swing)))
    return Pose(
        head=(neck[0] + 0.015, 0.08),
        neck=neck,
        hip=hip,
        arms=(arms[0], arms[1]),
        legs=(legs[0], legs[1]),
        widths=(0.075, 0.068, 0.078),
        facing=1,
        shows_face=True,
    )


def _front_pose(rng: np.random.Generator) -> Pose:
    stride = float(rng.choice([0.0, 0.0, 0.03, 0.06]))
    legs, arms = [], []
    for side in (-1.0, 1.0):
        hip = (0.45 + 0.048 * side, 0.53)
        lift = stride * max(0.0, side)
        knee = (hip[0] + float(rng.uniform(-0.01, 0.03)) * side, 0.755 - 0.5 * lift)
        legs.append((hip, knee, (hip[0] + float(rng.uniform(-0.01, 0.05)) * side, 0.985 - lift)))
        shoulder = (0.45 + 0.105 * side, 0.21)
        spread = side * float(rng.uniform(0.05, 0.35))
        elbow = reach(shoulder, 0.165, spread)
        arms.append((shoulder, elbow, reach(elbow, 0.15, spread * float(rng.uniform(-2.5, 0.6)))))
    return Pose(
        head=(0.45 + float(rng.normal(0, 0.008)), 0.08),
        neck=(0.45, 0.17),
        hip=(0.45, 0.53),
        arms=(arms[0], arms[1]),
        legs=(legs[0], legs[1]),
        widths=(0.118, 0.09, 0.098),
        facing=0,
        shows_face=bool(rng.random() < 0.6),
    )


def _draw_leg(canvas: Canvas, pose: Pose, clothes: Wardrobe, *, near: bool, dim: float) -> None:
    hip, knee, ankle = pose.legs[int(near)]
    b = clothes.build
    tone = clothes.bottom * dim
    shin = clothes.skin * dim if clothes.has_bare_shins or clothes.has_skirt else tone
    canvas.limb([knee, ankle], [0.04 * b, 0.027], shin)
    canvas.limb([hip, knee], [0.058 * b, 0.044 * b], tone)
    toe = 0.035 * pose.facing
    canvas.ellipse(
        (ankle[0] + toe, ankle[1] + 0.02), (0.05 if toe else 0.032, 0.023), clothes.shoes
    )


def _draw_arm(canvas: Canvas, pose: Pose, clothes: Wardrobe, *, near: bool, dim: float) -> None:
    shoulder, elbow, hand = pose.arms[int(near)]
    b = 0.5 + 0.5 * clothes.build
    sleeve = clothes.top * dim * (0.92 if near else 1.0)
    lower = sleeve if clothes.has_long_sleeves else clothes.skin * dim
    if clothes.bag == "hand" and near:
        x, y = hand
        canvas.line([(x, y), (x, y + 0.06)], 0.012, 0.5 * clothes.shoes)
        corners = [(x - 0.06, y + 0.05), (x + 0.06, y + 0.05), (x + 0.05, y + 0.17)]
        canvas.polygon([*corners, (x - 0.05, y + 0.17)], clothes.shoes)
    canvas.ellipse(hand, (0.022, 0.026), clothes.skin * dim)
    canvas.limb([elbow, hand], [0.029 * b, 0.02], lower)
    canvas.limb([shoulder, elbow], [0.038 * b, 0.03 * b], sleeve)


def _draw_torso(
    canvas: Canvas, pose: Pose, clothes: Wardrobe, generator: np.random.Generator
) -> None:
    (nx, ny), (hx, hy) = pose.neck, pose.hip
    shoulder, waist, hip = (w * clothes.build for w in pose.widths)
    if clothes.bag == "back" and pose.facing:
        back = (nx - pose.facing * (shoulder + 0.035), ny + 0.15)
        canvas.ellipse(back, (0.06, 0.12), 0.7 * clothes.bottom)
    canvas.limb([(nx, ny - 0.05), (nx, ny + 0.03)], [0.032, 0.045], 0.9 * clothes.skin)
    if clothes.has_skirt:
        knees = 0.5 * (pose.legs[0][1][1] + pose.legs[1][1][1])
        hem = [(hx + 1.5 * hip, knees), (hx - 1.5 * hip, knees)]
        canvas.polygon([(hx - hip, hy - 0.06), (hx + hip, hy - 0.06), *hem], clothes.bottom)
    mx, my, end = 0.5 * (nx + hx), 0.5 * (ny + hy) + 0.03, hy + 0.03 + clothes.coat_end
    right = [(nx + 0.5 * shoulder, ny + 0.005), (nx + shoulder, ny + 0.05), (mx + waist, my)]
    left = [(mx - waist, my), (nx - shoulder, ny + 0.05), (nx - 0.5 * shoulder, ny + 0.005)]
    flare = hip * (1.0 + clothes.coat_end)
    outline = [*right, (hx + flare, end), (hx - flare, end), *left]
    canvas.fade(outline, (clothes.top, 0.85 * clothes.top))
    _draw_cloth(canvas, outline, generator)


def _draw_cloth(canvas: Canvas, outline: list[Point], generator: np.random.Generator) -> None:
    """Stripes, checks or a print on the top, folds in any case."""
    y, x = np.mgrid[0:112, 0:90].astype(np.float32)
    period, depth = float(generator.uniform(4, 12)), float(generator.uniform(0.15, 0.6))
    kind = int(generator.integers(6))
    cloth = 1.0 + 0.07 * cloud_noise((112, 90), 12.0, generator)
    if kind in (0, 1):
        cloth *= 1.0 + depth * np.sign(np.sin((y if kind else x) * math.tau / period))
    if kind == 2:
        cloth *= 1.0 + depth * np.clip(cloud_noise((112, 90), 8.0, generator), -1, 1)
    canvas.pattern(outline, np.clip(cloth, 0.2, 2.0).astype(np.float32))


def _draw_head(canvas: Canvas, pose: Pose, clothes: Wardrobe) -> None:
    (x, y), facing = pose.head, pose.facing
    canvas.ellipse((x, y), (0.85 * HEAD_RADIUS, 1.1 * HEAD_RADIUS), clothes.hair)
    if pose.shows_face:
        face = (x + 0.018 * facing, y + 0.014)
        canvas.ellipse(face, (0.68 * HEAD_RADIUS, 0.88 * HEAD_RADIUS), clothes.skin)
        for eye in (-0.022, 0.022):
            if facing == 0 or eye * facing > 0:
                canvas.ellipse((face[0] + eye, face[1] - 0.01), (0.011, 0.006), 0.45 * clothes.skin)
        canvas.line([(face[0] - 0.012, y + 0.045), (face[0] + 0.012, y + 0.045)], 0.008, 0.3)
    if clothes.has_hat:
        brim = (x + 0.03 * facing, y - 0.028)
        canvas.ellipse((x, y - 0.045), (0.055, 0.04), clothes.shoes)
        canvas.ellipse(brim, (0.075, 0.012), 0.8 * clothes.shoes)
