"""Every trace of the published methods is reproduced: one case per file, chosen by its name.

The folder is named by VIDAR_GOLDEN_PRUNING. Row t of an array of states is after step t + 1; row t
of gradients, learning rates and forward weights is what step t + 1 used. Traces that are not stored
here are made of the formulas in plain NumPy, so that every kind is checked everywhere.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tests.pruning.made_traces import make_trace
from vidar_det.pruning.layers import measure_sparsity
from vidar_det.pruning.prior import Prior
from vidar_det.pruning.rewiring import GradientRewiring
from vidar_det.pruning.schedules import Constant, Lats, Linear, Pgh, Schedule, Sine, SLats
from vidar_det.pruning.shrinkage import SpineShrinkage
from vidar_det.pruning.soft_threshold import SoftThreshold

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("VIDAR_GOLDEN_PRUNING", ROOT.parent / "shared" / "golden" / "pruning"))
Arrays = dict[str, NDArray]


def load_paths() -> list:
    if not FOLDER.is_dir():
        reason = f"no golden traces: {FOLDER} is absent (set VIDAR_GOLDEN_PRUNING)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="absent")]
    paths = sorted(FOLDER.glob("*.npz"))
    assert paths, f"{FOLDER}: found no *.npz, wanted one or more"
    return [pytest.param(path, id=path.stem) for path in paths]


@pytest.mark.parametrize("path", load_paths())
def test_a_golden_trace_is_reproduced(path: Path) -> None:
    check = choose_check(path.stem)
    with np.load(path, allow_pickle=False) as archive:
        check(path.stem, dict(archive))


@pytest.mark.parametrize(
    "name",
    [
        "gradr_amsgrad_made_f64",
        "gradr_amsgrad_made_f32",
        "gradr_half_made_f64",
        "stds_c10_plainST_sine_adam_made",
        *(f"stds_imagenet_trainloop_{kind}_sgd_made" for kind in ("sine", "linear")),
        *(f"lats_trainloop_{kind}_made" for kind in ("slats", "lats", "pgh")),
        *(f"lats_trainloop_{kind}_made_late" for kind in ("slats", "lats", "pgh")),
    ],
)
def test_a_trace_made_of_the_formulas_is_reproduced(name: str) -> None:
    choose_check(name)(name, make_trace(name))


def choose_check(name: str) -> Callable[[str, Arrays], None]:
    checks = {
        r"gradr_.+": check_rewiring,
        r"stds_c10_(sine|linear|plainST_sine)_adam_.+": check_convolution,
        r"stds_imagenet_trainloop_(sine|linear)_sgd_.+": check_training_loop,
        r"lats_trainloop_(const|slats|lats|pgh)_.+": check_training_loop,
        r"stds_schedules": check_schedules,
        r"lats_schedules": check_schedules,
        r"stds_reparam_grid": check_grid,
    }
    found = [check for pattern, check in checks.items() if re.fullmatch(pattern, name)]
    assert len(found) == 1, f"{name}: no check is known for a trace of this name"
    return found[0]


def test_an_unknown_name_fails() -> None:
    with pytest.raises(AssertionError, match="stds_c10_cosine_adam_f64: no check is known"):
        choose_check("stds_c10_cosine_adam_f64")


def assert_equals(found: torch.Tensor, wanted: NDArray, what: str) -> None:
    """1e-12 in float64, 1e-6 in float32, exact for masks."""
    array = found.detach().numpy()
    assert array.shape == wanted.shape, what
    if wanted.dtype == bool:
        assert (array == wanted).all(), what
        return
    assert array.dtype == wanted.dtype, what
    tolerance = 1e-6 if wanted.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(array, wanted, rtol=tolerance, atol=tolerance, err_msg=what)


def hold(weight: NDArray) -> nn.Module:
    """A layer, of whatever kind fits, that has this weight."""
    rows, columns, *kernel = weight.shape
    layer = (
        nn.Conv2d(columns, rows, tuple(kernel), bias=False)
        if kernel
        else nn.Linear(columns, rows, bias=False)
    )
    layer.weight = nn.Parameter(torch.from_numpy(weight.copy()))
    return layer


def check_rewiring(name: str, trace: Arrays) -> None:
    layer = hold(trace["w0"])
    prior = Prior(float(trace["alpha"]), float(trace["s"]))
    if prior.alpha > trace["eps"]:  # otherwise there is no prior
        np.testing.assert_allclose(prior.mean, trace["mu"], rtol=1e-12)
    optimizer = GradientRewiring(
        nn.Sequential(layer),
        prior,
        betas=tuple(trace["betas"].tolist()),
        eps=float(trace["eps"]),
        weight_decay=float(trace["weight_decay"]),
        amsgrad=bool(trace["amsgrad"]),
        allow_dead_layers=True,
    )
    moments = [key for key in trace if key.endswith(("exp_avg", "exp_avg_sq"))]
    for step, gradient in enumerate(trace["grads"]):
        optimizer.param_groups[0]["lr"] = float(trace["lrs"][step])
        layer.weight.grad = torch.from_numpy(gradient)
        optimizer.step()
        state = optimizer.state[layer.weight]
        for key in ("theta", *moments):
            assert_equals(state[key], trace[key][step], f"{key} after step {step + 1}")
        check_weights(layer, trace, step)
    assert_equals(state["sign"], trace["sign0"], "sign")


def check_weights(layer: nn.Module, trace: Arrays, step: int) -> None:
    """Weights, mask and sparsity after a step."""
    assert_equals(layer.weight, trace["w"][step], f"w after step {step + 1}")
    assert_equals(layer.weight != 0, trace["mask"][step], f"mask after step {step + 1}")
    assert measure_sparsity(layer).total == trace["sparsity"][step]


def check_convolution(name: str, trace: Arrays) -> None:
    layer, count = hold(trace["theta0"]), len(trace["theta"])
    rates = np.broadcast_to(trace["lr"], count)
    optimizer = torch.optim.Adam(
        layer.parameters(), betas=tuple(trace["betas"].tolist()), eps=float(trace["eps"])
    )
    kind = Linear if "_linear_" in name else Sine
    pruning = SoftThreshold(
        layer,
        optimizer,
        kind(float(trace["D"]), count),
        plain="plainST" in name,
        allow_dead_layers=True,
    )
    spines = layer.parametrizations.weight.original
    for step in range(count):
        optimizer.param_groups[0]["lr"] = float(rates[step])
        optimizer.zero_grad()
        assert_equals(layer.weight, trace["w_forward"][step], f"w_forward in step {step + 1}")
        layer(torch.from_numpy(trace["x"][step])).backward(
            torch.from_numpy(trace["grad_out"][step])
        )
        assert_equals(spines.grad, trace["grad_theta"][step], f"grad_theta in step {step + 1}")
        optimizer.step()
        assert_equals(spines, trace["theta"][step], f"theta after step {step + 1}")
        np.testing.assert_allclose(pruning.threshold, trace["threshold"][step], rtol=1e-12)
        check_weights(layer, trace, step)


def build_schedule(name: str, trace: Arrays, start: int) -> Schedule:
    final, kind = float(trace["D"]), re.search(r"trainloop_([a-z]+)_", name)
    assert kind
    batches = int(trace["batches"])
    steps = int(trace["epochs"]) * batches - start
    match kind[1]:
        case "const":
            return Constant(final)
        case "sine":
            return Sine(final, steps)
        case "linear":
            return Linear(final, steps)
        case "slats":
            return SLats(final, steps)
        case "pgh":
            return Pgh(final, steps, float(trace["beta"]))
        case "lats":
            return Lats(final, steps // batches, batches)
    raise AssertionError(kind[1])


def first_of(trace: Arrays, *names: str) -> NDArray:
    found = [trace[name] for name in names if name in trace]
    assert found, f"found none of {names}, wanted one of them among {sorted(trace)}"
    return found[0]


def check_training_loop(name: str, trace: Arrays) -> None:
    """Feed the stored gradients and rates to two layers or one, whichever the trace has."""
    suffixes = [s for s in ("", "1", "2", "3") if {f"grad{s}", f"grad_theta{s}"} & set(trace)]
    assert suffixes
    starts = {
        s: first_of(trace, f"theta{s}_init", f"theta{s}0", f"theta0{s}", f"w{s}_init")
        for s in suffixes
    }
    layers = nn.ModuleDict({f"layer{s}": hold(starts[s]) for s in suffixes})
    spines = {s: layers[f"layer{s}"].weight for s in suffixes}
    optimizer = torch.optim.SGD(
        layers.parameters(),
        momentum=float(trace["momentum"]),
        weight_decay=float(trace["weight_decay"]),
    )
    rates = np.broadcast_to(first_of(trace, "lr", "lrs"), len(trace[f"theta{suffixes[0]}"]))
    thresholds = fill_up(trace["threshold"], len(rates))
    start = find_start(thresholds, int(trace["batches"]))
    pruning = None
    for step, rate in enumerate(rates):
        if step == start:
            schedule = build_schedule(name, trace, start)
            pruning = SoftThreshold(layers, optimizer, schedule, allow_dead_layers=True)
            if isinstance(schedule, Constant):
                check_inverse(trace, schedule.final, suffixes)
                for s in suffixes:
                    spines[s].data.copy_(torch.from_numpy(starts[s]))
        optimizer.param_groups[0]["lr"] = float(rate)
        for s in suffixes:
            forward = first_of(trace, f"w{s}_forward", f"w_forward{s}")[step]
            assert_equals(layers[f"layer{s}"].weight, forward, f"w{s} in step {step + 1}")
            spines[s].grad = torch.from_numpy(first_of(trace, f"grad{s}", f"grad_theta{s}")[step])
        optimizer.step()
        for s in suffixes:
            assert_equals(spines[s], trace[f"theta{s}"][step], f"theta{s} after step {step + 1}")
        if thresholds.size:
            threshold = pruning.threshold if pruning else 0.0
            np.testing.assert_allclose(threshold, thresholds[step], rtol=1e-12, atol=1e-15)
    check_final(trace, pruning, layers, suffixes)


def fill_up(thresholds: NDArray, steps: int) -> NDArray:
    """Thresholds of all steps: those before pruning began may have been left out."""
    return np.pad(thresholds, (steps - len(thresholds), 0)) if thresholds.size else thresholds


def find_start(thresholds: NDArray, batches: int) -> int:
    """Step with which pruning begins: the first of an epoch, whose threshold may still be 0."""
    return int(np.argmax(thresholds > 0)) // batches * batches if thresholds.size else 0


@pytest.mark.parametrize(
    ("thresholds", "start"), [([], 0), ([0.1] * 9, 0), ([0, *[0.1] * 8], 0), ([0] * 4 + [0.1], 3)]
)
def test_pruning_begins_with_an_epoch(thresholds: list[float], start: int) -> None:
    found = np.array(thresholds)
    assert find_start(found, batches=3) == start
    assert find_start(fill_up(found[start:], len(found)), batches=3) == start


def check_inverse(trace: Arrays, threshold: float, suffixes: list[str]) -> None:
    """A constant threshold starts from the spines of the weights that were there."""
    for s in suffixes:
        weight = torch.from_numpy(trace[f"w{s}_init"])
        theta = SpineShrinkage(weight, threshold).right_inverse(weight)
        assert_equals(theta, trace[f"theta{s}_init"], f"theta{s}_init")


def check_final(
    trace: Arrays, pruning: SoftThreshold | None, layers: nn.ModuleDict, suffixes: list[str]
) -> None:
    assert pruning
    pruning.finalise()
    for s in suffixes:
        if f"w{s}_final" in trace:
            weight = layers[f"layer{s}"].weight
            assert_equals(weight, trace[f"w{s}_final"], f"w{s}_final")
            assert_equals(weight != 0, trace[f"w{s}_final"] != 0, f"final mask {s}")


def check_schedules(name: str, trace: Arrays) -> None:
    count = int(trace["N"])
    for key in sorted(set(trace) - {"n", "N", "meta"}):
        if key.startswith("lats_"):
            found = lats_column(key)
        else:
            schedule = {"sine": Sine, "linear": Linear, "slats": SLats}.get(key)
            built = (
                schedule(1.0, count)
                if schedule
                else Pgh(1.0, count, float(key.removeprefix("pgh_beta")))
            )
            found = [built.threshold(int(step), 0.0) for step in trace["n"]]
        np.testing.assert_allclose(found, trace[key], rtol=1e-12, atol=1e-12, err_msg=key)


def lats_column(key: str) -> list[float]:
    """D's share at the start of each epoch (and at the end), or how much it grows in each."""
    kind, epochs = re.fullmatch(r"lats_(base|epoch_gain)_N(\d+)", key).groups()
    base = [Lats(1.0, int(epochs), 7).threshold(7 * epoch, 0.0) for epoch in range(int(epochs) + 1)]
    return base if kind == "base" else np.diff(base).tolist()


def check_grid(name: str, trace: Arrays) -> None:
    keys = sorted(set(trace) - {"x", "meta"})
    assert keys
    for key in keys:
        kind, d, column = re.fullmatch(r"softThreshold(|mod|inv)_d([\d.]+)_(y|grad)", key).groups()
        theta = torch.from_numpy(trace["x"]).requires_grad_()
        shrinkage = SpineShrinkage(theta, float(d), plain=kind == "")
        value = shrinkage.right_inverse(theta) if kind == "inv" else shrinkage(theta)
        value.sum().backward()
        found = value if column == "y" else theta.grad
        assert found is not None
        assert_equals(found, trace[key], key)
