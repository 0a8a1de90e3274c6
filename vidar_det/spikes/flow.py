"""Two neighbouring frames come in, the light at any moment between them goes out.

Motion is DIS optical flow (Kroeger et al., ECCV 2016) in both directions. The flow at a moment
between is the forward flow, carried half-way along itself (as in Baker et al., "A database and
evaluation methodology for optical flow", IJCV 2011, section 3.3.2) with the backward flow in its
holes. Each pixel takes the mean of both frames along that flow; a frame in which it is hidden (its
own flow disagrees there) counts less. So nothing fades in or out: what moves, moves.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import ShapeError
from vidar_det.spikes.sprites import DISPLAY_GAMMA, linear_light

Float = NDArray[np.float32]
Byte = NDArray[np.uint8]
AGREEMENT_CELLS = 0.35
LEAST_SIDE = 16


class Between:
    """The light between two frames; flow is computed at birth.

    Args:
        before: ``(h, w) uint8`` display grey.
        after: ``(h, w) uint8``, one frame interval later.
        gamma: display gamma.

    Raises:
        ShapeError: the frames differ in shape or are smaller than 16 px.

    Example:
        >>> frame = np.zeros((32, 32), np.uint8)
        >>> Between(frame, frame).light(0.5).shape
        (32, 32)
    """

    def __init__(self, before: Byte, after: Byte, gamma: float = DISPLAY_GAMMA) -> None:
        if before.shape != after.shape or min(before.shape) < LEAST_SIDE:
            raise ShapeError(
                f"frames {before.shape} and {after.shape}; wanted equal, at least 16x16"
            )
        self._before, self._after = linear_light(before, gamma), linear_light(after, gamma)
        self._is_still = bool(np.array_equal(before, after))
        if not self._is_still:
            self._forward = _flow(before, after)
            self._backward = _flow(after, before)
            self._middle = _carried(self._forward, self._backward, before, after)

    def light(self, share: float) -> Float:
        """Render a moment between the frames.

        Args:
            share: 0 is the earlier frame, 1 the later one.

        Returns:
            ``(h, w) float32`` linear light, fresh.
        """
        if share <= 0.0 or self._is_still:
            return self._before.copy()
        if share >= 1.0:
            return self._after.copy()
        motion = _sampled(self._middle, (0.5 - share) * self._middle)
        back, ahead = -share * motion, (1.0 - share) * motion
        trust_before = (1.0 - share) * _agreement(_sampled(self._forward, back) - motion)
        trust_after = share * _agreement(_sampled(self._backward, ahead) + motion)
        size = self._before.shape[::-1]
        weight = cv2.resize(trust_after / (trust_before + trust_after), size)
        before = _sampled(self._before, _enlarged(back, size))
        after = _sampled(self._after, _enlarged(ahead, size))
        return np.asarray(before + weight * (after - before), dtype=np.float32)


def _flow(before: Byte, after: Byte) -> Float:
    """Flow on a grid of half the resolution, in cells of that grid: ``(h/2, w/2, 2)``."""
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.empty((*before.shape, 2), dtype=np.float32)
    flow[:] = _common_shift(before, after)
    flow = np.asarray(finder.calc(before, after, flow), dtype=np.float32)
    height, width = before.shape
    size = (width // 2, height // 2)
    half = cv2.resize(flow, size, interpolation=cv2.INTER_AREA)
    return np.asarray(half * _ratio((width, height), size, invert=True), dtype=np.float32)


def _common_shift(before: Byte, after: Byte) -> tuple[float, float]:
    """Shift of the whole picture by phase correlation, where it explains the change better than 0.

    The flow starts from it: a fast pan else exceeds the reach of the search.
    """
    size = before.shape[::-1]
    window = cv2.createHanningWindow(size, cv2.CV_32F)
    a, b = before.astype(np.float32), after.astype(np.float32)
    (dx, dy), _ = cv2.phaseCorrelate(a, b, window)
    back = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])
    moved = cv2.warpAffine(b, back, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    explains = float(np.abs(moved - a).mean()) < float(np.abs(b - a).mean())
    return (dx, dy) if explains else (0.0, 0.0)


def _enlarged(flow: Float, size: tuple[int, int]) -> Float:
    """The same flow at full resolution, in its pixels."""
    ratio = _ratio(size, (flow.shape[1], flow.shape[0]), invert=False)
    return np.asarray(cv2.resize(flow * ratio, size), dtype=np.float32)


def _ratio(full: tuple[int, int], half: tuple[int, int], *, invert: bool) -> Float:
    ratio = np.array([full[0] / half[0], full[1] / half[1]], dtype=np.float32)
    return np.asarray(1.0 / ratio if invert else ratio, dtype=np.float32)


def _carried(forward: Float, backward: Float, before: Byte, after: Byte) -> Float:
    """The flow at the middle moment: both flows carried half-way, the best match wins a cell."""
    height, width = forward.shape[:2]
    a = cv2.resize(before, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    b = cv2.resize(after, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    costs = np.stack([np.abs(_sampled(b, forward) - a), np.abs(_sampled(a, backward) - b)])
    ways = np.stack([0.5 * forward, 0.5 * backward])
    y, x = np.mgrid[:height, :width]
    to_x = np.rint(x + ways[..., 0]).astype(np.intp).ravel()
    to_y = np.rint(y + ways[..., 1]).astype(np.intp).ravel()
    order = np.argsort(-costs.ravel(), kind="stable")
    fits = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
    order = order[fits[order]]
    middle = np.full_like(forward, np.nan)
    middle[to_y[order], to_x[order]] = np.stack([forward, -backward]).reshape(-1, 2)[order]
    holes = np.isnan(middle[..., 0])
    rough = np.where(holes[..., None], 0.5 * (forward - backward), middle)
    smooth = np.asarray(cv2.GaussianBlur(rough, (0, 0), 2.0), dtype=np.float32)
    return np.where(holes[..., None], smooth, middle)


def _agreement(difference: Float) -> Float:
    squared = np.einsum("hwc,hwc->hw", difference, difference)
    return np.asarray(np.exp(squared / (-2.0 * AGREEMENT_CELLS**2)) + 1e-3, dtype=np.float32)


def _sampled(picture: Float, way: Float) -> Float:
    """The picture, read at every cell plus ``way``; both lie on one grid."""
    height, width = way.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :] + way[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + way[..., 1]
    read = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read, dtype=np.float32)
