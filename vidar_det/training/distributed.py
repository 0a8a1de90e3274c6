"""What ``torchrun`` started comes in; processes that train one network together go out.

Every process holds the whole network and looks at its own share of each batch: with R processes,
process r takes the windows r, r + R, r + 2 R, ... of it, so that a step sees the same windows
however many processes share it. The loss is divided by the assignment of the whole batch, and
gradients are summed: apart from batch normalisation, which knows its process's share alone, a step
is the step that one process would take. Its running statistics are those of process 0.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vidar_det.detector.network import SpikingDetector
from vidar_det.errors import ConfigError
from vidar_det.training.recipe import RecipeSpec

PATIENCE = timedelta(hours=4)
"""How long a process waits for the others: process 0 alone scores and writes. Where one dies,
``torchrun`` ends the rest long before."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """The processes of a run, as one of them sees them.

    Attributes:
        rank: number of this process, from 0; process 0 alone writes and reports.
        count: how many there are.
        device: where this one computes.

    Example:
        >>> list(Processes(rank=1, count=2).share_of(range(8, 16)))
        [9, 11, 13, 15]
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def share_of(self, batch: range) -> range:
        """Return the windows of a batch that this process looks at."""
        return batch[self.rank :: self.count]

    def join(self, network: SpikingDetector, synchronise_norms: bool = False) -> nn.Module:
        """Make a network's gradients those of all processes; all start from process 0's weights.

        Args:
            network: on this process's device.
            synchronise_norms: replace its batch normalisation by one that sees all shares.

        Returns:
            What takes the network's input; with one process, the network itself.
        """
        if self.count == 1:
            return network
        if synchronise_norms:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]  # untyped in torch
        device_ids = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids)

    def add_up(self, value: Tensor) -> Tensor:
        """Sum a tensor over all processes; no gradient flows through the sum."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    def from_first(self, value: Value) -> Value:
        """Return the value that process 0 holds; waits for it."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def check(self, recipe: RecipeSpec) -> None:
        """Refuse a recipe that these processes cannot share.

        Raises:
            ConfigError: a batch has fewer windows than there are processes, or batch normalisation
                shall be synchronised on something else than CUDA.
        """
        smallest = min(phase.batch for phase in recipe.phases)
        if smallest < self.count:
            raise ConfigError(f"recipe: {self.count} processes cannot share a batch of {smallest}")
        if recipe.synchronise_norms and self.count > 1 and self.device.type != "cuda":
            raise ConfigError(
                f"recipe: synchronise_norms works on CUDA alone, found {self.device.type}"
            )


ALONE = Processes()
"""One process, on the CPU."""


def bare_network(model: nn.Module) -> SpikingDetector:
    """Return the network inside what ``Processes.join`` made."""
    inner = model.module if isinstance(model, DistributedDataParallel) else model
    return cast("SpikingDetector", inner)


def own_rank() -> int:
    """Return the number of this process among those that ``torchrun`` started; alone it is 0.

    Example:
        >>> own_rank()
        0
    """
    return int(os.environ["RANK"]) if dist.is_torchelastic_launched() else 0


def own_device(device: str) -> str:
    """Return the device of this process: of a machine's GPUs, its processes take one each.

    Example:
        >>> own_device("cpu")
        'cpu'
    """
    shares = dist.is_torchelastic_launched() and device == "cuda"
    return f"cuda:{os.environ['LOCAL_RANK']}" if shares else device


@contextlib.contextmanager
def joined_processes(device: str = "cpu") -> Iterator[Processes]:
    """Meet the other processes that ``torchrun`` started; alone there is nobody to meet.

    They talk through NCCL on CUDA, elsewhere through Gloo.

    Args:
        device: where this process computes; see ``own_device``.

    Yields:
        The processes.

    Example:
        >>> with joined_processes("cpu") as processes:
        ...     processes.count
        1
    """
    place = torch.device(device)
    if not dist.is_torchelastic_launched():
        yield Processes(device=place)
        return
    if place.type == "cuda":
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=PATIENCE)
    yield Processes(dist.get_rank(), dist.get_world_size(), place)
    # after a failure the group is left as it is: to leave it is to wait for processes that may hang
    dist.destroy_process_group()
