"""What a traced network is made of: layers, the axes of their tensors, and splits."""

from dataclasses import dataclass

from torch import Tensor, fx

from vidar_det.pruning.slots import Slots


@dataclass(frozen=True)
class Axis:
    """One axis of one parameter or buffer that follows channels.

    Attributes:
        tensor: its name in the network.
        dim: which axis.
        slots: for each index along it, the channel.
        writes: whether zeros along it make the channels 0; otherwise the layer reads them.
    """

    tensor: str
    dim: int
    slots: Tensor
    writes: bool


@dataclass(frozen=True)
class TracedLayer:
    """A layer with weights.

    Attributes:
        name: in the network.
        outs: channels that leave it.
        ins: channels that it mixes; None where each output channel sees its own alone.
        axes: what shrinks in it.
        weights_per_pair: weights between one input and one output channel.
        places: outputs per output channel and sample of the run, all its steps together.
    """

    name: str
    outs: Tensor
    ins: Tensor | None
    axes: tuple[Axis, ...]
    weights_per_pair: int
    places: int


@dataclass(frozen=True)
class Split:
    """A node of the graph that cuts a tensor along its channels.

    Attributes:
        node: its name.
        dim: the axis.
        pieces: channels of each piece.
    """

    node: str
    dim: int
    pieces: tuple[Tensor, ...]


@dataclass(frozen=True)
class Trace:
    """What one run showed.

    Attributes:
        graph: of operations, with the modules of a copy of the network.
        layers: in the order in which they ran.
        splits: where tensors are cut along their channels.
        slots: which channels are tied.
    """

    graph: fx.GraphModule
    layers: tuple[TracedLayer, ...]
    splits: tuple[Split, ...]
    slots: Slots
