"""A random generator comes in, a drawn thing that is no labelled object goes out."""

import math

import numpy as np

from vidar_det.spikes.drawn.canvas import Canvas, Picture, blemishes, cloud_noise, cropped, to_byte


def draw_clutter(generator: np.random.Generator) -> Picture:
    """Draw a pole, sign, bin, box, bush, tree or blob: upright things that are no person.

    Args:
        generator: source of randomness.

    Returns:
        grey and alpha, ``(h, w) uint8``, up to about 190 px high.

    Example:
        >>> grey, alpha = draw_clutter(np.random.default_rng(0))
        >>> bool((alpha > 127).any())
        True
    """
    kinds = (_draw_pole, _draw_sign, _draw_bin, _draw_box, _draw_bush, _draw_tree)
    return kinds[int(generator.integers(len(kinds)))](generator)


def draw_foliage(shape: tuple[int, int], tone: float, generator: np.random.Generator) -> Picture:
    """A leafy blob that fills the shape with a ragged edge; grey and alpha of that shape."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    ragged = cloud_noise(shape, 0.3 * min(shape), generator)
    edge = 0.85 + 0.14 * ragged - np.hypot(x, y)
    leaves = cloud_noise(shape, max(2.0, 0.06 * min(shape)), generator)
    grey = tone * (1.0 - 0.25 * y) * (1.0 + 0.3 * leaves + 0.15 * ragged)
    return to_byte(grey), to_byte(np.asarray(edge * 12.0, dtype=np.float32))


def _draw_pole(rng: np.random.Generator) -> Picture:
    canvas, tone = Canvas((0.4, 1.0), 184), float(rng.uniform(0.05, 0.95))
    width = float(rng.uniform(0.02, 0.1))
    canvas.line([(0.2, 0.05), (0.2, 0.98)], width, tone)
    canvas.line(
        [(0.2 + 0.25 * width, 0.06), (0.2 + 0.25 * width, 0.98)], 0.2 * width, 0.5 + 0.5 * tone
    )
    if rng.random() < 0.5:
        canvas.ellipse((0.2, 0.07), (0.07, 0.06), float(rng.uniform(0.2, 1.0)))
    return canvas.finish(blemishes((60, 20), 0.1, rng))


def _draw_sign(rng: np.random.Generator) -> Picture:
    canvas, face = Canvas((0.8, 1.0), 184), float(rng.uniform(0.3, 1.0))
    canvas.line([(0.4, 0.2), (0.4, 0.98)], 0.03, 0.4)
    corners = int(rng.choice([3, 4, 8, 30]))
    turn = [math.tau * (k + 0.5) / corners - math.pi / 2 for k in range(corners)]
    for share, tone in ((1.0, 0.3 * face), (0.82, face)):
        r = 0.2 * share
        canvas.polygon([(0.4 + r * math.cos(a), 0.22 + r * math.sin(a)) for a in turn], tone)
    canvas.line([(0.32, 0.22), (0.48, 0.22)], 0.04, 0.1)
    return canvas.finish(blemishes((60, 40), 0.05, rng))


def _draw_bin(rng: np.random.Generator) -> Picture:
    canvas, tone = Canvas((0.8, 1.0), 150), float(rng.uniform(0.05, 0.8))
    half = float(rng.uniform(0.18, 0.32))
    canvas.fade(
        [(0.4 - half, 0.2), (0.4 + half, 0.2), (0.4 + 0.8 * half, 0.97), (0.4 - 0.8 * half, 0.97)],
        (tone, 0.7 * tone),
    )
    canvas.ellipse((0.4, 0.2), (half * 1.05, 0.07), 1.2 * tone)
    canvas.line([(0.4 - 0.95 * half, 0.4), (0.4 + 0.95 * half, 0.4)], 0.02, 0.4 * tone)
    return canvas.finish(blemishes((50, 40), 0.12, rng))


def _draw_box(rng: np.random.Generator) -> Picture:
    canvas, tone = Canvas((1.6, 1.0), 150), float(rng.uniform(0.1, 0.9))
    width, depth = float(rng.uniform(0.4, 1.1)), float(rng.uniform(0.05, 0.35))
    top, right = 0.25, 0.1 + width
    canvas.polygon([(0.1, top), (right, top), (right, 0.97), (0.1, 0.97)], tone)
    canvas.polygon(
        [(right, top), (right + depth, 0.15), (right + depth, 0.85), (right, 0.97)], 0.6 * tone
    )
    canvas.polygon(
        [(0.1, top), (0.1 + depth, 0.15), (right + depth, 0.15), (right, top)],
        min(1.0, 1.35 * tone),
    )
    for k in range(int(rng.integers(0, 4))):
        y = 0.4 + 0.15 * k
        canvas.line([(0.14, y), (right - 0.04, y)], 0.02, 0.5 * tone)
    return canvas.finish(blemishes((50, 70), 0.12, rng))


def _draw_bush(rng: np.random.Generator) -> Picture:
    shape = int(rng.integers(60, 150)), int(rng.integers(80, 200))
    return cropped(draw_foliage(shape, float(rng.uniform(0.1, 0.5)), rng))


def _draw_tree(rng: np.random.Generator) -> Picture:
    canvas = Canvas((1.0, 1.0), 190)
    canvas.limb([(0.5, 0.4), (0.5, 0.98)], [0.02, 0.045], float(rng.uniform(0.08, 0.4)))
    grey, alpha = canvas.finish(crop=False)
    crown = draw_foliage((125, 180), float(rng.uniform(0.1, 0.5)), rng)
    cover = crown[1].astype(np.float32) / 255.0
    grey[:125, 5:185] = np.rint(cover * crown[0] + (1 - cover) * grey[:125, 5:185])
    alpha[:125, 5:185] = np.maximum(alpha[:125, 5:185], crown[1])
    return cropped((grey, alpha))
