"""A network and an input come in; which channels of which tensors stand or fall together goes out.

The network runs once, and beside every value runs its shadow: an integer tensor of the same shape
that names, for each element, the channel it belongs to. Operations that move elements (reshape,
concatenate, split, ...) are simply carried out on the shadow too; additions tie the channels that
meet; convolutions begin new ones. Neurons and layers are leaves, so no time loop is ever looked
into.
"""

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from spikingjelly.activation_based.base import MemoryModule
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_flatten, tree_map_only

from vidar_det.errors import PruningError
from vidar_det.pruning.shadow_layers import CHANNELWISE, UNDERSTOOD, ShadowLayers
from vidar_det.pruning.shadow_operations import ShadowOperations
from vidar_det.pruning.slots import FIXED, Slots, compress
from vidar_det.pruning.traced import Trace


def trace(network: nn.Module, example: Tensor, leaves: Sequence[type[nn.Module]] = ()) -> Trace:
    """Follow the channels of a network.

    Args:
        network: any network whose forward pass takes one tensor and has no branches that depend on
            values. Inputs are ``[N, C, ...]``, or ``[T, N, C, ...]`` for SpikingJelly's layers in
            step mode ``m``. It is copied, and stays as it is.
        example: an input.
        leaves: further modules that keep shape and channels and send 0 to 0.

    Raises:
        PruningError: an operation is not understood; it is named with its line.
    """
    try:
        twin = copy.deepcopy(network).eval()
    except RuntimeError as error:
        raise PruningError(
            f"{type(network).__name__}: cannot be copied ({error}); neurons that hold a state of "
            "their last input must be reset first"
        ) from error
    known = (*UNDERSTOOD, *leaves)
    try:
        graph = fx.GraphModule(twin, _Tracer(known).trace(twin))
        shadows = _run(graph, example, leaves)
    except PruningError:  # once more, slowly: now nodes know the lines that made them
        graph = fx.GraphModule(twin, _Tracer(known, keeps_lines=True).trace(twin))
        shadows = _run(graph, example, leaves)
    except (fx.proxy.TraceError, TypeError) as error:
        raise PruningError(f"{type(network).__name__}: cannot be traced: {error}") from error
    layers, splits = shadows.layers.layers, shadows.operations.splits
    return Trace(graph, tuple(layers), tuple(splits), shadows.slots)


@torch.no_grad()
def _run(graph: fx.GraphModule, example: Tensor, leaves: Sequence[type[nn.Module]]) -> "_Shadows":
    shadows = _Shadows(graph, (*CHANNELWISE, *leaves))
    shadows.run(example)
    for module in graph.modules():
        if isinstance(module, MemoryModule):
            module.reset()
    return shadows


class _Tracer(fx.Tracer):
    """Stops at layers and neurons, SpikingJelly's too."""

    def __init__(self, known: tuple[type[nn.Module], ...], keeps_lines: bool = False) -> None:
        super().__init__()
        self.known = known
        self.record_stack_traces = keeps_lines

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self.known) or super().is_leaf_module(m, module_qualified_name)


class _Shadows(fx.Interpreter):
    """Runs a graph and, node by node, its shadow."""

    def __init__(self, graph: fx.GraphModule, channelwise: tuple[type[nn.Module], ...]) -> None:
        super().__init__(graph, garbage_collect_values=False)
        self.slots = Slots()
        self.layers = ShadowLayers(self.slots, channelwise)
        self.operations = ShadowOperations(self.slots)
        self.shadow: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        args, kwargs = (
            fx.node.map_arg(part, lambda node: self.shadow[node]) for part in (n.args, n.kwargs)
        )
        shadow = self._shade(
            n, value, cast("tuple[Any, ...]", args), cast("dict[str, Any]", kwargs)
        )
        self.shadow[n] = tree_map_only(Tensor, compress, shadow)
        return value

    def _shade(
        self, node: fx.Node, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if node.op == "output":
            for leaf in tree_flatten(args)[0]:
                if isinstance(leaf, Tensor):
                    self.slots.fix(leaf)
            return args[0]
        if not any(isinstance(leaf, Tensor) for leaf in tree_flatten(value)[0]):
            return value  # a size, say
        if node.op == "placeholder":
            return torch.full(value.shape, FIXED)
        if node.op == "get_attr":
            return self.layers.read(node, value)
        if node.op == "call_module":
            module = self.fetch_attr(cast(str, node.target))
            return self.layers.run(node, module, value, args[0])
        return self.operations.run(node, value, args, kwargs)
