"""A recipe's data settings come in, sources of labelled windows go out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidar_det.config import did_you_mean
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import ConfigError
from vidar_det.spikes.annotations import FootageRecord
from vidar_det.spikes.camera import PROFILES
from vidar_det.spikes.cast import Cast
from vidar_det.spikes.frame_camera import FRAME_PROFILES
from vidar_det.spikes.procedural import (
    procedural_backgrounds,
    procedural_clutter,
    procedural_sprites,
)
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.scenes import compose_scene
from vidar_det.spikes.sprites import Sprite, load_backgrounds, load_sprites
from vidar_det.training.footage_source import FootageSource, load_records
from vidar_det.training.recipe import ComposedMix, PhaseSpec, RecipeSpec
from vidar_det.training.recorded_source import (
    LabelledRecordings,
    RecordedSource,
    load_recordings,
    shrink_side,
)
from vidar_det.training.simulation import (
    AnyProfile,
    LabelledWindow,
    SimulatedWindows,
    WindowSource,
    expose_window,
)


@dataclass(frozen=True)
class ComposedSource:
    """Draws a fresh composed scene for each window.

    Attributes:
        scene: what the scenes look like, at the size that is wanted.
        cast: objects to choose from.
        backgrounds: ``(h, w) float32`` linear light.
        profiles: noise profiles, drawn equally often.
        classes: how many classes the detector knows.
    """

    scene: SceneSpec
    cast: Cast
    backgrounds: Sequence[NDArray[np.float32]]
    profiles: Sequence[AnyProfile]
    classes: int

    def draw(self, encoding: EncodingSpec, generator: np.random.Generator) -> LabelledWindow:
        """Compose, expose, label: every class is completely labelled."""
        scene = compose_scene(self.scene, self.cast, self.backgrounds, generator)
        profile = self.profiles[int(generator.integers(len(self.profiles)))]
        middle_s = scene.duration_s / 2
        counts = expose_window(scene, middle_s, encoding, profile, generator)
        return LabelledWindow(counts, scene.boxes(middle_s), np.ones(self.classes, np.bool_))


@dataclass(frozen=True)
class DataRoom:
    """Everything read from disk once: sprites, backgrounds, footage and labels of a recipe.

    Attributes:
        recipe: the settings.
        casts: sprites, per entry of ``recipe.composed``.
        backgrounds: per entry of ``recipe.composed``.
        records: per entry of ``recipe.footage``.
        recordings: per entry of ``recipe.recordings``.
    """

    recipe: RecipeSpec
    casts: Sequence[Cast]
    backgrounds: Sequence[Sequence[NDArray[np.float32]]]
    records: Sequence[Sequence[FootageRecord]]
    recordings: Sequence[LabelledRecordings] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What whoever trains should know about the data, one sentence each."""
        return tuple(sentence for entry in self.recordings for sentence in entry.warnings)

    def windows(self, phase: PhaseSpec, number: int) -> SimulatedWindows:
        """Return the windows of one phase; each phase sees windows of its own."""
        recipe = self.recipe
        profiles = find_profiles(recipe.profiles)
        size = (round(recipe.width * phase.scale), round(recipe.height * phase.scale))
        footage = [
            FootageSource(records, spec, size, profiles)
            for spec, records in zip(recipe.footage, self.records, strict=True)
        ]
        mixes = zip(recipe.composed, self.casts, self.backgrounds, strict=True)
        drawn = [mix for mix in mixes if not mix[0].phases or number in mix[0].phases]
        composed = [
            ComposedSource(
                scaled_scene(spec.scene, recipe, phase.scale),
                cast,
                backgrounds,
                profiles,
                len(recipe.model.classes),
            )
            for spec, cast, backgrounds in drawn
        ]
        recorded = self._recorded(phase, number)
        recorded_weights = [source.spec.weight for source in recorded]
        sources: list[WindowSource] = [*composed, *footage, *recorded]
        return SimulatedWindows(
            sources=sources,
            weights=(
                *_shares([spec.weight for spec, _, _ in drawn], phase.composed_share),
                *_shares([spec.weight for spec in recipe.footage], phase.footage_share),
                *_shares(recorded_weights, phase.recordings_share),
            ),
            encoding=replace(recipe.model.encoding, steps=phase.steps),
            seed=recipe.seed * 1000 + number,
            length=phase.windows,
        )

    def _recorded(self, phase: PhaseSpec, number: int) -> list[RecordedSource]:
        """Sources of recordings; none where the phase takes no share of them."""
        recipe = self.recipe
        if not phase.recordings_share:
            return []
        side = shrink_side((recipe.width, recipe.height), phase.scale)
        return [
            RecordedSource(
                self.recordings[index], recipe.recordings[index], len(recipe.model.classes), side
            )
            for index in recipe.recordings_of(number)
        ]


def open_data(recipe: RecipeSpec, root: Path) -> DataRoom:
    """Read what a recipe trains on.

    Args:
        recipe: the settings; its folders are relative to ``root``.
        root: folder of the data.

    Returns:
        The data, in memory.

    Raises:
        SourceError: a folder is missing or empty.
        FormatError: a picture or list is malformed.
        ConfigError: recordings do not shrink to a phase's scale.
        VidarError: as ``load_recordings`` says.

    Example:
        >>> mix = ComposedMix(procedural_sprites=1, procedural_backgrounds=1)
        >>> recipe = RecipeSpec((PhaseSpec(windows=8),), composed=(mix,), width=64, height=64)
        >>> room = open_data(recipe, Path())
        >>> room.windows(recipe.phases[0], 0)[5].counts.shape
        (4, 64, 64)
    """
    read_plates = cache(load_backgrounds)

    @cache  # mixes that differ in their scenes alone share what they show
    def look_of(spec: ComposedMix) -> tuple[Cast, Sequence[NDArray[np.float32]]]:
        generator = np.random.default_rng(recipe.seed)
        cast = Cast(_sprites(spec, root, generator))
        return cast, _backgrounds(spec, root, recipe, generator, read_plates)

    alike = ComposedMix()
    looks = [
        look_of(replace(spec, weight=alike.weight, scene=alike.scene, phases=alike.phases))
        for spec in recipe.composed
    ]
    casts, backgrounds = [look[0] for look in looks], [look[1] for look in looks]
    records = [load_records(spec, root) for spec in recipe.footage]
    return DataRoom(recipe, casts, backgrounds, records, _recordings(recipe, root))


def find_profiles(names: Sequence[str]) -> list[AnyProfile]:
    """Look camera profiles up by name.

    Raises:
        ConfigError: a name is unknown.

    Example:
        >>> find_profiles(["ideal"])[0].gain_sigma
        0.0
    """
    profiles: Mapping[str, AnyProfile] = {**PROFILES, **FRAME_PROFILES}
    for name in names:
        if name not in profiles:
            raise ConfigError(f"profile {name!r} is unknown{did_you_mean(name, profiles)}")
    return [profiles[name] for name in names]


def scaled_scene(scene: SceneSpec, recipe: RecipeSpec, scale: float) -> SceneSpec:
    """Shrink a scene with everything in it that is measured in pixels."""
    low, high = scene.height_px
    return replace(
        scene,
        width=round(recipe.width * scale),
        height=round(recipe.height * scale),
        height_px=(low * scale, high * scale),
        speed_px_s=(scene.speed_px_s[0] * scale, scene.speed_px_s[1] * scale),
        pan_px_s=(scene.pan_px_s[0] * scale, scene.pan_px_s[1] * scale),
        shake_px=(scene.shake_px[0] * scale, scene.shake_px[1] * scale),
    )


def _shares(weights: Sequence[float], total: float) -> list[float]:
    return [weight / sum(weights) * total for weight in weights]


def _recordings(recipe: RecipeSpec, root: Path) -> list[LabelledRecordings]:
    """Labels of each entry, checked for the longest window that any phase draws from it."""
    longest = [0] * len(recipe.recordings)
    for number, phase in enumerate(recipe.phases):
        if phase.recordings_share:
            shrink_side((recipe.width, recipe.height), phase.scale)
            window = replace(recipe.model.encoding, steps=phase.steps).window
            for index in recipe.recordings_of(number):
                longest[index] = max(longest[index], window)
    return [
        load_recordings(spec, root, recipe, window or recipe.model.encoding.window)
        for spec, window in zip(recipe.recordings, longest, strict=True)
    ]


def _sprites(spec: ComposedMix, root: Path, generator: np.random.Generator) -> Sequence[Sprite]:
    if spec.sprites:
        cut_out = load_sprites(root / spec.sprites, _split_of(root / spec.sprites, "sprites", spec))
        return [*cut_out, *procedural_clutter(generator, spec.clutter)]
    return procedural_sprites(generator, spec.procedural_sprites)


def _backgrounds(
    spec: ComposedMix,
    root: Path,
    recipe: RecipeSpec,
    generator: np.random.Generator,
    read: Callable[[Path, str | None], Sequence[NDArray[np.float32]]],
) -> Sequence[NDArray[np.float32]]:
    if spec.backgrounds:
        folder = root / spec.backgrounds
        return read(folder, _split_of(folder, "backgrounds", spec))
    return procedural_backgrounds(
        generator, spec.procedural_backgrounds, recipe.width, recipe.height
    )


def _split_of(folder: Path, key: str, spec: ComposedMix) -> str | None:
    """The split to read; folders without a list have none."""
    return (spec.split or None) if (folder / f"{key}.json").is_file() else None
