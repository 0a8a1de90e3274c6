"""Bytes or an array of unknown layout come in; the one layout that fits comes out."""

from dataclasses import dataclass

import numpy as np

from vidar_det.errors import FormatError, GeometryError
from vidar_det.spikes.bytespan import FileBytes
from vidar_det.spikes.layouts import PlaneFormat, plane_format
from vidar_det.spikes.sidecar import RecordingOptions

KNOWN_GEOMETRIES = ((400, 250), (800, 500), (600, 400), (640, 480))  # width, height
PADDED_GEOMETRIES = ((400, 250),)
ARRAY_GEOMETRIES = (*KNOWN_GEOMETRIES, (250, 250), (1000, 1000))

LOOKED_AT_PLANES = 64
LOOKED_AT_BITS = 1 << 23  # bounds the work on large sensors
# Row-neighbour correlation of a 64-plane mean: 0.95-0.99 at the right width of four recordings,
# 0.90 or less at every other one.
CLEAR_CORRELATION, CLEAR_MARGIN, DOUBTFUL_CORRELATION = 0.9, 0.05, 0.8


@dataclass(frozen=True)
class Candidate:
    """A way to read a file of packed planes.

    Attributes:
        layout: ``plain`` or ``row-padded``.
        form: geometry and place of the bits.
    """

    layout: str
    form: PlaneFormat

    def __str__(self) -> str:
        """Name layout, geometry and size, for messages."""
        form = self.form
        return f"{self.layout} {form.width}x{form.height} ({form.plane_bytes}-byte planes)"


def guess_camera_layout(
    span: FileBytes, options: RecordingOptions, name: str
) -> tuple[Candidate, tuple[str, ...]]:
    """Find out how a camera file without trailers stores its planes.

    What the options say is taken as it is. What they leave open is decided by the size: whole
    planes only, unless width and height are given. Where several sizes fit, the pixels decide
    if they speak clearly, but never between two layouts of the same geometry.

    Args:
        span: the recording's bytes.
        options: what is known.
        name: what messages call the recording.

    Returns:
        The candidate, and warnings where the pixels speak against it.

    Raises:
        GeometryError: no candidate, or several (all are named).
        FormatError: fewer bytes than one plane.
    """
    candidates = _candidates(options, name)
    shortest = min(candidates, key=lambda candidate: candidate.form.plane_bytes)
    if span.size < shortest.form.plane_bytes:
        raise FormatError(f"{name}: found {span.size} bytes, wanted one plane of {shortest}")
    if len(candidates) == 1:
        return candidates[0], _doubts(span, candidates[0])
    exact = [one for one in candidates if span.size % one.form.plane_bytes == 0]
    given = options.width is not None and options.height is not None
    fitting = exact or [one for one in candidates if given and span.size >= one.form.plane_bytes]
    if not fitting:
        names = ", ".join(map(str, candidates))
        raise GeometryError(
            f"{name}: found {span.size} bytes, wanted whole planes of one of: {names}; "
            "give width, height and layout"
        )
    if len(fitting) > 1:
        return _clearest(span, fitting, name), ()
    return fitting[0], _guess_warnings(span, fitting[0])


def guess_array_layout(
    shape: tuple[int, int, int],
    binary: bool,
    length: int | None,
    options: RecordingOptions,
    name: str,
) -> tuple[str, tuple[int, int, int]]:
    """Find out which axis of an array is time, and whether bits are packed.

    Args:
        shape: of the stored array.
        binary: whether its values are 0 and 1 only; otherwise they are packed bits.
        length: planes, where the file says so.
        options: what is known.
        name: what messages call the recording.

    Returns:
        The layout and its ``(T, H, W)``.

    Raises:
        GeometryError: no layout fits, or several do (all are named).
    """
    if options.layout != "auto":
        layouts: tuple[str, ...] = (options.layout,)
    else:
        layouts = ("array-thw", "array-hwt") if binary else ("time-packed", "row-packed")
        if length is not None and -(-length // 8) == shape[0] != length:
            layouts = ("time-packed",)
    shapes = {layout: array_shape(layout, shape, length, options.width) for layout in layouts}
    fitting = {layout: seen for layout, seen in shapes.items() if _agrees(seen, length, options)}
    known = {
        layout: seen
        for layout, seen in fitting.items()
        if binary and (seen[2], seen[1]) in ARRAY_GEOMETRIES
    }
    if len(fitting) > 1 and len(known) == 1:
        fitting = known
    if len(fitting) == 1:
        return fitting.popitem()
    readings = ", ".join(f"{layout} (T, H, W) = {seen}" for layout, seen in shapes.items())
    wanted = f"width {options.width}, height {options.height}, planes {length}"
    problem = "can be read in several ways" if fitting else f"does not fit {wanted}"
    raise GeometryError(f"{name}: an array {shape} {problem}: {readings}; give the layout")


def array_shape(
    layout: str, shape: tuple[int, int, int], length: int | None, width: int | None
) -> tuple[int, int, int]:
    """Tell ``(T, H, W)`` of a stored array.

    Example:
        >>> array_shape("row-packed", (500, 250, 50), None, None)
        (500, 250, 400)
    """
    first, second, third = shape
    if layout == "array-hwt":
        return third, first, second
    if layout == "time-packed":
        fits = length is not None and -(-length // 8) == first
        return (length if fits and length else 8 * first), second, third
    if layout == "row-packed":
        fits = width is not None and -(-width // 8) == third
        return first, second, (width if fits and width else 8 * third)
    return shape


def row_correlation(span: FileBytes, form: PlaneFormat) -> float:
    """Correlate each row with its neighbour in the mean of the first planes.

    Pictures are smooth, so the right geometry correlates more than any other.

    Returns:
        Pearson's r, or NaN where the mean shows no picture at all.
    """
    size = form.plane_bytes
    count = min(span.size // size, LOOKED_AT_PLANES, max(1, LOOKED_AT_BITS // (size * 8)))
    if count == 0 or form.height < 2:
        return float("nan")
    planes = form.unpack(span.read(0, count * size).reshape(count, size))
    mean = np.add.reduce(planes, axis=0, dtype=np.uint8).astype(np.float32)
    upper, lower = mean[:-1] - mean[:-1].mean(), mean[1:] - mean[1:].mean()
    scale = float(np.sqrt((upper**2).sum() * (lower**2).sum()))
    return float((upper * lower).sum()) / scale if scale > 0 else float("nan")


def _candidates(options: RecordingOptions, name: str) -> list[Candidate]:
    width, height = options.width, options.height
    if width is not None and height is not None:
        geometries: tuple[tuple[int, int], ...] = ((width, height),)
        padded = geometries
    else:
        geometries = tuple(pair for pair in KNOWN_GEOMETRIES if _matches(pair, options))
        padded = tuple(pair for pair in PADDED_GEOMETRIES if _matches(pair, options))
    found = []
    if options.layout in ("auto", "plain"):
        found += [Candidate("plain", plane_format("plain", *pair)) for pair in geometries]
    if options.layout in ("auto", "row-padded"):
        forms = [plane_format("row-padded", *pair) for pair in padded]
        explicit = options.layout == "row-padded"
        found += [
            Candidate("row-padded", form)
            for form in forms
            if explicit or form.row_bits != form.width
        ]
    if not found:
        raise GeometryError(
            f"{name}: found width {width}, height {height}, wanted both; "
            "no known geometry has the one given"
        )
    return found


def _matches(pair: tuple[int, int], options: RecordingOptions) -> bool:
    return options.width in (None, pair[0]) and options.height in (None, pair[1])


def _agrees(seen: tuple[int, int, int], length: int | None, options: RecordingOptions) -> bool:
    return _matches((seen[2], seen[1]), options) and length in (None, seen[0])


def _clearest(span: FileBytes, fitting: list[Candidate], name: str) -> Candidate:
    scores = [np.nan_to_num(row_correlation(span, one.form), nan=-1.0) for one in fitting]
    order: list[int] = np.argsort(scores)[::-1].tolist()
    best, second = fitting[order[0]], fitting[order[1]]
    clear = scores[order[0]] >= CLEAR_CORRELATION
    apart = scores[order[0]] - scores[order[1]] >= CLEAR_MARGIN
    form = best.form
    twins = [
        one for one in fitting if (one.form.width, one.form.height) == (form.width, form.height)
    ]
    exact = all(span.size % one.form.plane_bytes == 0 for one in twins)
    if clear and apart and (len(twins) == 1 or not exact):
        return best
    names = " and ".join(map(str, twins if len(twins) > 1 else [best, second]))
    raise GeometryError(
        f"{name}: found {span.size} bytes, which fit {names}; give width, height and layout"
    )


def _guess_warnings(span: FileBytes, chosen: Candidate) -> tuple[str, ...]:
    score = row_correlation(span, chosen.form)
    if score >= DOUBTFUL_CORRELATION:
        return ()
    return (f"{chosen} is guessed from the size alone; the pixels do not confirm it",)


def _doubts(span: FileBytes, chosen: Candidate) -> tuple[str, ...]:
    """Warn where the pixels make a much better picture in another known geometry."""
    score = row_correlation(span, chosen.form)
    if not score < CLEAR_CORRELATION:
        return ()
    for other in _candidates(RecordingOptions(), "known geometries"):
        if row_correlation(span, other.form) >= max(CLEAR_CORRELATION, score + CLEAR_MARGIN):
            return (f"the pixels speak for {other} rather than {chosen}",)
    return ()
