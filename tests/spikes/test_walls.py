import numpy as np
import pytest

from vidar_det.spikes.drawn.walls import paint_wall
from vidar_det.spikes.procedural import procedural_sprites
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.scenes import compose_scene


@pytest.mark.parametrize("shape", [(250, 400), (125, 200), (16, 24)])
def test_walls_stay_light_whatever_is_drawn(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    painted = 0
    for _ in range(60):
        light = generator.random(shape, dtype=np.float32)
        before = light.copy()
        paint_wall(light, generator)
        assert light.dtype == np.float32
        assert light.min() >= 0
        assert light.max() <= 1
        painted += not np.array_equal(light, before)
    assert painted > 20


def test_a_wall_is_plain_beside_what_it_covers() -> None:
    generator = np.random.default_rng(3)
    smoother = 0
    for _ in range(20):
        noise = generator.random((250, 400), dtype=np.float32)
        light = noise.copy()
        paint_wall(light, generator)
        covered = light != noise
        if covered.mean() > 0.05:
            smoother += light[covered].std() < noise[covered].std()
    assert smoother >= 10


def test_walls_are_part_of_the_background_and_carry_no_label() -> None:
    sprites = procedural_sprites(np.random.default_rng(0), 1)
    plate = np.full((80, 120), 0.5, np.float32)
    shown = []
    for probability in (0.0, 1.0):
        spec = SceneSpec(width=96, height=64, objects=(0, 0), wall_probability=probability)
        scene = compose_scene(spec, sprites, [plate], np.random.default_rng(2))
        assert len(scene.boxes(0.0).xyxy) == 0
        shown.append(scene.background)
    assert shown[0].std() < 1e-6 < shown[1].std()
