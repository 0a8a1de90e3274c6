"""What does a dense network gain from the training that pruning takes? The rival of pruned nets.

    python -m benchmarks.dense nano weights/nano/finish.toml --data-root DATA --windows 96000 \\
        --seed 11 --out runs/nano-dense

The stages, windows, rates and seeds are those of ``vidar-det prune`` with the same options; nothing
is cut, and there is no teacher. ``--resume`` is always on.
"""

import argparse
from pathlib import Path

import torch

from vidar_det.commands.prune_recipe import Lessons
from vidar_det.detector.checkpoint import find_weights, load_network
from vidar_det.training.loop import Progress, RunSpec, train
from vidar_det.training.sources import open_data
from vidar_det.training.student import Student


def main() -> None:
    """Train both stages, the second from where the first ended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data-root", type=Path, default=Path())
    parser.add_argument("--windows", type=int, default=64_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    network = load_network(find_weights(args.weights))
    lessons = Lessons(recipe=args.recipe, windows=args.windows, seed=args.seed)
    for number, recipe in enumerate(lessons.stages(network.spec) or ()):
        out = args.out / f"stage-{number + 1}"
        out.mkdir(parents=True, exist_ok=True)
        how = RunSpec(resume=True, workers=args.workers, student=Student(network))
        path = train(recipe, open_data(recipe, args.data_root).windows, out, how, report=tell)
        network = load_network(path)
    print(path)


def tell(progress: Progress) -> None:
    """A line now and then."""
    if progress.step % 50 == 0 or progress.step == progress.steps:
        rate = f"{progress.windows_per_s:.0f} windows/s"
        print(progress.step, progress.steps, rate, progress.losses, flush=True)


if __name__ == "__main__":
    main()
