"""Served weights come in; how well each scored, where somebody measured it, goes out."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vidar_det.detector.weights_file import find_weights
from vidar_det.errors import CheckpointError

METRICS_FILE = "metrics.json"
HELD_OUT = "-test"
"""How the names of sets end that no choice was made on."""


@dataclass(frozen=True)
class Score:
    """What was measured.

    Attributes:
        mAP: mean average precision over IoU 0.5 to 0.95.
        scored_on: name of the set.
    """

    mAP: float
    scored_on: str


def read_scores(models: Iterable[str]) -> dict[str, Score]:
    """Read the ``metrics.json`` beside weights.

    Args:
        models: ``NAME`` or ``NAME=PATH``, as the settings name them.

    Returns:
        The score of each that has one, by name.

    Example:
        >>> read_scores(["nano"])["nano"].scored_on.endswith("-test")
        True
    """
    found = {}
    for model in models:
        name, _, path = model.partition("=")
        score = _read_score(path or name)
        if score is not None:
            found[name] = score
    return found


@lru_cache(maxsize=32)
def _read_score(weights: str) -> Score | None:
    try:
        path: Path = find_weights(weights).parent / METRICS_FILE
        sets: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["sets"]
        measured = {name: float(one["mAP"]) for name, one in sets.items()}
    except (CheckpointError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # nobody measured these weights, or not in this form
    held_out = [name for name in measured if name.endswith(HELD_OUT)]
    chosen = next(iter(held_out or measured), None)
    return None if chosen is None else Score(measured[chosen], chosen)
