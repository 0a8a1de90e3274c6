"""A sprite and a path come in, its light on a frame and its visible box go out."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.spikes.motion import Path
from vidar_det.spikes.sprites import Sprite, linear_light

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]
Margins = tuple[tuple[int, int], tuple[int, int]]
SHADOW_BLUR = 0.015


class Look(NamedTuple):
    """How a sprite shows in one scene.

    Attributes:
        size: height, width in pixels.
        gamma: exponent from display grey to light.
        gain: light of the left edge and of the right edge; 1 leaves it as drawn.
        shadow: darkness of the cast shadow, 0 (none) to 1.
        shadow_reach: how far the shadow of the top falls to the right and up the picture, per
            unit of the object's height; minus for left and down.
        flip: mirror left to right.
    """

    size: tuple[int, int]
    gamma: float = 2.2
    gain: tuple[float, float] = (1.0, 1.0)
    shadow: float = 0.0
    shadow_reach: tuple[float, float] = (0.3, 0.2)
    flip: bool = False


@dataclass(frozen=True)
class Mover:
    """A sprite at its final size that follows a path.

    Attributes:
        light: ``(h + m, w + n) float32`` premultiplied linear light with an empty margin.
        through: ``(h + m, w + n) float32`` share of the light behind it that passes; the margin
            holds the shadow.
        margin: columns left of the mask and rows above it, at least 1.
        mask: ``(h, w) bool``, alpha above one half: what the box encloses.
        path: of the top left corner of ``mask``, in pixels of the frame.
        class_id: index into the classes, or -1.
        track_id: its number in the scene.
    """

    light: Float
    through: Float
    margin: tuple[int, int]
    mask: Bool
    path: Path
    class_id: int
    track_id: int

    def paste(self, frame: Float, corner: tuple[float, float]) -> None:
        """Draw onto a frame, with sub-pixel accuracy.

        Args:
            frame: ``(H, W) float32``, drawn upon; this is the scene's own buffer.
            corner: x, y of the mask's top left corner in pixels.
        """
        whole_x, whole_y = math.floor(corner[0]), math.floor(corner[1])
        x, y = whole_x + 1 - self.margin[0], whole_y + 1 - self.margin[1]
        rows, height = self.light.shape[0] - 1, frame.shape[0]
        columns, width = self.light.shape[1] - 1, frame.shape[1]
        top, bottom = max(0, -y), min(rows, height - y)
        left, right = max(0, -x), min(columns, width - x)
        if top >= bottom or left >= right:
            return
        source = np.s_[top : bottom + 1, left : right + 1]
        target = frame[y + top : y + bottom, x + left : x + right]
        fx, fy = corner[0] - whole_x, corner[1] - whole_y
        cv2.multiply(target, shifted(self.through[source], fx, fy), dst=target)
        cv2.add(target, shifted(self.light[source], fx, fy), dst=target)


class Visibility(NamedTuple):
    """What of a mover the frame shows.

    Attributes:
        xyxy: box of the mask's part inside the frame, pixels.
        inside: share of the mask inside the frame.
        covered: share of the part inside the frame that nearer objects hide.
        pixels: mask pixels in the frame and not hidden.
    """

    xyxy: tuple[float, float, float, float]
    inside: float
    covered: float
    pixels: int


def shifted(patch: Float, fx: float, fy: float) -> Float:
    """Move a patch by a fraction of a pixel to the right and down (bilinear, separable).

    Args:
        patch: ``(h + 1, w + 1) float32``; row 0 and column 0 lie outside the result.
        fx: 0..1 pixels to the right.
        fy: 0..1 pixels down.

    Returns:
        ``(h, w) float32``.

    Example:
        >>> shifted(np.array([[0, 0, 0], [0, 1, 0]], np.float32), 0.25, 0.0)
        array([[0.75, 0.25]], dtype=float32)
    """
    rows = patch[1:] if fy == 0 else cv2.addWeighted(patch[1:], 1 - fy, patch[:-1], fy, 0)
    if fx == 0:
        return np.ascontiguousarray(rows[:, 1:], dtype=np.float32)
    return np.asarray(cv2.addWeighted(rows[:, 1:], 1 - fx, rows[:, :-1], fx, 0), dtype=np.float32)


def build_mover(sprite: Sprite, look: Look, path: Path, track_id: int) -> Mover:
    """Scale, light and shade a sprite once, so that a frame only has to paste it.

    Args:
        sprite: what moves; its rider is not drawn (build it as a second mover).
        look: size and light.
        path: of the sprite's top left corner.
        track_id: its number in the scene.

    Returns:
        The mover.

    Example:
        >>> dot = np.full((4, 4), 255, np.uint8)
        >>> sprite, path = Sprite(dot, dot, 0, "dot"), Path(0, (0, 0), (0, 0))
        >>> build_mover(sprite, Look((8, 8)), path, track_id=1).mask.shape
        (8, 8)
    """
    alpha = sprite.alpha.astype(np.float32) / 255.0
    light = linear_light(sprite.grey, look.gamma) * alpha
    light, alpha = _resized(light, look.size), _resized(alpha, look.size)
    if look.flip:
        light, alpha = light[:, ::-1], alpha[:, ::-1]
    light = light * np.linspace(*look.gain, look.size[1], dtype=np.float32)
    margins = ((1, 1), (1, 1))
    if look.shadow > 0:
        margins = _shadow_margins(look)
    cover = np.pad(alpha, margins)
    through = 1.0 - cover
    if look.shadow > 0:
        through *= 1.0 - look.shadow * _cast_shadow(cover, look, margins)
    return Mover(
        light=np.pad(light, margins),
        through=through,
        margin=(margins[1][0], margins[0][0]),
        mask=alpha > 0.5,
        path=path,
        class_id=sprite.class_id,
        track_id=track_id,
    )


def visibility(mover: Mover, corner: tuple[float, float], hidden: Bool) -> Visibility | None:
    """Box and visible shares of a mover; marks its pixels as hidden for what lies behind.

    Args:
        mover: the object.
        corner: x, y of the mask's top left corner in pixels.
        hidden: ``(H, W) bool``, True where nearer movers are; updated.

    Returns:
        None where no pixel of the mask lies in the frame.
    """
    x, y = round(corner[0]), round(corner[1])
    (rows, columns), (height, width) = mover.mask.shape, hidden.shape
    top, bottom = max(0, -y), min(rows, height - y)
    left, right = max(0, -x), min(columns, width - x)
    if top >= bottom or left >= right:
        return None
    part = mover.mask[top:bottom, left:right]
    behind = hidden[y + top : y + bottom, x + left : x + right]
    inside = int(np.count_nonzero(part))
    if inside == 0:
        return None
    covered = int(np.count_nonzero(part & behind))
    behind |= part
    ys, xs = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    return Visibility(
        xyxy=(
            max(0.0, corner[0] + left + float(xs[0])),
            max(0.0, corner[1] + top + float(ys[0])),
            min(float(width), corner[0] + left + float(xs[-1]) + 1.0),
            min(float(height), corner[1] + top + float(ys[-1]) + 1.0),
        ),
        inside=inside / int(np.count_nonzero(mover.mask)),
        covered=covered / inside,
        pixels=inside - covered,
    )


def _resized(picture: Float, size: tuple[int, int]) -> Float:
    shrinks = size[0] < picture.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=method), dtype=np.float32)


def _shadow_margins(look: Look) -> Margins:
    height = look.size[0]
    right, up = (reach * height for reach in look.shadow_reach)
    soft = math.ceil(3.0 * SHADOW_BLUR * height) + 2
    above = max(0, math.ceil(up) - height)
    below = max(0, math.ceil(-up))
    sides = max(0, math.ceil(-right)), max(0, math.ceil(right))
    return (above + soft, below + soft), (sides[0] + soft, sides[1] + soft)


def _cast_shadow(cover: Float, look: Look, margins: Margins) -> Float:
    """The silhouette, laid on the ground about its feet: squashed, slanted and blurred."""
    feet = margins[0][0] + look.size[0]
    right, up = look.shadow_reach
    turn = np.array([[1.0, -right, right * feet], [0.0, up, feet * (1.0 - up)]])
    laid = cv2.warpAffine(cover, turn, cover.shape[::-1], flags=cv2.INTER_LINEAR)
    spread = max(0.5, SHADOW_BLUR * look.size[0])
    return np.asarray(cv2.GaussianBlur(laid, (0, 0), spread), dtype=np.float32)
