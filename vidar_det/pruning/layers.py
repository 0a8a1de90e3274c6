"""A network and names come in; the weights to prune, and how sparse they are, go out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import Tensor, nn

from vidar_det.errors import ConfigError, PruningError

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
        ConfigError: a name fits no such layer, or there is none.
        PruningError: another module holds the weight of such a layer too.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 1))
        >>> list(prunable_layers(network)), list(prunable_layers(network, ["2"]))
        (['0', '2'], ['2'])
    """
    chosen = find_layers(network, layers)
    _refuse_shared_weights(network, chosen)
    return chosen


def find_layers(network: nn.Module, layers: Sequence[str] | None = None) -> dict[str, nn.Module]:
    """Layers that have weights, by name, to look at; see `prunable_layers`.

    Raises:
        ConfigError: a name fits no such layer, or there is none.
    """
    known = {name: part for name, part in network.named_modules() if isinstance(part, PRUNABLE)}
    patterns = ["*"] if layers is None else list(layers)
    for pattern in patterns or ["(none)"]:
        if not any(fnmatchcase(name, pattern) for name in known):
            names = ", ".join(known) or "none in this network"
            raise ConfigError(f"layers: found {pattern!r}, wanted names among: {names}")
    return {
        name: part
        for name, part in known.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def measure_sparsity(network: nn.Module, layers: Sequence[str] | None = None) -> Sparsity:
    """Count the zeros of the weights as the forward pass uses them; a shared weight counts once.

    Raises:
        ConfigError: see `find_layers`.

    Example:
        >>> network = nn.Linear(4, 1)
        >>> _ = nn.init.eye_(network.weight)
        >>> measure_sparsity(network).total
        0.75
    """
    counts: dict[int, LayerSparsity] = {}
    for name, part in find_layers(network, layers).items():
        weight = part.weight
        assert isinstance(weight, Tensor)
        zeros = int((weight.detach() == 0).sum())
        found = LayerSparsity(name, weight.numel(), zeros, isinstance(part, CONVOLUTION))
        counts.setdefault(id(part._parameters.get("weight", part)), found)
    return Sparsity(tuple(counts.values()))


def _share_of_zeros(layers: Sequence[LayerSparsity]) -> float:
    return sum(layer.zeros for layer in layers) / sum(layer.weights for layer in layers)


def _refuse_shared_weights(network: nn.Module, layers: Mapping[str, nn.Module]) -> None:
    """Refuse layers whose weight computes elsewhere too: there it would stay as it is."""
    owners: dict[int, list[str]] = {}
    for name, part in network.named_modules():
        for parameter in part._parameters.values():
            owners.setdefault(id(parameter), []).append(name)
    for name, part in layers.items():
        weight = part._parameters.get("weight")
        others = [] if weight is None else [one for one in owners[id(weight)] if one != name]
        if others:
            raise PruningError(
                f"layers: {name!r} shares its weight with {', '.join(map(repr, others))}, wanted a "
                "weight of its own; choose other layers"
            )
