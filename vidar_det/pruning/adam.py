"""A gradient comes in; the step that Adam would take goes out (Kingma and Ba, ICLR 2015)."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from vidar_det.errors import ConfigError


def adam_step(
    parameter: nn.Parameter, state: dict[str, Any], group: dict[str, Any]
) -> tuple[Tensor, float]:
    """Adam's step of a parameter, to be subtracted, and its bias-corrected learning rate.

    Args:
        parameter: has a gradient.
        state: of the optimiser; its moments go on.
        group: settings of the parameter's group.
    """
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


def check_settings(group: dict[str, Any]) -> None:
    """Refuse settings of a group outside their range; raises ConfigError."""
    for name in ("lr", "weight_decay"):
        if not (math.isfinite(group[name]) and group[name] >= 0):
            raise ConfigError(f"{name}: found {group[name]}, wanted a finite number, 0 or more")
    if not group["eps"] > 0:
        raise ConfigError(f"eps: found {group['eps']}, wanted above 0")
    if not all(0 <= beta < 1 for beta in group["betas"]):
        raise ConfigError(f"betas: found {group['betas']}, wanted 0 or more and below 1")
