"""A trace's name comes in; the trace that plain NumPy makes of the published formulas goes out.

The arrays have the names and the order of the stored traces: row t of states is after step t + 1,
row t of gradients, learning rates and forward weights is what step t + 1 used.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray]
EPOCHS, BATCHES, FINAL, BETA = 4, 5, 0.08, 0.05
LATE = 2
"""The epoch with which pruning begins in the traces called late."""


def make_trace(name: str) -> Arrays:
    """Make the trace of a name that the stored traces could have."""
    generator = np.random.default_rng(len(name))
    if name.startswith("gradr_"):
        kind = np.float32 if name.endswith("f32") else np.float64
        return rewire(generator, kind, amsgrad="amsgrad" in name, p=0.5 if "half" in name else 0.95)
    if name.startswith("stds_c10_"):
        return learn_plainly(generator)
    kind = name.removeprefix("stds_imagenet_trainloop_").removeprefix("lats_trainloop_")
    return train_loop(generator, kind.split("_")[0], LATE if "late" in name else 0)


def shrink(theta: NDArray, d: float) -> NDArray:
    return np.sign(theta) * np.maximum(np.abs(theta) - d, 0)


def stack(rows: dict[str, list]) -> Arrays:
    return {name: np.stack(values) for name, values in rows.items()}


def due(kind: str, step: int, epochs: int) -> float:
    """Share of D that is due after so many steps of pruning."""
    x, decay = step / (epochs * BATCHES), math.log(BETA)
    if kind == "sine":
        return (1 + math.sin(math.pi * (x - 0.5))) / 2
    if kind == "linear":
        return x
    if kind == "slats":
        return x + math.sin(math.pi * x) / math.pi
    if kind == "pgh":
        grown, turn = BETA**x, decay * math.cos(math.pi * x) + math.pi * math.sin(math.pi * x)
        above = math.pi**2 * (grown - 1) + (grown - 2) * decay**2 + grown * decay * turn
        return above / (math.pi**2 * (BETA - 1) - 2 * decay**2)
    assert kind == "lats"
    gains = [1 + math.cos(math.pi * epoch / epochs) for epoch in range(epochs)]
    each = [gain / BATCHES for gain in gains for _ in range(BATCHES)]
    return sum(each[:step]) / (epochs + 1)


def train_loop(generator: np.random.Generator, kind: str, begin: int) -> Arrays:
    """Two layers under SGD with a heavy ball and L2 on theta; a cosine set every epoch."""
    momentum, decay = 0.875, 1e-3
    start = {"1": generator.normal(0, 0.1, (4, 3, 2, 2)), "2": generator.normal(0, 0.1, (5, 4))}
    theta = {s: value.copy() for s, value in start.items()}
    speed = {s: np.zeros_like(value) for s, value in start.items()}
    names = ("theta{}", "grad{}", "w{}_forward")
    rows: dict[str, list] = {form.format(s): [] for s in start for form in names}
    rates, thresholds, d = [], [], 0.0
    for step in range(EPOCHS * BATCHES):
        rates.append(0.1 * (1 + math.cos(math.pi * (step // BATCHES) / EPOCHS)))
        for s in start:
            gradient = generator.normal(0, 0.1, start[s].shape)
            rows[f"w{s}_forward"].append(shrink(theta[s], d))
            rows[f"grad{s}"].append(gradient)
            speed[s] = momentum * speed[s] + gradient + decay * theta[s]
            theta[s] = theta[s] - rates[-1] * speed[s]
            rows[f"theta{s}"].append(theta[s])
        if (pruned := step + 1 - begin * BATCHES) > 0:
            d = FINAL * due(kind, pruned, EPOCHS - begin)
        thresholds.append(d)
    settings = {"epochs": EPOCHS, "batches": BATCHES, "D": FINAL, "beta": BETA}
    settings |= {"momentum": momentum, "weight_decay": decay}
    return {
        **{name: np.array(value) for name, value in settings.items()},
        **{f"theta{s}_init": value for s, value in start.items()},
        **{f"w{s}_final": shrink(value, d) for s, value in theta.items()},
        **stack(rows),
        "lr": np.array(rates),
        "threshold": np.array(thresholds),
    }


def adam(
    rate: float, betas: tuple[float, float], eps: float, amsgrad: bool = False
) -> Callable[[int, NDArray], tuple[NDArray, Arrays]]:
    """Adam of one parameter: step's number and gradient -> what to subtract, and the moments."""
    moments: Arrays = {}

    def move(number: int, gradient: NDArray) -> tuple[NDArray, Arrays]:
        first, second = (moments.get(name, np.zeros_like(gradient)) for name in ("m", "v"))
        moments["m"] = betas[0] * first + (1 - betas[0]) * gradient
        moments["v"] = betas[1] * second + (1 - betas[1]) * gradient**2
        moments["most"] = np.maximum(moments.get("most", moments["v"]), moments["v"])
        root = np.sqrt(moments["most" if amsgrad else "v"] / (1 - betas[1] ** number))
        return rate / (1 - betas[0] ** number) * moments["m"] / (root + eps), dict(moments)

    return move


def learn_plainly(generator: np.random.Generator) -> Arrays:
    """A 1x1 convolution under Adam whose pruned spines no longer learn; d grows as a sine."""
    count, rate, betas, eps = 30, 0.01, (0.9, 0.999), 1e-8
    start = generator.normal(0, 0.1, (6, 4))
    start[0, 0] = 0
    x = generator.normal(size=(count, 3, 4, 2, 2))
    out = generator.normal(size=(count, 3, 6, 2, 2))
    move, theta, d = adam(rate, betas, eps), start, 0.0
    names = ("w_forward", "grad_theta", "theta", "w", "mask", "threshold", "sparsity")
    rows: dict[str, list] = {name: [] for name in names}
    for step in range(count):
        dense = np.einsum("bohw,bihw->oi", out[step], x[step])
        learns = np.abs(theta) > d if step else np.ones_like(theta)  # at first the identity
        rows["w_forward"].append(shrink(theta, d))
        rows["grad_theta"].append(dense * learns)
        theta = theta - move(step + 1, dense * learns)[0]
        d = FINAL * (1 + math.sin(math.pi * ((step + 1) / count - 0.5))) / 2
        w = shrink(theta, d)
        after = {"theta": theta, "w": w, "mask": w != 0}
        after |= {"threshold": np.array(d), "sparsity": np.array((w == 0).sum() / w.size)}
        for name, value in after.items():
            rows[name].append(value)
    settings = {"lr": rate, "betas": betas, "eps": eps, "D": FINAL}
    trace = {**stack(rows), "theta0": start}
    kernels = {name: value[..., None, None] for name, value in trace.items() if value.ndim > 1}
    return {
        **trace,
        **kernels,
        **{name: np.array(value) for name, value in settings.items()},
        "x": x,
        "grad_out": out,
    }


def rewire(generator: np.random.Generator, kind: type, amsgrad: bool, p: float) -> Arrays:
    """Adam with coupled L2, the prior beside it, and signs that never change."""
    count, rate, alpha, betas, eps, decay = 40, 0.02, 0.25, (0.8, 0.99), 1e-8, 0.05
    mu = math.log(2 * (1 - p)) / alpha
    start = generator.normal(0, 0.2, (6, 5)).astype(kind)
    start[0, 0] = 0
    gradients = generator.normal(0, 1, (count, 6, 5)) * np.linspace(2, 0.1, count)[:, None, None]
    gradients = gradients.astype(kind)
    sign, theta, w = np.sign(start), np.abs(start), start
    move = adam(rate, betas, eps, amsgrad)
    names = ("w", "theta", "mask", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "sparsity")
    rows: dict[str, list] = {name: [] for name in names if amsgrad or not name.startswith("max")}
    for step in range(count):
        adams, moments = move(step + 1, gradients[step] + kind(decay) * w)
        pull = kind(alpha * rate / (1 - betas[0] ** (step + 1))) * np.sign(theta - kind(mu))
        theta = theta - sign * adams - np.abs(sign) * pull
        w = sign * np.maximum(theta, 0)
        after = {"w": w, "theta": theta, "mask": w != 0, "exp_avg": moments["m"]}
        after |= {"exp_avg_sq": moments["v"], "max_exp_avg_sq": moments["most"]}
        after |= {"sparsity": np.array((w == 0).sum() / w.size)}
        for name in rows:
            rows[name].append(after[name])
    settings = {"alpha": alpha, "s": p, "mu": mu, "betas": betas, "eps": eps}
    settings |= {"weight_decay": decay, "amsgrad": amsgrad, "lrs": [rate] * count}
    return {
        **{name: np.array(value) for name, value in settings.items()},
        **stack(rows),
        "w0": start,
        "sign0": sign,
        "grads": gradients,
    }
