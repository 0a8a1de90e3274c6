import pytest
import torch
from spikingjelly.activation_based import functional, surrogate
from spikingjelly.activation_based.neuron import ILIFNode

from vidar_det.detector.neurons import ILIF
from vidar_det.detector.spec import NeuronSpec
from vidar_det.errors import ShapeError

CASES = [
    (1, 4, 0.25, 1.0),
    (2, 4, 0.25, 1.0),
    (4, 1, 0.5, 1.0),
    (5, 3, 0.5, 0.5),
    (3, 8, 0.75, 2.0),
]


def reference(steps: int, levels: int, decay: float, v_threshold: float) -> ILIFNode:
    return ILIFNode(
        tau=1 / (1 - decay),
        v_threshold=v_threshold,
        surrogate_function=surrogate.MultiLevelSpikeCount(levels),
        step_mode="m",
    )


@pytest.mark.parametrize(("steps", "levels", "decay", "v_threshold"), CASES)
@pytest.mark.parametrize("channels_last", [False, True])
def test_values_and_gradients_equal_spikingjelly(
    steps: int, levels: int, decay: float, v_threshold: float, channels_last: bool
) -> None:
    torch.manual_seed(0)
    ours = torch.randn(steps * 3, 5, 6, 7) * 2 * v_threshold + 0.5
    if channels_last:
        ours = ours.contiguous(memory_format=torch.channels_last)
    ours.requires_grad_()
    theirs = ours.detach().clone().contiguous().requires_grad_()
    weights = torch.randn(steps * 3, 5, 6, 7)

    fired = ILIF(NeuronSpec(levels, decay, v_threshold), steps)(ours)
    (fired * weights).sum().backward()
    node = reference(steps, levels, decay, v_threshold)
    expected = node(theirs.view(steps, 3, 5, 6, 7)).flatten(0, 1)
    (expected * weights).sum().backward()
    functional.reset_net(node)

    assert torch.equal(fired, expected)
    assert fired.unique().numel() > 1
    assert ours.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize(("steps", "levels", "decay", "v_threshold"), CASES)
def test_inference_fires_like_training(
    steps: int, levels: int, decay: float, v_threshold: float
) -> None:
    x = torch.randn(steps * 2, 3, 4, 4, requires_grad=True)
    neuron = ILIF(NeuronSpec(levels, decay, v_threshold), steps)
    trained = neuron(x)
    with torch.no_grad():
        assert torch.equal(neuron(x), trained)


def test_a_binary_neuron_fires_zeros_and_ones_only() -> None:
    fired = ILIF(NeuronSpec(levels=1), steps=2)(torch.randn(8, 4, 3, 3) * 9)
    assert set(fired.unique().tolist()) == {0.0, 1.0}


def test_the_membrane_carries_over_to_the_next_step_and_not_to_the_next_call() -> None:
    neuron = ILIF(NeuronSpec(levels=4, decay=1.0), steps=2)
    x = torch.tensor([[0.4], [0.4]])
    assert neuron(x).flatten().tolist() == [0.0, 1.0]
    assert neuron(x).flatten().tolist() == [0.0, 1.0]


def test_the_input_stays_unchanged() -> None:
    x = torch.randn(4, 2, 3, 3, requires_grad=True)
    before = x.detach().clone()
    ILIF(NeuronSpec(), steps=2)(x).sum().backward()
    assert torch.equal(x, before)


def test_rows_that_hold_no_whole_steps_are_refused() -> None:
    with pytest.raises(ShapeError, match="3 rows do not hold 2 steps"):
        ILIF(NeuronSpec(), steps=2)(torch.zeros(3, 1))
