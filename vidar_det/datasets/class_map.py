"""Classes and the names that count as them come in, labels in these classes go out."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from vidar_det.config import did_you_mean
from vidar_det.detections.labels import Labels
from vidar_det.errors import ConfigError, LabelError
from vidar_det.spikes.labels import ClassMap, class_ids_by_category

LEFT_OUT = "none"
"""Name that stands for no class: what counts as it is left out."""


def parse_class_map(text: str) -> ClassMap:
    """Read what ``--classes`` says: ``person,vehicle=car+bus+truck``.

    Args:
        text: classes, parted by commas; behind ``=`` the categories that count as the class, joined
            by ``+``. A class without ``=`` holds the category of its own name. What counts as the
            class ``none`` is left out.

    Returns:
        Class name -> category names, in the order of the text.

    Raises:
        ConfigError: a name is missing or occurs twice.
        LabelError: a category belongs to two classes.

    Example:
        >>> parse_class_map("person,vehicle=car+bus")
        {'person': ('person',), 'vehicle': ('car', 'bus')}
    """
    classes: dict[str, tuple[str, ...]] = {}
    for part in text.split(","):
        name, equals, categories = (piece.strip() for piece in part.partition("="))
        names = tuple(word.strip() for word in categories.split("+")) if equals else (name,)
        if not name or not all(names):
            raise ConfigError(f"classes: found {part!r}, wanted NAME or NAME=CATEGORY+CATEGORY")
        if name in classes:
            raise ConfigError(f"classes: {name!r} occurs twice")
        classes[name] = names
    class_ids_by_category(classes)
    return classes


def as_class_map(classes: ClassMap | Sequence[str]) -> ClassMap:
    """Let a list of names stand for classes that hold the category of their own name."""
    if isinstance(classes, Mapping):
        return classes
    return {name: (name,) for name in classes}


def named_classes(classes: ClassMap) -> ClassMap:
    """Leave ``none`` out, which is no class."""
    return {name: categories for name, categories in classes.items() if name != LEFT_OUT}


def complete_class_map(classes: ClassMap, known: Sequence[str]) -> ClassMap:
    """Let a net's classes that a mapping leaves out stand for the dataset's class of their name.

    Args:
        classes: some of the net's classes, each with the names that count as it, and perhaps
            ``none``.
        known: all classes of the net, in the order of their ids.

    Returns:
        All classes of the net, in their order; ``none`` comes last.

    Raises:
        LabelError: a class that the net does not know.

    Example:
        >>> complete_class_map({"vehicle": ("car", "bus")}, ["person", "vehicle"])
        {'person': ('person',), 'vehicle': ('car', 'bus')}
    """
    for name in named_classes(classes):
        if name not in known:
            raise LabelError(f"class {name!r} is unknown to this net{did_you_mean(name, known)}")
    taken = {category for categories in classes.values() for category in categories}
    return {
        name: classes.get(name, () if name in taken else (name,))
        for name in (*known, *(name for name in classes if name == LEFT_OUT))
    }


def match_classes(found: Sequence[str], wanted: ClassMap, source: str) -> dict[int, int]:
    """Find the wanted class of each class of a dataset, by name.

    Args:
        found: the dataset's classes, in the order of their ids.
        wanted: the classes that the ids shall mean; what counts as ``none`` has no id.
        source: the dataset, for the message.

    Returns:
        Id in ``found`` -> id in ``wanted``, ``none`` not counted.

    Raises:
        LabelError: a class is none of the wanted ones.

    Example:
        >>> match_classes(["car", "person"], {"person": ("person",), "vehicle": ("car",)}, "data")
        {0: 1, 1: 0}
    """
    ids = class_ids_by_category(named_classes(wanted))
    left_out = wanted.get(LEFT_OUT, ())
    for name in found:
        if name not in ids and name not in left_out:
            raise LabelError(
                f"{source}: class {name!r} is none of the wanted {', '.join(named_classes(wanted))}"
                f'; map it with --classes "CLASS={name}", or leave it out with '
                f'"{LEFT_OUT}={name}"{did_you_mean(name, ids)}'
            )
    return {index: ids[name] for index, name in enumerate(found) if name in ids}


def rename_classes(labels: Labels, classes: Sequence[str], mapping: Mapping[int, int]) -> Labels:
    """Give labels other classes.

    Args:
        labels: what is known.
        classes: the new names.
        mapping: id in ``labels`` -> id in ``classes``; boxes of other ids are dropped.

    Returns:
        The labels. A class is scored where every class that it is made of is; ``report`` notes how
        many boxes were dropped.
    """
    table = np.full(len(labels.classes), -1, np.int64)
    table[list(mapping)] = list(mapping.values())
    kept = [truth.select(table[truth.class_ids] >= 0) for truth in labels.truths]
    truths = [dataclasses.replace(truth, class_ids=table[truth.class_ids]) for truth in kept]
    images = [
        dataclasses.replace(image, scored=merge_scored(image.scored, mapping))
        for image in labels.images
    ]
    report, dropped = labels.report, sum(map(len, labels.truths)) - sum(map(len, kept))
    if dropped:
        note = f"{dropped:,} boxes are of classes that are left out"
        report = dataclasses.replace(report, notes=(*report.notes, note))
    return Labels(tuple(classes), tuple(images), tuple(truths), report)


def merge_scored(scored: Sequence[int] | None, mapping: Mapping[int, int]) -> tuple[int, ...]:
    """Say which merged classes are completely labelled where these are.

    Args:
        scored: ids of the classes that are; None means all.
        mapping: id -> id of the class that it is merged into.

    Returns:
        Ids of the merged classes of which every part is scored, ascending.

    Example:
        >>> merge_scored([0, 1], {0: 0, 1: 1, 2: 1})
        (0,)
    """
    complete = set(mapping if scored is None else scored)
    missing = {target for index, target in mapping.items() if index not in complete}
    return tuple(sorted(set(mapping.values()) - missing))
