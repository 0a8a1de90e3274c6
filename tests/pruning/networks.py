"""Random small spiking networks of every structure that channel pruning has to follow.

All numbers are dyadic and small and inputs are integers, so that every sum is exact in float64,
whatever its order: two networks that compute the same thing give the very same bits.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn
from torch.nn import functional

from vidar_det.detector.neurons import ILIF
from vidar_det.detector.spec import NeuronSpec

STEPS = 2
BLOCKS = (
    *("plain", "sew", "membrane", "csp", "chunk", "split", "concat_shortcut", "depthwise"),
    *("pool", "upsample", "repeat"),
)
NEURONS = ("ilif", "relu6", "jelly-lif", "jelly-ilif")


@dataclass(frozen=True)
class Parts:
    """Makes layers for folded maps ``[S*B, C, H, W]``, or SpikingJelly's for five axes."""

    kind: str

    @property
    def axis(self) -> int:
        return 2 if self.kind.startswith("jelly") else 1

    def fire(self) -> nn.Module:
        if self.kind == "jelly-lif":
            return neuron.LIFNode(tau=2.0, step_mode="m")
        if self.kind == "jelly-ilif":
            return neuron.ILIFNode(step_mode="m")
        return ILIF(NeuronSpec(), STEPS) if self.kind == "ilif" else nn.ReLU6()

    def conv(
        self, ins: int, outs: int, kernel: int = 1, groups: int = 1, bias: bool = False
    ) -> nn.Module:
        how = {"padding": kernel // 2, "bias": bias, "groups": groups}
        if self.axis == 2:
            return layer.Conv2d(ins, outs, kernel, step_mode="m", **how)
        return nn.Conv2d(ins, outs, kernel, **how)

    def norm(self, channels: int) -> nn.Module:
        how = {"eps": 0.0}
        if self.axis == 2:
            return layer.BatchNorm2d(channels, step_mode="m", **how)
        return nn.BatchNorm2d(channels, **how)

    def pool(self) -> nn.Module:
        if self.axis == 2:
            return layer.MaxPool2d(3, stride=1, padding=1, step_mode="m")
        return nn.MaxPool2d(3, stride=1, padding=1)

    def unit(self, ins: int, outs: int, kernel: int = 1) -> nn.Sequential:
        return nn.Sequential(self.conv(ins, outs, kernel), self.norm(outs), self.fire())


class Block(nn.Module):
    """Spikes in, spikes out; ``outs`` channels leave it."""

    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.axis = parts.axis
        self.inner = int(rng.integers(2, 5))
        self.outs = ins

    @property
    def width(self) -> int:
        return self.outs


class Plain(Block):
    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.outs = int(rng.integers(2, 7))
        self.unit = parts.unit(ins, self.outs, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.unit(x)


class Sew(Block):
    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.units = nn.Sequential(parts.unit(ins, self.inner), parts.unit(self.inner, ins, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.units(x) + x


class Membrane(Block):
    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.outs = int(rng.integers(2, 7))
        self.down = nn.Sequential(parts.conv(ins, self.outs), parts.norm(self.outs))
        self.branches = nn.ModuleList(
            nn.Sequential(
                *(parts.fire(), parts.conv(self.outs, self.inner), parts.norm(self.inner)),
                *(parts.fire(), parts.conv(self.inner, self.outs, 3), parts.norm(self.outs)),
            )
            for _ in range(int(rng.integers(1, 3)))
        )
        self.fire = parts.fire()

    def forward(self, x: Tensor) -> Tensor:
        membrane = self.down(x)
        for branch in self.branches:
            membrane = membrane + branch(membrane)
        return self.fire(membrane)


class Csp(Block):
    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.outs = int(rng.integers(2, 7))
        self.main, self.bypass = parts.unit(ins, self.inner), parts.unit(ins, 3)
        self.join = parts.unit(self.inner + 3, self.outs)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(torch.cat((self.main(x), self.bypass(x)), dim=self.axis))


class Chunk(Block):
    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.outs = int(rng.integers(2, 7))
        self.first = parts.unit(ins, 2 * self.inner)
        self.second = parts.unit(self.inner, self.inner)
        self.join = parts.unit(3 * self.inner, self.outs)

    def forward(self, x: Tensor) -> Tensor:
        kept, onward = torch.chunk(dim=self.axis, chunks=2, input=self.first(x))
        return self.join(torch.cat((kept, onward, onward + self.second(onward)), self.axis))


class Split(Block):
    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.outs = self.inner + 2
        self.first = parts.unit(ins, self.outs)
        self.second = parts.unit(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        large, small = torch.split(self.first(x), [self.inner, 2], dim=self.axis)
        return torch.cat([large, self.second(small)], self.axis)


class ConcatShortcut(Block):
    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.outs = ins + 2
        self.branch = nn.Sequential(parts.unit(ins, self.inner), parts.unit(self.inner, self.outs))
        self.shortcut = parts.unit(ins, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + torch.cat((self.shortcut(x), x), self.axis)


class Depthwise(Block):
    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.outs = ins * int(rng.integers(1, 3))
        self.conv = parts.conv(ins, self.outs, 3, groups=ins, bias=True)
        self.norm, self.fire = parts.norm(self.outs), parts.fire()

    def forward(self, x: Tensor) -> Tensor:
        return self.fire(self.norm(self.conv(x)))


class Pool(Block):
    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.outs = 2 * ins
        self.pool = parts.pool()

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.pool(x)], self.axis)


class Upsample(Block):
    """Shrinks and grows the map again; a plain layer where maps have five axes."""

    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.outs = int(rng.integers(2, 7))
        self.unit = parts.unit(ins, self.outs)
        self.resize = nn.Upsample(scale_factor=2) if self.axis == 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.resize(self.unit(x))


class Repeat(Block):
    """All channels twice and one of zeros, on a map with a border of zeros."""

    def __init__(self, parts: Parts, ins: int, rng: np.random.Generator) -> None:
        super().__init__(parts, ins, rng)
        self.outs = 2 * ins + 1

    def forward(self, x: Tensor) -> Tensor:
        twice = x.repeat(*[1] * self.axis, 2, 1, 1)
        return functional.pad(twice, (1, 0, 0, 1, 0, 1))


MAKERS: dict[str, Callable[[Parts, int, np.random.Generator], Block]] = {
    "plain": Plain,
    "sew": Sew,
    "membrane": Membrane,
    "csp": Csp,
    "chunk": Chunk,
    "split": Split,
    "concat_shortcut": ConcatShortcut,
    "depthwise": Depthwise,
    "pool": Pool,
    "upsample": Upsample,
    "repeat": Repeat,
}


class RandomNetwork(nn.Module):
    """A stem, blocks and a read-out; the first block's spikes are read again at the end."""

    def __init__(self, kind: str, blocks: tuple[str, ...], rng: np.random.Generator) -> None:
        super().__init__()
        parts = Parts(kind)
        self.axis = parts.axis
        self.stem = parts.unit(2, 4, 3)
        made: list[Block] = []
        channels = 4
        for name in blocks:
            made.append(MAKERS[name](parts, channels, rng))
            channels = made[-1].outs
        self.blocks = nn.ModuleList(made)
        self.read = parts.conv(channels, 3, bias=True)
        for part in self.modules():
            _make_exact(part, rng, whole=kind == "relu6")
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.stem(x)
        for block in self.blocks:
            spikes = block(spikes)
        return self.read(spikes).mean(0)


def random_input(kind: str, rng: np.random.Generator) -> Tensor:
    shape = (STEPS, 1, 2, 6, 6) if kind.startswith("jelly") else (STEPS, 2, 6, 6)
    return torch.from_numpy(rng.integers(0, 4, shape)).double()


@torch.no_grad()
def _make_exact(part: nn.Module, rng: np.random.Generator, whole: bool) -> None:
    """Give a layer dyadic numbers, or whole ones where no neuron rounds what comes in."""

    def draw(target: Tensor, low: int, high: int) -> None:
        numbers = rng.integers(low, high + 1, tuple(target.shape))
        target.copy_(torch.from_numpy(numbers / (1 if whole else 4)))

    if isinstance(part, nn.Conv2d):
        draw(part.weight, -4, 4)
        if part.bias is not None:
            draw(part.bias, -4, 4)
    elif isinstance(part, nn.BatchNorm2d):
        draw(part.weight, 1, 4)
        draw(part.bias, -2, 6)
        draw(part.running_mean, -4, 4)
        variances = [1.0] if whole else [1.0, 4.0]  # their roots are exact
        part.running_var.copy_(torch.from_numpy(rng.choice(variances, part.num_features)))
