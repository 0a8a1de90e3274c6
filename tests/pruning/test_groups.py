"""Which channels stand or fall together, and what cannot be followed."""

import re
from collections.abc import Callable

import pytest
import torch
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn
from torch.nn import functional

from vidar_det.detector.network import build_detector
from vidar_det.detector.spec import size_spec
from vidar_det.errors import PruningError
from vidar_det.pruning.groups import STAYS, ChannelGroups, find_groups


class Wired(nn.Module):
    """Two convolutions of four channels, one to read them, and what a test does with them."""

    def __init__(self, then: Callable[["Wired", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 1), nn.Conv2d(1, 4, 1)
        self.gate = nn.Parameter(torch.ones(1, 4, 1, 1))
        self.read, self.read_both = nn.Conv2d(4, 1, 1), nn.Conv2d(8, 1, 1)
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self, x)


def of(groups: ChannelGroups, name: str) -> list[int]:
    return next(layer.outs.tolist() for layer in groups.layers if layer.name == name)


def inputs(groups: ChannelGroups, name: str) -> list[int]:
    ins = next(layer.ins for layer in groups.layers if layer.name == name)
    assert ins is not None
    return ins.tolist()


def find(then: Callable[[Wired, Tensor], Tensor]) -> ChannelGroups:
    return find_groups(Wired(then), torch.zeros(1, 1, 4, 4))


def add(net: Wired, x: Tensor) -> Tensor:
    return net.read(net.first(x) + net.second(x))


def test_channels_that_are_added_make_one_group() -> None:
    groups = find(add)
    assert groups.count == 4
    assert of(groups, "first") == of(groups, "second") == [0, 1, 2, 3]
    assert [family.layers for family in groups.families] == [("first", "second")]


def test_concatenated_channels_stay_free_and_keep_their_offsets() -> None:
    groups = find(lambda net, x: net.read_both(torch.cat((net.first(x), net.second(x)), 1)))
    assert groups.count == 8
    assert inputs(groups, "read_both") == [*of(groups, "first"), *of(groups, "second")]


def test_channels_of_the_output_stay() -> None:
    assert of(find(add), "read") == [STAYS]


def test_a_factor_and_a_layer_that_runs_twice_tie_what_they_meet() -> None:
    groups = find(
        lambda net, x: net.read(functional.relu(net.first(x)) * net.gate) + net.read(net.second(x))
    )
    assert of(groups, "first") == of(groups, "second") == of(groups, "gate")


def test_channels_that_are_indexed_by_number_stay() -> None:
    groups = find(
        lambda net, x: net.read(torch.cat((net.first(x)[:, :2], net.second(x)[:, 2:]), 1))
    )
    assert groups.count == 0
    assert of(groups, "first") == [STAYS] * 4


def test_arguments_may_be_named() -> None:
    groups = find(
        lambda net, x: net.read(
            input=torch.add(functional.relu(input=net.first(input=x)), other=net.second(x))
        )
    )
    assert of(groups, "first") == of(groups, "second") == inputs(groups, "read") == [0, 1, 2, 3]


def test_a_loop_over_steps_may_begin_its_sum_with_0() -> None:
    def loop(net: Wired, x: Tensor) -> Tensor:
        out = 0
        for _ in range(3):
            out = out + net.read(net.first(x))
        return out / 3

    groups = find(loop)
    assert groups.count == 4
    assert next(layer.places for layer in groups.layers if layer.name == "read") == 3 * 16


@pytest.mark.parametrize(
    "then",
    [
        lambda net, x: net.read(net.first(x).repeat(3, 1, 1, 1)),
        lambda net, x: net.read(net.first(x).repeat_interleave(3, dim=0)),
        lambda net, x: net.read(net.first(x).unsqueeze(0).expand(3, -1, -1, -1, -1).flatten(0, 1)),
        lambda net, x: net.read(functional.pad(net.first(x), (1, 0, 2, 1))),
        lambda net, x: net.read(functional.pad(net.first(x), (1, 1, 1, 1), mode="reflect")),
        lambda net, x: net.read(functional.pad(net.first(x)[None], [0] * 7 + [2]).flatten(0, 1)),
        lambda net, x: net.read(net.first(x) ** 2),
        lambda net, x: net.read(functional.avg_pool1d(net.first(x).flatten(2), 4)[..., None]),
        lambda net, x: net.read(net.first((x - 0.5).sigmoid())),
    ],
    ids=[
        "repeat",
        "repeat_interleave",
        "expand",
        "pad",
        "reflect",
        "pad_time",
        "pow",
        "avg_pool1d",
        "input",
    ],
)
def test_channels_are_followed_through(then: Callable[[Wired, Tensor], Tensor]) -> None:
    groups = find(then)
    assert of(groups, "first") == inputs(groups, "read") == [0, 1, 2, 3]


def test_channels_that_are_repeated_go_together() -> None:
    groups = find(lambda net, x: net.read_both(net.first(x).repeat(1, 2, 1, 1)))
    assert inputs(groups, "read_both") == 2 * of(groups, "first") == [0, 1, 2, 3] * 2


def test_zeros_beside_channels_stay() -> None:
    groups = find(lambda net, x: net.read_both(functional.pad(net.first(x), (0, 0, 0, 0, 1, 3))))
    assert inputs(groups, "read_both") == [STAYS, 0, 1, 2, 3, STAYS, STAYS, STAYS]


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_what_only_the_output_sees_stays_whatever_becomes_of_it(step_mode: str) -> None:
    how = {"step_mode": step_mode}
    network = nn.Sequential(
        *(layer.Linear(6, 8, **how), neuron.LIFNode(**how)),
        *(layer.Linear(8, 20, **how), neuron.LIFNode(**how), layer.VotingLayer(10, **how)),
        nn.Softmax(-1),
    )
    groups = find_groups(network, torch.zeros((3, 1, 6) if step_mode == "m" else (1, 6)))
    assert groups.count == 8
    assert of(groups, "2") == [STAYS] * 20


def branch(net: Wired, x: Tensor) -> Tensor:
    h = net.first(x)
    return net.read(h if h.sum() > 0 else -h)


def check(net: Wired, x: Tensor) -> Tensor:
    h = net.first(x)
    assert h.shape[1] == 4
    return net.read(h)


def unbind(net: Wired, x: Tensor) -> Tensor:
    return torch.stack([net.read(h) for h in net.first(x).unbind(0)])


def to_numpy(net: Wired, x: Tensor) -> Tensor:
    return net.read(torch.from_numpy(net.first(x).numpy()))


def set_item(net: Wired, x: Tensor) -> Tensor:
    h = net.first(x)
    h[:, 0] = 0
    return net.read(h)


def measure(net: Wired, x: Tensor) -> Tensor:
    h = net.first(x)
    return torch.stack([net.read(h) for _ in range(len(h))])


def wrong_size(net: Wired, x: Tensor) -> Tensor:
    return net.read(net.first(x).reshape(3, 7))


@pytest.mark.parametrize(
    ("then", "message"),
    [
        (lambda net, x: net.read(torch.sigmoid(net.first(x))), "'sigmoid'"),
        (lambda net, x: net.read(net.first(x) + 1), "add of a number"),
        (lambda net, x: net.read(net.first(x) ** 0), "pow with these numbers"),
        (lambda net, x: net.read(1 / net.first(x)), "truediv by channels"),
        (lambda net, x: net.read(functional.pad(net.first(x), (1, 1), value=1.0)), "pad, other"),
        (
            lambda net, x: net.read(net.first(x).mean(1, keepdim=True).expand(-1, 4, -1, -1)),
            "mean over channels",
        ),
        (lambda net, x: net.read(net.first(x) * float(net.second(x).max())), "float"),
        (branch, r"Wired: cannot be traced: .*control flow.*in branch: .* if h\.sum\(\) > 0"),
        (check, r"control flow.*in check: assert h\.shape\[1\] == 4"),
        (unbind, r"cannot be iterated.*for h in net\.first\(x\)\.unbind\(0\)"),
        (to_numpy, r"np\.ndarray.*in to_numpy: "),
        (set_item, r"item assignment.*in set_item: h\[:, 0\] = 0"),
        (measure, r"'len' is not supported.*in measure: .*range\(len\(h\)\)"),
        (wrong_size, r"reshape: cannot be followed on the example: .*'\[3, 7\]' is invalid"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_line(
    then: Callable[[Wired, Tensor], Tensor], message: str
) -> None:
    with pytest.raises(PruningError, match=message) as caught:
        find(then)
    assert re.search(r'\(File ".*test_groups\.py", line \d+, in ', str(caught.value))
    assert "tlparse" not in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (4, 4)])
def test_an_example_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PruningError, match=r"first: cannot be followed on the example: .*line"):
        find_groups(Wired(add), torch.zeros(shape))


def test_layers_that_share_a_weight_are_refused() -> None:
    network = Wired(add)
    network.second.weight = network.first.weight
    with pytest.raises(PruningError, match="first and second share a weight"):
        find_groups(network, torch.zeros(1, 1, 4, 4))


def test_a_module_that_mixes_channels_is_refused_by_name() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.GroupNorm(2, 4), nn.Conv2d(4, 1, 1))
    with pytest.raises(PruningError, match=r"the module GroupNorm \(1\)"):
        find_groups(network, torch.zeros(1, 1, 4, 4))


def test_a_module_the_user_vouches_for_is_followed() -> None:
    class Own(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x > 1, 1.0, 0.0)

    network = nn.Sequential(nn.Conv2d(1, 4, 1), Own(), nn.Conv2d(4, 1, 1))
    assert find_groups(network, torch.zeros(1, 1, 4, 4), leaves=(Own,)).count == 4


def test_a_neuron_with_a_state_is_reset_first() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 1), neuron.LIFNode(), nn.Conv2d(4, 1, 1))
    network(torch.zeros(1, 1, 4, 4))
    with pytest.raises(PruningError, match="must be reset first"):
        find_groups(network, torch.zeros(1, 1, 4, 4))


def test_a_detector_is_tied_through_its_skip_connections_alone() -> None:
    network = build_detector(size_spec("small"))
    groups = find_groups(network, torch.zeros(2, 2, 64, 64))
    tied = {
        family.layers: len(family.groups) for family in groups.families if len(family.layers) > 1
    }
    stages = [f"backbone.stages.{stage}" for stage in range(4)]
    writes = ["backbone.stem.0", *(f"{stage}.down.0" for stage in stages[1:])]
    streams = {
        (down, f"{stage}.csp.join.0"): width.out
        for down, stage, width in zip(writes, stages, network.spec.stages, strict=True)
    }
    assert streams.items() <= tied.items()
    others = tied.keys() - streams.keys()
    assert all(layers[0].endswith("main.0") for layers in others)
    assert all(name.endswith("conv_out.0") for layers in others for name in layers[1:])
