"""A recipe file comes in, frozen settings of a training run come out."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from vidar_det.config import build_spec
from vidar_det.datasets.reading import DataFormat, LabelFlip, ReadingSpec
from vidar_det.detector.spec import DEFAULT_CLASSES, EncodingSpec, NeuronSpec
from vidar_det.errors import ConfigError, SourceError
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.sidecar import Flip, Layout, RecordingOptions
from vidar_det.training.losses import LossSpec


@dataclass(frozen=True)
class ModelSpec:
    """Which network is trained.

    Attributes:
        size: ``nano``, ``small`` or ``medium``; with ``weights``, theirs counts.
        weights: what training starts from: a name, folder or checkpoint file; empty = from nothing.
            The network has their widths, pruned ones too, and their classes are matched by name.
        classes: names, in the order of class ids.
        neuron: the neuron; None = that of ``weights``, or the default.
        encoding: bins and steps of the finished network.
    """

    size: str = "nano"
    weights: str = ""
    classes: tuple[str, ...] = DEFAULT_CLASSES
    neuron: NeuronSpec | None = None
    encoding: EncodingSpec = field(default_factory=EncodingSpec)


@dataclass(frozen=True)
class ComposedMix:
    """Composed scenes as a source of windows.

    Attributes:
        weight: how often it is drawn, relative to the other sources.
        sprites: folder of sprites; empty = drawn by our own code.
        backgrounds: folder of backgrounds; empty = drawn by our own code.
        split: split of the folders that have splits; empty = all.
        clutter: drawn distractors that join the sprites of a folder.
        procedural_sprites: sprites drawn per class when there is no folder.
        procedural_backgrounds: backgrounds drawn when there is no folder.
        scene: what the scenes look like.
        phases: numbers of the phases, from 0, that draw from this source; empty = all.
    """

    weight: float = 1.0
    sprites: str = ""
    backgrounds: str = ""
    split: str = ""
    clutter: int = 0
    procedural_sprites: int = 64
    procedural_backgrounds: int = 64
    scene: SceneSpec = field(default_factory=SceneSpec)
    phases: tuple[int, ...] = ()


@dataclass(frozen=True)
class FootageMix:
    """Labelled footage as a source of windows.

    Attributes:
        weight: how often it is drawn, relative to the other sources.
        folders: each with an ``annotations.json``.
        split: which scenes.
        interval_s: lowest and highest sensor time that one frame interval takes, seconds;
            shorter is faster motion.
        light_at_white: lowest and highest firing rate of a white surface, spikes per readout.
        zoom: smallest and largest magnification; 1 just fills the sensor.
        still_share: share of windows from stills, where there are both stills and clips.
        every: of neighbouring frames, each so manieth pair is used.
    """

    weight: float = 1.0
    folders: tuple[str, ...] = ()
    split: str = "train"
    interval_s: tuple[float, float] = (0.0065, 0.08)
    light_at_white: tuple[float, float] = (0.06, 1.3)
    zoom: tuple[float, float] = (0.9, 2.0)
    still_share: float = 0.6
    every: int = 3


@dataclass(frozen=True, kw_only=True)
class FolderReading:
    """How the folders of labelled recordings are read, whatever they are for.

    Attributes:
        format: their layout; ``auto`` recognises it.
        classes: the net's classes by the datasets', ``vehicle=car+bus,person``; empty = by name.
        label_flip: what turns their labels onto the picture, as ``ReadingSpec`` says.
        flip: what makes their planes upright; ``auto`` and None leave it to what lies beside them.
        layout: how planes are stored.
        width: pixels.
        height: pixels.
    """

    format: DataFormat = "auto"
    classes: str = ""
    label_flip: LabelFlip = "auto"
    flip: Flip = "auto"
    layout: Layout = "auto"
    width: int | None = None
    height: int | None = None

    def reading(self, window: int) -> ReadingSpec:
        """Say it as the readers want it, for windows of so many planes."""
        options = RecordingOptions(self.width, self.height, self.layout, self.flip)
        return ReadingSpec(self.format, options, self.label_flip, window)


@dataclass(frozen=True)
class RecordingMix(FolderReading):
    """Labelled recordings as a source of windows.

    Attributes:
        folders: datasets: with a ``dataset.toml``, in the layout of PKU-Vidar-DVS, or MOT15 scenes.
        weight: how often it is drawn, relative to the other sources.
        split: which of their splits.
        mirror: share of the windows in which left and right change places.
        drift_px: how far the fastest object may move between its label and the middle of a window,
            pixels; 0 = windows lie around their labels.
        phases: numbers of the phases, from 0, that draw from this source; empty = all.

    Raises:
        ConfigError: no folders, or a number lies outside its range.
    """

    folders: tuple[str, ...]
    weight: float = 1.0
    split: str = "train"
    mirror: float = 0.5
    drift_px: float = 1.0
    phases: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.folders or self.weight <= 0 or not 0 <= self.mirror <= 1 or self.drift_px < 0:
            raise ConfigError(
                f"recordings: found folders {list(self.folders)}, weight {self.weight}, mirror "
                f"{self.mirror}, drift_px {self.drift_px}; wanted folders, > 0, 0 to 1, >= 0"
            )


@dataclass(frozen=True)
class PhaseSpec:
    """One stretch of training; the next one starts from its averaged weights.

    Attributes:
        windows: examples seen.
        steps: S during this phase.
        scale: size of the picture relative to ``width`` x ``height`` of the data.
        batch: windows per step of the optimiser.
        learning_rate: peak of the cosine.
        warmup: share of the phase in which the rate rises to its peak.
        footage_share: share of the windows that come from footage.
        recordings_share: share of the windows that come from recordings; the rest is composed.
        keep: how much of its starting weights a phase's result keeps: 0.5 is the mean of before and
            after, which learns what is new and forgets less (Wortsman and others, *Model soups*,
            ICML 2022).

    Raises:
        ConfigError: a number lies outside its range.
    """

    windows: int
    steps: int = 2
    scale: float = 1.0
    batch: int = 16
    learning_rate: float = 2e-3
    warmup: float = 0.02
    footage_share: float = 0.0
    recordings_share: float = 0.0
    keep: float = 0.0

    @property
    def composed_share(self) -> float:
        """Share of the windows that are composed."""
        rest = 1 - self.footage_share - self.recordings_share
        return 0.0 if abs(rest) < 1e-9 else rest

    def __post_init__(self) -> None:
        counts = (self.windows, self.steps, self.batch)
        if min(counts) < 1 or min(self.scale, self.learning_rate) <= 0:
            raise ConfigError(f"phase: found {self}; wanted positive numbers")
        shares = (self.footage_share, self.recordings_share, self.composed_share)
        parts = (self.warmup, self.keep)
        if not all(0 <= share <= 1 for share in shares) or not all(0 <= part < 1 for part in parts):
            raise ConfigError(f"phase: found {self}; wanted shares of 0 to 1")


@dataclass(frozen=True)
class ValidationSpec(FolderReading):
    """Labelled recordings that the averaged weights are scored on while they learn.

    Attributes:
        data: the dataset's folder, relative as the other folders are.
        split: which of its splits.
        every_windows: how many windows of training lie between two scorings.

    Raises:
        ConfigError: ``every_windows`` is not positive.
    """

    data: str
    split: str = "val"
    every_windows: int = 20_000

    def __post_init__(self) -> None:
        if self.every_windows < 1:
            raise ConfigError(f"validation: found every_windows {self.every_windows}, wanted > 0")


@dataclass(frozen=True)
class RecipeSpec:
    """A whole training run.

    Attributes:
        phases: in order.
        model: the network.
        composed: composed scenes, any number of kinds.
        footage: labelled footage, any number of kinds.
        recordings: labelled recordings, any number of kinds.
        loss: the loss.
        width: picture at scale 1, pixels.
        height: picture at scale 1, pixels.
        profiles: noise profiles, drawn equally often.
        seed: decides weights and data.
        weight_decay: of AdamW, on convolution kernels only.
        clip: largest norm of the gradient.
        ema: decay per step of the averaged weights.
        mixed_precision: compute convolutions in bfloat16.
        recalibrate_windows: windows of the last phase's kind, beyond those it trained on, that
            the statistics of batch normalisation are measured on at the end; 0 = keep those that
            were averaged along with the weights.
        synchronise_norms: batch normalisation sees the whole batch even where several processes
            share it; on CUDA alone. Otherwise each process normalises by its own share.
        validation: what the weights are scored on now and then.

    Raises:
        ConfigError: there is no phase or no data, or a number lies outside its range.
    """

    phases: tuple[PhaseSpec, ...]
    model: ModelSpec = field(default_factory=ModelSpec)
    composed: tuple[ComposedMix, ...] = ()
    footage: tuple[FootageMix, ...] = ()
    recordings: tuple[RecordingMix, ...] = ()
    loss: LossSpec = field(default_factory=LossSpec)
    width: int = 400
    height: int = 250
    profiles: tuple[str, ...] = ("daylight",)
    seed: int = 0
    weight_decay: float = 0.02
    clip: float = 10.0
    ema: float = 0.998
    mixed_precision: bool = True
    recalibrate_windows: int = 2048
    synchronise_norms: bool = False
    validation: ValidationSpec | None = None

    def __post_init__(self) -> None:
        if not self.phases:
            raise ConfigError("recipe: found no [[phases]], wanted at least one")
        if self.phases[0].keep and not self.model.weights:
            raise ConfigError("recipe: the first phase starts from nothing, it has nothing to keep")
        if self.recalibrate_windows < 0:
            found = self.recalibrate_windows
            raise ConfigError(f"recipe: found recalibrate_windows {found}, wanted 0 or more")
        if not (self.composed or self.footage or self.recordings):
            raise ConfigError(
                "recipe: found no data, wanted [[composed]], [[footage]] or [[recordings]]"
            )
        for number in range(len(self.phases)):
            self._check_sources(number)

    def _check_sources(self, number: int) -> None:
        phase = self.phases[number]
        if phase.composed_share > 0 and not self.composed:
            raise ConfigError(
                "recipe: wanted [[composed]] or phases whose footage_share and "
                "recordings_share add up to 1"
            )
        if phase.footage_share > 0 and not self.footage:
            raise ConfigError("recipe: wanted [[footage]] or phases with footage_share = 0")
        if phase.recordings_share > 0 and not self.recordings_of(number):
            raise ConfigError(
                f"recipe: wanted [[recordings]] for phase {number}, or its recordings_share = 0"
            )

    def recordings_of(self, phase: int) -> tuple[int, ...]:
        """Indices of the recordings that a phase, by its number, may draw from."""
        return tuple(
            index
            for index, mix in enumerate(self.recordings)
            if not mix.phases or phase in mix.phases
        )

    def windows_at(self, phase: int, step: int) -> int:
        """Count the windows that a run has seen after so many steps of a phase; batches are whole.

        Args:
            phase: number of the phase, from 0; one beyond the last with step 0 is the end.
            step: steps done in it.

        Example:
            >>> phases = (PhaseSpec(windows=40, batch=16), PhaseSpec(windows=16, batch=4))
            >>> RecipeSpec(phases, composed=(ComposedMix(),)).windows_at(1, step=3)
            44
        """
        past = sum(done.windows // done.batch * done.batch for done in self.phases[:phase])
        return past + (step * self.phases[phase].batch if step else 0)


def read_recipe(path: Path) -> RecipeSpec:
    """Read a recipe file.

    Args:
        path: a TOML file.

    Returns:
        The settings.

    Raises:
        SourceError: the file is missing.
        ConfigError: it is no TOML, or holds an unknown key or a wrong value.

    Example:
        >>> read_recipe(Path("weights/nano/recipe.toml")).model.size  # doctest: +SKIP
        'nano'
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such recipe")
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no TOML file ({error})") from error
    return build_spec(RecipeSpec, mapping, str(path))
