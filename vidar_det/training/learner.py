"""A phase of a recipe comes in; a network that takes its steps, and their average, go out."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import DetectorSpec
from vidar_det.errors import CheckpointError, TrainingError
from vidar_det.training.averaging import Averaged
from vidar_det.training.distributed import ALONE, Processes
from vidar_det.training.losses import LossTerms
from vidar_det.training.recipe import RecipeSpec
from vidar_det.training.simulation import Batch
from vidar_det.training.start import detector_spec
from vidar_det.training.step import Teacher, build_optimiser, learning_rate, train_step
from vidar_det.training.student import Student


def student_spec(
    recipe: RecipeSpec, student: Student | None, steps: int | None = None
) -> DetectorSpec:
    """Return the spec of what learns, with S steps if given."""
    if student is None:
        return detector_spec(recipe, steps)
    spec = student.network.spec
    return spec if steps is None else replace(spec, encoding=replace(spec.encoding, steps=steps))


class Learner:
    """Network, optimiser and averaged weights during one phase.

    Args:
        recipe: the settings.
        number: of the phase, from 0.
        start: weights to begin with; None draws fresh ones from torch's global seed.
        processes: those that share each batch.
        student: what learns; None = a network of the recipe's size.

    Attributes:
        step: steps done.
        steps: steps of the phase.
        network: what learns, in training mode.
        averaged: its average, the phase's result.
    """

    def __init__(
        self,
        recipe: RecipeSpec,
        number: int,
        start: Mapping[str, Tensor] | None = None,
        processes: Processes = ALONE,
        student: Student | None = None,
    ) -> None:
        self.recipe, self.number, self.start, self.processes = recipe, number, start, processes
        self.phase = recipe.phases[number]
        self.step, self.steps = 0, self.phase.windows // self.phase.batch
        self.network = build_detector(student_spec(recipe, student, self.phase.steps))
        if start is not None:
            self.network.load_state_dict(dict(start))
        self.network.to(processes.device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stubs miss it
        for name in student.frozen if student is not None else ():
            self.network.get_submodule(name).eval().requires_grad_(False)
        self.model = processes.join(self.network, recipe.synchronise_norms)
        self.teacher: Teacher | None = None
        if student is not None:
            self.teacher = Teacher.of(student, self.phase.steps, processes.device)
        if student is not None and student.build_optimiser is not None:
            self.optimiser = student.build_optimiser(self.network, self.steps)
        else:
            self.optimiser = build_optimiser(self.network, recipe, self.phase)
        self.attachment = None
        if student is not None and student.attach is not None:
            self.attachment = student.attach(self.network, self.optimiser, self.steps)
        # what is attached may rename parameters: whatever goes by name begins here
        self.averaged = Averaged(self.network, recipe.ema)
        self.kept: dict[str, Tensor] = {}
        if start is not None and self.phase.keep:
            self.kept = {name: value.clone() for name, value in self.averaged.state.items()}

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return learning_rate(self.phase, self.step, self.steps)

    def windows_of(self, step: int) -> range:
        """Return the windows of a step's whole batch."""
        return range(step * self.phase.batch, (step + 1) * self.phase.batch)

    def learn(self, batch: Batch) -> LossTerms:
        """Take the next step.

        Args:
            batch: this process's share of the step's windows.

        Returns:
            The loss of the whole batch and its parts.

        Raises:
            TrainingError: the loss or its gradient is not finite.
        """
        try:
            how = (self.recipe, self.rate, self.processes, self.teacher)
            terms = train_step(self.model, self.optimiser, batch, *how)
        except TrainingError as error:
            windows = self.windows_of(self.step)
            raise TrainingError(
                f"phase {self.number + 1} of {len(self.recipe.phases)}, step {self.step + 1} of "
                f"{self.steps}, windows {windows[0]} to {windows[-1]} of the phase: {error}"
            ) from error
        self.averaged.update(self.network)
        self.step += 1
        return terms

    def to_state(self) -> dict[str, Any]:
        """Give everything that ``restore`` needs.

        Raises:
            TrainingError: a weight or statistic is not finite.
        """
        for name, value in self.network.state_dict().items():
            if not value.isfinite().all():
                raise TrainingError(
                    f"phase {self.number + 1}, after step {self.step}: {name} is not finite"
                )
        return {
            "phase": self.number,
            "step": self.step,
            "start": self.start,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "averaged": self.averaged.state,
            "updates": self.averaged.updates,
            **({"attachment": self.attachment.state_dict()} if self.attachment else {}),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to where ``to_state`` was called in this phase.

        Raises:
            CheckpointError: something is attached to this run and was not to that one, or the
                other way round.
        """
        if ("attachment" in state) != (self.attachment is not None):
            found = "something" if "attachment" in state else "nothing"
            raise CheckpointError(
                f"state of phase {self.number + 1}: {found} was attached to the optimiser when it "
                "was saved, and now it is otherwise"
            )
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        device = self.processes.device
        self.averaged.state = {name: value.to(device) for name, value in state["averaged"].items()}
        self.averaged.updates, self.step = state["updates"], state["step"]
        if self.attachment is not None:
            self.attachment.load_state_dict(state["attachment"])

    def finish(self) -> dict[str, Tensor]:
        """Let go of the network and return the phase's result, on the CPU."""
        state = dict(self.averaged.state)
        for name, value in self.kept.items():
            if value.is_floating_point():
                state[name] = torch.lerp(state[name].cpu(), value.cpu(), self.phase.keep)
        result = self._ordinary(state).state_dict()
        if self.attachment is not None:
            self.attachment.finalise()
        return {name: value.cpu() for name, value in result.items()}

    def averaged_network(self) -> SpikingDetector:
        """Return a copy of the network with the averaged weights, in evaluation mode."""
        return self._ordinary(self.averaged.state).eval()

    def _ordinary(self, state: Mapping[str, Tensor]) -> SpikingDetector:
        """Copy the network, with another state and free of what is attached."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(state)
        if self.attachment is not None:
            self.attachment.finalise(network)
        return network
