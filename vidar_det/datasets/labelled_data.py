"""A folder of labelled recordings in any known layout comes in, an opened dataset goes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vidar_det.config import did_you_mean
from vidar_det.datasets.class_map import (
    as_class_map,
    match_classes,
    named_classes,
    rename_classes,
)
from vidar_det.datasets.dataset import DATASET_FILE, open_dataset
from vidar_det.datasets.foreign import open_foreign
from vidar_det.datasets.mot import mot_splits, read_mot
from vidar_det.datasets.pku import pku_splits, read_pku
from vidar_det.datasets.reading import ReadingSpec
from vidar_det.detections.labels import Labels
from vidar_det.errors import ConfigError, LabelError, SourceError
from vidar_det.spikes.labels import ClassMap
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream


class LabelledData(Protocol):
    """Labelled recordings, whatever files they come from."""

    @property
    def folder(self) -> Path:
        """Where it lies; the labels' file names are relative to it."""
        ...

    @property
    def splits(self) -> Mapping[str, Path]:
        """Split name -> its annotation file or folder."""
        ...

    def labels(self, split: str) -> Labels:
        """Read a split's labels."""
        ...

    def open(self, path: Path) -> SpikeStream:
        """Open one of its recordings."""
        ...


@dataclass(frozen=True)
class ForeignDataset:
    """A dataset in another project's layout, read in place; `open_labelled_data` opens it.

    Attributes:
        folder: where it lies.
        splits: split name -> its folder.
        reading: geometry, flips, window.
        classes: the classes wanted; None takes the dataset's own.
    """

    folder: Path
    splits: Mapping[str, Path]
    reading: ReadingSpec
    classes: ClassMap | None
    _read: Callable[[Path, Path, ReadingSpec], Labels]

    def labels(self, split: str) -> Labels:
        """Read a split's labels; its recordings are opened to learn their length.

        Args:
            split: one of ``splits``.

        Returns:
            The labels, in the wanted classes. ``report`` tells what was dropped.

        Raises:
            LabelError: no such split, or nothing in it is labelled, or it holds a class that is
                not wanted.
            VidarError: as `read_pku` and `read_mot` say.
        """
        if split not in self.splits:
            suggestion = did_you_mean(split, self.splits)
            raise LabelError(f"{self.folder}: no split {split!r}{suggestion}")
        labels = self._read(self.folder, self.splits[split], self.reading)
        if not labels.images:
            raise LabelError(f"{self.splits[split]}: found no labels, wanted at least one")
        if self.classes is None:
            return labels
        mapping = match_classes(labels.classes, self.classes, str(self.folder))
        return rename_classes(labels, tuple(named_classes(self.classes)), mapping)

    def open(self, path: Path) -> SpikeStream:
        """Open one of its recordings with what the dataset says about them."""
        return open_foreign(path, self.reading.options, self.folder)


def open_labelled_data(
    folder: str | Path,
    reading: ReadingSpec | None = None,
    classes: ClassMap | Sequence[str] | None = None,
) -> LabelledData:
    """Open a folder of labelled recordings: a spike dataset, PKU-Vidar-DVS, or MOT15 scenes.

    Args:
        folder: holds ``dataset.toml``; or ``SPLIT/labels`` and ``SPLIT/Vidar``; or scenes with a
            ``spikes_gt.txt`` each, directly or per split.
        reading: which of them it is, and what its files do not say.
        classes: the classes wanted, as ``open_dataset`` takes them.

    Returns:
        The dataset; PKU-Vidar-DVS names its classes by number, MOT15 scenes know "object" alone.

    Raises:
        SourceError: no such folder, or nothing of the kind in it.
        ConfigError: a setting that does not fit the format.
        VidarError: as ``open_dataset`` says.

    Example:
        >>> data = open_labelled_data(
        ...     "PKU-Vidar-DVS", classes={"vehicle": ("0",), "none": ("1", "2")}
        ... )  # doctest: +SKIP
        >>> data.labels("test").report.warnings  # doctest: +SKIP
        ('1,204 boxes have no area and are dropped',)
    """
    folder, reading = Path(folder), reading or ReadingSpec()
    if not folder.is_dir():
        raise SourceError(f"{folder}: found no such folder, wanted a dataset")
    kind = _recognise(folder) if reading.format == "auto" else reading.format
    if kind == "spike":
        _refuse_options(folder, reading)
        return open_dataset(folder, classes)
    find, read, wanted = {
        "pku": (pku_splits, read_pku, "SPLIT/labels beside SPLIT/Vidar"),
        "mot": (mot_splits, read_mot, "SCENE/spikes_gt.txt"),
    }[kind]
    splits = find(folder)
    if not splits:
        raise SourceError(f"{folder}: found no {wanted}")
    mapping = None if classes is None else as_class_map(classes)
    return ForeignDataset(folder, splits, reading, mapping, read)


def _refuse_options(folder: Path, reading: ReadingSpec) -> None:
    """A spike dataset says everything itself."""
    if reading.label_flip not in ("auto", "none"):
        raise ConfigError(
            f"{folder}: found label flip {reading.label_flip}, "
            "but the labels of a spike dataset are upright"
        )
    if reading.options != RecordingOptions():
        raise ConfigError(
            f"{folder}: found {reading.options}, "
            "but in a spike dataset the sidecar of each recording says that"
        )


def _recognise(folder: Path) -> str:
    """Tell which layout a folder has."""
    if (folder / DATASET_FILE).is_file():
        return "spike"
    if pku_splits(folder):
        return "pku"
    if mot_splits(folder):
        return "mot"
    raise SourceError(
        f"{folder}: found no dataset: wanted {DATASET_FILE} (a spike dataset), SPLIT/labels beside "
        "SPLIT/Vidar (PKU-Vidar-DVS), or SCENE/spikes_gt.txt (MOT15)"
    )
