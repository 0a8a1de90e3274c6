"""Names and numbers come in, a frozen ``DetectorSpec`` comes out: all that a network needs."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from vidar_det.config import build_spec, did_you_mean
from vidar_det.errors import ConfigError

STRIDES = (8, 16, 32)
LARGEST_COUNT = 255
"""What one byte holds."""
DEFAULT_CLASSES = ("person", "vehicle", "cycle")
DEFAULT_WEIGHTS = "nano"
"""What every command takes where no weights are named."""


@dataclass(frozen=True)
class NeuronSpec:
    """The integer leaky integrate-and-fire neuron (I-LIF; Luo et al., ECCV 2024).

    Attributes:
        levels: D, the most spikes in one step; 1 is a binary neuron.
        decay: what is left of the membrane after one step, 0 to 1.
        v_threshold: the membrane that one spike costs. D times the threshold is the highest
            membrane that counts; the published 4 times 1 rounds coarser and finds less
            (``benchmarks/ACCURACY.md``).
        kind: ``ilif``, or ``relu`` for the same network as an ordinary ANN, to compare with; it
            has neither levels nor a membrane, and one step.

    Example:
        >>> NeuronSpec(levels=1).decay      # a binary neuron
        0.25
    """

    levels: int = 8
    decay: float = 0.25
    v_threshold: float = 0.5
    kind: Literal["ilif", "relu"] = "ilif"

    def __post_init__(self) -> None:
        if self.levels < 1 or not 0 <= self.decay <= 1 or self.v_threshold <= 0:
            raise ConfigError(
                f"neuron: found levels {self.levels}, decay {self.decay}, v_threshold "
                f"{self.v_threshold}; wanted >= 1, 0 to 1, > 0"
            )

    @property
    def quantum(self) -> float:
        """The membrane that one unit of output stands for: the threshold; for a ReLU, 1."""
        return self.v_threshold if self.kind == "ilif" else 1.0


@dataclass(frozen=True)
class EncodingSpec:
    """How a window of spike planes becomes a tensor.

    Attributes:
        steps: S, the network's steps; with 1 the membranes have no dynamics.
        bin_planes: planes summed into one step.
        parts: equal parts of a bin that enter as channels.
        gamma: exponent on the firing rate; 0.5 levels the shot noise and opens up dark scenes.

    Example:
        >>> EncodingSpec(steps=4).window
        256
    """

    steps: int = 2
    bin_planes: int = 64
    parts: int = 2
    gamma: float = 0.5

    def __post_init__(self) -> None:
        if min(self.steps, self.bin_planes, self.parts) < 1 or self.gamma <= 0:
            raise ConfigError(f"encoding: found {self}; wanted positive numbers")
        if self.bin_planes % self.parts:
            raise ConfigError(
                f"encoding: {self.bin_planes} planes a bin do not divide into {self.parts} parts"
            )

    @property
    def window(self) -> int:
        """Planes in one window."""
        return self.steps * self.bin_planes

    @property
    def bins(self) -> int:
        """Counts that describe one window: ``steps * parts``."""
        return self.steps * self.parts

    @property
    def planes_per_count(self) -> int:
        """Planes behind one count, which is also the largest count."""
        return self.bin_planes // self.parts


@dataclass(frozen=True)
class CspSpec:
    """Widths of one cross-stage-partial block (two 1x1 convolutions, no chunk).

    Attributes:
        main: channels of the branch that carries the residual blocks.
        bypass: channels of the other branch.
        hidden: inner channels of each residual block, one entry a block.
        out: channels that leave the block.
    """

    main: int
    bypass: int
    hidden: tuple[int, ...]
    out: int

    def __post_init__(self) -> None:
        if min(self.main, self.bypass, self.out, *self.hidden, 1) < 1:
            raise ConfigError(f"block widths must be positive, found {self}")


@dataclass(frozen=True)
class HeadSpec:
    """Hidden widths of one pyramid level's two branches."""

    box: int
    score: int


@dataclass(frozen=True)
class DetectorSpec:
    """Everything that defines a detector; a pruned one is the same with smaller widths.

    Attributes:
        classes: names, in the order of the class ids 0, 1, ...
        stem: channels of the first convolution (stride 4).
        stages: backbone blocks at strides 4, 8, 16, 32; ``out`` is the stage's stream.
        pool: hidden channels of the spatial pyramid pooling.
        pool_out: channels that leave it; None = as many as enter.
        top_down: neck blocks at strides 16, 8.
        lateral: channels of the neck's strided convolutions at strides 16, 32.
        bottom_up: neck blocks at strides 16, 32.
        heads: one entry a stride (8, 16, 32).
        reg_max: bins of the distance distribution (DFL); the longest distance is
            ``(reg_max - 1) * stride``.
        neuron: the neuron.
        encoding: the input.

    Raises:
        ConfigError: a tuple has the wrong length or a width is not positive.

    Example:
        >>> size_spec("nano").window
        128
    """

    stem: int
    stages: tuple[CspSpec, ...]
    pool: int
    top_down: tuple[CspSpec, ...]
    lateral: tuple[int, ...]
    bottom_up: tuple[CspSpec, ...]
    heads: tuple[HeadSpec, ...]
    classes: tuple[str, ...] = DEFAULT_CLASSES
    reg_max: int = 16
    pool_out: int | None = None
    neuron: NeuronSpec = field(default_factory=NeuronSpec)
    encoding: EncodingSpec = field(default_factory=EncodingSpec)

    def __post_init__(self) -> None:
        wanted = {"stages": 4, "top_down": 2, "lateral": 2, "bottom_up": 2, "heads": 3}
        for name, length in wanted.items():
            found = len(getattr(self, name))
            if found != length:
                raise ConfigError(f"detector spec: {name} has {found} entries, wanted {length}")
        if min(self.stem, self.pool, self.pooled, self.reg_max - 1, *self.lateral) < 1:
            raise ConfigError(f"detector spec: widths must be positive, found {self}")
        if self.neuron.kind == "relu" and self.encoding.steps != 1:
            raise ConfigError(
                f"detector spec: a relu has no time, found {self.encoding.steps} steps"
            )
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ConfigError(f"detector spec: wanted distinct classes, found {self.classes}")

    @property
    def window(self) -> int:
        """Planes that the detector sees at once."""
        return self.encoding.window

    @property
    def pooled(self) -> int:
        """Channels that leave the spatial pyramid pooling."""
        return self.stages[-1].out if self.pool_out is None else self.pool_out

    def to_mapping(self) -> dict[str, Any]:
        """Return plain dicts and tuples that ``read_spec`` reads back."""
        return dataclasses.asdict(self)


def read_spec(mapping: dict[str, Any], source: str) -> DetectorSpec:
    """Build a ``DetectorSpec`` from a mapping.

    Args:
        mapping: as ``DetectorSpec.to_mapping`` wrote it.
        source: where it came from, for the message.

    Returns:
        The spec.

    Raises:
        ConfigError: an unknown or missing key, or a value of the wrong type.

    Example:
        >>> spec = size_spec("nano")
        >>> read_spec(spec.to_mapping(), "memory") == spec
        True
    """
    return build_spec(DetectorSpec, mapping, source)


def size_spec(
    size: str,
    classes: tuple[str, ...] = DEFAULT_CLASSES,
    encoding: EncodingSpec | None = None,
    neuron: NeuronSpec | None = None,
) -> DetectorSpec:
    """Return the dense spec of a named size.

    Args:
        size: ``nano``, ``small`` or ``medium``.
        classes: class names.
        encoding: the input; by default two steps of 64 planes.
        neuron: the neuron; by default I-LIF with eight levels.

    Returns:
        The spec.

    Raises:
        ConfigError: the size is unknown.

    Example:
        >>> size_spec("nano").stages[0].out
        32
    """
    sizes = {
        "nano": ((32, 40, 64, 96), (1, 1, 1, 1)),
        "small": ((48, 80, 144, 208), (1, 1, 2, 1)),
        "medium": ((72, 144, 248, 352), (1, 2, 2, 1)),
    }
    if size not in sizes:
        raise ConfigError(f"size {size!r} is unknown{did_you_mean(size, sizes)}")
    widths, depths = sizes[size]
    w4, w8, w16, w32 = widths
    return DetectorSpec(
        stem=w4,
        stages=tuple(_csp(width, depth) for width, depth in zip(widths, depths, strict=True)),
        pool=_eights(w32 / 2),
        top_down=(_csp(w16, 1), _csp(w8, 1)),
        lateral=(w8, w16),
        bottom_up=(_csp(w16, 1), _csp(w32, 1)),
        heads=tuple(_head(width) for width in (w8, w16, w32)),
        classes=classes,
        encoding=encoding or EncodingSpec(),
        neuron=neuron or NeuronSpec(),
    )


def check_quantisable(spec: DetectorSpec) -> None:
    """Refuse a network whose maps do not fit into 8 bits.

    Raises:
        ConfigError: its neurons fire no whole numbers, or more than 255 at once.

    Example:
        >>> check_quantisable(size_spec("nano"))
    """
    neuron = spec.neuron
    if neuron.kind != "ilif" or neuron.levels > LARGEST_COUNT:
        raise ConfigError(
            f"precision 'int8': found {neuron}, wanted ilif of at most {LARGEST_COUNT} levels"
        )


def _eights(width: float) -> int:
    """Round half up to a multiple of 8: what vector units fill without padding."""
    return max(8, int(width / 8 + 0.5) * 8)


def _csp(width: int, depth: int) -> CspSpec:
    main = _eights(width / 2)
    return CspSpec(main=main, bypass=width - main, hidden=(_eights(main / 2),) * depth, out=width)


def _head(width: int) -> HeadSpec:
    hidden = max(24, min(_eights(width / 2), 64))
    return HeadSpec(box=hidden, score=max(16, hidden - 8))
