"""Which way of pruning loses least? Every method with the same network, data and steps.

    python -m benchmarks.spines --data CIFAR10 --out runs/spines

CIFAR10 is any folder of pictures, ``train/CLASS/*`` and ``test/CLASS/*``, or an archive of one.
Finished runs are kept in OUT and not done again; a folder of runs with other settings is refused.
``OUT/table.md`` and ``OUT/figure.png`` are made anew at the end. The test pictures are read once,
when a run has ended; nothing is chosen by them.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.settings import keep_settings
from benchmarks.spines.methods import RATE, Run, prepare
from benchmarks.spines.network import SpikingClassifier
from benchmarks.spines.pictures import Pictures, read_pictures
from benchmarks.spines.report import write_report
from vidar_det.outputs import write_json
from vidar_det.pruning.layers import measure_sparsity

METHODS = ("dense", "asked", "magnitude", "Grad R", "STDS", "S-LATS", "LATS")
WARMUP = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=METHODS)
    parser.add_argument("--sparsities", nargs="*", type=float, default=[0.8, 0.9])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--shown", type=int, default=2, help="T, how often a picture is shown")
    parser.add_argument("--stride", type=int, default=2, help="of the first convolution")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    train, test = (read_pictures(args.data, split) for split in ("train", "test"))
    decisive = ("epochs", "batch", "channels", "shown", "stride")
    settings = {name: getattr(args, name) for name in decisive}
    keep_settings(args.out, {**settings, "pictures": len(train)})
    for seed in args.seeds:
        for method in args.methods:
            for sparsity in [0.0] if method == "dense" else args.sparsities:
                path = args.out / f"{method.replace(' ', '')}-{sparsity:g}-{seed}.json"
                if not path.exists():
                    figures = run(args, method, sparsity, seed, train, test)
                    write_json(path, figures)
                    print(path.stem, figures, flush=True)
    write_report(args.out)


def run(
    args: argparse.Namespace,
    method: str,
    sparsity: float,
    seed: int,
    train: Pictures,
    test: Pictures,
) -> dict[str, object]:
    """Train once, prune on the way, and count what is left."""
    begin = time.process_time()
    torch.manual_seed(seed)
    network = SpikingClassifier(args.channels, 8 * args.channels, args.shown, args.stride)
    network.to(memory_format=torch.channels_last)
    steps_per_epoch = len(train) // args.batch
    steps = args.epochs * steps_per_epoch
    total_rate = sum(rate(step, steps) for step in range(steps))
    pruning = prepare(
        method,
        Run(network, steps, total_rate, sparsity, found_threshold(args, method, sparsity, seed)),
    )
    generator = np.random.default_rng(seed)
    for step in range(steps):
        at = step % steps_per_epoch
        if at == 0:
            order = generator.permutation(len(train))
        numbers = order[at * args.batch : (at + 1) * args.batch]
        for group in pruning.optimizer.param_groups:
            group["lr"] = rate(step, steps)
        rates = forward(network, train.batch(numbers, generator))
        wanted = nn.functional.one_hot(torch.from_numpy(train.classes[numbers]), rates.shape[1])
        loss = (rates - wanted.float()).square().mean()
        pruning.optimizer.zero_grad()
        loss.backward()
        pruning.optimizer.step()
        pruning.after(step + 1)
    threshold = pruning.finish()
    found = measure_sparsity(network)
    weights = sum(layer.weights for layer in found.layers)
    return {
        "method": method,
        "asked": sparsity,
        "seed": seed,
        "accuracy": accuracy(network, test),
        "sparsity": found.total,
        "sparsity_convolutions": found.convolutions,
        "weights": weights,
        "sparsity_layers": {layer.name: layer.sparsity for layer in found.layers},
        "threshold": threshold,
        "cpu_minutes": round((time.process_time() - begin) / 60, 1),
    }


def rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine to 0."""
    warm = max(1, round(WARMUP * steps))
    if step < warm:
        return RATE * (step + 1) / warm
    return RATE * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2


def found_threshold(args: argparse.Namespace, method: str, sparsity: float, seed: int) -> float:
    """D of the run that was asked for this sparsity: known from training alone."""
    if method not in ("STDS", "S-LATS", "LATS"):
        return 0.0
    path = args.out / f"asked-{sparsity:g}-{seed}.json"
    if not path.exists():
        raise SystemExit(f"{path}: run the method 'asked' first, its threshold is used")
    return float(json.loads(path.read_text())["threshold"])


def forward(network: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """Compute in bfloat16 where it is precise enough; channels innermost, which is fastest."""
    with torch.autocast("cpu", torch.bfloat16):
        rates: torch.Tensor = network(pictures.to(memory_format=torch.channels_last))
    return rates


@torch.no_grad()
def accuracy(network: nn.Module, pictures: Pictures) -> float:
    """Share of pictures whose class gets the most votes."""
    network.eval()
    right = 0
    for at in range(0, len(pictures), 100):
        numbers = np.arange(at, min(at + 100, len(pictures)))
        rates = forward(network, pictures.batch(numbers, None))
        right += int((rates.argmax(1).numpy() == pictures.classes[numbers]).sum())
    return right / len(pictures)


if __name__ == "__main__":
    main()
