"""A recipe comes in; examples by which pruning judges a network go out."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidar_det.detector.encoding import encode
from vidar_det.detector.spec import EncodingSpec
from vidar_det.pruning.rounds import Losses
from vidar_det.training.loading import load_batches
from vidar_det.training.recipe import RecipeSpec
from vidar_det.training.simulation import Batch
from vidar_det.training.sources import DataRoom
from vidar_det.training.step import losses_on


@dataclass(frozen=True)
class Examples:
    """Windows of a recipe's first phase, the same each time.

    Attributes:
        recipe: whose data and loss are used.
        room: where its data lie.
        encoding: of the network that is asked.
        workers: processes that simulate windows; 0 simulates in this one.
    """

    recipe: RecipeSpec
    room: DataRoom
    encoding: EncodingSpec
    workers: int

    def losses(self, count: int) -> Losses:
        """Tell how wrong a network is on ``count`` windows."""
        return losses_on(list(self._batches(count)), self.recipe)

    def inputs(self, count: int) -> Iterator[Tensor]:
        """Encode ``count`` windows; yields batches ``(S * B, parts, H, W) float32``."""
        for batch in self._batches(count):
            yield encode(batch.counts, self.encoding)

    def windows(self, count: int) -> Iterator[Tensor]:
        """Encode ``count`` windows; yields them one by one, ``(S, parts, H, W) float32``."""
        for batch in self.inputs(count):
            for parts in zip(*batch.chunk(self.encoding.steps), strict=True):
                yield torch.stack(parts)

    def _batches(self, count: int) -> Iterator[Batch]:
        room = replace(self.room, recipe=self.recipe)
        phase = replace(self.recipe.phases[0], windows=count)
        windows = room.windows(phase, 0)
        numbers = [range(at, min(at + phase.batch, count)) for at in range(0, count, phase.batch)]
        yield from load_batches(windows, numbers, self.workers)
