"""Which way to a smaller detector loses least? The same training for all of them.

    python -m benchmarks.channels benchmarks/channels/study.toml --out runs/channels

A dense network learns for half of the windows; each way of pruning has the other half, with the
dense network as teacher: *rounds* plans by what the loss feels of each group, *threshold* trains
spines against a threshold first, *magnitude* and *slimming* are what others do, *even* takes the
same share of every layer. Beside them stand the dense network that learns for all windows, and
networks that are uniformly narrower from the start; these two have no teacher, since theirs would
be themselves, or need training of its own. A study may begin with finished weights (``start``):
then all windows come after them.
What is finished is not done again. The table goes to ``OUT/table.md``.
"""

import argparse
import json
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.accuracy import (
    Row,
    Study,
    gather_judges,
    interval,
    judge_found,
    line_of,
    predict,
    to_lists,
    validation_windows,
)
from benchmarks.channels.ways import MACS, Ways
from benchmarks.settings import SETTINGS_FILE, keep_settings
from vidar_det.detector.network import SpikingDetector, count_params
from vidar_det.evaluation.bootstrap import draw_scenes, mean_known, resample
from vidar_det.outputs import write_json
from vidar_det.pruning import costs
from vidar_det.pruning.detectors import detector_groups


def run(ways: Ways, name: str, share: float, make: Callable[[float], SpikingDetector]) -> None:
    """Make one network, score it, and keep what was found."""
    path = ways.out / f"{name}-{share:g}-{ways.seed}.json"
    if path.exists():
        return
    network = make(share).eval()
    judges = validation_windows(ways.study, ways.recipe(1, ways.seed))
    found = [to_lists(predict(network, judges[index])) for index in range(len(judges))]
    figures = {
        "name": name,
        "share": share,
        "seed": ways.seed,
        "params": count_params(network),
        "macs": costs.count_macs(detector_groups(network)).total(),
        "found": found,
    }
    write_json(path, figures, overwrite=True)
    print(path.stem, figures["params"], figures["macs"], flush=True)


def run_all(ways: Ways, mapping: Mapping[str, Any]) -> None:
    """Run every way with one seed."""
    run(ways, "dense", 1.0, ways.whole)
    for share in mapping["shares"]:
        if not ways.start:  # nothing from scratch has seen as much as finished weights
            run(ways, "uniform", share, ways.uniform)
        run(ways, "even", share, ways.even)
        run(ways, "magnitude", share, ways.magnitude)
        run(ways, "slimming", share, ways.slimming)
        for rho in (0.0, 0.5, 1.0):
            run(ways, f"rounds, rho = {rho:g}", share, partial(ways.rounds, rho=rho))
        if mapping.get("threshold", True):
            run(ways, "threshold, rho = 0.5", share, partial(ways.threshold, rho=0.5))
    for share in mapping["macs"]:
        run(ways, "rounds for MACs", share, partial(ways.rounds, rho=0.5, budget=MACS))


def write_table(study: Study, out: Path, seeds: list[int]) -> None:
    """Compare everything with the dense network of the same total training, seed by seed."""
    judges, classes = gather_judges(study), study.base["model"]["classes"]
    paths = (path for path in sorted(out.glob("*.json")) if path.name != SETTINGS_FILE)
    results = [json.loads(path.read_text()) for path in paths]
    results = [result for result in results if result["seed"] in seeds]
    scores: dict[tuple[str, float, int], NDArray[np.float64]] = {}
    for one in results:
        judgement = judge_found(judges, classes, one["found"])
        precision = mean_known(resample(judgement.matches(), draw_scenes(judgement.images)))
        both = np.stack((precision.mean(axis=1), precision[:, 0]), axis=1)
        scores[one["name"], one["share"], one["seed"]] = both
    lines = [
        "| way | parameters | MACs a window | seeds | mAP | against dense | AP50 | against dense |",
        "|---|---:|---:|---:|---:|---|---:|---|",
    ]
    for name, share in dict.fromkeys((one["name"], one["share"]) for one in ordered(results)):
        own = [one for one in results if (one["name"], one["share"]) == (name, share)]
        figures = [scores[name, share, one["seed"]] for one in own]
        pairs = [
            draws - scores["dense", 1.0, one["seed"]]
            for one, draws in zip(own, figures, strict=True)
            if name != "dense" and ("dense", 1.0, one["seed"]) in scores
        ]
        cells: list[object] = [name, f"{own[0]['params']:,}", f"{own[0]['macs'] / 1e6:,.0f} M"]
        cells.append(len(own))
        for at in range(2):
            means = [draws[0, at] for draws in figures]
            spread = f" ± {np.std(means, ddof=1):.3f}" if means[1:] else ""
            cells.append(f"{np.mean(means):.3f}{spread}")
            cells.append(interval(np.mean(pairs, axis=0)[:, at]) if pairs else "")
        lines.append(line_of(cells))
    (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def ordered(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Large networks first, then by name."""
    return sorted(results, key=lambda result: (-result["share"], result["name"]))


def main() -> None:
    """Train what is missing, then print the table of what there is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--windows", type=int, help="instead of the study's")
    parser.add_argument("--table-only", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    mapping = tomllib.loads(args.study.read_text(encoding="utf-8"))
    mapping["windows"] = args.windows or mapping["windows"]
    judges = mapping["validation"]
    row = Row("dense", "", {})
    study = Study(mapping["recipe"], (row,), judges["windows"], judges["seed"], "", Path())
    keep_settings(args.out, mapping)
    for seed in [] if args.table_only else args.seeds:
        ways = Ways(study, seed, mapping["windows"], args.out, mapping.get("start", ""))
        run_all(ways, mapping)
    write_table(study, args.out, args.seeds)


if __name__ == "__main__":
    main()
