"""A saved state and a run come in; a state of another run is refused."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from vidar_det.errors import CheckpointError


def refuse_another(what: str, state: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuse a state that another kind of run has saved.

    Args:
        what: the method, for the message.
        state: as it was saved.
        identity: what must be the same when a run is resumed, by name.

    Raises:
        CheckpointError: a value differs; it is named.

    Example:
        >>> refuse_another("soft threshold", {"optimizer": "SGD"}, {"optimizer": "SGD"})
    """
    for name, wanted in identity.items():
        if (found := state.get(name)) != wanted:
            raise CheckpointError(f"state of {what}, {name}: found {found}, wanted {wanted}")


def refuse_other_figures(what: str, saved: Iterable[float], wanted: Iterable[float]) -> None:
    """Refuse figures that differ by more than a thousandth: they may have been measured.

    Raises:
        CheckpointError: one does; it is named by its number.

    Example:
        >>> refuse_other_figures("group threshold, kappa", [1.0, 2.0], [1.0, 2.001])
    """
    for number, (one, other) in enumerate(zip(saved, wanted, strict=True)):
        if not math.isclose(one, other, rel_tol=1e-3):
            raise CheckpointError(
                f"state of {what}: found {one:g} as number {number}, wanted {other:g}"
            )


def describe(rule: object) -> str:
    """Name a rule and its settings, the same in every process: without addresses in memory.

    Example:
        >>> class Stairs:
        ...     def __init__(self) -> None:
        ...         self.height = 0.5
        >>> describe(Stairs())
        'Stairs(height=0.5)'
    """
    if type(rule).__repr__ is object.__repr__:
        settings = getattr(rule, "__dict__", {}).items()
        named = ", ".join(f"{name}={describe(value)}" for name, value in settings)
        return f"{type(rule).__name__}({named})"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(rule))
