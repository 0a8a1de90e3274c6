"""A batch comes in, and a network that has learned from it goes out."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from vidar_det.detector.encoding import encode
from vidar_det.detector.folding import fold
from vidar_det.detector.head import RawPredictions
from vidar_det.detector.inputs import padded_size
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.errors import TrainingError
from vidar_det.training.distillation import distillation_loss
from vidar_det.training.distributed import ALONE, Processes, bare_network
from vidar_det.training.losses import LossTerms, detection_loss
from vidar_det.training.recipe import PhaseSpec, RecipeSpec
from vidar_det.training.simulation import Batch
from vidar_det.training.student import Student


@dataclass(frozen=True)
class Teacher:
    """A network that knows, and how much its word counts.

    Attributes:
        network: in evaluation mode and folded, on the device of those that learn from it.
        weight: of its word beside the labels.
    """

    network: SpikingDetector
    weight: float

    @staticmethod
    def of(student: Student, steps: int, device: torch.device) -> "Teacher | None":
        """Return a student's teacher with S steps, ready on a device."""
        if student.teacher is None or not student.distillation:
            return None
        spec = student.teacher.spec
        network = build_detector(replace(spec, encoding=replace(spec.encoding, steps=steps)))
        network.load_state_dict(student.teacher.state_dict())
        network = fold(network).to(device)
        return Teacher(network.to(memory_format=torch.channels_last), student.distillation)  # type: ignore[call-overload]  # torch's stubs miss it

    def compare(
        self,
        inputs: Tensor,
        predictions: RawPredictions,
        recipe: RecipeSpec,
        processes: Processes,
    ) -> Tensor:
        """Tell how far predictions are from the teacher's, weighted."""
        on = inputs.device.type
        with torch.no_grad(), torch.autocast(on, torch.bfloat16, enabled=recipe.mixed_precision):
            taught = self.network(inputs)
        weights = (recipe.loss.score, recipe.loss.distribution)
        return self.weight * distillation_loss(predictions, taught, weights, processes.add_up)


def train_step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    recipe: RecipeSpec,
    rate: float,
    processes: Processes = ALONE,
    teacher: Teacher | None = None,
) -> LossTerms:
    """Take one step of the optimiser; changes network and optimiser.

    Args:
        model: the network, or what ``Processes.join`` made of it.
        optimiser: over its parameters.
        batch: this process's share of the batch.
        recipe: the loss, the clipping and the precision.
        rate: the learning rate.
        processes: those that share the batch.
        teacher: what the network learns from beside the labels.

    Returns:
        The loss of the whole batch and its parts, without gradient.

    Raises:
        TrainingError: the loss or its gradient is not finite; network and optimiser are still as
            they were, but for the running statistics of batch normalisation.
    """
    network = bare_network(model)
    terms, inputs, predictions = _judge(model, batch, recipe, processes)
    if teacher is not None:
        apart = teacher.compare(inputs, predictions, recipe, processes)
        terms = terms._replace(total=terms.total + apart)
    together = LossTerms(*processes.add_up(torch.stack([term.detach() for term in terms])))
    _refuse_infinite(together)
    optimiser.zero_grad()
    # several processes average their gradients: times their number is the sum
    torch.autograd.backward(terms.total * processes.count)
    norm = float(nn.utils.clip_grad_norm_(network.parameters(), recipe.clip))
    if not math.isfinite(norm):
        raise TrainingError(f"the gradient's norm is {norm}, wanted a finite number")
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)
    optimiser.step()
    return together


def losses_on(
    batches: Sequence[Batch], recipe: RecipeSpec
) -> Callable[[nn.Module], Iterator[Tensor]]:
    """Tell how wrong any network is on some batches, in the mode that it is in.

    Args:
        batches: windows and boxes.
        recipe: the loss and the precision.

    Returns:
        A network -> its loss on each batch, with gradient.
    """

    def losses(network: nn.Module) -> Iterator[Tensor]:
        return (_judge(network, batch, recipe, ALONE)[0].total for batch in batches)

    return losses


def _judge(
    model: nn.Module, batch: Batch, recipe: RecipeSpec, processes: Processes
) -> tuple[LossTerms, Tensor, RawPredictions]:
    network = bare_network(model)
    device = next(network.parameters()).device
    counts = batch.counts.to(device, non_blocking=True)
    targets = batch.targets.to(device)
    inputs = encode(counts, network.spec.encoding)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.mixed_precision):
        predictions = model(inputs)
    padded = padded_size(*batch.counts.shape[-2:])
    terms = detection_loss(predictions, targets, padded, recipe.loss, processes.add_up)
    return terms, inputs, predictions


def build_optimiser(
    network: nn.Module, recipe: RecipeSpec, phase: PhaseSpec
) -> torch.optim.Optimizer:
    """AdamW with decay on kernels only, never on BN or biases."""
    kernels = [value for value in network.parameters() if value.ndim > 1]
    others = [value for value in network.parameters() if value.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": kernels, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=phase.learning_rate)


def learning_rate(phase: PhaseSpec, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to 2 % of the peak.

    Example:
        >>> learning_rate(PhaseSpec(windows=1600, learning_rate=1.0), step=2, steps=100)
        1.0
    """
    warmup = max(1, round(phase.warmup * steps))
    if step < warmup:
        return phase.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return phase.learning_rate * (0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2)


def _refuse_infinite(terms: LossTerms) -> None:
    found = {name: float(value) for name, value in terms._asdict().items()}
    broken = [f"{name} = {value}" for name, value in found.items() if not math.isfinite(value)]
    if broken:
        raise TrainingError(f"the loss is no finite number ({', '.join(broken)})")
