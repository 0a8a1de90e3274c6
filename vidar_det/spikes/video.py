"""Pictures come in one by one; an H.264 video that browsers and phones play goes out."""

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.codec import Codec, UnknownCodecError
from numpy.typing import NDArray

from vidar_det.errors import OutputError, ShapeError
from vidar_det.outputs import atomic_path

CODECS = ("libx264", "h264", "mpeg4")
"""The first that this build of the FFmpeg libraries can write; the last plays in few browsers."""


class VideoWriter:
    """Writes a video picture by picture, in constant memory; whole or not at all.

    Odd sizes gain a black column or row, since H.264 stores colour for every second pixel.

    Args:
        path: an ``.mp4`` file.
        fps: pictures per second.
        overwrite: replace a file that exists.

    Attributes:
        codec: what the video is coded with.

    Raises:
        OutputError: the file exists, cannot be written, no codec is there to write it, or nothing
            was written to it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     with VideoWriter(Path(home) / "grey.mp4", fps=30.0) as video:
        ...         video.write(np.zeros((250, 400), np.uint8))
        ...     (Path(home) / "grey.mp4").stat().st_size > 0
        True
    """

    def __init__(self, path: Path | str, fps: float, *, overwrite: bool = False) -> None:
        self.path, self.fps = Path(path), Fraction(fps).limit_denominator(1000)
        self.codec = _find_encoder(self.path)
        self._overwrite = overwrite
        self._open = ExitStack()
        self._container: Any = None
        self._stream: Any = None
        self._shape: tuple[int, ...] | None = None

    def __enter__(self) -> "VideoWriter":
        partial = self._open.enter_context(atomic_path(self.path, self._overwrite))
        options = {"movflags": "faststart"}
        try:
            self._container = av.open(str(partial), "w", format="mp4", options=options)
        except OSError as error:
            self._open.__exit__(type(error), error, error.__traceback__)
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from error
        return self

    def __exit__(self, *failure: Any) -> None:
        error: BaseException | None = failure[1]
        try:
            if error is None:
                self._finish()
            elif self._container is not None:
                self._container.close()
        except (OSError, OutputError) as late:
            self._open.__exit__(type(late), late, late.__traceback__)
            if isinstance(late, OutputError):
                raise
            raise OutputError(f"{self.path}: cannot be written: {late}") from late
        self._open.__exit__(*failure)

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Add a picture.

        Args:
            picture: ``(H, W) uint8`` grey or ``(H, W, 3) uint8`` RGB; all of one shape.

        Raises:
            ShapeError: another shape or dtype than the first picture's.
            OutputError: the disk is full.
        """
        colour = picture.ndim == 3 and picture.shape[2] == 3
        if picture.dtype != np.uint8 or not (colour or picture.ndim == 2) or picture.size == 0:
            found = f"{picture.shape} {picture.dtype}"
            raise ShapeError(f"picture: found {found}, wanted (H, W) or (H, W, 3) uint8")
        self._shape = self._shape or picture.shape
        if picture.shape != self._shape:
            raise ShapeError(f"picture: found {picture.shape}, wanted {self._shape} as before")
        height, width = picture.shape[:2]
        margins = ((0, height % 2), (0, width % 2), (0, 0))[: picture.ndim]
        even = np.ascontiguousarray(np.pad(picture, margins))
        frame = av.VideoFrame.from_ndarray(even, format="rgb24" if colour else "gray")
        if self._stream is None:
            self._stream = self._add_stream(even.shape[1], even.shape[0])
        try:
            self._container.mux(self._stream.encode(frame))
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _add_stream(self, width: int, height: int) -> Any:
        options = {"crf": "20", "preset": "veryfast"} if self.codec == "libx264" else {}
        stream = self._container.add_stream(self.codec, rate=self.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        return stream

    def _finish(self) -> None:
        if self._stream is None:
            self._container.close()
            raise OutputError(f"{self.path}: no picture was written to this video")
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _find_encoder(path: Path) -> str:
    """Name the first codec that can be written (``av.codecs_available`` counts readers too)."""
    for codec in CODECS:
        with suppress(UnknownCodecError):
            return str(Codec(codec, "w").name)
    raise OutputError(f"{path}: this build of PyAV can write none of {', '.join(CODECS)}")
