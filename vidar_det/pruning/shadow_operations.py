"""An operation and the shadows of its arguments come in; the shadow of its result goes out."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_flatten

from vidar_det.pruning.slots import Slots, along, refusal, spread, thin, varying
from vidar_det.pruning.traced import Split

KEEPS = frozenset(
    (
        *("abs", "bfloat16", "ceil", "clone", "contiguous", "detach", "double", "dropout", "elu"),
        *("float", "floor", "gelu", "half", "hardtanh", "leaky_relu", "neg", "relu", "relu_"),
        *("round", "sign", "silu", "sqrt", "square", "tanh", "to", "type_as"),
    )
)
"""Operations that keep shape and channels and send 0 to 0."""
RESIZES = frozenset(
    ("adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "interpolate", "max_pool2d")
)
"""Operations that change the size of a map alone and send 0 to 0."""
SPLITS = frozenset(("chunk", "getitem", "split", "tensor_split", "unbind"))
"""Operations that may take a tensor apart."""
NAMES_SIZES = frozenset(("reshape", "unflatten", "view"))
"""Operations whose arguments may hold the number of channels."""
MOVES = frozenset(
    (
        *SPLITS,
        *NAMES_SIZES,
        *("cat", "concat", "flatten", "permute", "squeeze", "stack", "transpose", "unsqueeze"),
    )
)
"""Operations that move elements."""
SCALES = frozenset(("div", "imul", "mul", "truediv"))
"""Operations of two tensors, or of one and a number, that send 0 to 0."""
ADDS = frozenset(("add", "iadd", "isub", "maximum", "minimum", "sub"))
"""Operations of two tensors."""
REDUCES = frozenset(("amax", "amin", "mean", "sum"))
"""Operations that take axes away."""


class ShadowOperations:
    """Operations as the run meets them.

    Attributes:
        splits: where a tensor is cut along its channels into sizes that can be written anew.
    """

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.splits: list[Split] = []

    def run(self, node: fx.Node, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Shadow of what an operation makes of its arguments; refuses what is not understood."""
        name = _name(node.target)
        if name in KEEPS:
            return args[0]
        if name in RESIZES:
            return spread(along(node, args[0], 1), 1, value.shape)
        if name in MOVES or _makes_tuple(node.target):
            return self._move(node, name, args, kwargs)
        if name in ADDS | SCALES:
            return self._tie(node, name, value, args)
        if name in REDUCES:
            return self._reduce(node, name, args, kwargs)
        if name == "clamp":
            return self._clamp(node, args, kwargs)
        raise refusal(node, f"the operation {name!r}")

    def _tie(self, node: fx.Node, name: str, value: Tensor, args: tuple[Any, ...]) -> Tensor:
        """Channels that are added come and go together; a factor leaves a channel of zeros 0."""
        shadows = [arg for arg in args[:2] if isinstance(arg, Tensor)]
        if len(shadows) == 2:
            first, second = (shadow.expand(value.shape) for shadow in shadows)
            self.slots.tie(*thin(first, second))
            return first
        if name not in SCALES:
            raise refusal(node, f"{name} of a number (a channel of zeros would not stay 0)")
        return shadows[0]

    def _reduce(
        self, node: fx.Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        how = {key: value for key, value in kwargs.items() if key != "dtype"}
        low: Tensor = torch.amin(*args, **how)
        if not torch.equal(low, torch.amax(*args, **how)):
            raise refusal(node, f"{name} over channels")
        return low

    def _clamp(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        low, high = (
            kwargs.get(bound, args[at] if len(args) > at else None)
            for at, bound in ((1, "min"), (2, "max"))
        )
        if (low is not None and low > 0) or (high is not None and high < 0):
            raise refusal(node, "clamp to bounds that leave out 0")
        return cast(Tensor, args[0])

    def _move(self, node: fx.Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if node.op == "call_method":
            out = getattr(args[0], name)(*args[1:], **kwargs)
        else:
            out = cast("Callable[..., Any]", node.target)(*args, **kwargs)
        if name in SPLITS and isinstance(args[0], Tensor):
            self._note_pieces(node, name, args[0], out)
        elif name in NAMES_SIZES:
            literal = tree_flatten((node.args[1:], node.kwargs))[0]
            if any(out.shape[dim] in literal for dim in varying(out)):
                self.slots.fix(out)  # the code holds the number of channels
        return out

    def _note_pieces(self, node: fx.Node, name: str, source: Tensor, out: Any) -> None:
        """Note a cut along channels: a split's sizes can be written anew, an index cannot."""
        pieces = [out] if isinstance(out, Tensor) else list(out)
        if torch.equal(torch.unique(pieces[0]), torch.unique(source)):
            return  # along time, say: each piece has all channels
        changed = [dim for dim in varying(source) if pieces[0].shape[dim:] != source.shape[dim:]]
        if name in ("chunk", "split") and len(changed) == 1:
            (dim,) = changed
            cut = tuple(along(node, piece, dim) for piece in pieces)
            self.splits.append(Split(node.name, dim, cut))
        else:
            self.slots.fix(source)


def _name(target: Any) -> str:
    return target if isinstance(target, str) else str(getattr(target, "__name__", target))


def _makes_tuple(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, tuple)
