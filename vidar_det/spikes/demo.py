"""Nothing comes in; the folder of the recording that comes along goes out."""

from pathlib import Path

from vidar_det.errors import SourceError

RECORDING_FILE = "demo.dat"
PACKAGE = Path(__file__).parent.parent


def find_demo(package: Path = PACKAGE) -> Path:
    """Find the folder of the demo recording: in the installed package, or in the repository.

    Args:
        package: the folder of ``vidar_det``.

    Raises:
        SourceError: it is in neither.

    Example:
        >>> (find_demo() / "demo.dat").is_file()
        True
    """
    places = (package / "demo", package.parent / "data")
    for place in places:
        if (place / RECORDING_FILE).is_file():
            return place
    raise SourceError(f"{places[-1] / RECORDING_FILE}: the demo recording is missing")
