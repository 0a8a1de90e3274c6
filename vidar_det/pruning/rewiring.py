"""Weights and their gradients come in; connections that form and vanish go out (Grad R).

Chen et al., *Pruning of Deep SNNs through Gradient Rewiring* (IJCAI 2021): a weight is a spine of
fixed sign, ``w = s max(theta, 0)``; a pruned spine (theta below 0) still receives the gradient of
its weight and may regrow with the same sign. Adam moves theta, and a Laplace prior of scale alpha
and mean mu pulls it down beside Adam, not through it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vidar_det.errors import ConfigError, TrainingError
from vidar_det.pruning.layers import prunable_layers
from vidar_det.pruning.resuming import refuse_another


@dataclass(frozen=True)
class Prior:
    """Laplace prior on the size of spines: what makes them vanish.

    Each step lowers every spine by ``alpha * lr / (1 - beta1^n)``. With the published alpha =
    1e-3 and p = 0.95 the mean mu is -2303, which no spine comes near: alpha and the length of the
    run set the sparsity, p does not. To get a sparsity that you name, set ``reach``.

    Attributes:
        alpha: scale; at ``eps`` of the optimiser or below, there is no prior.
        p: nominal sparsity, 0.5 or more and below 1; it sets mu alone.
        reach: asked share of zeros over all rewired weights, above 0 and below 1, or None. The
            prior's step is then as long as needed: all spines sink by one common amount until at
            least ``reach * (1 - (1 - n / reach_steps)^3)`` of them are pruned; ``alpha`` counts
            too.
        reach_steps: steps in which ``reach`` is reached; from then on it is held.

    Raises:
        ConfigError: a setting lies outside its range.

    Example:
        >>> f"{Prior(alpha=1e-3, p=0.95).mean:.1f}"
        '-2302.6'
    """

    alpha: float = 1e-3
    p: float = 0.95
    reach: float | None = None
    reach_steps: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ConfigError(f"alpha: found {self.alpha}, wanted a finite number, 0 or more")
        if not 0.5 <= self.p < 1:
            raise ConfigError(f"p: found {self.p}, wanted 0.5 or more and below 1")
        if self.reach is not None and not 0 < self.reach < 1:
            raise ConfigError(f"reach: found {self.reach}, wanted above 0 and below 1")
        if self.reach_steps < 1:
            raise ConfigError(f"reach_steps: found {self.reach_steps}, wanted 1 or more")

    @property
    def mean(self) -> float:
        """Mu, ``ln(2 (1 - p)) / alpha``; minus infinity where alpha is 0 and p above 0.5."""
        logarithm = math.log(2 * (1 - self.p))
        if logarithm == 0:
            return 0.0
        return logarithm / self.alpha if self.alpha else -math.inf

    def share(self, steps: int) -> float:
        """Share of zeros asked for after ``steps``."""
        left = max(0.0, 1 - steps / self.reach_steps)
        return (self.reach or 0.0) * (1 - left**3)


class GradientRewiring(torch.optim.Optimizer):
    """Adam whose chosen weights are spines of fixed sign under a prior; all else is plain Adam.

    Use it in place of Adam. The weights are plain at all times: nothing has to be finalised, mixed
    precision scales it as any optimiser, and ``state_dict`` resumes it exactly. An average of the
    network's states averages the weights: `keep_zeros` prunes it as the network is pruned now.

    Args:
        network: any network, spiking or not; all its parameters are optimised.
        prior: what makes spines vanish.
        layers: names as in `prunable_layers`; None takes every convolution and fully connected
            layer.
        lr: learning rate.
        betas: decay of the first and second moment, 0 or more and below 1.
        eps: added to the denominator, above 0.
        weight_decay: coupled L2, added to the gradient as ``weight_decay * w``.
        amsgrad: divide by the largest second moment so far.
        allow_dead_layers: let a layer lose all its weights; otherwise that is refused.

    Raises:
        ConfigError: unknown layer names or a setting outside its range.

    Example:
        >>> network = nn.Linear(2, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = network.weight.copy_(torch.tensor([[-0.1, 0.0005]]))
        >>> optimizer = GradientRewiring(network, Prior(alpha=1.0), lr=1e-4)
        >>> for _ in range(3):
        ...     network.weight.grad = torch.zeros(1, 2)
        ...     optimizer.step()
        >>> network.weight.tolist()[0][1]
        0.0
    """

    def __init__(  # noqa: PLR0913  # Adam's own settings, under their usual names
        self,
        network: nn.Module,
        prior: Prior,
        layers: Sequence[str] | None = None,
        *,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        allow_dead_layers: bool = False,
    ) -> None:
        _check_settings(lr, betas, eps, weight_decay)
        spines = {}
        for name, layer in prunable_layers(network, layers).items():
            if "weight" not in layer._parameters:
                raise ConfigError(f"layers: the weight of {name!r} is computed, wanted a plain one")
            spines[id(layer.get_parameter("weight"))] = (name, layer.get_parameter("weight"))
        others = [p for p in network.parameters() if p.requires_grad and id(p) not in spines]
        self.prior, self._allow_dead_layers = prior, allow_dead_layers
        self._names = [name for name, _ in spines.values()]
        groups: list[dict[str, Any]] = [
            {"params": [p for _, p in spines.values()], "rewired": True}
        ]
        if others:
            groups.append({"params": others, "rewired": False})
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(groups, {**defaults, "amsgrad": amsgrad})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # torch overloads on the presence of a closure
        """Make one step: Adam on every parameter, then the prior and the signs on the spines.

        Raises:
            TrainingError: all spines of a layer would be pruned; no spine's weight is changed.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self._state_of(parameter, group)
                move, rate = _adam(parameter, state, group)
                if group["rewired"]:
                    self._move_spine(state, move, rate, group["eps"])
                else:
                    parameter.sub_(move)
        self._sink()
        self._connect()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where another run stopped.

        Raises:
            CheckpointError: the state is of another optimiser, other layers or another prior.
        """
        wanted = {"rewired_layers": self._names, "prior": repr(self.prior)}
        refuse_another("gradient rewiring", state_dict, wanted)
        own = {key: state_dict[key] for key in ("state", "param_groups")}
        super().load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        """State of the optimiser, and what it rewires under which prior."""
        own = super().state_dict()
        return {**own, "rewired_layers": list(self._names), "prior": repr(self.prior)}

    def _state_of(self, parameter: nn.Parameter, group: dict[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = torch.zeros_like(parameter)
            if group["rewired"]:
                state["sign"], state["theta"] = parameter.sign(), parameter.abs()
        return state

    def _move_spine(self, state: dict[str, Any], move: Tensor, rate: float, eps: float) -> None:
        """Adam's step along the sign, and the prior's beside it; both from the same old theta."""
        theta, sign = state["theta"], state["sign"]
        pull = (theta - self.prior.mean).sign_() if self.prior.alpha > eps else None
        theta.sub_(sign * move)
        if pull is not None:
            theta.sub_(pull * sign.abs(), alpha=self.prior.alpha * rate)

    def _spines(self) -> list[tuple[str, nn.Parameter, dict[str, Any]]]:
        """Layers that have taken a step: name, weight, state."""
        parameters = self.param_groups[0]["params"]
        named = zip(self._names, parameters, strict=True)
        return [(name, p, self.state[p]) for name, p in named if p in self.state]

    def _sink(self) -> None:
        """Lower all spines by one amount until the asked share is pruned."""
        states = [state for _, _, state in self._spines()]
        if self.prior.reach is None or not states:
            return
        sizes = torch.cat([state["theta"].flatten() for state in states])
        share = self.prior.share(max(state["step"] for state in states))
        count = math.ceil(share * sizes.numel() - 1e-9)
        depth = float(sizes.kthvalue(count).values) if count else 0.0
        if depth > 0:
            for state in states:
                state["theta"].sub_(state["sign"].abs(), alpha=depth)

    def _connect(self) -> None:
        """Write the weights of the spines, if every layer keeps some."""
        spines = self._spines()
        for name, _, state in spines:
            if not (self._allow_dead_layers or bool((state["theta"] > 0).any())):
                raise TrainingError(
                    f"step {state['step']}: the prior would kill all of layer {name!r}; choose a "
                    "smaller alpha (or reach), or leave the layer out"
                )
        for _, parameter, state in spines:
            parameter.copy_(state["sign"] * state["theta"].relu())


@torch.no_grad()
def keep_zeros(average: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Averaged state with every weight 0 that is 0 in the network now.

    Example:
        >>> network = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.eye_(network.weight)
        >>> keep_zeros({"weight": torch.tensor([[0.5, 0.5]])}, network)
        {'weight': tensor([[0.5000, 0.0000]])}
    """
    weights = {
        f"{name}.weight".lstrip("."): p.weight for name, p in prunable_layers(network).items()
    }
    return {
        name: value * (weights[name] != 0) if name in weights else value
        for name, value in average.items()
    }


def _adam(
    parameter: nn.Parameter, state: dict[str, Any], group: dict[str, Any]
) -> tuple[Tensor, float]:
    """Adam's step of a parameter, to be subtracted, and its bias-corrected learning rate."""
    assert parameter.grad is not None
    gradient = parameter.grad
    if group["weight_decay"]:
        gradient = gradient + group["weight_decay"] * parameter
    beta1, beta2 = group["betas"]
    state["step"] += 1
    state["exp_avg"].mul_(beta1).add_(gradient, alpha=1 - beta1)
    second = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    if group["amsgrad"]:
        second = torch.maximum(state["max_exp_avg_sq"], second, out=state["max_exp_avg_sq"])
    scale = second.sqrt() / math.sqrt(1 - beta2 ** state["step"]) + group["eps"]
    rate = float(group["lr"]) / (1 - beta1 ** state["step"])
    return state["exp_avg"] / scale * rate, rate


def _check_settings(lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
    for name, value in (("lr", lr), ("weight_decay", weight_decay)):
        if not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"{name}: found {value}, wanted a finite number, 0 or more")
    if not eps > 0:
        raise ConfigError(f"eps: found {eps}, wanted above 0")
    if not all(0 <= beta < 1 for beta in betas):
        raise ConfigError(f"betas: found {betas}, wanted 0 or more and below 1")
