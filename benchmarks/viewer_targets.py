"""Figures of the viewer come in; which targets they reach is printed and written down."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Figures = dict[str, float]


@dataclass(frozen=True)
class Target:
    """What every figure whose name begins so must reach."""

    figure: str
    limit: float
    is_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.is_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'at least' if self.is_least else 'at most'} {self.limit:g}"


TARGETS = (
    Target("pictures a second", 59.5, is_least=True),  # the page asks for 60
    Target("first picture, ms", 1000),
    Target("seek p95, ms", 100),
    Target("service grows, MB a minute", 1),
    Target("browser grows, MB a minute", 1),
)


def slope(samples: list[tuple[float, float]]) -> float:
    """Theil and Sen's: the median slope between two samples, which no single one moves."""
    pairs = itertools.combinations(samples, 2)
    slopes = [(later[1] - sooner[1]) / (later[0] - sooner[0]) for sooner, later in pairs]
    return float(np.median(slopes))


def judge(figures: Figures, out: Path) -> bool:
    """Print every figure beside its target, write them down, and tell whether all hold."""
    told = []
    for name, value in figures.items():
        target = next((one for one in TARGETS if name.startswith(one.figure)), None)
        verdict = target.holds(value) if target else None
        words = {None: "", True: f"{target}: holds", False: f"{target}: MISSED"}[verdict]
        print(f"{name:52} {value:9.2f}  {words}".rstrip())
        wanted = str(target) if target else None
        told.append({"figure": name, "value": value, "target": wanted, "holds": verdict})
    all_hold = all(one["holds"] is not False for one in told)
    out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"figures": told, "all_hold": all_hold}, indent=1)
    out.write_text(text + "\n", encoding="utf-8")
    return all_hold
