"""A result comes in and lies on the disk whole or not at all; nothing is overwritten unasked."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidar_det.errors import OutputError


def prepare_output_folder(path: str | Path, overwrite: bool = False) -> Path:
    """Make the folder that results go to.

    Args:
        path: the folder; it and its parents are made as needed.
        overwrite: accept a folder that holds something. Nothing in it is removed: results
            replace the files of their own names.

    Returns:
        The folder.

    Raises:
        OutputError: the folder holds something and ``overwrite`` is False, the path is a file, or
            the folder cannot be made or written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     prepare_output_folder(Path(home) / "run").is_dir()
        True
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except FileExistsError as error:
        raise OutputError(f"{folder}: found a file, wanted a folder") from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from error
    if occupied and not overwrite:
        raise OutputError(
            f"{folder}: holds files already; allow overwriting (--overwrite) or name another folder"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: cannot be written to: permission denied")
    return folder


@contextlib.contextmanager
def atomic_path(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Lend a temporary path beside ``path`` and move it there once the block succeeds.

    Args:
        path: where the finished file shall lie; its folder must exist.
        overwrite: replace a file that exists.

    Yields:
        The path to write to, in the same folder and with the same suffix. If the block raises,
        that file is removed and ``path`` stays as it was.

    Raises:
        OutputError: ``path`` exists and ``overwrite`` is False, ``path`` is a folder, or the block
            or the move fails for a reason of the operating system (disk full, no permission).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     with atomic_path(Path(home) / "note.txt") as partial:
        ...         _ = partial.write_text("whole")
        ...     (Path(home) / "note.txt").read_text()
        'whole'
    """
    path = Path(path)
    _refuse_existing(path, overwrite)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        _refuse_existing(path, overwrite)
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_json(path: str | Path, document: Any, overwrite: bool = False) -> None:
    r"""Write a JSON document, whole or not at all.

    Args:
        path: the file; its folder must exist.
        document: dictionaries, lists, strings, finite numbers, booleans and None.
        overwrite: replace a file that exists.

    Raises:
        OutputError: the file exists and ``overwrite`` is False, it cannot be written, or
            ``document`` holds what JSON cannot say (NaN, infinity, arrays).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     write_json(Path(home) / "figures.json", {"mAP": 0.5})
        ...     (Path(home) / "figures.json").read_text()
        '{"mAP": 0.5}\n'
    """
    with atomic_path(path, overwrite) as partial:
        try:
            text = json.dumps(document, allow_nan=False, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise OutputError(f"{path}: JSON cannot hold this result: {error}") from error
        partial.write_text(text + "\n", encoding="utf-8")


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise OutputError(f"{path}: found a folder, wanted a file")
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path}: exists already; allow overwriting (--overwrite) or name another file"
        )
