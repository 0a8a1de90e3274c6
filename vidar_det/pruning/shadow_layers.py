"""A layer and the shadow of its input come in; the shadow of its output goes out."""

from dataclasses import replace
from typing import cast

import torch
from spikingjelly.activation_based.base import MemoryModule
from torch import Tensor, fx, nn

from vidar_det.detector.neurons import ILIF
from vidar_det.pruning.refusals import refusal
from vidar_det.pruning.slots import FIXED, Slots, along, spread
from vidar_det.pruning.traced import Axis, TracedLayer

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
MIXING = (*CONVOLUTIONS, nn.Linear)
"""Layers whose outputs each see all inputs; a depthwise convolution is one that does not."""
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
CHANNELWISE = (
    ILIF,
    MemoryModule,
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Tanh, nn.Identity),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
)
"""Modules that keep shape and channels and send 0 to 0."""
SPATIAL = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample),
    *(nn.ZeroPad1d, nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d),
)
"""Modules that change the size of a map alone and send 0 to 0."""
UNDERSTOOD = (*MIXING, *NORMS, *CHANNELWISE, *SPATIAL, nn.Flatten)


class ShadowLayers:
    """Layers as the run meets them.

    Attributes:
        layers: with weights, in the order in which they ran.
    """

    def __init__(self, slots: Slots, channelwise: tuple[type[nn.Module], ...]) -> None:
        self.slots = slots
        self.channelwise = channelwise
        self.layers: list[TracedLayer] = []

    def run(self, node: fx.Node, module: nn.Module, value: Tensor, x: Tensor) -> Tensor:
        """Shadow of what a module makes of an input; refuses what is not understood."""
        name = cast(str, node.target)
        at = 2 if getattr(module, "step_mode", "s") == "m" else 1
        if isinstance(module, CONVOLUTIONS):
            return self._convolution(node, name, module, value, along(node, x, at))
        if isinstance(module, nn.Linear):
            ins = along(node, x, x.ndim - 1)
            outs = self.slots.new(module.out_features)
            axes = [Axis(f"{name}.weight", 0, outs, True), Axis(f"{name}.weight", 1, ins, False)]
            self._add_layer(name, module, (outs, ins, axes), value)
            return spread(outs, value.ndim - 1, value.shape)
        if isinstance(module, NORMS):
            outs = along(node, x, at)
            axes = [
                Axis(f"{name}.{part}", 0, outs, part != "running_var")
                for part in ("weight", "bias", "running_mean", "running_var")
                if getattr(module, part) is not None
            ]
            self._add(TracedLayer(name, outs, None, tuple(axes), 0, 0))
            return x
        if isinstance(module, nn.Flatten):
            return cast(Tensor, module(x))
        if isinstance(module, self.channelwise):
            axes = self._own_axes(node, name, module, x, at)
            if axes:
                outs = along(node, x, at)
                self._add(TracedLayer(name, outs, None, tuple(axes), 0, 0))
            return x
        if isinstance(module, SPATIAL):
            return spread(along(node, x, at), at, value.shape)
        raise refusal(node, f"the module {type(module).__name__} ({name})")

    def _convolution(
        self,
        node: fx.Node,
        name: str,
        module: nn.Conv1d | nn.Conv2d | nn.Conv3d,
        value: Tensor,
        ins: Tensor,
    ) -> Tensor:
        at = 2 if getattr(module, "step_mode", "s") == "m" else 1
        weight = f"{name}.weight"
        if module.groups == 1:
            outs = self.slots.new(module.out_channels)
            axes = [Axis(weight, 0, outs, True), Axis(weight, 1, ins, False)]
            self._add_layer(name, module, (outs, ins, axes), value)
        elif module.groups == module.in_channels:  # depthwise: each channel keeps its place
            outs = ins.repeat_interleave(module.out_channels // module.in_channels)
            self._add_layer(name, module, (outs, None, [Axis(weight, 0, outs, True)]), value)
        else:
            raise refusal(node, f"{name} with {module.groups} groups")
        return spread(outs, at, value.shape)

    def _add_layer(
        self,
        name: str,
        module: nn.Module,
        channels: tuple[Tensor, Tensor | None, list[Axis]],
        value: Tensor,
    ) -> None:
        outs, ins, axes = channels
        if module.bias is not None:
            axes.append(Axis(f"{name}.bias", 0, outs, True))
        pairs = len(outs) * (1 if ins is None else len(ins))
        weights = cast(Tensor, module.weight).numel()
        places = value.numel() // len(outs)
        self._add(TracedLayer(name, outs, ins, tuple(axes), weights // pairs, places))

    def _add(self, layer: TracedLayer) -> None:
        """Note a layer; where it runs again, what it saw and gave first and later is tied."""
        for number, known in enumerate(self.layers):
            if known.name == layer.name:
                self.slots.tie(known.outs, layer.outs)
                if known.ins is not None and layer.ins is not None:
                    self.slots.tie(known.ins, layer.ins)
                self.layers[number] = replace(known, places=known.places + layer.places)
                return
        self.layers.append(layer)

    def _own_axes(
        self, node: fx.Node, name: str, module: nn.Module, x: Tensor, at: int
    ) -> list[Axis]:
        """Parameters and buffers of a neuron that go by channel travel along with it."""
        axes = []
        state = (*module.named_parameters(), *module.named_buffers())
        for part, tensor in state:
            if tensor.numel() == 1:
                continue
            outs = along(node, x, at)
            dims = [dim for dim, size in enumerate(tensor.shape) if size > 1]
            if len(dims) != 1 or tensor.numel() != len(outs):
                shape = tuple(tensor.shape)
                raise refusal(node, f"{name}.{part} of shape {shape}, wanted one a channel,")
            axes.append(Axis(f"{name}.{part}", dims[0], outs, False))
        return axes

    def read(self, node: fx.Node, value: Tensor) -> Tensor:
        """Shadow of a parameter or buffer that the code uses directly."""
        dims = [dim for dim, size in enumerate(value.shape) if size > 1]
        if len(dims) > 1:
            raise refusal(node, f"the tensor {node.target} with more than one axis")
        if not dims:
            return torch.full(value.shape, FIXED)
        outs = self.slots.new(value.numel())
        name = cast(str, node.target)
        self._add(TracedLayer(name, outs, None, (Axis(name, dims[0], outs, True),), 0, 0))
        return outs.reshape(value.shape)
