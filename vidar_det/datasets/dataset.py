"""A spike dataset's folder comes in, labelled windows of its recordings go out."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidar_det.config import build_spec, did_you_mean
from vidar_det.datasets.class_map import (
    as_class_map,
    match_classes,
    named_classes,
    rename_classes,
)
from vidar_det.datasets.windows import LabelledWindow, labelled_windows
from vidar_det.detections.label_reader import read_labels
from vidar_det.detections.labels import Labels
from vidar_det.errors import (
    ConfigError,
    FormatError,
    LabelError,
    SourceError,
)
from vidar_det.spikes.labels import ClassMap
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.stream import SpikeStream

DATASET_FILE = "dataset.toml"
DATASET_FORMAT = 1


@dataclass(frozen=True)
class SpikeDataset:
    """A spike dataset on disk; `open_dataset` opens it.

    Attributes:
        folder: where it lies.
        classes: names; a class id of its labels is an index into them.
        splits: split name -> annotation file.
        own_classes: the classes as the folder names them, before any mapping.
    """

    folder: Path
    classes: tuple[str, ...]
    splits: Mapping[str, Path]
    own_classes: tuple[str, ...]
    _mapping: Mapping[int, int] = field(repr=False)

    def labels(self, split: str) -> Labels:
        """Read a split's annotations; no recording is opened.

        Args:
            split: one of ``splits``.

        Returns:
            The labels, in the dataset's ``classes``. A class is scored on an image where every
            class of the folder that it is made of is. ``report`` counts boxes that were dropped.

        Raises:
            LabelError: no such split, or it is empty, or its labels contradict themselves.
            SourceError: the annotation file is missing.
            FormatError: it is no COCO file, or an image names no planes.

        Example:
            >>> open_dataset("traffic").labels("val").report.empty  # doctest: +SKIP
            0
        """
        if split not in self.splits:
            suggestion = did_you_mean(split, self.splits)
            raise LabelError(f"{self.folder}: no split {split!r}{suggestion}")
        path = self.splits[split]
        labels = read_labels(path, self.own_classes)
        if not labels.images:
            raise LabelError(f"{path}: found no images, wanted at least one")
        for image in labels.images:
            if image.plane_start < 0 or image.plane_count < 1:
                raise FormatError(
                    f"{path}: image {image.id}: found plane_start {image.plane_start}, "
                    f"plane_count {image.plane_count}; wanted 0 or more, 1 or more"
                )
        return rename_classes(labels, self.classes, self._mapping)

    def open(self, path: Path) -> SpikeStream:
        """Open one of its recordings; all that is to know stands beside it."""
        return open_recording(path)

    def labelled_windows(self, split: str, length: int) -> Iterator[LabelledWindow]:
        """Walk a split's images; each gives the middle ``length`` planes of its range.

        Every recording is opened and checked before the first window is given.

        Args:
            split: one of ``splits``.
            length: planes per window.

        Returns:
            An iterator in the order of the annotation file.

        Raises:
            LabelError: no such split, or its labels contradict themselves.
            SourceError: a recording is missing or empty.
            FormatError: a recording or the annotation file is broken.
            GeometryError: a recording is not of its image's size.
            RangeError: a range lies outside its recording or over lost planes, or is shorter than
                ``length``.

        Example:
            >>> for image, window, truth, scored in open_dataset("traffic").labelled_windows(
            ...     "val", 128
            ... ):  # doctest: +SKIP
            ...     print(image.file_name, window.start, len(truth))
        """
        return labelled_windows(self.folder, self.labels(split), length)


def open_dataset(
    folder: str | Path, classes: ClassMap | Sequence[str] | None = None
) -> SpikeDataset:
    """Open a spike dataset; its recordings are opened when they are asked for.

    Args:
        folder: holds ``dataset.toml``.
        classes: the classes wanted, matched by name: a detector's list, or a mapping of class name
            to the names that count as it. None takes the dataset's own.

    Returns:
        The dataset.

    Raises:
        SourceError: no such folder, or no ``dataset.toml`` in it, or an annotation file is missing.
        ConfigError: ``dataset.toml`` is broken.
        FormatError: it is of another format.
        LabelError: the dataset holds a class that is not wanted.

    Example:
        >>> open_dataset("traffic", ["person", "vehicle"]).splits  # doctest: +SKIP
        {'val': PosixPath('traffic/annotations/val.json')}
    """
    folder = Path(folder)
    own_classes, splits = _read_header(folder / DATASET_FILE)
    wanted = as_class_map(own_classes if classes is None else classes)
    mapping = match_classes(own_classes, wanted, str(folder))
    return SpikeDataset(folder, tuple(named_classes(wanted)), splits, own_classes, mapping)


@dataclass(frozen=True)
class _Header:
    """What ``dataset.toml`` holds beside its splits."""

    format: int
    classes: tuple[str, ...]


def _read_header(path: Path) -> tuple[tuple[str, ...], dict[str, Path]]:
    """Classes, and the annotation file of each split."""
    if not path.is_file():
        raise SourceError(f"{path}: found nothing, wanted a spike dataset's {DATASET_FILE}")
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: found no readable TOML: {error}") from error
    if mapping.get("format", DATASET_FORMAT) != DATASET_FORMAT:
        raise FormatError(f"{path}: found format {mapping['format']!r}, wanted {DATASET_FORMAT}")
    splits = mapping.pop("splits", None)
    classes = build_spec(_Header, mapping, str(path)).classes
    if not classes or len(set(classes)) < len(classes):
        raise ConfigError(f"{path}: found classes {list(classes)}, wanted different names")
    return classes, _find_splits(splits, path)


def _find_splits(splits: Any, path: Path) -> dict[str, Path]:
    if not isinstance(splits, dict) or not splits:
        raise ConfigError(f"{path}: found splits = {splits!r}, wanted a table [splits]")
    found = {}
    for name, file_name in splits.items():
        if not isinstance(file_name, str):
            raise ConfigError(f"{path}: splits.{name}: found {file_name!r}, wanted a file's name")
        found[name] = path.parent / file_name
        if not found[name].is_file():
            raise SourceError(f"{found[name]}: found nothing, wanted the labels of split {name!r}")
    return found
