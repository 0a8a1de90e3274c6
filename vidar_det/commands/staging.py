"""A folder's name comes in; the folder lies on the disk with every result in it, or as it was."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from vidar_det.errors import OutputError
from vidar_det.outputs import prepare_output_folder


@contextlib.contextmanager
def staged_folder(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Lend an empty folder inside ``path``, and move what it holds up once the block succeeds.

    It lies inside ``path`` and not beside it because ``path`` may be a mounted disk of its own.
    If the block raises, or the user interrupts it, everything it wrote is removed, and ``path``
    too if it did not exist before.

    Args:
        path: where the finished files shall lie.
        overwrite: accept a folder that holds something; results replace files of their own names.

    Yields:
        The folder to write to; its name begins with a dot.

    Raises:
        OutputError: ``path`` holds something and ``overwrite`` is False, it is no folder, or it
            cannot be written (no permission, disk full).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     with staged_folder(Path(home) / "run") as folder:
        ...         _ = (folder / "note.txt").write_text("whole")
        ...     [file.name for file in (Path(home) / "run").iterdir()]
        ['note.txt']
    """
    target = Path(path)
    missing = [folder for folder in (target, *target.parents) if not folder.exists()]
    try:
        prepare_output_folder(target, overwrite)
        staging = target / f".{os.getpid()}.partial"
        try:
            staging.mkdir()
            yield staging
            _move_up(staging, target)
        except OSError as error:
            raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _move_up(staging: Path, target: Path) -> None:
    for file in sorted(staging.rglob("*")):
        place = target / file.relative_to(staging)
        if file.is_dir():
            place.mkdir(exist_ok=True)
        else:
            file.replace(place)
