"""A mapping of class names comes in as text or names, class ids of a dataset's classes go out."""

from collections.abc import Mapping, Sequence

from vidar_det.config import did_you_mean
from vidar_det.errors import ConfigError, LabelError
from vidar_det.spikes.labels import ClassMap, class_ids_by_category


def parse_class_map(text: str) -> ClassMap:
    """Read what ``--classes`` says: ``person,vehicle=car+bus+truck``.

    Args:
        text: classes, parted by commas; behind ``=`` the categories that count as the class, joined
            by ``+``. A class without ``=`` holds the category of its own name.

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


def match_classes(found: Sequence[str], wanted: ClassMap, source: str) -> dict[int, int]:
    """Find the wanted class of each class of a dataset, by name.

    Args:
        found: the dataset's classes, in the order of their ids.
        wanted: the classes that the ids shall mean.
        source: the dataset, for the message.

    Returns:
        Id in ``found`` -> id in ``wanted``.

    Raises:
        LabelError: a class is none of the wanted ones.

    Example:
        >>> match_classes(["car", "person"], {"person": ("person",), "vehicle": ("car",)}, "data")
        {0: 1, 1: 0}
    """
    ids = class_ids_by_category(wanted)
    for name in found:
        if name not in ids:
            raise LabelError(
                f"{source}: class {name!r} is none of the wanted {', '.join(wanted)}; "
                f'map it with --classes "CLASS={name}"{did_you_mean(name, ids)}'
            )
    return {index: ids[name] for index, name in enumerate(found)}
