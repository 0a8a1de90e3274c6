"""How good are named weights? Make the sets they are scored on, score them, keep every figure.

    python benchmarks/weights.py nano --data-root DATA --sets runs/sets --out runs/scores/nano

Choose on ``val`` (the default) and read ``--split test`` once, when nothing is left to choose. The
sets are simulated from scenes that training never sees: ``drawn`` and ``motion`` by our own code
alone, the others from the folders in DATA. A set that lies there already is used as it is. Each set
gets a folder in OUT with the full report; OUT/SPLIT.json holds the figures that a card states. When
both splits are there, OUT/metrics.json and OUT/table.md join them for ``weights/NAME``. With
``--compare OTHER``, the OUT of other weights that were scored on the same sets,
OUT/compared-SPLIT.md tells the differences, whole scenes drawn anew for both at once, and their
mean over the sets.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidar_det import load_detector
from vidar_det.commands.val import ValSettings, validate
from vidar_det.datasets.capture import CaptureSpec
from vidar_det.datasets.footage_choice import FootageSpec
from vidar_det.datasets.footage_dataset import simulate_annotations
from vidar_det.datasets.named_scenes import NAMED_SCENES
from vidar_det.datasets.simulate import SceneSet, simulate_scenes
from vidar_det.detector.predictor import Detector
from vidar_det.outputs import write_json
from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.sprites import load_backgrounds, load_sprites

SEEDS = {"val": 0, "test": 100}
PLANES = 128
KEPT = ("mAP", "mAP50", "mAP75", "per_class", "intervals", "slices", "images")


def make_scenes(
    out: Path, scene: SceneSpec, split: str, seed: int, count: int, data: Path | None
) -> None:
    """Record composed scenes, of drawn objects or of those in the data."""
    if data is None:
        generator = np.random.default_rng(seed)
        sprites = procedural_sprites(generator, 64)
        backgrounds = procedural_backgrounds(generator, 64, 400, 250)
    else:
        sprites = load_sprites(data / "sprites", split)
        backgrounds = load_backgrounds(data / "backgrounds", split)
    scenes = SceneSet(sprites, backgrounds, count, scene, planes=PLANES, split=split)
    simulate_scenes(out, scenes, CaptureSpec(seed=seed))


def make_sets(root: Path, split: str, data: Path) -> dict[str, Path]:
    """Make what is missing of a split's sets; name -> folder."""
    folders = {name: root / f"{name}-{split}" for name in (*SCENES, "footage")}
    offset = SEEDS[split]
    for name, (scene, seed, count, is_drawn) in SCENES.items():
        if not folders[name].exists():
            source = None if is_drawn else data
            make_scenes(folders[name], scene, split, seed + offset, count, source)
    if not folders["footage"].exists():
        footage = FootageSpec(splits=(split,), every=4, planes=PLANES)
        annotations = sorted((data / "footage").glob("*/annotations.json"))
        simulate_annotations(annotations, folders["footage"], footage, CaptureSpec(seed=9 + offset))
    return folders


NEAR = SceneSpec(
    objects=(0, 3),
    height_px=(120, 420),
    eye_level_probability=1.0,
    pan_probability=0.7,
    speed_px_s=(0, 3000),
    truncation_probability=0.8,
)
SCENES = {
    "drawn": (NAMED_SCENES["street"], 8, 200, True),
    "motion": (SceneSpec(), 6, 400, True),
    "street": (NAMED_SCENES["street"], 7, 200, False),
    "composed": (SceneSpec(), 7, 300, False),
    "near": (NEAR, 5, 200, False),
}
"""Name -> what the scenes look like, seed of ``val``, how many, and whether our code drew them."""


def summary(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What a card keeps of all figures."""
    return {key: metrics[key] for key in KEPT}


def card_figures(detector: Detector, splits: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What ``weights/NAME/metrics.json`` says: the net, and every set's figures to four digits."""
    ran = detector.runtime.describe()
    return {
        "format": 3,
        "params": detector.params,
        "window_planes": detector.spec.window,
        "steps": detector.spec.encoding.steps,
        "scored_as": f"stored float16, computed in {ran.name} {ran.precision} on a CPU",
        "sets": {
            f"{name}-{split}": brief(figures[f"{name}-{split}"])
            for name in (*SCENES, "footage")
            for split, figures in splits.items()
        },
    }


def brief(figures: Mapping[str, Any]) -> dict[str, Any]:
    """A set's figures without what a report shows better."""
    slices = {
        name: {part: brief_slice(value) for part, value in parts.items()}
        for name, parts in figures["slices"].items()
        if len(parts) > 1
    }
    headline = {name: digits(figures[name]) for name in ("mAP", "mAP50", "mAP75")}
    interval = [digits(figures["intervals"]["mAP50"][end]) for end in ("low", "high")]
    per_class = {
        name: {key: digits(value) for key, value in of_class.items()}
        for name, of_class in figures["per_class"].items()
    }
    return {
        "images": figures["images"],
        **headline,
        "mAP50_interval": interval,
        "per_class": per_class,
        "slices": slices,
    }


def brief_slice(figures: Mapping[str, Any]) -> dict[str, Any]:
    """AP50 of a slice, over all and per class, and how many objects it has."""
    normalised = figures.get("normalised50")  # by speed alone
    return {
        "objects": figures["objects"],
        "mAP50": digits(figures["mAP50"]["value"]),
        **({"normalised50": digits(normalised["value"])} if normalised else {}),
        "AP50": {
            name: {"AP50": digits(of["AP50"]), "objects": of["objects"]}
            for name, of in figures["per_class"].items()
        },
    }


def compared_table(differences: Mapping[str, Mapping[str, Any]], other: str) -> str:
    """What changed against other weights, set by set, and in the mean of all sets.

    Sets share no scenes, so the mean's interval follows from theirs: half its width is the root of
    the sum of their squared halves, over the number of sets.
    """
    keys = ("mAP", "mAP50")
    lines = table_head(f"against {other}", "mAP", "AP50")
    for name, found in differences.items():
        parts = [found[key] for key in keys]
        shown = (f"{one['value']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})" for one in parts)
        lines.append(table_row(name, *shown))
    cells = []
    for key in keys:
        mean = np.mean([found[key]["value"] for found in differences.values()])
        halves = [(found[key]["high"] - found[key]["low"]) / 2 for found in differences.values()]
        half = np.sqrt(np.square(halves).sum()) / len(halves)
        cells.append(f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})")
    return "\n".join([*lines, table_row("mean of the sets", *cells)]) + "\n"


def digits(value: float | int | None) -> float | int | None:
    """Four digits; a count stays whole, and what is unknown stays unknown."""
    return round(value, 4) if isinstance(value, float) else value


def card_tables(sets: Mapping[str, Any]) -> str:
    """The tables of a card, in Markdown: all sets, footage by kind, motion by speed."""
    classes = list(next(iter(sets.values()))["per_class"])
    lines = table_head("set", "AP50 (95 %)", "mAP", *classes)
    for name, figures in sets.items():
        low, high = figures["mAP50_interval"]
        score = f"{figures['mAP50']:.3f} ({low:.2f}-{high:.2f})"
        lines.append(table_row(name, score, f"{figures['mAP']:.3f}", *cells(figures["per_class"])))
    lines += ["", *table_head("footage", *classes, "mean of the first two")]
    for split in SEEDS:
        for kind, figures in sets[f"footage-{split}"]["slices"]["kind"].items():
            person, vehicle = (figures["AP50"][name]["AP50"] for name in classes[:2])
            mean = f"{(person + vehicle) / 2:.3f}"
            lines.append(table_row(f"{kind}, {split}", *cells(figures["AP50"]), mean))
    speeds = sets["motion-val"]["slices"]["speed_px_s"]
    head = ("motion, normalised AP50 at px/s", *speeds, "fastest / standing")
    lines += ["", *table_head(*head)]
    for split in SEEDS:
        parts = [
            each["normalised50"]
            for each in sets[f"motion-{split}"]["slices"]["speed_px_s"].values()
        ]
        lines.append(table_row(split, *(f"{part:.3f}" for part in (*parts, parts[-1] / parts[0]))))
    return "\n".join(lines) + "\n"


def cells(per_class: Mapping[str, Any]) -> list[str]:
    """AP50 of each class and how many objects it has, as cells of a table."""
    return [
        f"{of['AP50']:.3f} ({of['objects']})" if of["objects"] else "-" for of in per_class.values()
    ]


def table_head(*names: str) -> list[str]:
    """The first two lines of a Markdown table."""
    return [table_row(*names), "|" + "---|" * len(names)]


def table_row(*parts: str) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(parts) + " |"


def read_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=sorted(SEEDS), default="val")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--compare", type=Path)
    return parser.parse_args()


def main() -> None:
    """Make the sets, score the weights on each, print a line for each."""
    arguments = read_arguments()
    detector = load_detector(arguments.weights)
    kept, differences = {}, {}
    for name, folder in make_sets(arguments.sets, arguments.split, arguments.data_root).items():
        if arguments.only and name not in arguments.only:
            continue
        out = arguments.out / folder.name
        rival = arguments.compare and arguments.compare / folder.name / "predictions.json"
        settings = ValSettings(split=arguments.split, out=out, overwrite=True, compare=rival)
        validate(detector, folder, settings)
        metrics = json.loads((out / "metrics.json").read_text())
        kept[folder.name] = summary(metrics)
        if rival:
            differences[folder.name] = metrics["comparison"]
        classes = " ".join(
            f"{key} {value['AP50']:.3f} ({value['objects']})" if value["objects"] else f"{key} -"
            for key, value in metrics["per_class"].items()
        )
        print(f"{folder.name:14} AP50 {metrics['mAP50']:.3f} mAP {metrics['mAP']:.3f}  {classes}")
    if differences:
        table = compared_table(differences, arguments.compare.name)
        (arguments.out / f"compared-{arguments.split}.md").write_text(table, encoding="utf-8")
        print(table)
    if arguments.only:
        return
    write_json(arguments.out / f"{arguments.split}.json", kept, overwrite=True)
    join_splits(detector, arguments.out)


def join_splits(detector: Detector, out: Path) -> None:
    """Write what a card states, once both splits were scored."""
    written = {split: out / f"{split}.json" for split in SEEDS}
    if all(path.exists() for path in written.values()):
        splits = {split: json.loads(path.read_text()) for split, path in written.items()}
        figures = card_figures(detector, splits)
        write_json(out / "metrics.json", figures, overwrite=True)
        (out / "table.md").write_text(card_tables(figures["sets"]), encoding="utf-8")


if __name__ == "__main__":
    main()
