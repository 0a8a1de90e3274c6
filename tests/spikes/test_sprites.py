import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidar_det.errors import FormatError, LabelError, RangeError, ShapeError, SourceError
from vidar_det.spikes.labels import DEFAULT_CLASS_MAP, class_ids_by_category, stack_boxes
from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
from vidar_det.spikes.sprites import Sprite, linear_light, load_backgrounds, load_sprites

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not (SHARED / "sprites").is_dir(), reason="no sprites and backgrounds beside the repository"
)


def _write_cutout(path: Path, grey: int = 200) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((12, 8, 4), grey, np.uint8)
    pixels[:, :2, 3] = 0
    pixels[:, 2:, 3] = 255
    assert cv2.imwrite(str(path), pixels)


def _write_list(folder: Path, records: list[dict[str, object]]) -> None:
    for record in records:
        _write_cutout(folder / str(record["file"]))
    (folder / "sprites.json").write_text(json.dumps({"sprites": records}))


def test_grey_becomes_light_by_the_display_gamma() -> None:
    light = linear_light(np.array([[0, 128, 255]], np.uint8))
    assert light.dtype == np.float32
    np.testing.assert_allclose(light, [[0, (128 / 255) ** 2.2, 1]], rtol=1e-5)


def test_a_list_decides_category_and_split(tmp_path: Path) -> None:
    _write_list(
        tmp_path,
        [
            {"file": "a.png", "category": "bus", "split": "train"},
            {"file": "b.png", "category": "person", "split": "val"},
            {"file": "c.png", "category": "cow", "split": "train"},
            {"file": "d.png", "category": "other", "split": "train", "scene": "soapbox"},
            {"file": "e.png", "category": "car", "split": "train", "truncated": True},
        ],
    )
    train = load_sprites(tmp_path, "train")
    assert [(s.name, s.class_id) for s in train] == [("a.png", 1), ("c.png", -1)]
    assert [s.class_id for s in load_sprites(tmp_path)] == [1, 0, -1]


def test_without_a_list_the_subfolder_names_the_category(tmp_path: Path) -> None:
    _write_cutout(tmp_path / "person" / "x.png", grey=90)
    _write_cutout(tmp_path / "motorcycle" / "y.webp")
    by_class = {s.class_id: s for s in load_sprites(tmp_path)}
    assert sorted(by_class) == [0, 2]
    assert by_class[0].grey.shape == by_class[0].alpha.shape == (12, 8)
    assert by_class[0].grey[5, 5] == 90
    np.testing.assert_array_equal(np.unique(by_class[0].alpha), [0, 255])


def test_a_picture_without_alpha_gets_a_soft_edge(tmp_path: Path) -> None:
    (tmp_path / "automobile").mkdir()
    for name, shape in (("grey.png", (32, 32)), ("colour.png", (32, 32, 3))):
        cv2.imwrite(str(tmp_path / "automobile" / name), np.full(shape, 90, np.uint8))
    for sprite in load_sprites(tmp_path):
        assert sprite.class_id == 1
        assert (sprite.grey == 90).all()
        assert sprite.alpha[16, 16] == 255
        assert sprite.alpha[0, 0] == 0
        rows = np.flatnonzero((sprite.alpha > 127).any(axis=1))
        assert 24 <= len(rows) < 32


def test_pictures_of_more_than_eight_bits_are_refused(tmp_path: Path) -> None:
    (tmp_path / "car").mkdir()
    cv2.imwrite(str(tmp_path / "car" / "x.png"), np.zeros((8, 8), np.uint16))
    with pytest.raises(FormatError, match="8 bits"):
        load_sprites(tmp_path)


def test_a_missing_listed_picture_is_named(tmp_path: Path) -> None:
    records = [{"file": "gone.png", "category": "car", "split": "train"}]
    (tmp_path / "sprites.json").write_text(json.dumps({"sprites": records}))
    with pytest.raises(SourceError, match=r"gone\.png"):
        load_sprites(tmp_path, "train")


@pytest.mark.parametrize("content", ["no json", "[]", '{"sprites": [{"file": "a.png"}]}'])
def test_a_malformed_list_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "sprites.json").write_text(content)
    with pytest.raises(FormatError, match=r"sprites\.json"):
        load_sprites(tmp_path, "train")


def test_a_split_without_a_list_is_refused(tmp_path: Path) -> None:
    _write_cutout(tmp_path / "car" / "x.png")
    with pytest.raises(LabelError, match="split"):
        load_sprites(tmp_path, "train")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no sprites"):
        load_sprites(tmp_path)
    with pytest.raises(SourceError, match="no backgrounds"):
        load_backgrounds(tmp_path)


def test_backgrounds_come_from_any_folder_of_pictures(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 30), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((10, 15, 3), np.uint8))
    first, second = load_backgrounds(tmp_path)
    assert first.shape == (20, 30)
    assert first.dtype == np.float32
    assert float(first.min()) == 1.0
    assert float(second.max()) == 0.0


def test_a_category_in_two_classes_is_refused() -> None:
    with pytest.raises(LabelError, match="two classes"):
        class_ids_by_category({"a": ("car",), "b": ("car",)})
    assert class_ids_by_category(DEFAULT_CLASS_MAP)["truck"] == 1


def test_no_boxes_have_the_right_shapes() -> None:
    empty = stack_boxes([])
    assert empty.xyxy.shape == (0, 4)
    assert empty.ignore.dtype == np.bool_


def test_a_sprite_checks_its_arrays() -> None:
    dot = np.full((4, 4), 255, np.uint8)
    with pytest.raises(ShapeError, match="same"):
        Sprite(dot, dot[:2], 0, "x")
    with pytest.raises(ShapeError, match="uint8"):
        Sprite(dot.astype(np.float32), dot, 0, "x")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="opaque"):
        Sprite(dot, np.zeros_like(dot), 0, "x")
    with pytest.raises(ShapeError, match="another canvas"):
        Sprite(dot, dot, 2, "x", rider=Sprite(dot[:3], dot[:3], 0, "y"))


def test_procedural_sprites_are_drawn_the_same_for_the_same_seed() -> None:
    first = procedural_sprites(np.random.default_rng(5), 3)
    again = procedural_sprites(np.random.default_rng(5), 3)
    assert [s.class_id for s in first] == [0, 1, 2, -1] * 3
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.grey, b.grey)
        np.testing.assert_array_equal(a.alpha, b.alpha)


def test_procedural_sprites_are_fine_grained_and_anti_aliased() -> None:
    for sprite in procedural_sprites(np.random.default_rng(2), 8):
        assert sprite.grey.shape[0] >= 40
        assert 0.1 < sprite.height_in_persons < 4.0
        if sprite.class_id >= 0:
            assert len(np.unique(sprite.grey[sprite.alpha > 127])) > 8
            assert ((sprite.alpha > 16) & (sprite.alpha < 240)).any()


def test_some_cycles_carry_a_rider_with_its_own_class() -> None:
    sprites = procedural_sprites(np.random.default_rng(0), 12)
    riders = [s.rider for s in sprites if s.rider is not None]
    assert 0 < len(riders) < 12
    assert {rider.class_id for rider in riders} == {0}


def test_procedural_backgrounds_have_the_asked_size_and_differ() -> None:
    plates = procedural_backgrounds(np.random.default_rng(1), 6, 120, 80)
    assert all(p.shape == (80, 120) and p.dtype == np.float32 for p in plates)
    assert all(p.min() >= 0 and p.max() <= 1 and p.std() > 0.01 for p in plates)
    assert len({float(p.mean()) for p in plates}) == 6


def test_procedural_sets_refuse_impossible_counts() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(RangeError, match="count_per_class"):
        procedural_sprites(rng, 0)
    with pytest.raises(RangeError, match="backgrounds"):
        procedural_backgrounds(rng, 1, 20, 80)


@needs_shared
def test_the_shared_sprites_and_backgrounds_load() -> None:
    sprites = load_sprites(SHARED / "sprites", "val")
    assert {s.class_id for s in sprites} == {-1, 0, 1, 2}
    assert not any("soapbox" in s.name or "horsejump" in s.name for s in sprites)
    assert load_backgrounds(SHARED / "backgrounds", "val")
