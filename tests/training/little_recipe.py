"""A recipe so small that a step of it takes milliseconds."""

from vidar_det.detector.spec import EncodingSpec
from vidar_det.training.recipe import ComposedMix, ModelSpec, PhaseSpec, RecipeSpec

RECIPE = RecipeSpec(
    phases=(PhaseSpec(windows=4, steps=1),),
    model=ModelSpec(encoding=EncodingSpec(steps=1, bin_planes=16)),
    composed=(ComposedMix(procedural_sprites=1, procedural_backgrounds=1),),
    width=64,
    height=64,
    mixed_precision=False,
)
