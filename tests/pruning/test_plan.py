"""Plans keep what matters most within a budget, floors and whole multiples."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vidar_det.detector.network import build_detector, count_params
from vidar_det.detector.spec import size_spec
from vidar_det.errors import ConfigError, PruningError
from vidar_det.pruning import costs
from vidar_det.pruning.detectors import cut_detector, detector_groups
from vidar_det.pruning.groups import ChannelGroups, find_groups
from vidar_det.pruning.plan import PlanRules, PruningPlan, Target, make_plan


@pytest.fixture(scope="module")
def detector() -> tuple[nn.Module, ChannelGroups]:
    torch.manual_seed(0)
    network = build_detector(size_spec("nano")).eval()
    return network, detector_groups(network, 64, 64)


@settings(max_examples=60, deadline=None)
@given(
    share=st.floats(0.05, 1.0),
    unit=st.sampled_from(["params", "macs"]),
    floor=st.integers(1, 4),
    round_to=st.sampled_from([1, 2, 8]),
    distinct=st.integers(1, 50),
    seed=st.integers(0, 999),
)
def test_a_plan_meets_its_budget_within_one_step(
    detector, share: float, unit: str, floor: int, round_to: int, distinct: int, seed: int
) -> None:
    network, groups = detector
    model = costs.count_params(network, groups) if unit == "params" else costs.count_macs(groups)
    scores = np.random.default_rng(seed).integers(0, distinct, groups.count).astype(float)
    rules = PlanRules(floor, round_to)
    target = Target(unit, share)  # type: ignore[arg-type]
    try:
        plan = make_plan(groups, scores, model, target, rules)
    except PruningError:
        least = np.zeros(groups.count, bool)
        for family in groups.families:
            least[family.groups[: rules.widen(0, len(family.groups))]] = True
        assert model.total(least) > share * model.total()
        return

    budget = share * model.total()
    assert plan.cost == model.total(plan.kept) <= budget
    for family in plan.families:
        size, width = len(family.groups), plan.width(family)
        assert width >= min(floor, size)
        assert width == size or width % round_to == 0
        lost, kept = (family.groups[plan.kept[family.groups] == there] for there in (False, True))
        assert not len(lost) or scores[lost].max() <= scores[kept].min()
        wider = plan.kept.copy()
        wider[lost[np.argsort(-scores[lost])][: rules.widen(width + 1, size) - width]] = True
        assert width == size or model.total(wider) > budget


def test_the_same_input_gives_the_same_plan_and_ties_go_by_number(detector) -> None:
    network, groups = detector
    model = costs.count_params(network, groups)
    plans = [
        make_plan(groups, np.ones(groups.count), model, Target("params", 0.5)) for _ in range(2)
    ]
    assert np.array_equal(plans[0].kept, plans[1].kept)
    for family in plans[0].families:
        there = plans[0].kept[family.groups]
        assert np.array_equal(there, np.sort(there)[::-1])


def test_infinite_scores_stay(detector) -> None:
    network, groups = detector
    scores = np.random.default_rng(0).random(groups.count)
    scores[:40] = np.inf
    plan = make_plan(groups, scores, costs.count_params(network, groups), Target("params", 0.2))
    assert plan.kept[:40].all()


def test_a_planned_detector_has_the_planned_size(detector) -> None:
    network, groups = detector
    scores = np.random.default_rng(1).random(groups.count)
    plan = make_plan(groups, scores, costs.count_params(network, groups), Target("params", 0.3))
    narrow = cut_detector(network, groups, plan.kept)
    assert count_params(narrow) == plan.cost
    assert narrow.spec != network.spec
    assert plan.to_mapping()["cost"]["after"] == plan.cost


def test_a_plan_is_read_back_for_the_same_network_only(detector) -> None:
    network, groups = detector
    model, scores = costs.count_params(network, groups), np.random.default_rng(2).random
    plan = make_plan(groups, scores(groups.count), model, Target("params", 0.4))
    mapping = plan.to_mapping()
    del mapping["layers"]  # for people to read
    again = PruningPlan.from_mapping(mapping, groups, model)
    assert again.to_mapping() == plan.to_mapping()
    for wrong in ({"kept": [groups.count]}, {"kept": [0, 1]}, {"target": {"unit": "params"}}):
        with pytest.raises(ConfigError, match="plan"):
            PruningPlan.from_mapping(plan.to_mapping() | wrong, groups, model)


def test_a_plan_tells_the_width_of_every_layer(detector) -> None:
    network, groups = detector
    model, scores = costs.count_params(network, groups), np.random.default_rng(3).random
    plan = make_plan(groups, scores(groups.count), model, Target("params", 0.5))
    narrow = cut_detector(network, groups, plan.kept)
    for layer in plan.layers:
        weights = [one.get_parameter(f"{layer.name}.weight") for one in (network, narrow)]
        assert [len(weight) for weight in weights] == [layer.before, layer.after]
    rows = {row["name"]: row for row in plan.to_mapping()["layers"]}
    assert rows["backbone.stem.0"]["ties"] == rows["backbone.stages.0.csp.join.0"]["ties"] == ["A"]
    assert rows["head.scores.0.conv.0"]["ties"] == []


def test_groups_are_chosen_by_the_names_of_their_layers(detector) -> None:
    _, groups = detector
    assert groups.written_by(()).all()
    neck = groups.written_by(["neck.*"])
    for family in groups.families:
        whole = all(name.startswith("neck.") for name in family.layers)
        assert (neck[family.groups] == whole).all()


def test_layers_may_be_named_as_a_plan_shows_them(detector) -> None:
    _, groups = detector
    stem = groups.families[0]
    assert stem.layers == ("backbone.stem.0", "backbone.stages.0.csp.join.0")
    for names in (stem.layers, ("backbone.stem", "backbone.stages.0.csp.join")):
        assert np.array_equal(np.flatnonzero(groups.written_by(names)), stem.groups)
    assert groups.written_by(["head.*"]).any()  # what makes the output is no hindrance


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nick.*", r"found 'nick\.\*', wanted names among: backbone\.stem, backbone"),
        (
            "backbone.stem",
            r"backbone\.stem is tied to backbone\.stages\.0\.csp\.join through a skip connection",
        ),
        ("backbone.stages.0.*", r"csp\.join is tied to backbone\.stem through .*: name both"),
        ("head.scores.0.read", r"head\.scores\.0\.read makes the network's output and stays"),
    ],
)
def test_layers_that_cannot_be_chosen_are_refused(detector, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        detector[1].written_by([name])


def test_a_target_below_the_floors_names_the_least(detector) -> None:
    network, groups = detector
    with pytest.raises(
        PruningError, match=r"at least \d[\d,]* params are left \(0\.\d+ of today's"
    ):
        make_plan(
            groups,
            np.ones(groups.count),
            costs.count_params(network, groups),
            Target("params", 0.01),
            PlanRules(floor=4),
        )


def test_a_share_of_every_layer_stays_however_little_it_scores(detector) -> None:
    network, groups = detector
    model = costs.count_params(network, groups)
    scores = np.where(np.arange(groups.count) < groups.count // 2, 2.0, 1.0)
    rules = PlanRules(floor=2, floor_share=0.3)
    plan = make_plan(groups, scores, model, Target("params", 0.5), rules)
    shares = [plan.width(family) / len(family.groups) for family in plan.families]
    assert plan.cost <= 0.5 * plan.dense
    assert min(shares) >= 0.3 > min(shares) - 0.05
    with pytest.raises(PruningError, match=r"since each layer keeps 2 channels or 30% of them$"):
        make_plan(groups, scores, model, Target("params", 0.05), rules)
    with pytest.raises(ConfigError, match=r"a share in 0\.\.1"):
        PlanRules(floor_share=1.5)


def test_a_target_below_what_may_go_says_that_groups_are_held(detector) -> None:
    network, groups = detector
    scores = np.full(groups.count, np.inf)
    scores[:10] = 1.0
    held = f"keeps 1 channels and {groups.count - 10:,} of {groups.count:,} groups may not go"
    with pytest.raises(PruningError, match=held):
        make_plan(groups, scores, costs.count_params(network, groups), Target("params", 0.5))


def test_targets_are_read_from_text() -> None:
    assert Target.parse("macs=0.4") == Target("macs", 0.4)
    assert Target("params", 1000).budget(5000) == 1000
    assert Target("params", 0.5).budget(5000) == 2500


@pytest.mark.parametrize(
    "text", ["params", "params=x", "weights=0.5", "params=0", "macs=-1", "params=inf"]
)
def test_other_targets_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="target: found"):
        Target.parse(text)


def test_costs_of_another_unit_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 1, 1))
    groups = find_groups(network, torch.zeros(1, 1, 2, 2))
    with pytest.raises(ConfigError, match="found costs in macs, wanted params"):
        make_plan(groups, np.ones(2), costs.count_macs(groups), Target("params", 0.5))
