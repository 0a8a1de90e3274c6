"""Sprites come in, sorted once by class they go out: what scenes are drawn from."""

from collections.abc import Sequence

from vidar_det.spikes.labels import DISTRACTOR
from vidar_det.spikes.sprites import Sprite


class Cast:
    """The objects that scenes choose from.

    Attributes:
        groups: the sprites of each class that has some, in the order of class ids.
        distractors: the sprites without a class.
        highest_class_id: -1 where no sprite has a class.

    Example:
        >>> len(Cast([]).groups)
        0
    """

    def __init__(self, sprites: Sequence[Sprite]) -> None:
        by_class: dict[int, list[Sprite]] = {}
        for sprite in sprites:
            by_class.setdefault(sprite.class_id, []).append(sprite)
        self.distractors = by_class.pop(DISTRACTOR, [])
        self.groups = [by_class[class_id] for class_id in sorted(by_class)]
        self.highest_class_id = max(by_class, default=DISTRACTOR)
