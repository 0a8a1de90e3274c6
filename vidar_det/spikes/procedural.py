"""A random generator comes in, drawn sprites and backgrounds go out: no outside data needed."""

import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import RangeError
from vidar_det.spikes.drawn.clutter import draw_clutter
from vidar_det.spikes.drawn.cycles import PERSON_M, PIXELS_PER_METRE, draw_cycle
from vidar_det.spikes.drawn.figures import PIXELS_PER_PERSON, draw_person
from vidar_det.spikes.drawn.plates import draw_plate
from vidar_det.spikes.drawn.vehicles import draw_vehicle
from vidar_det.spikes.labels import DEFAULT_CLASSES, DISTRACTOR
from vidar_det.spikes.sprites import Sprite, linear_light


def procedural_sprites(generator: np.random.Generator, count_per_class: int) -> list[Sprite]:
    """Draw persons, vehicles, cycles and as many distractors.

    Half of the cycles carry a rider: a `Sprite.rider` of class ``person`` with its own box; the
    cycle's box encloses the machine alone.

    Args:
        generator: source of randomness.
        count_per_class: how many of each class, at least 1; a sprite takes 2 to 10 ms to draw.

    Returns:
        ``4 * count_per_class`` sprites with the ids of `DEFAULT_CLASSES`.

    Raises:
        RangeError: fewer than one sprite is asked for.

    Example:
        >>> [s.class_id for s in procedural_sprites(np.random.default_rng(0), 1)]
        [0, 1, 2, -1]
    """
    if count_per_class < 1:
        raise RangeError(f"count_per_class = {count_per_class}; wanted at least 1")
    sprites = []
    for k in range(count_per_class):
        sprites += [_person(generator, k), _vehicle(generator, k), _cycle(generator, k)]
        sprites.append(_clutter(generator, k))
    return sprites


def procedural_clutter(generator: np.random.Generator, count: int) -> list[Sprite]:
    """Draw distractors only: poles, signs, bins, boxes, bushes and trees.

    Args:
        generator: source of randomness.
        count: how many.

    Returns:
        Sprites without a class.

    Example:
        >>> [s.class_id for s in procedural_clutter(np.random.default_rng(0), 2)]
        [-1, -1]
    """
    return [_clutter(generator, number) for number in range(count)]


def procedural_backgrounds(
    generator: np.random.Generator, count: int, width: int, height: int
) -> list[NDArray[np.float32]]:
    """Draw streets, walls, fields and textures without labelled objects.

    Args:
        generator: source of randomness.
        count: how many, at least 1.
        width: pixels, at least 64.
        height: pixels, at least 64.

    Returns:
        ``count`` arrays ``(height, width) float32`` of linear light in 0..1.

    Raises:
        RangeError: no background is asked for, or a side is under 64 px.

    Example:
        >>> procedural_backgrounds(np.random.default_rng(0), 1, 400, 250)[0].shape
        (250, 400)
    """
    if count < 1 or width < 64 or height < 64:
        raise RangeError(
            f"{count} backgrounds of {width}x{height}; wanted 1 or more, 64 px or more"
        )
    return [linear_light(draw_plate((height, width), generator)) for _ in range(count)]


def _clutter(generator: np.random.Generator, number: int) -> Sprite:
    height = float(generator.uniform(0.4, 1.3))
    return Sprite(*draw_clutter(generator), DISTRACTOR, f"clutter {number}", height)


def _person(generator: np.random.Generator, number: int) -> Sprite:
    grey, alpha = draw_person(generator)
    height = len(grey) / PIXELS_PER_PERSON
    return Sprite(grey, alpha, DEFAULT_CLASSES.index("person"), f"person {number}", height)


def _vehicle(generator: np.random.Generator, number: int) -> Sprite:
    (grey, alpha), height_m = draw_vehicle(generator)
    class_id = DEFAULT_CLASSES.index("vehicle")
    return Sprite(grey, alpha, class_id, f"vehicle {number}", height_m / PERSON_M)


def _cycle(generator: np.random.Generator, number: int) -> Sprite:
    (grey, alpha), rider = draw_cycle(generator)
    height = len(grey) / PIXELS_PER_METRE / PERSON_M
    person = None
    if rider is not None:
        person = Sprite(*rider, DEFAULT_CLASSES.index("person"), f"rider {number}", height)
    class_id = DEFAULT_CLASSES.index("cycle")
    return Sprite(grey, alpha, class_id, f"cycle {number}", height, person)
