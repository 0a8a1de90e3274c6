"""Which design finds more? Train and score the rows of a study, and say how sure the answer is.

    python benchmarks/accuracy.py benchmarks/accuracy/drawn.toml --out runs/drawn [--rows S=1 S=2]

A study is a recipe (``base``) and rows that change it in named places. Every row is trained with
each seed, scored on the same scenes, and compared with the first row. A run that was stopped goes
on where it was; what is finished is not done again. The table goes to ``OUT/table.md``.
"""

import argparse
import copy
import dataclasses
import json
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidar_det.config import build_spec
from vidar_det.datasets.moving_light import name_light
from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.detections.labels import ImageRecord, Origin
from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.decoding import decode
from vidar_det.detector.encoding import encode
from vidar_det.detector.inputs import padded_size
from vidar_det.detector.network import SpikingDetector
from vidar_det.evaluation.bootstrap import BootstrapSpec, draw_scenes, mean_known, resample
from vidar_det.evaluation.matching import Judgement, ScoredImage, judge
from vidar_det.evaluation.slices import measure_slices
from vidar_det.outputs import write_json
from vidar_det.training.loop import RunSpec, train
from vidar_det.training.recipe import RecipeSpec
from vidar_det.training.simulation import LabelledWindow, SimulatedWindows
from vidar_det.training.sources import open_data

RESULT_FILE = "result.json"


@dataclass(frozen=True)
class Row:
    """One design: a name, what it means, and where it differs from the base."""

    name: str
    says: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """A base recipe, the rows that change it, and the scenes that judge them."""

    base: Mapping[str, Any]
    rows: tuple[Row, ...]
    windows: int
    seed: int
    split: str
    root: Path

    def recipe(self, row: Row, seed: int) -> RecipeSpec:
        """The recipe that a row trains."""
        mapping = copy.deepcopy(dict(self.base))
        for path, value in row.changes.items():
            *parents, last = path.split(".")
            table: Any = mapping
            for name in parents:
                table = table[int(name)] if name.isdigit() else table.setdefault(name, {})
            table[last] = value
        return build_spec(RecipeSpec, mapping | {"seed": seed}, row.name)


def read_study(path: Path, root: Path) -> Study:
    """Read a study from its TOML file; its folders are relative to ``root``."""
    mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    rows = tuple(Row(row["name"], row["says"], row["changes"]) for row in mapping["rows"])
    judges = mapping["validation"]
    split = judges.get("split", "")
    return Study(mapping["base"], rows, judges["windows"], judges["seed"], split, root)


def validation_windows(study: Study, recipe: RecipeSpec) -> SimulatedWindows:
    """Scenes that no row trains on: other sprites, other plates, the same for every row."""
    judges = dataclasses.replace(
        recipe,
        seed=study.seed,
        composed=tuple(dataclasses.replace(mix, split=study.split) for mix in recipe.composed),
        footage=tuple(dataclasses.replace(mix, split=study.split) for mix in recipe.footage),
    )
    phase = dataclasses.replace(recipe.phases[-1], windows=study.windows)
    return open_data(judges, study.root).windows(phase, len(recipe.phases) - 1)


def train_row(study: Study, row: Row, seed: int, out: Path) -> None:
    """Train one row with one seed, score it, and keep what was found."""
    if (out / RESULT_FILE).exists():
        return
    recipe = study.recipe(row, seed)
    out.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    weights = train(recipe, open_data(recipe, study.root).windows, out, RunSpec(resume=True))
    minutes = (time.monotonic() - begin) / 60
    network = load_network(weights).eval()
    judges = validation_windows(study, recipe)
    found = [to_lists(predict(network, judges[index])) for index in range(len(judges))]
    trained = sum(phase.windows for phase in recipe.phases)
    result = {"minutes": round(minutes, 1), "windows": trained, "found": found}
    write_json(out / RESULT_FILE, result, overwrite=True)


@torch.no_grad()
def predict(network: SpikingDetector, window: LabelledWindow) -> Detections:
    """Look at one window, however large."""
    size = window.counts.shape[1:]
    raw = network(encode(window.counts, network.spec.encoding))
    arrays = raw.scores[0].numpy(), raw.distances[0].numpy()
    return decode(*arrays, size=size, padded=padded_size(*size), conf=0.005, max_det=100)


def to_lists(found: Detections) -> dict[str, Any]:
    """Say boxes in JSON, rounded to what matters."""
    return {
        "xyxy": np.round(found.xyxy, 1).tolist(),
        "scores": np.round(found.scores, 4).tolist(),
        "class_ids": found.class_ids.tolist(),
    }


def from_lists(found: Mapping[str, Any]) -> Detections:
    """Undo ``to_lists``."""
    return Detections(
        np.array(found["xyxy"], np.float32).reshape(-1, 4),
        np.array(found["scores"], np.float32),
        np.array(found["class_ids"], np.int64),
    )


def gather_judges(study: Study) -> list[ScoredImage]:
    """Draw the scenes once, as the first row sees them; nothing is found on them yet."""
    recipe = study.recipe(study.rows[0], study.seed)
    windows, scale = validation_windows(study, recipe), recipe.phases[-1].scale
    images = []
    for index in range(len(windows)):
        window = windows[index]
        labels, rates = window.labels, window.counts.mean(0) / windows.encoding.planes_per_count
        speeds = labels.speeds_px_s / np.float32(scale)  # as at full resolution
        truth = GroundTruth(labels.xyxy, labels.class_ids, labels.ignore, speeds)
        name = window.scene or f"scene {index}"
        record = ImageRecord(
            index, name, *rates.shape[::-1], light=name_light(rates), origin=Origin(scene=name)
        )
        scored = tuple(np.flatnonzero(window.scored).tolist())
        images.append(ScoredImage(truth, Detections.empty(), scored, record))
    return images


def judge_found(
    judges: Sequence[ScoredImage], classes: Sequence[str], found: Sequence[Mapping[str, Any]]
) -> Judgement:
    """Hold what was found in each scene against what is in it."""
    pairs = zip(judges, found, strict=True)
    images = [dataclasses.replace(image, detections=from_lists(boxes)) for image, boxes in pairs]
    return judge(images, classes)


def score(
    judges: Sequence[ScoredImage], classes: Sequence[str], found: Sequence[Mapping[str, Any]]
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """AP50 of all scenes first, then of each resample; and AP50 by speed and light.

    By speed it is the normalised one: the number of objects differs between speeds.
    """
    judgement = judge_found(judges, classes, found)
    draws = draw_scenes(judgement.images)
    precision = mean_known(resample(judgement.matches(), draws, overlaps=1))[:, 0]
    slices = measure_slices(judgement, BootstrapSpec(resamples=1))
    parts = {f"{name} px/s": each.normalised50.value for name, each in slices["speed_px_s"].items()}
    parts |= {name: each.mAP50.value for name, each in slices["light"].items()}
    return precision, parts


def write_table(study: Study, seeds: Sequence[int], out: Path) -> None:
    """Compare what has been trained so far with the first row, seed by seed."""
    judges, classes = gather_judges(study), study.base["model"]["classes"]
    header = ["row", "seeds", "windows", "AP50", "against the first row"]
    lines: list[str] = []
    first: dict[int, NDArray[np.float64]] = {}
    for row in study.rows:
        paths = {seed: out / folder_name(row, seed) / RESULT_FILE for seed in seeds}
        results = {s: json.loads(path.read_text()) for s, path in paths.items() if path.exists()}
        if not results:
            continue
        scores = {seed: score(judges, classes, one["found"]) for seed, one in results.items()}
        precision = {seed: draws for seed, (draws, _) in scores.items()}
        means = [draws[0] for draws in precision.values()]
        overall = f"{np.mean(means):.3f}" + (f" ± {np.std(means, ddof=1):.3f}" if means[1:] else "")
        pairs = [draws - first[seed] for seed, draws in precision.items() if seed in first]
        difference = interval(np.mean(pairs, axis=0)) if pairs else ""
        first = first or precision
        windows = next(iter(results.values()))["windows"]
        parts = {
            name: np.mean([each[name] for _, each in scores.values()])
            for name in next(iter(scores.values()))[1]
        }
        if not lines:
            lines += [line_of([*header, *parts]), "|" + "---|" * (len(header) + len(parts))]
        cells = [row.name, len(results), windows, overall, difference]
        lines.append(line_of([*cells, *(f"{part:.3f}" for part in parts.values())]))
    (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def line_of(cells: Iterable[object]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def interval(values: np.ndarray) -> str:
    """A difference with the interval of 95 % of its resamples."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return f"{values[0]:+.3f} ({low:+.3f} to {high:+.3f})"


def folder_name(row: Row, seed: int) -> str:
    """Where a row's run with a seed lies."""
    return f"{row.name.replace(' ', '-')}-{seed}"


def main() -> None:
    """Train what is missing, then print the table of what there is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data-root", type=Path, default=Path())
    parser.add_argument("--rows", nargs="*")
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--table-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    study = read_study(arguments.study, arguments.data_root)
    for seed in [] if arguments.table_only else arguments.seeds:
        for row in study.rows:
            if not arguments.rows or row.name in arguments.rows:
                train_row(study, row, seed, arguments.out / folder_name(row, seed))
    write_table(study, arguments.seeds, arguments.out)


if __name__ == "__main__":
    main()
