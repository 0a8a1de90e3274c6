import numpy as np
import pytest

from vidar_det.errors import LabelError, SourceError
from vidar_det.spikes.cast import Cast
from vidar_det.spikes.procedural import procedural_clutter, procedural_sprites
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.scenes import compose_scene

PLATE = np.full((64, 96), 0.4, np.float32)


def test_sprites_are_sorted_by_class_and_distractors_apart() -> None:
    cast = Cast(procedural_sprites(np.random.default_rng(0), 2))
    assert [{sprite.class_id for sprite in group} for group in cast.groups] == [{0}, {1}, {2}]
    assert len(cast.distractors) == 2
    assert cast.highest_class_id == 2


def test_a_sorted_cast_draws_the_scene_that_its_sprites_draw() -> None:
    sprites = procedural_sprites(np.random.default_rng(0), 3)
    spec = SceneSpec(width=96, height=64, objects=(3, 3))
    scenes = [
        compose_scene(spec, cast, [PLATE], np.random.default_rng(5))
        for cast in (sprites, Cast(sprites))
    ]
    assert np.array_equal(scenes[0].light(0.0), scenes[1].light(0.0))


def test_a_cast_of_distractors_alone_serves_scenes_without_objects_only() -> None:
    cast = Cast(procedural_clutter(np.random.default_rng(0), 2))
    generator = np.random.default_rng(1)
    empty = SceneSpec(width=96, height=64, objects=(0, 0), distractors=(2, 2))
    scene = compose_scene(empty, cast, [PLATE], generator)
    assert len(scene.movers) == 2
    assert len(scene.boxes(0.0).xyxy) == 0
    with pytest.raises(SourceError, match="no sprite has a class"):
        compose_scene(SceneSpec(width=96, height=64, objects=(1, 1)), cast, [PLATE], generator)


def test_a_class_beyond_the_scene_is_refused() -> None:
    cast = Cast(procedural_sprites(np.random.default_rng(0), 1))
    spec = SceneSpec(width=96, height=64, classes=("person",))
    with pytest.raises(LabelError, match="class id 2"):
        compose_scene(spec, cast, [PLATE], np.random.default_rng(1))
