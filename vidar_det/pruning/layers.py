"""A network and names come in; the weights to prune, and how sparse they are, go out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import Tensor, nn

from vidar_det.errors import ConfigError

CONVOLUTION = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
PRUNABLE = (*CONVOLUTION, nn.Linear, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class LayerSparsity:
    """How sparse one layer's weight is.

    Attributes:
        name: of the layer.
        weights: how many there are.
        zeros: how many of them are 0.
        convolution: whether the layer is a convolution.
    """

    name: str
    weights: int
    zeros: int
    convolution: bool

    @property
    def sparsity(self) -> float:
        """Share of zeros, 0 to 1."""
        return self.zeros / self.weights


@dataclass(frozen=True)
class Sparsity:
    """How sparse a network is, per layer, in total and in its convolutions alone.

    Fully connected layers can hold most weights of a network (91 % in the CIFAR-10 network of
    STDS), so that the total says little about the convolutions: look at both.
    """

    layers: tuple[LayerSparsity, ...]

    @property
    def total(self) -> float:
        """Share of zeros in all layers, 0 to 1."""
        return _share_of_zeros(self.layers)

    @property
    def convolutions(self) -> float | None:
        """Share of zeros in the convolutions; None where there is none."""
        layers = [layer for layer in self.layers if layer.convolution]
        return _share_of_zeros(layers) if layers else None


def prunable_layers(
    network: nn.Module, layers: Sequence[str] | None = None
) -> dict[str, nn.Module]:
    """Layers whose weights may be pruned, by name.

    Args:
        network: any network, spiking or not.
        layers: names, with ``*`` and ``?`` as in a shell; None takes every convolution and every
            fully connected layer.

    Raises:
        ConfigError: a name fits no such layer, or there is none, or two share one weight.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 1))
        >>> list(prunable_layers(network)), list(prunable_layers(network, ["2"]))
        (['0', '2'], ['2'])
    """
    known = {name: part for name, part in network.named_modules() if isinstance(part, PRUNABLE)}
    patterns = ["*"] if layers is None else list(layers)
    for pattern in patterns or ["(none)"]:
        if not any(fnmatchcase(name, pattern) for name in known):
            names = ", ".join(known) or "none in this network"
            raise ConfigError(f"layers: found {pattern!r}, wanted names among: {names}")
    chosen: dict[str, nn.Module] = {
        name: part
        for name, part in known.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    _refuse_shared_weights(chosen)
    return chosen


def measure_sparsity(network: nn.Module, layers: Sequence[str] | None = None) -> Sparsity:
    """Count the zeros of the weights as the forward pass uses them.

    Raises:
        ConfigError: see `prunable_layers`.

    Example:
        >>> network = nn.Linear(4, 1)
        >>> _ = nn.init.eye_(network.weight)
        >>> measure_sparsity(network).total
        0.75
    """
    counts = []
    for name, part in prunable_layers(network, layers).items():
        weight = part.weight
        assert isinstance(weight, Tensor)
        zeros = int((weight.detach() == 0).sum())
        counts.append(LayerSparsity(name, weight.numel(), zeros, isinstance(part, CONVOLUTION)))
    return Sparsity(tuple(counts))


def _share_of_zeros(layers: Sequence[LayerSparsity]) -> float:
    return sum(layer.zeros for layer in layers) / sum(layer.weights for layer in layers)


def _refuse_shared_weights(layers: Mapping[str, nn.Module]) -> None:
    owners: dict[int, str] = {}
    for name, part in layers.items():
        weight = part._parameters.get("weight")
        if weight is not None and owners.setdefault(id(weight), name) != name:
            first = owners[id(weight)]
            raise ConfigError(f"layers: {name!r} shares its weight with {first!r}, choose one")
