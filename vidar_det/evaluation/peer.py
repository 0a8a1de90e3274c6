"""A detector comes in; the same detector built of SpikingJelly's modules goes out, to compare with.

Weights and module names are the same, maps are ``[S, B, C, H, W]`` with channels on axis 2, as
SpikingJelly's multi-step modules want them.
"""

import copy

import torch
from spikingjelly.activation_based import functional, layer, surrogate
from spikingjelly.activation_based.neuron import ILIFNode
from torch import Tensor, nn

from vidar_det.detector.backbone import Csp, Neck, Pooling
from vidar_det.detector.head import Branch, RawPredictions
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.neurons import ILIF


class MultiStepCsp(Csp):
    """Joins on the channels' axis."""

    def forward(self, spikes: Tensor) -> Tensor:
        """See the base class."""
        main = self.fire_main(self.blocks(self.main(spikes)))
        bypass = self.fire_bypass(self.bypass(spikes))
        joined: Tensor = self.join(torch.cat((main, bypass), 2))
        return joined


class MultiStepPooling(Pooling):
    """Joins on the channels' axis."""

    def forward(self, spikes: Tensor) -> Tensor:
        """See the base class."""
        levels = [self.fire(self.squeeze(spikes))]
        for _ in range(3):
            levels.append(self.pool(levels[-1]))
        pooled: Tensor = self.fire_out(self.join(torch.cat(levels, 2)))
        return pooled


class MultiStepNeck(Neck):
    """Joins on the channels' axis."""

    def forward(self, spikes: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """See the base class."""
        s8, s16, s32 = spikes
        fire_down16, fire_down8, fire_stride16, fire_up16, fire_stride32, fire_up32 = self.fires
        d16 = fire_down16(self.down16(torch.cat((self.upsample(s32), s16), 2)))
        d8 = fire_down8(self.down8(torch.cat((self.upsample(d16), s8), 2)))
        u16 = fire_up16(self.up16(torch.cat((fire_stride16(self.stride16(d8)), d16), 2)))
        u32 = fire_up32(self.up32(torch.cat((fire_stride32(self.stride32(u16)), s32), 2)))
        return d8, u16, u32


class MultiStepBranch(Branch):
    """Takes the mean over the first axis."""

    def forward(self, spikes: Tensor) -> Tensor:
        """See the base class."""
        out: Tensor = self.read(self.fire(self.conv(spikes)).mean(0)).flatten(2).transpose(1, 2)
        return out


class MultiStepDetector(SpikingDetector):
    """Unfolds its input and resets its neurons after each call.

    Attributes:
        is_channels_last: whether maps are laid out so.
    """

    is_channels_last = False

    def forward(self, x: Tensor) -> RawPredictions:
        """See the base class."""
        x = torch.unflatten(x, 0, (self.spec.encoding.steps, -1))
        predictions = super().forward(x if self.is_channels_last else x.contiguous())
        functional.reset_net(self)  # its neurons keep their membranes from call to call
        return predictions


CONTAINERS: dict[type[nn.Module], type[nn.Module]] = {
    Csp: MultiStepCsp,
    Pooling: MultiStepPooling,
    Neck: MultiStepNeck,
    Branch: MultiStepBranch,
    SpikingDetector: MultiStepDetector,
}


def to_multi_step(network: SpikingDetector, is_channels_last: bool = False) -> MultiStepDetector:
    """Convert a copy of a network, module by module; names and weights stay.

    Args:
        network: with I-LIF neurons; it stays as it is.
        is_channels_last: lay maps out with channels last.

    Returns:
        A detector that takes the same folded input and gives the same predictions.
    """
    peer = copy.deepcopy(network)
    for parent in list(peer.modules()):
        for name, child in parent.named_children():
            twin = leaf_twin(child, "s" if name == "read" else "m")
            if twin is not None:
                twin.load_state_dict(child.state_dict())
                setattr(parent, name, twin.train(child.training))
        parent.__class__ = CONTAINERS.get(type(parent), type(parent))
    assert isinstance(peer, MultiStepDetector)
    peer.is_channels_last = is_channels_last
    if is_channels_last:
        peer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs miss it
    return peer


def leaf_twin(module: nn.Module, mode: str) -> nn.Module | None:
    """SpikingJelly's module for one of ours; None for containers.

    Args:
        module: one of ours.
        mode: ``m`` for maps with a time axis; a read-out sees the mean over steps, ``s``.
    """
    twin: nn.Module | None = None
    if isinstance(module, nn.Conv2d):
        has_bias = module.bias is not None
        sizes = (module.in_channels, module.out_channels, module.kernel_size)
        places = (module.stride, module.padding)
        twin = layer.Conv2d(*sizes, *places, bias=has_bias, step_mode=mode)
    elif isinstance(module, nn.BatchNorm2d):
        twin = layer.BatchNorm2d(module.num_features, module.eps, module.momentum, step_mode=mode)
    elif isinstance(module, nn.MaxPool2d):
        twin = layer.MaxPool2d(module.kernel_size, module.stride, module.padding, step_mode=mode)
    elif isinstance(module, nn.Upsample):
        twin = layer.Upsample(scale_factor=module.scale_factor, mode=module.mode, step_mode=mode)
    elif isinstance(module, ILIF):
        twin = ILIFNode(
            tau=1 / (1 - module.spec.decay),
            v_threshold=module.spec.v_threshold,
            surrogate_function=surrogate.MultiLevelSpikeCount(module.spec.levels),
            step_mode=mode,
        )
    return twin
