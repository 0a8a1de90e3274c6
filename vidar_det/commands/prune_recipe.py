"""A recipe or a dataset comes in; the recipes of a pruning run's two stages go out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from vidar_det.detector.spec import DetectorSpec
from vidar_det.errors import ConfigError
from vidar_det.training.recipe import (
    ComposedMix,
    ModelSpec,
    PhaseSpec,
    RecipeSpec,
    RecordingMix,
    read_recipe,
)

Mix = TypeVar("Mix", ComposedMix, RecordingMix)


@dataclass(frozen=True)
class Lessons:
    """How long a network learns while it is pruned, and from what.

    Attributes:
        recipe: recipe file whose data and loss are used; None = none.
        data: dataset of labelled recordings, instead of a recipe.
        windows: examples seen, both stages together; 0 cuts at once.
        threshold_share: share of them that is seen while a threshold on the spines rises; 0 = none,
            and the plan is made before anything is learned.
        learning_rate: peak of each stage's cosine.
        scale: size of the picture relative to the recipe's.
        seed: decides the data.

    Raises:
        ConfigError: both or neither are given where windows are wanted, or a number lies outside
            its range.
    """

    recipe: Path | None = None
    data: Path | None = None
    windows: int = 64_000
    threshold_share: float = 0.0
    learning_rate: float = 1e-3
    scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.recipe is not None and self.data is not None:
            raise ConfigError("prune: found a recipe and a dataset, wanted one of them")
        if self.windows and self.recipe is None and self.data is None:
            raise ConfigError(
                "prune: found nothing to learn from, wanted a recipe, a dataset, or one shot"
            )
        if self.windows < 0 or not 0 <= self.threshold_share < 1:
            raise ConfigError(
                f"prune: found windows {self.windows}, threshold_share {self.threshold_share}; "
                "wanted >= 0, from 0 to below 1"
            )

    def stages(self, spec: DetectorSpec) -> tuple[RecipeSpec, RecipeSpec] | None:
        """Return the recipes of the threshold and of the fine-tuning; None without data."""
        whole = self._whole(spec)
        if whole is None:
            return None
        phase = replace(
            whole.phases[-1],
            steps=spec.encoding.steps,
            scale=self.scale,
            learning_rate=self.learning_rate,
        )
        batch = phase.batch
        first = round(self.windows * self.threshold_share) // batch * batch
        rest = self.windows - first
        return tuple(
            replace(
                whole,
                phases=(replace(phase, windows=max(batch, windows)),),
                seed=self.seed + stage,
            )
            for stage, windows in enumerate((first, rest))
        )  # type: ignore[return-value]  # of two

    def _whole(self, spec: DetectorSpec) -> RecipeSpec | None:
        model = ModelSpec(classes=spec.classes, neuron=spec.neuron, encoding=spec.encoding)
        if self.data is not None:
            mix = RecordingMix(folders=(str(self.data.absolute()),))
            phase = PhaseSpec(windows=1, recordings_share=1.0)
            return RecipeSpec(phases=(phase,), model=model, recordings=(mix,))
        if self.recipe is None:
            return None
        recipe = read_recipe(self.recipe)
        if recipe.model.classes != spec.classes:
            raise ConfigError(
                f"{self.recipe}: found classes {recipe.model.classes}, wanted the network's, "
                f"{spec.classes}"
            )
        last = len(recipe.phases) - 1
        return replace(
            recipe,
            phases=(replace(recipe.phases[-1], keep=0.0),),
            model=model,
            composed=_of_phase(recipe.composed, last),
            recordings=_of_phase(recipe.recordings, last),
            validation=None,
        )


def _of_phase(mixes: tuple[Mix, ...], phase: int) -> tuple[Mix, ...]:
    """Keep the sources that a phase draws from."""
    kept = (mix for mix in mixes if not mix.phases or phase in mix.phases)
    return tuple(replace(mix, phases=()) for mix in kept)
