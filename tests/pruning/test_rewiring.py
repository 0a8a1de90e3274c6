"""Connections form and vanish under gradient rewiring, and a run resumes exactly."""

import copy
import math

import pytest
import torch
from torch import nn

from tests.pruning.little_training import build_network, train
from vidar_det.errors import CheckpointError, ConfigError, TrainingError
from vidar_det.pruning.layers import measure_sparsity
from vidar_det.pruning.prior import Prior
from vidar_det.pruning.rewiring import GradientRewiring, keep_zeros

STEPS = 8


@pytest.mark.parametrize("amsgrad", [False, True])
def test_without_spines_in_danger_it_is_adam(amsgrad: bool) -> None:
    networks = build_network(), build_network()
    settings = {"lr": 1e-3, "weight_decay": 0.1, "amsgrad": amsgrad}
    with torch.no_grad():
        for network in networks:
            for layer in (network[0], network[4]):
                layer.weight.add_(layer.weight.sign())
    train(networks[0], GradientRewiring(networks[0], Prior(alpha=0.0), **settings), 0, STEPS)
    train(networks[1], torch.optim.Adam(networks[1].parameters(), **settings), 0, STEPS)
    for ours, adams in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(ours, adams, rtol=1e-12, atol=1e-14)


def test_a_pruned_spine_regrows_with_its_own_sign_only() -> None:
    network = nn.Linear(1, 2, bias=False)
    nn.init.constant_(network.weight, -0.1)
    with torch.no_grad():
        network.weight[1] = -9.0
    optimizer = GradientRewiring(network, Prior(alpha=0.0), lr=0.15)
    weights = []
    for gradient in (-1.0, 1.0, 1.0, 1.0):
        network.weight.grad = torch.tensor([[gradient], [0.0]])
        optimizer.step()
        weights.append(network.weight[0].item())
    assert weights[0] == 0.0
    assert weights[-1] < 0
    assert max(weights) == 0.0


def test_weights_of_zero_stay_zero_and_signs_never_change() -> None:
    network = build_network()
    with torch.no_grad():
        network[4].weight[0, :5] = 0
    signs = network[4].weight.sign()
    optimizer = GradientRewiring(network, Prior(alpha=0.3), lr=0.01)
    train(network, optimizer, 0, STEPS)
    weight = network[4].weight
    assert (weight[0, :5] == 0).all()
    assert ((weight == 0) | (weight.sign() == signs)).all()
    assert 5 < int((weight == 0).sum()) < weight.numel()


def test_only_the_named_layers_are_rewired() -> None:
    network = build_network()
    train(network, GradientRewiring(network, Prior(alpha=0.3), ["4"], lr=0.01), 0, STEPS)
    conv, linear = measure_sparsity(network).layers
    assert conv.zeros == 0
    assert linear.zeros > 0


def count_zeros(network: nn.Module) -> int:
    return sum(layer.zeros for layer in measure_sparsity(network).layers)


@pytest.mark.parametrize("alpha", [0.0, 1e-3, 0.3])
def test_the_asked_sparsity_is_reached_in_time_and_held(alpha: float) -> None:
    network = build_network()
    prior = Prior(alpha=alpha, reach=0.75, reach_steps=STEPS)
    optimizer = GradientRewiring(network, prior, lr=1e-2)
    masks = set()
    train(network, optimizer, 0, STEPS)
    for step in range(STEPS, 100):
        assert count_zeros(network) == 63  # of 36 + 48
        masks.add(tuple((network[4].weight != 0).flatten().tolist()))
        train(network, optimizer, step, step + 1)
    assert len(masks) > 1


def test_alpha_is_at_work_while_a_sparsity_is_reached() -> None:
    def zeros_on_the_way(alpha: float) -> list[int]:
        network = build_network()
        prior = Prior(alpha=alpha, reach=0.75, reach_steps=50)
        optimizer = GradientRewiring(network, prior, lr=1e-2)
        zeros = []
        for step in range(60):
            train(network, optimizer, step, step + 1)
            zeros.append(count_zeros(network))
        return zeros

    due = [math.ceil(84 * 0.75 * (1 - max(0, 1 - n / 50) ** 3) - 1e-9) for n in range(1, 61)]
    weak, strong = zeros_on_the_way(0.0), zeros_on_the_way(0.5)
    for zeros in (weak, strong):
        assert all(wanted <= found <= 63 for found, wanted in zip(zeros, due, strict=True))
    assert sum(weak) < sum(strong)
    assert strong.index(63) < weak.index(63) <= 49


@pytest.mark.parametrize(("reach", "zeros"), [(0.5, 42), (0.1, 33)])
def test_weights_that_began_as_zero_count_and_stay(reach: float, zeros: int) -> None:
    network = build_network()
    with torch.no_grad():
        network[4].weight[:2] = 0  # 32 of 84
    optimizer = GradientRewiring(network, Prior(reach=reach, reach_steps=4), lr=1e-2)
    train(network, optimizer, 0, 100)
    assert count_zeros(network) == zeros
    assert (network[4].weight[:2] == 0).all()


@pytest.mark.parametrize("prior", [Prior(alpha=0.3), Prior(reach=0.5, reach_steps=STEPS)])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_by_bit(prior: Prior) -> None:
    whole = build_network()
    optimizer = GradientRewiring(whole, prior, lr=0.01, amsgrad=True)
    train(whole, optimizer, 0, 4)
    saved = copy.deepcopy((whole.state_dict(), optimizer.state_dict()))
    train(whole, optimizer, 4, STEPS)
    resumed = build_network()
    second = GradientRewiring(resumed, prior, lr=0.5, amsgrad=True)
    resumed.load_state_dict(saved[0])
    second.load_state_dict(saved[1])
    train(resumed, second, 4, STEPS)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])


def test_resuming_from_another_optimiser_or_prior_is_refused() -> None:
    network = build_network()
    optimizer = GradientRewiring(network, Prior())
    adam = torch.optim.Adam(network.parameters()).state_dict()
    with pytest.raises(CheckpointError, match="rewired_layers: found None"):
        optimizer.load_state_dict(adam)
    with pytest.raises(CheckpointError, match="prior: found Prior"):
        optimizer.load_state_dict(GradientRewiring(network, Prior(alpha=0.5)).state_dict())
    with pytest.raises(CheckpointError, match=r"found \['0'\], wanted \['0', '4'\]"):
        optimizer.load_state_dict(GradientRewiring(network, Prior(), ["0"]).state_dict())


def test_a_state_from_before_reach_needed_its_steps_is_resumed() -> None:
    optimizer = GradientRewiring(build_network(), Prior())
    older = optimizer.state_dict()
    older["prior"] = "Prior(alpha=0.001, p=0.95, reach=None, reach_steps=1)"
    for group, rewired in zip(older["param_groups"], (True, False), strict=True):
        group["rewired"] = rewired
    optimizer.load_state_dict(older)
    with pytest.raises(CheckpointError, match="prior: found Prior"):
        GradientRewiring(build_network(), Prior(p=0.9)).load_state_dict(older)


def test_groups_have_settings_of_their_own() -> None:
    ours, adams = build_network(), build_network()

    def groups(network: nn.Sequential) -> list[dict]:
        return [
            {"params": [network[0].weight, network[1].bias], "lr": 1e-2},
            {"params": [network[4].weight, network[4].bias], "weight_decay": 0.5, "lr": 1e-5},
        ]

    optimizer = GradientRewiring(
        ours, Prior(alpha=0.0), ["4"], params=groups(ours), weight_decay=0.1
    )
    plain = torch.optim.Adam(groups(adams), weight_decay=0.1)
    optimizer.add_param_group({"params": [ours[1].weight], "lr": 0.5})
    plain.add_param_group({"params": [adams[1].weight], "lr": 0.5})
    train(ours, optimizer, 0, 2)
    train(adams, plain, 0, 2)
    for one, other in zip(ours.parameters(), adams.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
    with pytest.raises(ConfigError, match="lr: found -1"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))], "lr": -1.0})


def test_a_weight_that_would_not_learn_is_refused() -> None:
    network = build_network()
    with pytest.raises(ConfigError, match="params: found no weight of '4'"):
        GradientRewiring(network, Prior(), params=network[0].parameters())
    network[0].requires_grad_(False)
    with pytest.raises(ConfigError, match="the weight of '0' is frozen"):
        GradientRewiring(network, Prior())
    GradientRewiring(network, Prior(), ["4"])


def test_a_prior_that_would_kill_a_layer_is_refused_and_its_weights_stay() -> None:
    network = build_network()
    before = network[0].weight.detach().clone()
    optimizer = GradientRewiring(network, Prior(alpha=1e6), lr=0.01)
    with pytest.raises(TrainingError, match="step 1: the prior would kill all of layer '0'"):
        train(network, optimizer, 0, 1)
    assert torch.equal(network[0].weight, before)
    optimizer = GradientRewiring(network, Prior(alpha=1e6), lr=0.01, allow_dead_layers=True)
    train(network, optimizer, 0, 1)
    assert measure_sparsity(network).total == 1


def test_an_average_is_pruned_as_the_network_is() -> None:
    network = build_network()
    optimizer = GradientRewiring(network, Prior(alpha=0.3), ["4"], lr=0.01)
    wrapped = torch.optim.swa_utils.AveragedModel(network)
    train(network, optimizer, 0, STEPS)
    zeros = network[4].weight == 0
    assert zeros.any()
    average = wrapped.module.state_dict()
    for pruned in (
        keep_zeros(average, network),
        keep_zeros(average, torch.optim.swa_utils.AveragedModel(network)),
        {
            name.removeprefix("module."): value
            for name, value in keep_zeros(wrapped.state_dict(), network).items()
        },
    ):
        assert torch.equal(pruned["4.weight"] == 0, zeros)
        assert torch.equal(pruned["1.weight"], average["1.weight"])
    optimizer.finalise(wrapped.module)
    assert torch.equal(wrapped.module[4].weight == 0, zeros)
    assert (wrapped.module[0].weight != 0).all()
    with pytest.raises(ConfigError, match=r"average: found no '4\.weight'"):
        keep_zeros({"0.weight": average["0.weight"]}, network)


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: Prior(alpha=-1.0), "alpha"),
        (lambda: Prior(p=0.4), "p"),
        (lambda: Prior(reach=1.0), "reach"),
        (lambda: Prior(reach=0.5, reach_steps=0), "reach_steps"),
        (lambda: Prior(reach=0.5), "reach_steps"),
        (lambda: Prior(reach_steps=5), "reach_steps"),
        (lambda: GradientRewiring(build_network(), Prior(), lr=-1.0), "lr"),
        (lambda: GradientRewiring(build_network(), Prior(), eps=0.0), "eps"),
        (lambda: GradientRewiring(build_network(), Prior(), betas=(0.9, 1.0)), "betas"),
        (lambda: GradientRewiring(build_network(), Prior(), ["head"]), "layers"),
    ],
)
def test_bad_settings_are_refused_by_name(build, word: str) -> None:
    with pytest.raises(ConfigError, match=f"^{word}: found"):
        build()
