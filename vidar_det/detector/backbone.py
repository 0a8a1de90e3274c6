"""Folded input comes in, spikes at strides 8, 16 and 32 come out: backbone and neck.

Everywhere a membrane map meets one neuron, and every convolution but the first sees integer
spikes: ``neuron -> conv (no bias) -> BN``. Shortcuts add membranes before the neuron (MS-ResNet;
Hu et al., 2021), so they never break the spikes.
"""

import torch
from torch import Tensor, nn

from vidar_det.detector.convolution import ConvNorm
from vidar_det.detector.neurons import build_neuron
from vidar_det.detector.spec import CspSpec, DetectorSpec

BRANCH_GAMMA = 0.2
"""Initial BN scale of a residual branch's last layer (EMS-ResNet; Su et al., ICCV 2023)."""


class Residual(nn.Module):
    """Two 3x3 convolutions and a membrane shortcut: ``[S*B, C, H, W]`` membranes in and out."""

    def __init__(self, channels: int, hidden: int, spec: DetectorSpec) -> None:
        super().__init__()
        self.fire_in = _neuron(spec)
        self.conv_in = ConvNorm(channels, hidden, 3)
        self.fire_out = _neuron(spec)
        self.conv_out = ConvNorm(hidden, channels, 3, gamma=BRANCH_GAMMA)

    def forward(self, membrane: Tensor) -> Tensor:
        """Add the branch to the stream."""
        hidden = self.conv_in(self.fire_in(membrane))
        branch: Tensor = self.conv_out(self.fire_out(hidden))
        return membrane + branch


class Csp(nn.Module):
    """Cross-stage-partial block (Wang et al., 2020): ``[S*B, C, H, W]`` spikes to membranes."""

    def __init__(self, channels_in: int, widths: CspSpec, spec: DetectorSpec, gamma: float = 1.0):
        super().__init__()
        self.main = ConvNorm(channels_in, widths.main)
        self.bypass = ConvNorm(channels_in, widths.bypass)
        self.blocks = nn.Sequential(
            *(Residual(widths.main, hidden, spec) for hidden in widths.hidden)
        )
        self.fire_main = _neuron(spec)
        self.fire_bypass = _neuron(spec)
        self.join = ConvNorm(widths.main + widths.bypass, widths.out, gamma=gamma)

    def forward(self, spikes: Tensor) -> Tensor:
        """Run both branches and join them."""
        main = self.fire_main(self.blocks(self.main(spikes)))
        bypass = self.fire_bypass(self.bypass(spikes))
        joined: Tensor = self.join(torch.cat((main, bypass), 1))
        return joined


class Stage(nn.Module):
    """One resolution of the backbone: an optional strided convolution, then CSP with a shortcut.

    The stage's stream (``widths.out`` channels of membrane) is the sum of both.
    """

    def __init__(self, channels_in: int | None, widths: CspSpec, spec: DetectorSpec) -> None:
        super().__init__()
        self.down = None if channels_in is None else ConvNorm(channels_in, widths.out, 3, 2)
        self.fire = _neuron(spec)
        self.csp = Csp(widths.out, widths, spec, gamma=BRANCH_GAMMA)
        self.fire_out = _neuron(spec)

    def forward(self, x: Tensor) -> Tensor:
        """Take spikes of the stage above (or the stem's membrane) and give this stage's spikes."""
        membrane = x if self.down is None else self.down(x)
        spikes: Tensor = self.fire_out(membrane + self.csp(self.fire(membrane)))
        return spikes


class Pooling(nn.Module):
    """Spatial pyramid pooling, fast form: three 5x5 max-pools in a row, on spikes."""

    def __init__(self, channels: int, spec: DetectorSpec) -> None:
        super().__init__()
        self.squeeze = ConvNorm(channels, spec.pool)
        self.fire = _neuron(spec)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.join = ConvNorm(4 * spec.pool, spec.pooled)
        self.fire_out = _neuron(spec)

    def forward(self, spikes: Tensor) -> Tensor:
        """Gather context of up to 13 cells around each cell."""
        levels = [self.fire(self.squeeze(spikes))]
        for _ in range(3):
            levels.append(self.pool(levels[-1]))
        pooled: Tensor = self.fire_out(self.join(torch.cat(levels, 1)))
        return pooled


class Backbone(nn.Module):
    """Stem at stride 4, four stages, pooling; spikes at strides 8, 16 and 32 come out."""

    def __init__(self, spec: DetectorSpec) -> None:
        super().__init__()
        widths = [stage.out for stage in spec.stages]
        self.stem = ConvNorm(spec.encoding.parts, spec.stem, 6, 4)
        self.stages = nn.ModuleList(
            Stage(None if index == 0 else widths[index - 1], stage, spec)
            for index, stage in enumerate(spec.stages)
        )
        self.pooling = Pooling(widths[-1], spec)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class.

        Args:
            x: ``[S*B, parts, H, W] float32``, H and W multiples of 32.

        Returns:
            Spikes at strides 8, 16, 32.
        """
        x = self.stem(x)
        spikes = []
        for stage in self.stages:
            x = stage(x)
            spikes.append(x)
        return spikes[1], spikes[2], self.pooling(spikes[3])


class Neck(nn.Module):
    """Path-aggregation pyramid (PAFPN; Liu et al., 2018) on spikes, nearest upsampling."""

    def __init__(self, spec: DetectorSpec) -> None:
        super().__init__()
        w8, w16, w32 = spec.stages[1].out, spec.stages[2].out, spec.pooled
        down16, down8 = spec.top_down
        up16, up32 = spec.bottom_up
        self.down16 = Csp(w32 + w16, down16, spec)
        self.down8 = Csp(down16.out + w8, down8, spec)
        self.stride16 = ConvNorm(down8.out, spec.lateral[0], 3, 2)
        self.up16 = Csp(spec.lateral[0] + down16.out, up16, spec)
        self.stride32 = ConvNorm(up16.out, spec.lateral[1], 3, 2)
        self.up32 = Csp(spec.lateral[1] + w32, up32, spec)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.fires = nn.ModuleList(_neuron(spec) for _ in range(6))

    def forward(self, spikes: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Mix the three levels, coarse to fine and back; same strides in and out."""
        s8, s16, s32 = spikes
        fire_down16, fire_down8, fire_stride16, fire_up16, fire_stride32, fire_up32 = self.fires
        d16 = fire_down16(self.down16(torch.cat((self.upsample(s32), s16), 1)))
        d8 = fire_down8(self.down8(torch.cat((self.upsample(d16), s8), 1)))
        l16 = fire_stride16(self.stride16(d8))
        u16 = fire_up16(self.up16(torch.cat((l16, d16), 1)))
        l32 = fire_stride32(self.stride32(u16))
        u32 = fire_up32(self.up32(torch.cat((l32, s32), 1)))
        return d8, u16, u32


def _neuron(spec: DetectorSpec) -> nn.Module:
    return build_neuron(spec.neuron, spec.encoding.steps)
