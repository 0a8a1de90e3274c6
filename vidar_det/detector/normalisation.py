"""A network and inputs come in; its batch normalisation knows their statistics when it goes out."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vidar_det.errors import RangeError


@torch.no_grad()
def recalibrate(network: nn.Module, inputs: Iterable[Tensor], frozen: Sequence[str] = ()) -> int:
    """Measure the mean and variance of every batch normalisation anew.

    Running statistics trail behind weights that change, and averaged or pruned weights have never
    run at all. Here each layer pools what it sees over all inputs, each element counted once, and
    not by momentum; the layers before it normalise by their batch, as they did in training (Wu and
    Johnson, *Rethinking "Batch" in BatchNorm*, 2021, section 3).

    Args:
        network: changed in its running statistics alone; its mode stays as it is.
        inputs: batches as the network takes them, on its device.
        frozen: names of parts that normalise by what they know, and go on knowing it.

    Returns:
        How many rows the inputs had together.

    Raises:
        RangeError: there is no input.

    Example:
        >>> norm = nn.BatchNorm2d(1)
        >>> recalibrate(norm, [torch.zeros(1, 1, 1, 2), torch.full((1, 1, 1, 2), 6.0)])
        2
        >>> norm.running_mean.item(), norm.running_var.item()
        (3.0, 12.0)
    """
    known = [network.get_submodule(name) for name in frozen]
    still = {norm for part in known for norm in part.modules()}
    norms = (norm for norm in network.modules() if isinstance(norm, _BatchNorm))
    pools = {norm: _Pool() for norm in norms if norm not in still}
    hooks = [norm.register_forward_pre_hook(pool.add) for norm, pool in pools.items()]
    was_training, rows = network.training, 0
    network.train()
    for part in known:
        part.eval()
    try:
        for batch in inputs:
            network(batch)
            rows += len(batch)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    if not rows:
        raise RangeError("found no inputs to measure batch normalisation on, wanted at least one")
    for norm, pool in pools.items():
        pool.write(norm)
    return rows


class _Pool:
    """Count, mean and squared deviations of everything that one layer saw, per channel.

    Two parts are joined as Chan, Golub and LeVeque do (1979), in float64.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.deviations = torch.zeros(())

    def add(self, _: nn.Module, args: tuple[Tensor]) -> None:
        """Take in ``[N, C, ...]``, as a hook before the layer."""
        values = args[0].float().transpose(0, 1).flatten(1)
        count = values.shape[1]
        variance, mean = (part.double() for part in torch.var_mean(values, 1, correction=0))
        if not self.count:
            self.mean, self.deviations = torch.zeros_like(mean), torch.zeros_like(mean)
        apart, total = mean - self.mean, self.count + count
        self.deviations = (
            self.deviations + variance * count + apart.square() * (self.count * count / total)
        )
        self.mean = self.mean + apart * (count / total)
        self.count = total

    def write(self, norm: _BatchNorm) -> None:
        """Set a layer's running statistics; as in torch, the variance is the unbiased one."""
        if norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean.copy_(self.mean)
            norm.running_var.copy_(self.deviations / max(1, self.count - 1))
