import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidar_det.errors import ConfigError, LabelError, RangeError, SourceError
from vidar_det.spikes.composing import Flicker
from vidar_det.spikes.motion import Path, Shake, draw_log_uniform
from vidar_det.spikes.movers import Look, Mover, build_mover, shifted
from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
from vidar_det.spikes.scenes import Scene, SceneSpec, compose_scene
from vidar_det.spikes.sprites import Sprite

WHITE = np.full((10, 20), 255, np.uint8)
SPRITES = procedural_sprites(np.random.default_rng(0), 4)
PLATES = procedural_backgrounds(np.random.default_rng(0), 4, 200, 125)


def _scene(*movers: Mover, shake: Shake | None = None, light: float = 1.0) -> Scene:
    return Scene(
        width=80,
        height=50,
        duration_s=0.1,
        background=np.full((60, 90), 0.25, np.float32),
        background_path=Path(0.0, (-5.0, -5.0), (0.0, 0.0)),
        shake=shake or Shake(),
        movers=movers,
        gain=np.full((50, 80), light, np.float32),
        haze=0.0,
        flicker=Flicker(0.0, 100.0, 0.0),
    )


def _block(
    x: float, y: float, vx: float = 0.0, size: tuple[int, int] = (10, 20), track: int = 0
) -> Mover:
    sprite = Sprite(WHITE, WHITE, 1, "block")
    return build_mover(sprite, Look(size), Path(0.0, (x, y), (vx, 0.0)), track)


def test_a_still_block_lies_exactly_in_its_box() -> None:
    scene = _scene(_block(30, 20))
    boxes = scene.boxes(0.05)
    np.testing.assert_allclose(boxes.xyxy, [[30, 20, 50, 30]])
    light = scene.light(0.05)
    expected = np.full((50, 80), 0.25, np.float32)
    expected[20:30, 30:50] = 1.0
    assert light.dtype == np.float32
    np.testing.assert_allclose(light, expected, atol=1e-6)


def test_light_moves_by_fractions_of_a_pixel_and_boxes_move_alike() -> None:
    scene = _scene(_block(30, 20, vx=25.0))
    np.testing.assert_allclose(scene.boxes(0.01).xyxy, [[30.25, 20, 50.25, 30]], rtol=1e-6)
    row = scene.light(0.01)[25]
    np.testing.assert_allclose(row[[29, 30, 31, 50]], [0.25, 0.75 + 0.0625, 1, 0.25 + 0.1875])
    assert scene.boxes(0.01).speeds_px_s[0] == 25.0


def test_a_nearer_object_hides_a_farther_one() -> None:
    far, near = _block(30, 20, track=0), _block(30, 20, track=1)
    boxes = _scene(far, near).boxes(0.0)
    assert boxes.track_ids.tolist() == [1]
    boxes = _scene(far, _block(34, 20, track=1)).boxes(0.0)
    assert boxes.track_ids.tolist() == [1, 0]
    assert boxes.ignore.tolist() == [False, True]
    boxes = _scene(far, _block(40, 20, track=1)).boxes(0.0)
    assert boxes.ignore.tolist() == [False, False]


def test_boxes_are_clipped_ignored_and_dropped_at_the_border() -> None:
    cut = _scene(_block(-8, 20)).boxes(0.0)
    np.testing.assert_allclose(cut.xyxy, [[0, 20, 12, 30]])
    assert not cut.ignore[0]
    assert _scene(_block(-16, 20)).boxes(0.0).ignore.tolist() == [True]
    assert len(_scene(_block(-20, 20)).boxes(0.0).class_ids) == 0


def test_an_object_larger_than_the_frame_counts() -> None:
    boxes = _scene(_block(-100, -60, size=(200, 400))).boxes(0.0)
    np.testing.assert_allclose(boxes.xyxy, [[0, 0, 80, 50]])
    assert not boxes.ignore[0]


def test_tiny_boxes_are_ignored() -> None:
    assert _scene(_block(30, 20, size=(3, 6))).boxes(0.0).ignore.tolist() == [True]


def test_distractors_hide_but_have_no_box() -> None:
    bush = Sprite(WHITE, WHITE, -1, "bush")
    mover = build_mover(bush, Look((10, 20)), Path(0.0, (30, 20), (0, 0)), 5)
    assert len(_scene(mover).boxes(0.0).class_ids) == 0
    assert len(_scene(_block(30, 20), mover).boxes(0.0).class_ids) == 0


def test_shake_moves_background_light_and_boxes_together() -> None:
    shake = Shake(2.0, (5.0, 5.0), (0.0, 0.0))
    still, shaken = _scene(_block(30, 20)), _scene(_block(30, 20), shake=shake)
    dx, dy = shake.at(0.05)
    assert abs(dx) == pytest.approx(2.0)
    np.testing.assert_allclose(
        shaken.boxes(0.05).xyxy - still.boxes(0.05).xyxy, [[dx, dy, dx, dy]], atol=1e-5
    )


def test_light_may_exceed_white() -> None:
    assert _scene(_block(30, 20), light=1.5).light(0.0).max() == pytest.approx(1.5)


def test_times_outside_the_scene_are_refused() -> None:
    scene = _scene()
    with pytest.raises(RangeError, match="lasts"):
        scene.light(0.2)
    with pytest.raises(RangeError, match="lasts"):
        scene.boxes(-0.1)


def test_shifting_by_nothing_or_a_whole_pixel_is_exact() -> None:
    patch = np.random.default_rng(0).random((6, 7), dtype=np.float32)
    np.testing.assert_array_equal(shifted(patch, 0, 0), patch[1:, 1:])
    np.testing.assert_allclose(shifted(patch, 1, 1), patch[:-1, :-1])


@pytest.mark.parametrize(("right", "up"), [(0.6, 0.5), (-0.6, 0.5), (0.6, -0.5)])
def test_a_shadow_darkens_the_ground_but_widens_no_box(right: float, up: float) -> None:
    sprite = Sprite(WHITE, WHITE, 1, "block")
    look = Look((10, 20), shadow=0.8, shadow_reach=(right, up))
    scene = _scene(build_mover(sprite, look, Path(0.0, (30, 20), (0, 0)), 0))
    light = scene.light(0.0)
    np.testing.assert_allclose(light[20:30, 30:50], 1.0, atol=1e-6)
    np.testing.assert_allclose(scene.boxes(0.0).xyxy, [[30, 20, 50, 30]])
    dark_rows, dark_columns = np.nonzero(light < 0.2)
    assert (dark_columns.max() >= 50) == (right > 0)
    assert (dark_columns.min() < 30) == (right < 0)
    assert (dark_rows.max() >= 31) == (up < 0)
    assert light[:, [5, 75]].min() == 0.25


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_composed_scenes_keep_their_promises(seed: int, share: float) -> None:
    spec = SceneSpec(width=160, height=100, height_px=(10.0, 120.0), objects=(0, 5))
    scene = compose_scene(spec, SPRITES, PLATES, np.random.default_rng(seed))
    time_s = share * spec.duration_s
    light, boxes = scene.light(time_s), scene.boxes(time_s)
    assert light.shape == (100, 160)
    assert light.dtype == np.float32
    assert np.isfinite(light).all()
    assert light.min() >= 0
    left, top, right, bottom = boxes.xyxy.T
    assert ((left >= 0) & (top >= 0) & (right <= 160) & (bottom <= 100)).all()
    assert ((right > left) & (bottom > top)).all()
    assert set(boxes.class_ids.tolist()) <= {0, 1, 2}
    assert len(set(boxes.track_ids.tolist())) == len(boxes.track_ids)


def test_the_same_seed_gives_the_same_scene() -> None:
    one, two = (compose_scene(SceneSpec(), SPRITES, PLATES, np.random.default_rng(9)) for _ in "ab")
    np.testing.assert_array_equal(one.light(0.004), two.light(0.004))
    np.testing.assert_array_equal(one.boxes(0.004).xyxy, two.boxes(0.004).xyxy)


def test_composing_leaves_its_arguments_unchanged() -> None:
    greys = [s.grey.copy() for s in SPRITES]
    plates = [p.copy() for p in PLATES]
    scene = compose_scene(SceneSpec(objects=(7, 7)), SPRITES, PLATES, np.random.default_rng(1))
    scene.light(0.001)
    scene.boxes(0.001)
    assert all(np.array_equal(a, s.grey) for a, s in zip(greys, SPRITES, strict=True))
    assert all(np.array_equal(a, p) for a, p in zip(plates, PLATES, strict=True))


def test_slow_and_fast_objects_and_still_ones_occur() -> None:
    rng = np.random.default_rng(0)
    spec = SceneSpec(objects=(6, 6), pan_probability=0.0, shake_probability=0.0)
    scenes = [compose_scene(spec, SPRITES, PLATES, rng) for _ in range(40)]
    speeds = np.concatenate([s.boxes(0.0064).speeds_px_s for s in scenes])
    counts, _ = np.histogram(speeds, [0, 1, 200, 1000, 4500])
    assert counts.sum() == len(speeds)
    assert (counts > 0.1 * len(speeds)).all()


def test_without_truncation_objects_that_fit_lie_inside() -> None:
    rng = np.random.default_rng(3)
    spec = SceneSpec(truncation_probability=0.0, speed_px_s=(0.0, 0.0), height_px=(30.0, 60.0))
    for _ in range(10):
        scene = compose_scene(spec, SPRITES, PLATES, rng)
        for mover in scene.movers:
            (x, y), (h, w) = mover.path.at(mover.path.centre_s), mover.mask.shape
            assert x >= -0.01
            assert y >= -0.01
            assert x + w <= 400.01
            assert y + h <= 250.01


def test_at_eye_level_heads_are_in_view_and_near_people_are_cut_below() -> None:
    rng = np.random.default_rng(3)
    people = [sprite for sprite in SPRITES if sprite.class_id == 0]
    spec = SceneSpec(
        objects=(1, 1),
        height_px=(280.0, 360.0),
        truncation_probability=1.0,
        eye_level_probability=1.0,
        distractors=(0, 0),
    )
    tops, bottoms = [], []
    for _ in range(20):
        (mover,) = compose_scene(spec, people, PLATES, rng).movers
        (_, top), height = mover.path.at(mover.path.centre_s), mover.mask.shape[0]
        tops.append(top)
        bottoms.append(top + height)
    assert np.quantile(tops, 0.1) > -60
    assert np.quantile(tops, 0.9) < 200
    assert np.quantile(bottoms, 0.1) > 250


def test_a_rider_moves_with_the_cycle() -> None:
    cycles = [s for s in SPRITES if s.rider is not None]
    scene = compose_scene(SceneSpec(objects=(1, 1)), cycles, PLATES, np.random.default_rng(0))
    machine, rider = scene.movers
    assert (machine.class_id, rider.class_id) == (2, 0)
    assert machine.path == rider.path


def test_classes_are_carried_and_checked() -> None:
    rng, people = np.random.default_rng(0), [s for s in SPRITES if s.class_id == 0]
    scene = compose_scene(SceneSpec(classes=("human",)), people, PLATES, rng)
    assert (scene.classes, scene.scored) == (("human",), (0,))
    with pytest.raises(LabelError, match="class id 2"):
        compose_scene(SceneSpec(classes=("human",)), SPRITES, PLATES, rng)


def test_scenes_without_material_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SourceError, match="background"):
        compose_scene(SceneSpec(), SPRITES, [], rng)
    with pytest.raises(SourceError, match="no sprite"):
        compose_scene(SceneSpec(objects=(1, 1)), [], PLATES, rng)
    assert compose_scene(SceneSpec(objects=(0, 0)), [], PLATES, rng).movers == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 4),
        ("duration_s", 0.0),
        ("objects", (3, 1)),
        ("height_px", (0.0, 10.0)),
        ("speed_px_s", (-1.0, 10.0)),
        ("shadow_probability", 1.5),
    ],
)
def test_impossible_specs_are_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigError):
        SceneSpec(**{field: value})  # type: ignore[arg-type]


@given(st.floats(0.1, 10), st.floats(1, 100), st.integers(0, 1000))
def test_log_uniform_numbers_stay_in_bounds(low: float, factor: float, seed: int) -> None:
    value = draw_log_uniform((low, low * factor), np.random.default_rng(seed))
    assert low * 0.999 <= value <= low * factor * 1.001


def test_a_path_accelerates() -> None:
    path = Path(1.0, (0.0, 0.0), (10.0, 0.0), (2.0, 4.0))
    assert path.at(2.0) == (11.0, 2.0)
    assert path.velocity_at(2.0) == (12.0, 4.0)


def test_lamps_flicker() -> None:
    assert Flicker(0.5, 100.0, 0.0).at(0.0025) == pytest.approx(1.5)
