"""An operation and the shadows of its arguments come in; the shadow of its result goes out."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch.nn import functional
from torch.utils._pytree import tree_flatten

from vidar_det.pruning.refusals import refusal
from vidar_det.pruning.slots import FIXED, Slots, along, spread, tensors, thin, varying
from vidar_det.pruning.traced import Split

KEEPS = frozenset(
    (
        *("abs", "bfloat16", "ceil", "clone", "contiguous", "detach", "double", "dropout", "elu"),
        *("float", "floor", "gelu", "half", "hardtanh", "leaky_relu", "neg", "relu", "relu6"),
        *("relu_", "round", "sign", "silu", "sqrt", "square", "tanh", "to", "type_as"),
        "zeros_like",
    )
)
"""Operations that keep shape and channels and send 0 to 0."""
RESIZES = frozenset(
    (
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d"),
        *("adaptive_max_pool2d", "avg_pool1d", "avg_pool2d", "interpolate", "max_pool1d"),
        "max_pool2d",
    )
)
"""Operations that change the size of a map alone and send 0 to 0."""
SPLITS = frozenset(("chunk", "getitem", "split", "tensor_split", "unbind"))
"""Operations that may take a tensor apart."""
NAMES_SIZES = frozenset(("expand", "reshape", "unflatten", "view"))
"""Operations whose arguments may hold the number of channels."""
MOVES = frozenset(
    (
        *SPLITS,
        *NAMES_SIZES,
        *("cat", "concat", "expand_as", "flatten", "movedim", "permute", "repeat"),
        *("repeat_interleave", "squeeze", "stack", "transpose", "unsqueeze"),
    )
)
"""Operations that move and repeat elements."""
DIVIDES = frozenset(("div", "truediv"))
"""Operations that send 0 to 0 where the second tensor is not 0."""
SCALES = DIVIDES | {"imul", "mul"}
"""Operations of two tensors, or of one and a number, that send 0 to 0."""
SUMS = frozenset(("add", "iadd", "isub", "sub"))
"""Operations of two tensors, or of one and the number 0."""
MEETS = SCALES | SUMS | {"maximum", "minimum"}
"""Operations of two tensors."""
REDUCES = frozenset(("amax", "amin", "mean", "sum"))
"""Operations that take axes away."""
TELLS = frozenset(("dim", "getattr", "ndimension", "numel", "size"))
"""Operations that tell the shape or the kind of a tensor."""


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
        name, shadows = _name(node.target), tensors((args, kwargs))
        if not tensors(value) and (name in TELLS or not shadows):
            return value  # a size, say
        if name in KEEPS:
            return shadows[0]
        if name in RESIZES:
            return spread(along(node, shadows[0], 1), 1, value.shape)
        if name in MOVES or _makes_tuple(node.target):
            return self._move(node, name, args, kwargs)
        if name in MEETS:
            return self._tie(node, name, value, _bind(args, kwargs, "input", "other"))
        if name in REDUCES:
            return self._reduce(node, name, args, kwargs)
        return _run_with_numbers(node, name, value, (args, kwargs))

    def _tie(self, node: fx.Node, name: str, value: Tensor, operands: list[Any]) -> Tensor:
        """Channels that are added come and go together; a factor leaves a channel of zeros 0."""
        first, second = operands
        if name in DIVIDES and isinstance(second, Tensor) and bool((second != FIXED).any()):
            raise refusal(node, f"{name} by channels, which may be 0")
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            whole = first.expand(value.shape)
            self.slots.tie(*thin(whole, second.expand(value.shape)))
            return whole
        shadow, number = (first, second) if isinstance(first, Tensor) else (second, first)
        if name not in SCALES and not (name in SUMS and number == 0):
            raise refusal(node, f"{name} of a number (a channel of zeros would not stay 0)")
        return cast(Tensor, shadow)

    def _reduce(
        self, node: fx.Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        how = {key: value for key, value in kwargs.items() if key != "dtype"}
        low: Tensor = torch.amin(*args, **how)
        if not torch.equal(low, torch.amax(*args, **how)):
            raise refusal(node, f"{name} over channels")
        return low

    def _move(self, node: fx.Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if node.op == "call_method":
            out = getattr(args[0], name)(*args[1:], **kwargs)
        else:
            out = cast("Callable[..., Any]", node.target)(*args, **kwargs)
        sources = [one for one in (*args[:1], *kwargs.values()) if isinstance(one, Tensor)]
        if name in SPLITS and sources:
            self._note_pieces(node, name, sources[0], out)
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


def _run_with_numbers(
    node: fx.Node, name: str, value: Tensor, given: tuple[tuple[Any, ...], dict[str, Any]]
) -> Tensor:
    """Shadow of an operation that sends 0 to 0 with some numbers only."""
    if name == "clamp":
        shadow, low, high = _bind(*given, "input", "min", "max")
        understood = (low is None or low <= 0) and (high is None or high >= 0)
    elif name == "pow":
        shadow, exponent = _bind(*given, "input", "exponent")
        understood = isinstance(exponent, int | float) and exponent > 0
    elif name == "pad":
        return _pad(node, value, *given)
    else:
        raise refusal(node, f"the operation {name!r}")
    if not understood:
        raise refusal(node, f"{name} with these numbers (a channel of zeros would not stay 0)")
    return cast(Tensor, shadow)


def _pad(node: fx.Node, value: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Zeros beside channels are channels that stay; a map that grows keeps its channels."""
    shadow, amounts, mode, fill = _bind(args, kwargs, "input", "pad", "mode", "value")
    free = varying(shadow)
    beside = [
        amount if shadow.ndim - 1 - at // 2 in free else 0 for at, amount in enumerate(amounts)
    ]
    if fill or min(beside) < 0 or (any(beside) and mode not in (None, "constant")):
        raise refusal(node, "pad, other than by zeros")
    for dim in set(range(shadow.ndim)) - set(free):
        shadow = shadow.narrow(dim, 0, 1)
    return functional.pad(shadow, beside, value=FIXED).expand(value.shape)


def _bind(args: tuple[Any, ...], kwargs: dict[str, Any], *names: str) -> list[Any]:
    """Arguments by place or by name; None where one is not given."""
    return [args[at] if at < len(args) else kwargs.get(name) for at, name in enumerate(names)]


def _name(target: Any) -> str:
    return target if isinstance(target, str) else str(getattr(target, "__name__", target))


def _makes_tuple(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, tuple)
