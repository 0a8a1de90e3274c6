"""A network and inputs come in; its arithmetic goes out: dense work, what spikes cause, firing.

A dense network multiplies and adds at every weight. A spiking one adds a weight only where a spike
arrives, so its arithmetic depends on what it sees and is counted on real inputs.
"""

import contextlib
import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidar_det.detector.inputs import padded_size
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.neurons import ILIF
from vidar_det.errors import RangeError


@dataclass(frozen=True)
class ConvolutionOperations:
    """The arithmetic of one convolution, per window.

    Attributes:
        name: in the network.
        is_spiking: integer spikes come in, so that weights are only ever added; otherwise (the
            first convolution, and every one of an ordinary ANN) every weight is multiplied.
        params: weights and biases.
        macs: multiply-accumulates when computed densely, those with padding and zeros included.
        macs_per_step: the same for one run; a read-out runs once a window, all others S times.
        synops: additions that spikes cause, mean over windows; 0 where it is not spiking.
        spikes_in: mean spikes per input value and step; None where it is not spiking.
    """

    name: str
    is_spiking: bool
    params: int
    macs: int
    macs_per_step: int
    synops: float
    spikes_in: float | None


@dataclass(frozen=True)
class NeuronActivity:
    """How much one layer of neurons fires.

    Attributes:
        name: in the network.
        neurons: how many: one a channel and pixel.
        firing_rate: mean spikes per neuron and step; up to D, the neuron's levels.
        silent: share of neurons without any spike in a window, mean over windows.
    """

    name: str
    neurons: int
    firing_rate: float
    silent: float


@dataclass(frozen=True)
class Operations:
    """The arithmetic of a network, layer by layer in the order in which they run."""

    convolutions: tuple[ConvolutionOperations, ...]
    neurons: tuple[NeuronActivity, ...]


def count_operations(network: nn.Module, windows: Iterable[Tensor]) -> Operations:
    """Run a network and count what its convolutions and neurons do.

    SynOps are exact: a spike counts once for every non-zero weight that carries it to a place
    inside the next map, so one at the border counts less often, and a count of c is c spikes.
    Where the mean over steps enters a linear read-out, each spike of each step counts, as on
    hardware that adds spikes as they come.

    Args:
        network: in evaluation mode; convolutions (``nn.Conv2d``, zero padding) and ``ILIF``.
        windows: ``[S, parts, H, W]`` floating each, one window as ``encode`` gives it, all of one
            size.

    Returns:
        The counts, per window.

    Raises:
        RangeError: there is no window.

    Example:
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import size_spec
        >>> network = build_detector(size_spec("nano")).eval()
        >>> counted = count_operations(network, [torch.rand(2, 2, 64, 64)])
        >>> counted.convolutions[0].name, counted.convolutions[0].is_spiking
        ('backbone.stem.0', False)
    """
    with _watch(network) as watch, torch.inference_mode():
        for window in windows:
            watch.steps = len(window)
            watch.windows += 1
            network(window)
    if not watch.windows:
        raise RangeError("operations: found no window, wanted at least one")
    return Operations(
        tuple(layer.summarize(watch.windows) for layer in watch.convolutions.values()),
        tuple(layer.summarize(watch.windows) for layer in watch.neurons.values()),
    )


def count_macs(network: SpikingDetector, height: int, width: int) -> int:
    """Count the multiply-accumulates of one step, every convolution once, without computing them.

    Args:
        network: the network; it stays as it is.
        height: of the picture, pixels; it is padded to whole strides.
        width: of the picture, pixels.

    Returns:
        Dense multiply-accumulates, those with padding and zeros included.

    Example:
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import size_spec
        >>> count_macs(build_detector(size_spec("nano")), 250, 400)
        212209088
    """
    shapes = copy.deepcopy(network).to("meta").eval()
    encoding = network.spec.encoding
    size = (encoding.steps, encoding.parts, *padded_size(height, width))
    macs = []
    for module in shapes.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda conv, _, out: macs.append(_macs(conv, out[:1])))
    with torch.inference_mode():
        shapes(torch.empty(size, device="meta"))
    return sum(macs)


@dataclass
class _ConvolutionTally:
    """Running sums over windows."""

    name: str
    is_spiking: bool
    macs: int = 0
    macs_per_step: int = 0
    params: int = 0
    synops: float = 0.0
    spikes: float = 0.0
    inputs: int = 0

    def add(self, conv: nn.Conv2d, x: Tensor, out: Tensor, steps: int) -> None:
        self.macs, self.macs_per_step = _macs(conv, out), _macs(conv, out[:1])
        self.params = sum(parameter.numel() for parameter in conv.parameters())
        # a read-out sees the mean over steps: times S, it is their sum again
        values = x.double() * (steps // len(x))
        spikes = values.round()
        if not torch.allclose(values, spikes, rtol=0, atol=1e-3):
            self.is_spiking = False
        self.synops += _synops(conv, spikes)
        self.spikes += float(spikes.sum())
        self.inputs += x[0].numel() * steps

    def summarize(self, windows: int) -> ConvolutionOperations:
        return ConvolutionOperations(
            name=self.name,
            is_spiking=self.is_spiking,
            params=self.params,
            macs=self.macs,
            macs_per_step=self.macs_per_step,
            synops=self.synops / windows if self.is_spiking else 0.0,
            spikes_in=self.spikes / self.inputs if self.is_spiking else None,
        )


@dataclass
class _NeuronTally:
    """Running sums over windows."""

    name: str
    neurons: int = 0
    firing_rate: float = 0.0
    silent: float = 0.0

    def add(self, fired: Tensor) -> None:
        self.neurons = fired[0].numel()
        self.firing_rate += float(fired.double().mean())
        self.silent += float((fired.amax(0) == 0).double().mean())

    def summarize(self, windows: int) -> NeuronActivity:
        return NeuronActivity(
            self.name, self.neurons, self.firing_rate / windows, self.silent / windows
        )


@dataclass
class _Watch:
    """What the hooks have seen; layers stand in the order in which they ran first."""

    steps: int = 1
    windows: int = 0
    convolutions: dict[str, _ConvolutionTally] = field(default_factory=dict)
    neurons: dict[str, _NeuronTally] = field(default_factory=dict)

    def see_convolution(self, name: str, conv: nn.Conv2d, args: tuple[Tensor], out: Tensor) -> None:
        if name not in self.convolutions:
            # before any neuron has fired it sees light, though its values may be whole numbers
            self.convolutions[name] = _ConvolutionTally(name, is_spiking=bool(self.neurons))
        self.convolutions[name].add(conv, args[0], out, self.steps)

    def see_neuron(self, name: str, _: nn.Module, __: tuple[Tensor], out: Tensor) -> None:
        self.neurons.setdefault(name, _NeuronTally(name)).add(out)


@contextlib.contextmanager
def _watch(network: nn.Module) -> Iterator[_Watch]:
    """Hang hooks on every convolution and neuron, for as long as the block runs."""
    watch = _Watch()
    with contextlib.ExitStack() as hooks:
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                see = partial(watch.see_convolution, name)
                hooks.enter_context(module.register_forward_hook(see))
            elif isinstance(module, ILIF):
                see = partial(watch.see_neuron, name)
                hooks.enter_context(module.register_forward_hook(see))
        yield watch


def _macs(conv: nn.Conv2d, out: Tensor) -> int:
    return out.numel() * conv.weight[0].numel()


def _synops(conv: nn.Conv2d, spikes: Tensor) -> float:
    """Sum, over all spikes, the non-zero weights that carry one into the map; exact to 2**53."""
    weight = conv.weight.view(conv.groups, -1, *conv.weight.shape[1:])
    connections = weight.ne(0).sum(1).to(spikes.dtype)  # (groups, inputs of a group, kh, kw)
    landed = functional.conv2d(
        spikes.sum(0, keepdim=True),
        connections,
        stride=conv.stride,
        padding=cast("tuple[int, int]", conv.padding),
        dilation=conv.dilation,
        groups=conv.groups,
    )
    return float(landed.sum())
