"""How good are named weights? Make the sets they are scored on, score them, keep every figure.

    python benchmarks/weights.py nano --data-root DATA --sets runs/sets --out runs/scores/nano

Choose on ``val`` (the default) and read ``--split test`` once, when nothing is left to choose. The
sets are simulated from scenes that training never sees: ``drawn`` and ``motion`` by our own code
alone, the others from the folders in DATA. A set that lies there already is used as it is. Each set
gets a folder in OUT with the full report; OUT/SPLIT.json holds the figures that a card states.
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


SCENES = {
    "drawn": (NAMED_SCENES["street"], 8, 200, True),
    "motion": (SceneSpec(), 6, 400, True),
    "street": (NAMED_SCENES["street"], 7, 200, False),
    "composed": (SceneSpec(), 7, 300, False),
}
"""Name -> what the scenes look like, seed of ``val``, how many, and whether our code drew them."""


def summary(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What a card keeps of all figures."""
    return {key: metrics[key] for key in KEPT}


def main() -> None:
    """Make the sets, score the weights on each, print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=sorted(SEEDS), default="val")
    parser.add_argument("--only", nargs="*")
    arguments = parser.parse_args()
    detector = load_detector(arguments.weights)
    kept = {}
    for name, folder in make_sets(arguments.sets, arguments.split, arguments.data_root).items():
        if arguments.only and name not in arguments.only:
            continue
        out = arguments.out / folder.name
        validate(detector, folder, ValSettings(split=arguments.split, out=out, overwrite=True))
        metrics = json.loads((out / "metrics.json").read_text())
        kept[folder.name] = summary(metrics)
        classes = " ".join(
            f"{key} {value['AP50']:.3f} ({value['objects']})" if value["objects"] else f"{key} -"
            for key, value in metrics["per_class"].items()
        )
        print(f"{folder.name:14} AP50 {metrics['mAP50']:.3f} mAP {metrics['mAP']:.3f}  {classes}")
    write_json(arguments.out / f"{arguments.split}.json", kept, overwrite=True)


if __name__ == "__main__":
    main()
