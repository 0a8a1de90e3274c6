"""A saved state and a run come in; a state of another run is refused."""

from collections.abc import Mapping
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
