"""How fast does our training step run against the same net built of SpikingJelly's modules?

    python benchmarks/training.py [--repeats 5] [--batch 16] [--recipe FILE --data-root FOLDER]

Part 1 takes whole training steps (encoding, forward, loss, backward, clipping, AdamW) with two
networks of the same weights: ours, folded ``[S*B, C, H, W]`` and channels-last; and the same net
converted one to one to SpikingJelly's multi-step modules, ``[S, B, C, H, W]``. Both must give the
same predictions and the same gradients before any clock starts. The steps of all variants take
turns in one process, on one thread; each figure is a median of processor time, which counts what
the process computes and not what else the machine does.

Part 2 shows what a window costs to simulate, and how long our step waits for its data when one
worker process makes the windows.
"""

import argparse
import copy
import itertools
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vidar_det.detector.encoding import encode
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.evaluation.peer import to_multi_step
from vidar_det.training.learner import detector_spec
from vidar_det.training.loading import load_batches
from vidar_det.training.recipe import ComposedMix, PhaseSpec, RecipeSpec, read_recipe
from vidar_det.training.simulation import Batch, SimulatedWindows, collate
from vidar_det.training.sources import DataRoom, open_data
from vidar_det.training.step import build_optimiser, train_step

PRECISIONS = {"float32": False, "bfloat16": True}
SAMPLED, SKIPPED = 64, 320
"""Windows that tell what one costs to simulate at first, while clips are read, and later."""
PROFILED = 24
"""Steps that tell how long one waits for its data."""


# ---- part 1: steps ----


@dataclass
class Variant:
    name: str
    network: SpikingDetector
    optimiser: torch.optim.Optimizer
    seconds: list[float]


def check_twins(network: SpikingDetector, batch: Batch) -> None:
    """Refuse to time networks that do not compute the same."""
    found = []
    for twin in (copy.deepcopy(network), to_multi_step(network, is_channels_last=False)):
        scores, distances = twin(encode(batch.counts, network.spec.encoding))
        (scores.square().mean() + distances.square().mean()).backward()
        gradients = [value.grad for value in twin.parameters() if value.grad is not None]
        found.append([scores, distances, torch.cat([value.flatten() for value in gradients])])
    for what, ours, theirs in zip(("scores", "distances", "gradients"), *found, strict=True):
        worst = float((ours - theirs).detach().abs().max())
        scale = float(ours.detach().abs().max())
        print(f"  {what:9} differ by at most {worst:.1e} (largest value {scale:.1e})")
        assert worst <= 1e-5 * scale, what


def time_steps(recipe: RecipeSpec, batch: Batch, steps: int, repeats: int) -> None:
    """Print the medians of all variants at S steps."""
    phase = replace(recipe.phases[0], steps=steps)
    torch.manual_seed(0)
    network = build_detector(detector_spec(recipe, steps))
    check_twins(network, Batch(batch.counts[:2], batch.targets))
    medians = {}
    for precision, is_mixed in PRECISIONS.items():
        ours = copy.deepcopy(network).to(memory_format=torch.channels_last)
        networks = {
            "ours, channels-last": ours,
            "SpikingJelly multi-step": to_multi_step(network, is_channels_last=False),
            "SpikingJelly multi-step, channels-last": to_multi_step(network, is_channels_last=True),
        }
        variants = [
            Variant(name, net, build_optimiser(net, recipe, phase), [])
            for name, net in networks.items()
        ]
        settings = replace(recipe, mixed_precision=is_mixed)
        for repeat, variant in itertools.product(range(1 + repeats), variants):
            begin = time.process_time()
            train_step(variant.network, variant.optimiser, batch, settings, 1e-3)
            if repeat:  # the first one warms up
                variant.seconds.append(time.process_time() - begin)
        title = f"S = {steps}, {precision}"
        medians[precision] = report_steps(title, variants, len(batch.counts))
    ratio = medians["float32"][1] / medians["bfloat16"][0]
    print(f"  S = {steps}, as each comes: ours in bfloat16, theirs in float32: {ratio:.2f} x ours")


def report_steps(title: str, variants: list[Variant], windows: int) -> list[float]:
    """Print and return the medians."""
    medians = [statistics.median(variant.seconds) for variant in variants]
    for variant, median in zip(variants, medians, strict=True):
        spread = f"{min(variant.seconds):.2f} to {max(variant.seconds):.2f}"
        print(
            f"  {title:16} {variant.name:40} {windows / median:6.1f} windows/s "
            f"{median:6.2f} s a step ({spread}) {median / medians[0]:5.2f} x ours"
        )
    return medians


# ---- part 2: data ----


def simulation_ms(windows: SimulatedWindows) -> float:
    """Return what a window costs to simulate, a mean over some."""
    begin = time.process_time()
    for index in range(len(windows)):
        windows[index]
    return 1e3 * (time.process_time() - begin) / len(windows)


def profile_data(recipe: RecipeSpec, room: DataRoom, number: int) -> None:
    """Print what windows of a phase cost, and how long steps wait for one worker's."""
    phase = recipe.phases[number]
    windows = room.windows(phase, number)
    windows[0]  # compiled before the clock starts
    at_first_ms = simulation_ms(replace(windows, length=SAMPLED))
    simulation_ms(replace(windows, length=SKIPPED))
    later_ms = simulation_ms(replace(windows, length=SAMPLED, seed=windows.seed + 1))
    network = build_detector(detector_spec(recipe, phase.steps))
    network.to(memory_format=torch.channels_last)
    optimiser = build_optimiser(network, recipe, phase)
    numbers = [range(n * phase.batch, (n + 1) * phase.batch) for n in range(1 + PROFILED)]
    batches = load_batches(windows, numbers, workers=1)
    train_step(network, optimiser, next(batches), recipe, 1e-3)  # the worker starts, all warms up
    waited_s, begin, computed = 0.0, time.perf_counter(), time.process_time()
    for _ in range(PROFILED):
        asked = time.perf_counter()
        batch = next(batches)
        waited_s += time.perf_counter() - asked
        train_step(network, optimiser, batch, recipe, 1e-3)
    step_ms = 1e3 * (time.process_time() - computed) / PROFILED / phase.batch
    share = waited_s / (time.perf_counter() - begin)
    print(
        f"  phase {number}, S = {phase.steps}, scale {phase.scale:g}: a window takes "
        f"{at_first_ms:4.1f} ms to simulate at first, {later_ms:4.1f} ms later, "
        f"{step_ms:4.1f} ms to train on; steps wait {share:.1%} of the time"
    )


def own_recipe(batch: int) -> RecipeSpec:
    """Scenes drawn by our own code: needs no data."""
    phase = PhaseSpec(windows=10_000, batch=batch)
    phases = (replace(phase, steps=1, scale=0.5), replace(phase, steps=1), phase)
    mix = ComposedMix(procedural_sprites=16, procedural_backgrounds=8)
    return RecipeSpec(phases, composed=(mix,))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="timed steps of each variant")
    parser.add_argument("--batch", type=int, default=16, help="windows of a step")
    parser.add_argument("--recipe", type=Path, help="profile the data of this recipe, too")
    parser.add_argument("--data-root", type=Path, default=Path(), help="folder of its data")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = own_recipe(arguments.batch)
    room = open_data(recipe, Path())
    print(f"training steps, nano, batch {arguments.batch}, one thread")
    for number in (1, 2):
        windows = room.windows(recipe.phases[number], number)
        batch = collate([windows[index] for index in range(arguments.batch)])
        time_steps(recipe, batch, recipe.phases[number].steps, arguments.repeats)
    print("data of scenes drawn by our own code, one worker, bfloat16")
    for number in range(len(recipe.phases)):
        profile_data(recipe, room, number)
    if arguments.recipe:
        recipe = read_recipe(arguments.recipe)
        print(f"data of {arguments.recipe}, one worker, bfloat16")
        room = open_data(recipe, arguments.data_root)
        for number in range(len(recipe.phases)):
            profile_data(recipe, room, number)


if __name__ == "__main__":
    main()
