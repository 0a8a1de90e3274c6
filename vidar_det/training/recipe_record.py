"""A recipe comes in and leaves a record; the record says later whether a recipe is the same."""

import ast
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from vidar_det.training.recipe import RecipeSpec

BESIDE_THE_STEPS = ("recalibrate_windows", "validation")
"""Keys that no step depends on: a run may go on with others."""


def record_recipe(recipe: RecipeSpec) -> str:
    """Write down every value of a recipe, defaults too, on one line.

    Example:
        >>> from vidar_det.training.recipe import ComposedMix, PhaseSpec
        >>> record_recipe(RecipeSpec((PhaseSpec(windows=8),), composed=(ComposedMix(),)))[:24]
        "{'phases': ({'windows': "
    """
    return repr(dataclasses.asdict(recipe))


def find_difference(record: str, recipe: RecipeSpec) -> str | None:
    """Find the first value in which a recipe differs from a recorded one.

    A key that the record does not know came into being after it was written: the recipe agrees as
    long as the key holds its default.

    Args:
        record: what ``record_recipe`` wrote, now or in an earlier version.
        recipe: the recipe.

    Returns:
        The key, the value recorded and the value found; None where there is no difference.

    Example:
        >>> from vidar_det.training.recipe import ComposedMix, PhaseSpec
        >>> recipe = RecipeSpec((PhaseSpec(windows=8),), composed=(ComposedMix(),))
        >>> find_difference(record_recipe(recipe), dataclasses.replace(recipe, seed=9))
        'seed was 0 and is 9'
    """
    if record == record_recipe(recipe):
        return None
    try:
        recorded = ast.literal_eval(record)
    except (SyntaxError, ValueError):  # infinity is no literal, for one
        return "the record cannot be compared key by key"
    return _difference(recorded, recipe, "")


def _difference(recorded: Any, found: Any, key: str) -> str | None:
    if dataclasses.is_dataclass(found) and isinstance(recorded, Mapping):
        return _difference_of_specs(recorded, found, key)
    if isinstance(found, tuple) and isinstance(recorded, Sequence) and len(recorded) == len(found):
        pairs = enumerate(zip(recorded, found, strict=True))
        differences = (_difference(old, new, f"{key}[{index}]") for index, (old, new) in pairs)
        return next((difference for difference in differences if difference), None)
    return None if recorded == found else f"{key} was {recorded!r} and is {found!r}"


def _difference_of_specs(recorded: Mapping[str, Any], spec: Any, key: str) -> str | None:
    prefix = f"{key}." if key else ""
    fields = {field.name: field for field in dataclasses.fields(spec)}
    for name in recorded:
        if name not in fields:
            return f"{prefix}{name} was {recorded[name]!r} and is no longer known"
    for name, field in fields.items():
        if name in BESIDE_THE_STEPS and not key:
            continue
        found = getattr(spec, name)
        if name in recorded:
            difference = _difference(recorded[name], found, f"{prefix}{name}")
        else:
            default = _default(field)
            same = found == default
            difference = None if same else f"{prefix}{name} was {default!r} and is {found!r}"
        if difference:
            return difference
    return None


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
