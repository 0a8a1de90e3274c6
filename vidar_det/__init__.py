"""From a Vidar spike-camera recording to detected objects.

Example:
    >>> from vidar_det import load_detector, open_recording
    >>> recording = open_recording("clip.dat", width=400, height=250)  # doctest: +SKIP
    >>> for window, detections in load_detector("nano").stream(recording):  # doctest: +SKIP
    ...     print(window.time_us, detections.xyxy)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidar_det.detector.predictor import load_detector
    from vidar_det.spikes.recording import open_recording

__version__ = "0.1.0"
__all__ = ["__version__", "load_detector", "open_recording"]


def __getattr__(name: str) -> Any:
    """Import the two doors when they are first used: torch is not needed to read a recording."""
    if name == "load_detector":
        from vidar_det.detector.predictor import load_detector

        return load_detector
    if name == "open_recording":
        from vidar_det.spikes.recording import open_recording

        return open_recording
    raise AttributeError(f"module 'vidar_det' has no attribute {name!r}")
