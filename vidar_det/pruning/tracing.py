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
from torch.utils._pytree import tree_map_only

from vidar_det.errors import PruningError
from vidar_det.pruning.refusals import told
from vidar_det.pruning.shadow_layers import CHANNELWISE, MIXING, UNDERSTOOD, ShadowLayers
from vidar_det.pruning.shadow_operations import ShadowOperations
from vidar_det.pruning.slots import FIXED, Slots, compress, tensors
from vidar_det.pruning.traced import Trace


def trace(network: nn.Module, example: Tensor, leaves: Sequence[type[nn.Module]] = ()) -> Trace:
    """Follow the channels of a network.

    Understood are, as modules, functions, methods or operators:

    - convolutions of one group and depthwise ones, linear layers, batch normalisation;
    - this package's neurons and SpikingJelly's, ReLU and its kin, tanh, dropout, rounding, abs,
      sqrt, powers above 0, clamps around 0;
    - pooling, resizing, padding (of channels, by zeros);
    - reshape, view, flatten, unflatten, (un)squeeze, permute, transpose, movedim, expand, repeat,
      cat, stack, chunk, split, unbind, indexing;
    - sums, differences, products, maxima and minima of two tensors, sums with 0, products with
      numbers and division by them;
    - mean, sum, amax and amin over all axes but the channels;
    - any operation that sees no more than the input, or that only the output sees.

    Channels stay where the code takes them by number or holds their count.

    Args:
        network: any network whose forward pass takes one tensor and has no branches that depend on
            values. Inputs are ``[N, C, ...]``, or ``[T, N, C, ...]`` for SpikingJelly's layers in
            step mode ``m``. It is copied, and stays as it is.
        example: an input.
        leaves: further modules that keep shape and channels and send 0 to 0.

    Raises:
        PruningError: the network cannot be traced or does not run on the example, two layers share
            a weight, or an operation is not understood; it is named with its line.
    """
    _refuse_shared_weights(network)
    try:
        twin = copy.deepcopy(network).eval()
    except RuntimeError as error:
        raise PruningError(
            f"{type(network).__name__}: cannot be copied ({error}); neurons that hold a state of "
            "their last input must be reset first"
        ) from error
    try:
        graph, shadows = _follow(twin, example, leaves)
    except PruningError:  # once more, slowly: now nodes know the lines that made them
        graph, shadows = _follow(twin, example, leaves, keeps_lines=True)
    layers, splits = shadows.layers.layers, shadows.operations.splits
    return Trace(graph, tuple(layers), tuple(splits), shadows.slots)


def reset_neurons(network: nn.Module) -> None:
    """Let SpikingJelly's neurons forget their last input."""
    for module in network.modules():
        if isinstance(module, MemoryModule):
            module.reset()


def _refuse_shared_weights(network: nn.Module) -> None:
    owners: dict[nn.Parameter, str] = {}
    for name, module in network.named_modules():
        for parameter in module.parameters(recurse=False):
            first = owners.setdefault(parameter, name)
            if first != name:
                raise PruningError(
                    f"{first} and {name} share a weight, which would be cut twice; wanted one "
                    "layer that runs twice, or two weights"
                )


@torch.no_grad()
def _follow(
    twin: nn.Module, example: Tensor, leaves: Sequence[type[nn.Module]], keeps_lines: bool = False
) -> "tuple[fx.GraphModule, _Shadows]":
    try:
        operations = _Tracer((*UNDERSTOOD, *leaves), keeps_lines).trace(twin)
    except Exception as error:  # all that a forward pass may raise when its input has no values
        raise PruningError(f"{type(twin).__name__}: cannot be traced: {told(error)}") from error
    graph = fx.GraphModule(twin, operations)
    shadows = _Shadows(graph, (*CHANNELWISE, *leaves))
    try:
        shadows.run(example)
    finally:
        reset_neurons(twin)
    return graph, shadows


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
        self.extra_traceback = False
        self.slots = Slots()
        self.layers = ShadowLayers(self.slots, channelwise)
        self.operations = ShadowOperations(self.slots)
        self.mixed = _find_mixed(graph)
        self.shadow: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        try:
            return self._run_with_shadow(n)
        except PruningError:
            raise
        except Exception as error:  # all that an operation may raise on an example
            failed = f"{n.target}: cannot be followed on the example"
            raise PruningError(f"{failed}: {told(error, n)}") from error

    def _run_with_shadow(self, node: fx.Node) -> Any:
        value = super().run_node(node)
        args, kwargs = (
            fx.node.map_arg(part, lambda one: self.shadow[one]) for part in (node.args, node.kwargs)
        )
        try:
            shadow = self._shade(
                node, value, cast("tuple[Any, ...]", args), cast("dict[str, Any]", kwargs)
            )
        except PruningError:
            if not self._may_stay_whole(node, (args, kwargs)):
                raise
            self._keep((args, kwargs))
            shadow = tree_map_only(Tensor, lambda one: torch.full(one.shape, FIXED), value)
        self.shadow[node] = tree_map_only(Tensor, compress, shadow)
        return value

    def _shade(
        self, node: fx.Node, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if node.op == "output":
            self._keep(args)
            return args[0]
        if node.op in ("placeholder", "get_attr") and not isinstance(value, Tensor):
            return value
        if node.op == "placeholder":
            return torch.full(value.shape, FIXED)
        if node.op == "get_attr":
            return self.layers.read(node, value)
        if node.op == "call_module":
            module = self.fetch_attr(cast(str, node.target))
            return self.layers.run(node, module, value, *args, *kwargs.values())
        return self.operations.run(node, value, args, kwargs)

    def _keep(self, arguments: Any) -> None:
        for leaf in tensors(arguments):
            self.slots.fix(leaf)

    def _may_stay_whole(self, node: fx.Node, arguments: Any) -> bool:
        """Tell whether all that enters an operation stays anyhow, or only the output sees it."""
        if node.op == "get_attr" or _mixes(self.module, node):
            return False
        found = (self.slots.sets(torch.unique(leaf)) for leaf in tensors(arguments))
        stays = all((sets == FIXED).all() for sets in found)
        return stays or node not in self.mixed


def _mixes(network: nn.Module, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(
        network.get_submodule(cast(str, node.target)), MIXING
    )


def _find_mixed(graph: fx.GraphModule) -> set[fx.Node]:
    """Find the nodes whose results go on to a layer that mixes channels."""
    mixed: set[fx.Node] = set()
    for node in reversed(graph.graph.nodes):
        if any(user in mixed or _mixes(graph, user) for user in node.users):
            mixed.add(node)
    return mixed
