import pytest
import torch
from spikingjelly.activation_based import functional, surrogate
from spikingjelly.activation_based.neuron import ILIFNode

from vidar_det.detector.neurons import ILIF
from vidar_det.detector.spec import NeuronSpec
from vidar_det.errors import ShapeError

PUBLISHED = NeuronSpec(levels=4, decay=0.25, v_threshold=1.0)
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
    neuron = ILIF(NeuronSpec(levels=4, decay=1.0, v_threshold=1.0), steps=2)
    x = torch.tensor([[0.4], [0.4]])
    assert neuron(x).flatten().tolist() == [0.0, 1.0]
    assert neuron(x).flatten().tolist() == [0.0, 1.0]


def test_the_input_stays_unchanged() -> None:
    x = torch.randn(4, 2, 3, 3, requires_grad=True)
    before = x.detach().clone()
    ILIF(PUBLISHED, steps=2)(x).sum().backward()
    assert torch.equal(x, before)


def test_rows_that_hold_no_whole_steps_are_refused() -> None:
    with pytest.raises(ShapeError, match="3 rows do not hold 2 steps"):
        ILIF(PUBLISHED, steps=2)(torch.zeros(3, 1))


@pytest.mark.parametrize(("steps", "levels", "decay", "v_threshold"), CASES)
def test_compiled_loops_equal_the_tensor_form(
    steps: int, levels: int, decay: float, v_threshold: float
) -> None:
    torch.manual_seed(1)
    # double precision has no loops: numbers that single precision holds exactly must agree
    coarse = torch.randint(-40, 80, (steps * 2, 3, 700)) / 16.0
    weights = torch.randint(-8, 8, coarse.shape).double()
    results = []
    for dtype in (torch.float32, torch.float64):
        x = coarse.to(dtype, copy=True).requires_grad_()
        fired = ILIF(NeuronSpec(levels, decay, v_threshold), steps)(x)
        (fired * weights.to(dtype)).sum().backward()
        assert x.grad is not None
        results.append((fired.double(), x.grad.double()))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_bfloat16_maps_are_rounded_once_when_they_are_stored() -> None:
    torch.manual_seed(2)
    neuron = ILIF(PUBLISHED, steps=3)
    short = (torch.randn(6, 5, 8, 8) * 2).bfloat16().contiguous(memory_format=torch.channels_last)
    grads = torch.randn(6, 5, 8, 8).bfloat16()
    x, exact = short.clone().requires_grad_(), short.float().requires_grad_()
    fired, expected = neuron(x), neuron(exact)
    fired.backward(grads)
    expected.backward(grads.float())
    assert fired.dtype == torch.bfloat16
    assert torch.equal(fired.float(), expected)
    assert x.grad is not None
    assert exact.grad is not None
    assert torch.equal(x.grad, exact.grad.bfloat16())


def test_several_threads_give_what_one_gives() -> None:
    neuron = ILIF(PUBLISHED, steps=2)
    x = torch.randn(4, 3, 50, 50) * 2
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            source = x.clone().requires_grad_()
            neuron(source).square().sum().backward()
            found.append(source.grad)
    finally:
        torch.set_num_threads(before)
    assert found[0] is not None
    assert found[1] is not None
    assert torch.equal(found[0], found[1])


def test_a_number_that_is_none_shows_in_the_spikes() -> None:
    x = torch.tensor([[0.5], [float("nan")]], requires_grad=True)
    assert ILIF(PUBLISHED, steps=2)(x).isnan().flatten().tolist() == [False, True]


def test_maps_with_gaps_in_memory_are_taken() -> None:
    wide = torch.randn(4, 3, 8, 8) * 2
    neuron = ILIF(PUBLISHED, steps=2)
    gappy = wide[..., ::2].requires_grad_()
    dense = wide[..., ::2].detach().contiguous().requires_grad_()
    assert torch.equal(neuron(gappy), neuron(dense))
    torch.autograd.backward(neuron(gappy).sum().expand(2, 3).sum())
    torch.autograd.backward(neuron(dense).sum().expand(2, 3).sum())
    assert torch.equal(gappy.grad, dense.grad)  # type: ignore[arg-type]
