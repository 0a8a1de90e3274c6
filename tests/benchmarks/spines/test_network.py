"""The study's neuron is SpikingJelly's, forwards and backwards, whatever lies innermost."""

import pytest
import torch
from spikingjelly.activation_based import functional, neuron, surrogate

from benchmarks.spines.network import Neurons, SpikingClassifier

STEPS = 3


def currents(memory_format: torch.memory_format) -> torch.Tensor:
    # more numbers than the kernels treat together, and no whole number of such blocks
    drawn = torch.randn(STEPS * 5, 7, 9, 11, generator=torch.Generator().manual_seed(3))
    return (2 * drawn).contiguous(memory_format=memory_format).requires_grad_()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_spikes_and_gradients_are_those_of_spikingjelly(
    memory_format: torch.memory_format,
) -> None:
    own, theirs = currents(memory_format), currents(torch.contiguous_format)
    spikes = Neurons(STEPS)(own)
    lif = neuron.LIFNode(
        tau=2.0, surrogate_function=surrogate.ATan(alpha=2.0), detach_reset=True, step_mode="m"
    )
    wanted = lif(theirs.unflatten(0, (STEPS, -1))).flatten(0, 1)
    functional.reset_net(lif)
    assert torch.equal(spikes, wanted)
    assert 0 < wanted.mean() < 1
    flowing = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(4))
    spikes.backward(flowing)
    wanted.backward(flowing)
    assert torch.allclose(own.grad, theirs.grad, rtol=1e-5, atol=1e-7)


def test_bfloat16_is_rounded_once_when_it_is_stored() -> None:
    own = currents(torch.channels_last).detach().bfloat16().requires_grad_()
    exact = own.detach().float().requires_grad_()
    spikes, wanted = Neurons(STEPS)(own), Neurons(STEPS)(exact)
    assert torch.equal(spikes.float(), wanted)
    flowing = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(4)).bfloat16()
    spikes.backward(flowing)
    wanted.backward(flowing.float())
    assert torch.equal(own.grad, exact.grad.bfloat16())


def test_pictures_become_rates() -> None:
    network = SpikingClassifier(channels=2, hidden=8, steps=STEPS)
    rates = network(torch.randn(4, 3, 32, 32))
    assert rates.shape == (4, 10)
    assert bool(((rates >= 0) & (rates <= 1)).all())
