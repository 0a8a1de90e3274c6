"""Every failure a caller may catch.

Tree::

    VidarError
    ├── SourceError        the input is missing, empty or unreadable
    ├── FormatError        bytes are there, but they are not what they claim to be
    │   └── GeometryError  width, height or layout missing, impossible or ambiguous
    ├── ShapeError         an array has the wrong shape or dtype
    ├── RangeError         an index, time or setting lies outside what exists
    ├── ConfigError        a recipe, sidecar or setting holds an unknown key or a wrong value
    ├── LabelError         labels contradict themselves or their classes are unknown
    ├── CheckpointError    weights do not fit the network they are loaded into
    ├── PruningError       a network cannot be followed, or cannot shrink as asked
    ├── TrainingError      a run cannot go on: its numbers are no longer finite
    ├── OutputError        the result cannot be written
    └── ServiceError       a service refuses, fails or cannot be reached

Every message names the file (or setting), the value found and the value wanted.

Example:
    >>> from vidar_det.errors import FormatError, VidarError
    >>> issubclass(FormatError, VidarError)
    True
"""


class VidarError(Exception):
    """Root of every failure that vidar-det reports on purpose."""


class SourceError(VidarError):
    """The input is missing, empty or unreadable."""


class FormatError(VidarError):
    """Bytes are there, but they are not what they claim to be."""


class GeometryError(FormatError):
    """Width, height or layout is missing, impossible or ambiguous."""


class ShapeError(VidarError):
    """An array has the wrong shape or dtype."""


class RangeError(VidarError):
    """An index, time or setting lies outside what exists."""


class ConfigError(VidarError):
    """A recipe, sidecar or setting holds an unknown key or a wrong value."""


class LabelError(VidarError):
    """Labels contradict themselves, or their classes are unknown."""


class CheckpointError(VidarError):
    """Weights do not fit the network they are loaded into."""


class PruningError(VidarError):
    """A network cannot be followed, or cannot shrink as asked."""


class TrainingError(VidarError):
    """A training run cannot go on: its numbers are no longer finite."""


class OutputError(VidarError):
    """The result cannot be written."""


class ServiceError(VidarError):
    """A service refuses, fails or cannot be reached.

    Args:
        message: what happened.
        problem: the service's own problem document (RFC 9457), where it gave one.
    """

    def __init__(self, message: str, problem: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.problem = dict(problem or {})
