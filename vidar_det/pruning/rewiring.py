"""Weights and their gradients come in; connections that form and vanish go out (Grad R).

Chen et al., *Pruning of Deep SNNs through Gradient Rewiring* (IJCAI 2021): a weight is a spine of
fixed sign, ``w = s max(theta, 0)``; a pruned spine (theta below 0) still receives the gradient of
its weight and may regrow with the same sign. Adam moves theta, and a Laplace prior of scale alpha
and mean mu pulls it down beside Adam, not through it.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vidar_det.errors import ConfigError, TrainingError
from vidar_det.pruning.adam import adam_step, check_settings
from vidar_det.pruning.layers import find_layers, prunable_layers
from vidar_det.pruning.prior import Prior
from vidar_det.pruning.resuming import refuse_another


class GradientRewiring(torch.optim.Optimizer):
    """Adam whose chosen weights are spines of fixed sign under a prior; all else is plain Adam.

    Use it in place of Adam. The weights are plain at all times: nothing has to be finalised, mixed
    precision scales it as any optimiser, and ``state_dict`` resumes it exactly. An average of the
    network averages its weights: `finalise` prunes it as the network is pruned now, and
    `keep_zeros` does so with its state.

    Args:
        network: any network, spiking or not.
        prior: what makes spines vanish.
        layers: names as in `prunable_layers`; None takes every convolution and fully connected
            layer.
        params: what is optimised, parameters or groups with settings of their own as for any
            optimiser; None = all parameters of the network.
        lr: learning rate.
        betas: decay of the first and second moment, 0 or more and below 1.
        eps: added to the denominator, above 0.
        weight_decay: coupled L2, added to the gradient as ``weight_decay * w``.
        amsgrad: divide by the largest second moment so far.
        allow_dead_layers: let a layer lose all its weights; otherwise that is refused.

    Raises:
        ConfigError: unknown layer names, a setting outside its range, or a weight that is frozen,
            computed, or not among ``params``.
        PruningError: another module computes with a chosen weight too.

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
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]] | None = None,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        allow_dead_layers: bool = False,
    ) -> None:
        self.prior, self._allow_dead_layers = prior, allow_dead_layers
        self._names: dict[nn.Parameter, str] = {}
        for name, layer in prunable_layers(network, layers).items():
            weight = layer._parameters.get("weight")
            if weight is None or not weight.requires_grad:
                found = "computed" if weight is None else "frozen"
                raise ConfigError(
                    f"layers: the weight of {name!r} is {found}, wanted a plain one that learns"
                )
            self._names[weight] = name
        if params is None:
            learns = [p for p in network.parameters() if p.requires_grad]
            groups = [list(self._names), [p for p in learns if p not in self._names]]
            params = [{"params": group} for group in groups if group]
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "amsgrad": amsgrad})
        held = {p for group in self.param_groups for p in group["params"]}
        for weight, name in self._names.items():
            if weight not in held:
                raise ConfigError(f"params: found no weight of {name!r}, wanted all that rewire")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimise more parameters, by plain Adam: what is rewired is settled at the start.

        Raises:
            ConfigError: a setting lies outside its range.
        """
        super().add_param_group(param_group)
        check_settings(self.param_groups[-1])

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
                move, rate = adam_step(parameter, state, group)
                if parameter in self._names:
                    self._move_spine(state, move, rate, group["eps"])
                else:
                    parameter.sub_(move)
        self._settle()
        self._connect()
        return loss

    @torch.no_grad()
    def finalise(self, other: nn.Module | None = None) -> None:
        """Nothing is to be done to the network.

        Args:
            other: a copy of it, such as an average: every weight becomes 0 that is 0 in the
                network now.
        """
        if other is not None:
            for weight, name in self._names.items():
                other.get_submodule(name).get_parameter("weight").mul_(weight != 0)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where another run stopped.

        Raises:
            CheckpointError: the state is of another optimiser, other layers or another prior.
        """
        wanted = {"rewired_layers": list(self._names.values()), "prior": repr(self.prior)}
        older = str(state_dict.get("prior")).replace("reach=None, reach_steps=1)", _NO_REACH)
        refuse_another("gradient rewiring", {**state_dict, "prior": older}, wanted)
        own = {key: state_dict[key] for key in ("state", "param_groups")}
        super().load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        """State of the optimiser, and what it rewires under which prior."""
        own = super().state_dict()
        names = list(self._names.values())
        return {**own, "rewired_layers": names, "prior": repr(self.prior)}

    def _state_of(self, parameter: nn.Parameter, group: dict[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = torch.zeros_like(parameter)
            if parameter in self._names:
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
        return [(name, p, self.state[p]) for p, name in self._names.items() if p in self.state]

    def _settle(self) -> None:
        """Move all spines by one amount if fewer are pruned than is due, or more than asked."""
        states = [state for _, _, state in self._spines()]
        if self.prior.reach is None or not states:
            return
        sizes = torch.cat([state["theta"][state["sign"] != 0] for state in states])
        total = sum(state["theta"].numel() for state in states)
        dead = total - len(sizes)  # weights that began as 0
        share = self.prior.share(max(state["step"] for state in states))
        least, most = (math.ceil(x * total - 1e-9) - dead for x in (share, self.prior.reach))
        pruned = int((sizes <= 0).sum())
        count = min(max(pruned, least), max(most, 1))
        if count in (pruned, 0):
            return
        depth = float(sizes.kthvalue(count).values)
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


_NO_REACH = "reach=None, reach_steps=None)"
"""How states name a prior without ``reach``; older ones named one step."""


@torch.no_grad()
def keep_zeros(average: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Averaged state with every weight 0 that is 0 in the network now.

    Names may begin with what a wrapper (`AveragedModel`, `DistributedDataParallel`, `compile`) puts
    before them, here or there.

    Raises:
        ConfigError: the average lacks a weight of the network.

    Example:
        >>> network = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.eye_(network.weight)
        >>> keep_zeros({"weight": torch.tensor([[0.5, 0.5]])}, network)
        {'weight': tensor([[0.5000, 0.0000]])}
    """
    weights = {_bare(f"{name}.weight"): p.weight for name, p in find_layers(network).items()}
    if missing := weights.keys() - {_bare(name) for name in average}:
        raise ConfigError(f"average: found no {min(missing)!r}, wanted a state of the network")
    return {
        name: value * (weights[_bare(name)] != 0) if _bare(name) in weights else value
        for name, value in average.items()
    }


def _bare(name: str) -> str:
    """Name of a parameter without its wrappers."""
    return re.sub(r"^(module\.|_orig_mod\.|\.)*", "", name)
