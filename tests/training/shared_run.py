"""What one process of several does; ``test_distributed.py`` starts it, alone or by ``torchrun``.

shared_run.py gradients RECIPE OUT      the gradients of single steps
shared_run.py die RECIPE OUT            train, and be killed after the fourth step
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from vidar_det.detector.network import build_detector
from vidar_det.training import loop
from vidar_det.training.distributed import Processes, joined_processes
from vidar_det.training.loop import Progress, RunSpec, train
from vidar_det.training.recipe import RecipeSpec, read_recipe
from vidar_det.training.simulation import collate
from vidar_det.training.sources import open_data
from vidar_det.training.start import detector_spec
from vidar_det.training.step import train_step


def find_gradients(
    recipe: RecipeSpec, processes: Processes, numbers: Sequence[int], trains: bool
) -> tuple[dict[str, torch.Tensor | None], list[float]]:
    """Share the windows of one batch; returns gradients by name, and the parts of the loss."""
    windows = open_data(recipe, Path()).windows(recipe.phases[0], 0)
    share = processes.share_of(range(len(numbers)))
    batch = collate([windows[numbers[index]] for index in share])
    torch.manual_seed(processes.rank)  # what is joined starts from process 0's weights
    network = build_detector(detector_spec(recipe, steps=1)).train(trains)
    model = processes.join(network)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    terms = train_step(model, optimiser, batch, recipe, 0.1, processes)
    gradients = {name: value.grad for name, value in network.named_parameters()}
    return gradients, [float(term) for term in terms]


def main(what: str, recipe_path: str, out: str) -> None:
    torch.set_num_threads(1)
    recipe = read_recipe(Path(recipe_path))
    with joined_processes() as processes:
        if what == "gradients":
            found = {
                # at rest, batch normalisation treats every window alike
                "at rest": find_gradients(recipe, processes, (0, 1, 2), trains=False),
                # two processes see the same windows each, and so the statistics that one sees
                "twins": find_gradients(recipe, processes, (0, 0, 1, 1), trains=True),
            }
            torch.save(found, Path(out) / f"{processes.rank}.pt")
            return
        loop.SAVE_EVERY_S = -1.0
        told: list[Progress] = []

        def tell(progress: Progress) -> None:
            told.append(progress)
            if len(told) == 4:
                os.kill(os.getpid(), signal.SIGKILL)

        how = RunSpec(workers=0, processes=processes)
        train(recipe, open_data(recipe, Path()).windows, Path(out), how, report=tell)


if __name__ == "__main__":
    main(*sys.argv[1:])
