"""A random generator comes in, a drawn background goes out: street, wall, field or texture."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.spikes.drawn.canvas import Byte, Point, cloud_noise, to_byte
from vidar_det.spikes.drawn.clutter import draw_foliage

Tone = NDArray[np.float32]
Shape = tuple[int, int]


def draw_plate(shape: Shape, generator: np.random.Generator) -> Byte:
    """Draw one background without labelled objects.

    Args:
        shape: h, w in pixels.
        generator: source of randomness.

    Returns:
        ``(h, w) uint8`` display grey.

    Example:
        >>> draw_plate((100, 160), np.random.default_rng(0)).shape
        (100, 160)
    """
    kinds = (_draw_street, _draw_street, _draw_wall, _draw_field, _draw_texture)
    plate = kinds[int(generator.integers(len(kinds)))](shape, generator)
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)
    plate = plate * (1.0 + float(generator.uniform(-0.2, 0.2)) * x)
    plate += 0.012 * generator.standard_normal(shape, dtype=np.float32)
    blurred = cv2.GaussianBlur(plate, (0, 0), float(generator.uniform(0.4, 0.9)))
    return to_byte(np.asarray(blurred, dtype=np.float32))


def _fill(plate: Tone, points: list[Point], tone: float) -> None:
    corners = np.rint(np.array(points) * 16).astype(np.int32)
    cv2.fillPoly(plate, [corners], (tone, 0, 0, 0), lineType=cv2.LINE_AA, shift=4)


def _speckled(shape: Shape, tone: float, grain: float, rng: np.random.Generator) -> Tone:
    """Asphalt, plaster or grass: a tone with coarse patches and fine grain."""
    patches = cloud_noise(shape, 0.4 * shape[0], rng)
    fine = cloud_noise(shape, 3.0, rng)
    return np.asarray(tone * (1.0 + 0.08 * patches + grain * fine), dtype=np.float32)


def _sky(shape: Shape, rng: np.random.Generator) -> Tone:
    top, low = float(rng.uniform(0.35, 0.85)), float(rng.uniform(0.6, 1.0))
    ramp = np.linspace(top, low, shape[0], dtype=np.float32)[:, None]
    clouds = np.clip(cloud_noise(shape, 0.6 * shape[0], rng), -0.3, 1.5)
    return np.asarray(ramp + float(rng.uniform(0, 0.12)) * clouds, dtype=np.float32)


def _draw_street(shape: Shape, rng: np.random.Generator) -> Tone:
    height, width = shape
    horizon = round(height * float(rng.uniform(0.2, 0.5)))
    plate = _sky(shape, rng)
    ground = float(rng.uniform(0.2, 0.65))
    plate[horizon:] = _speckled(shape, ground, 0.06, rng)[horizon:]
    _draw_skyline(plate, horizon, rng)
    vanish = width * float(rng.uniform(0.2, 0.8))
    _draw_road(plate, (vanish, float(horizon)), ground, rng)
    for _ in range(int(rng.integers(0, 4))):
        _plant_tree(plate, horizon, rng)
    for _ in range(int(rng.integers(0, 4))):
        _plant_pole(plate, horizon, rng)
    return plate


def _draw_skyline(plate: Tone, horizon: int, rng: np.random.Generator) -> None:
    """Houses side by side behind the road, some with gaps."""
    x, width = -20.0, plate.shape[1]
    while x < width:
        broad = float(rng.uniform(0.12, 0.35)) * width
        top = horizon - float(rng.uniform(0.1, 1.3)) * horizon
        foot = horizon + float(rng.uniform(0.0, 0.12)) * plate.shape[0]
        if rng.random() < 0.85:
            _draw_house(plate, (x, top, x + broad, foot), rng)
        x += broad * float(rng.uniform(0.9, 1.1))


def _draw_house(
    plate: Tone, box: tuple[float, float, float, float], rng: np.random.Generator
) -> None:
    left, top, right, foot = box
    tone = float(rng.uniform(0.15, 0.85))
    _fill(plate, [(left, top), (right, top), (right, foot), (left, foot)], tone)
    step_x, step_y = float(rng.uniform(12, 34)), float(rng.uniform(16, 40))
    share_x, share_y = float(rng.uniform(0.35, 0.75)), float(rng.uniform(0.4, 0.75))
    dark = float(rng.uniform(0.05, 0.35))
    for y in np.arange(top + 0.3 * step_y, foot - 0.8 * step_y, step_y).tolist():
        for x in np.arange(left + 0.25 * step_x, right - share_x * step_x, step_x).tolist():
            glow = dark * float(rng.uniform(0.5, 1.6)) if rng.random() < 0.9 else 0.9
            _draw_window(plate, (x, y, x + share_x * step_x, y + share_y * step_y), glow, tone)
    _fill(plate, [(left, top), (right, top), (right, top + 3), (left, top + 3)], 0.7 * tone)


def _draw_window(
    plate: Tone, box: tuple[float, float, float, float], glow: float, wall: float
) -> None:
    left, top, right, foot = box
    frame = [(left - 1, top - 1), (right + 1, top - 1), (right + 1, foot + 1), (left - 1, foot + 1)]
    _fill(plate, frame, min(1.0, 1.25 * wall))
    _fill(plate, [(left, top), (right, top), (right, foot), (left, foot)], glow)
    middle = 0.5 * (left + right)
    _fill(
        plate,
        [(middle - 0.5, top), (middle + 0.5, top), (middle + 0.5, foot), (middle - 0.5, foot)],
        wall,
    )


def _draw_road(plate: Tone, vanish: Point, ground: float, rng: np.random.Generator) -> None:
    """A road towards the vanishing point, or across; with kerbs and dashes."""
    height, width = plate.shape
    tone = ground * float(rng.uniform(0.5, 1.3))
    near = float(rng.uniform(0.3, 0.9)) * width
    middle = width * float(rng.uniform(0.2, 0.8))
    if rng.random() < 0.4:
        top = vanish[1] + float(rng.uniform(0.1, 0.4)) * (height - vanish[1])
        _fill(plate, [(0, top), (width, top), (width, height), (0, height)], tone)
        _fill(plate, [(0, top), (width, top), (width, top + 3), (0, top + 3)], 1.5 * tone)
        middle_y = 0.5 * (top + height)
        for x in np.arange(float(rng.uniform(-40, 0)), width, 60.0).tolist():
            _fill(
                plate,
                [(x, middle_y), (x + 30, middle_y), (x + 26, middle_y + 4), (x - 4, middle_y + 4)],
                0.9,
            )
    else:
        _fill(plate, [vanish, (middle + near, height), (middle - near, height)], tone)
        for edge in (-0.95, 0.95):
            foot = middle + edge * near
            _fill(plate, [vanish, (foot + 5, height), (foot - 5, height)], 0.85)
        _dash(plate, vanish, (middle, float(height)), rng)
    grain = cloud_noise(plate.shape, 2.5, rng)
    plate[round(vanish[1]) :] *= 1.0 + 0.05 * grain[round(vanish[1]) :]


def _dash(plate: Tone, far: Point, near: Point, rng: np.random.Generator) -> None:
    """A broken line in perspective: dashes grow towards the viewer."""
    start = float(rng.uniform(0.05, 0.1))
    while start < 1.0:
        end = start * 1.35
        quad = []
        for t, side in ((start, -1), (start, 1), (end, 1), (end, -1)):
            x = far[0] + t * (near[0] - far[0]) + side * 4.0 * t
            quad.append((x, far[1] + t * (near[1] - far[1])))
        _fill(plate, quad, 0.92)
        start *= 1.9


def _plant_tree(plate: Tone, horizon: int, rng: np.random.Generator) -> None:
    size = round(float(rng.uniform(0.15, 0.5)) * plate.shape[0])
    x = float(rng.uniform(0, plate.shape[1]))
    foot = horizon + 0.25 * size
    trunk = max(1.0, 0.04 * size)
    _fill(
        plate,
        [(x - trunk, foot - size), (x + trunk, foot - size), (x + trunk, foot), (x - trunk, foot)],
        0.15,
    )
    crown = draw_foliage((size, round(1.1 * size)), float(rng.uniform(0.12, 0.45)), rng)
    _overlay(plate, crown, (round(x - 0.55 * size), round(foot - 1.5 * size)))


def _overlay(plate: Tone, picture: tuple[Byte, Byte], corner: tuple[int, int]) -> None:
    (grey, alpha), (x, y) = picture, corner
    left, top = max(0, -x), max(0, -y)
    right, bottom = min(grey.shape[1], plate.shape[1] - x), min(grey.shape[0], plate.shape[0] - y)
    if left >= right or top >= bottom:
        return
    part = np.s_[top:bottom, left:right]
    cover = alpha[part].astype(np.float32) / 255.0
    target = plate[y + top : y + bottom, x + left : x + right]
    target += cover * (grey[part].astype(np.float32) / 255.0 - target)


def _plant_pole(plate: Tone, horizon: int, rng: np.random.Generator) -> None:
    height, width = plate.shape
    x, half = float(rng.uniform(0, width)), float(rng.uniform(0.6, 4.0))
    foot = horizon + float(rng.uniform(0.05, 0.5)) * (height - horizon)
    top, tone = foot - float(rng.uniform(0.2, 0.9)) * height, float(rng.uniform(0.05, 0.8))
    _fill(plate, [(x - half, top), (x + half, top), (x + half, foot), (x - half, foot)], tone)
    if rng.random() < 0.4:
        arm = float(rng.choice([-1, 1])) * float(rng.uniform(10, 40))
        _fill(plate, [(x, top), (x + arm, top - 4), (x + arm, top), (x, top + 2 * half)], tone)


def _draw_wall(shape: Shape, rng: np.random.Generator) -> Tone:
    """Bricks, panels or a plain wall, with notches, doors and shadows: no person in sight."""
    height, width = shape
    tone = float(rng.uniform(0.2, 0.8))
    plate = _speckled(shape, tone, 0.05, rng)
    row, column = float(rng.uniform(6, 40)), float(rng.uniform(12, 90))
    joint = tone * float(rng.choice([0.6, 0.8, 1.2]))
    for k, y in enumerate(np.arange(0, height, row).tolist()):
        _fill(plate, [(0, y), (width, y), (width, y + 1), (0, y + 1)], joint)
        for x in np.arange((k % 2) * 0.5 * column, width, column).tolist():
            _fill(plate, [(x, y), (x + 1, y), (x + 1, y + row), (x, y + row)], joint)
    for _ in range(int(rng.integers(1, 6))):
        _cut_notch(plate, tone, rng)
    floor = round(height * float(rng.uniform(0.7, 1.0)))
    plate[floor:] = _speckled(shape, float(rng.uniform(0.2, 0.7)), 0.06, rng)[floor:]
    if rng.random() < 0.5:
        x, slant = float(rng.uniform(0, width)), float(rng.uniform(-0.6, 0.6)) * height
        mask = np.ones(shape, dtype=np.float32)
        _fill(
            mask,
            [(x, 0), (width, 0), (width, height), (x + slant, height)],
            float(rng.uniform(0.4, 0.8)),
        )
        plate = plate * mask
    return plate


def _cut_notch(plate: Tone, tone: float, rng: np.random.Generator) -> None:
    """A niche, door or slit: tall, dark, about as large as a person."""
    height, width = plate.shape
    tall = float(rng.uniform(0.12, 0.7)) * height
    broad = tall * float(rng.uniform(0.15, 0.7))
    x, y = float(rng.uniform(0, width)), float(rng.uniform(0, 0.9 * height - tall))
    dark = tone * float(rng.uniform(0.05, 0.6))
    rim = 0.06 * broad + 1
    _fill(
        plate,
        [
            (x - rim, y - rim),
            (x + broad + rim, y - rim),
            (x + broad + rim, y + tall),
            (x - rim, y + tall),
        ],
        min(1.0, 1.2 * tone),
    )
    _fill(plate, [(x, y), (x + broad, y), (x + broad, y + tall), (x, y + tall)], dark)
    _fill(
        plate,
        [(x, y), (x + 0.2 * broad, y + 0.1 * broad), (x + 0.2 * broad, y + tall), (x, y + tall)],
        1.7 * dark,
    )


def _draw_field(shape: Shape, rng: np.random.Generator) -> Tone:
    """Hills, hedges and trees under the sky."""
    height, width = shape
    plate = _sky(shape, rng)
    horizon = round(height * float(rng.uniform(0.25, 0.6)))
    for layer in range(3):
        base = horizon + layer * 0.12 * height
        waves = cloud_noise((1, width), 0.5 * width, rng)[0] * 0.05 * height
        ridge = [(float(x), base + float(waves[x])) for x in range(0, width, 4)]
        tone = float(rng.uniform(0.15, 0.6))
        _fill(plate, [*ridge, (width, base), (width, height), (0, height)], tone)
    grass = cloud_noise(shape, 5.0, rng)
    plate[horizon:] *= 1.0 + 0.1 * grass[horizon:]
    for _ in range(int(rng.integers(2, 9))):
        _plant_tree(plate, horizon + int(rng.integers(0, round(0.3 * height))), rng)
    return plate


def _draw_texture(shape: Shape, rng: np.random.Generator) -> Tone:
    """A surface close up: noise at several scales, or a grating."""
    tone, depth = float(rng.uniform(0.2, 0.7)), float(rng.uniform(0.05, 0.3))
    plate = tone + depth * 0.6 * cloud_noise(shape, float(rng.uniform(8, 120)), rng)
    if rng.random() < 0.4:
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        angle, period = float(rng.uniform(0, math.pi)), float(rng.uniform(5, 60))
        wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) * math.tau / period)
        plate = plate + 0.5 * depth * np.sign(wave)
    return np.asarray(plate, dtype=np.float32)
