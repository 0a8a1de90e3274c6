"""What does a dense network gain from the training that pruning takes? The rival of pruned nets.

    python -m benchmarks.dense nano weights/nano/finish.toml --data-root DATA --windows 96000 \\
        --seed 11 --out runs/nano-dense

Windows, rates, seed and frozen layers are those of ``vidar-det prune`` with the same options;
nothing is cut, and there is no teacher. A run that was stopped goes on.
"""

import argparse
from pathlib import Path

import torch

from vidar_det.commands.prune_recipe import Lessons
from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.weights_file import find_weights
from vidar_det.pruning.detectors import detector_groups
from vidar_det.pruning.groups import short_name
from vidar_det.training.loop import Progress, RunSpec, train
from vidar_det.training.sources import open_data
from vidar_det.training.student import Student


def main() -> None:
    """Train as the cut network is tuned."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data-root", type=Path, default=Path())
    parser.add_argument("--windows", type=int, default=64_000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frozen", default="", help="layers that do not learn, as in prune")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    network = load_network(find_weights(args.weights))
    lessons = Lessons(
        recipe=args.recipe,
        windows=args.windows,
        learning_rate=args.learning_rate,
        scale=args.scale,
        seed=args.seed,
    )
    stages = lessons.stages(network.spec)
    assert stages is not None  # there is a recipe
    args.out.mkdir(parents=True, exist_ok=True)
    names = detector_groups(network).named(tuple(filter(None, args.frozen.split(","))))
    student = Student(network, frozen=tuple(short_name(name) for name in names))
    how = RunSpec(resume=True, workers=args.workers, student=student)
    windows = open_data(stages[1], args.data_root).windows
    path = train(stages[1], windows, args.out, how, report=tell)
    print(path)


def tell(progress: Progress) -> None:
    """A line now and then."""
    if progress.step % 50 == 0 or progress.step == progress.steps:
        rate = f"{progress.windows_per_s:.0f} windows/s"
        print(progress.step, progress.steps, rate, progress.losses, flush=True)


if __name__ == "__main__":
    main()
