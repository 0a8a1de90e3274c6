"""Shots come in; a spike dataset lies on the disk, whole or not at all."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vidar_det.datasets.capture import (
    CaptureSpec,
    LabelledImage,
    Shot,
    label_windows,
    write_scene_recording,
)
from vidar_det.datasets.dataset import DATASET_FILE, DATASET_FORMAT
from vidar_det.detections.labels import Labels, labels_document
from vidar_det.errors import ConfigError, LabelError, OutputError
from vidar_det.outputs import write_json


class DatasetWriter:
    """Collects recordings and labels; `new_dataset` makes one and finishes it.

    Args:
        folder: an empty folder to write to.
        classes: names of the labels' class ids.
        capture: the camera.
    """

    def __init__(self, folder: Path, classes: Sequence[str], capture: CaptureSpec) -> None:
        self._folder, self._classes, self._capture = folder, tuple(classes), capture
        self._images: dict[str, list[LabelledImage]] = {}
        self._names: set[str] = set()
        for name in ("recordings", "annotations"):
            (folder / name).mkdir()

    def add(self, split: str, name: str, shot: Shot, generator: np.random.Generator) -> None:
        """Record a shot and label its windows.

        Args:
            split: where it belongs.
            name: of the recording, without suffix; each only once.
            shot: what to record.
            generator: source of the camera's fixed pattern and noise.

        Raises:
            LabelError: the name is taken.
            OutputError: the recording cannot be written.
        """
        if name in self._names:
            raise LabelError(f"{self._folder}: two recordings are named {name!r}")
        self._names.add(name)
        file_name = f"recordings/{name}.dat"
        images = self._images.setdefault(split, [])
        images += label_windows(shot, self._capture.rate_hz, file_name, len(images) + 1)
        write_scene_recording(self._folder / file_name, shot, self._capture, generator)

    def finish(self, description: str) -> None:
        """Write the annotations of each split, and the file that names them."""
        for split, images in self._images.items():
            records, truths = zip(*images, strict=True)
            document = labels_document(Labels(self._classes, records, truths), description)
            write_json(self._folder / "annotations" / f"{split}.json", document)
        text = dataset_text(self._classes, list(self._images))
        (self._folder / DATASET_FILE).write_text(text, encoding="utf-8")


def dataset_text(classes: Sequence[str], splits: Sequence[str]) -> str:
    """Write ``dataset.toml``: format, classes and where each split's annotations lie.

    Example:
        >>> print(dataset_text(["person"], ["val"]))
        format = 1
        classes = ["person"]
        <BLANKLINE>
        [splits]
        "val" = "annotations/val.json"
        <BLANKLINE>
    """
    quoted = [json.dumps(name, ensure_ascii=False) for name in splits]
    paths = [json.dumps(f"annotations/{name}.json", ensure_ascii=False) for name in splits]
    lines = [f"{name} = {path}" for name, path in zip(quoted, paths, strict=True)]
    names = json.dumps(list(classes), ensure_ascii=False)
    return "\n".join(
        [f"format = {DATASET_FORMAT}", f"classes = {names}", "", "[splits]", *lines, ""]
    )


@contextlib.contextmanager
def new_dataset(
    out: str | Path, classes: Sequence[str], capture: CaptureSpec, *, overwrite: bool = False
) -> Iterator[DatasetWriter]:
    """Lend a writer, and put what it wrote at ``out`` once the block succeeds.

    Args:
        out: the dataset's folder; its parents are made as needed.
        classes: names of the labels' class ids.
        capture: the camera.
        overwrite: replace a spike dataset that lies there; nothing else is ever replaced.

    Yields:
        The writer; it writes to a hidden folder beside ``out``, which is gone if the block raises.

    Raises:
        OutputError: something lies at ``out``, or it cannot be written (disk full, no permission).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     with new_dataset(Path(home) / "empty", ["person"], CaptureSpec()) as writer:
        ...         writer.finish("nothing yet")
        ...     sorted(path.name for path in (Path(home) / "empty").iterdir())
        ['annotations', 'dataset.toml', 'recordings']
    """
    out = Path(out).absolute()
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        _refuse_occupied(out, overwrite)
        partial.mkdir(parents=True)
        yield DatasetWriter(partial, classes, capture)
        _refuse_occupied(out, overwrite)
        _replace(partial, out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_split(name: str) -> None:
    """Refuse a split's name that cannot name a file.

    Raises:
        ConfigError: it is empty, begins with a dot or holds a slash.
    """
    if not name or name.startswith(".") or "/" in name or "\\" in name:
        raise ConfigError(f"split: found {name!r}, wanted a name that can stand as a file's")


def _refuse_occupied(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / DATASET_FILE).is_file():
        raise OutputError(f"{out}: found something else, wanted a new folder or a spike dataset")
    if not overwrite:
        raise OutputError(
            f"{out}: holds a dataset already; allow overwriting (--overwrite) or name another"
        )


def _replace(partial: Path, out: Path) -> None:
    if not out.exists():
        partial.rename(out)
        return
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    out.rename(old)
    try:
        partial.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
