import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidar_det.errors import FormatError, LabelError, RangeError, ShapeError, SourceError
from vidar_det.spikes.flow import Between
from vidar_det.spikes.footage import (
    FootageRecord,
    StillMotion,
    draw_still_motion,
    load_footage,
    open_clip,
    open_still,
    open_video_light,
)
from vidar_det.spikes.frames import VideoFrames
from vidar_det.spikes.framing import Framing, cover_framing, draw_framing, whole_framing
from vidar_det.spikes.labels import BoxRow
from vidar_det.spikes.motion import Path as MotionPath
from vidar_det.spikes.motion import Shake

SHARED = Path(__file__).parents[3] / "shared" / "data" / "footage"
WIDTH, HEIGHT, FRAMES, STEP_PX = 96, 64, 5, 4
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}, {"id": 3, "name": "bus"}]


def _texture() -> np.ndarray:
    noise = np.random.default_rng(0).random((HEIGHT, WIDTH)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return ((smooth - smooth.min()) / np.ptp(smooth) * 90 + 30).astype(np.uint8)


def _picture(frame: int) -> np.ndarray:
    """A bright, textured square that moves 4 px to the right per frame."""
    picture, x = _texture(), 20 + STEP_PX * frame
    square = np.indices((20, 20)).sum(axis=0) % 7 * 10 + 180
    picture[20:40, x : x + 20] = cv2.GaussianBlur(square.astype(np.uint8), (0, 0), 1.0)
    return picture


def _write_video(path: Path, frames: int = FRAMES) -> None:
    code = cv2.VideoWriter.fourcc(*"MJPG")
    video = cv2.VideoWriter(str(path), code, 20.0, (WIDTH, HEIGHT))
    assert video.isOpened()
    for k in range(frames):
        video.write(cv2.cvtColor(_picture(k), cv2.COLOR_GRAY2BGR))
    video.release()


def _content() -> dict[str, Any]:
    size = {"width": WIDTH, "height": HEIGHT}
    images = [{"id": k + 1, "video_id": 1, "frame_id": k, **size} for k in range(FRAMES)]
    images.append(
        {"id": 99, "file_name": "still.png", "split": "val", "scored": ["person"], **size}
    )
    annotations = [
        {"image_id": k + 1, "category_id": 2, "track_id": 7, "bbox": [20 + STEP_PX * k, 20, 20, 20]}
        for k in range(FRAMES)
    ]
    annotations.append({"image_id": 99, "category_id": 1, "bbox": [10, 12, 8, 16], "iscrowd": 1})
    for number, annotation in enumerate(annotations):
        annotation["id"] = number
    video = {
        "id": 1,
        "file_name": "clip.avi",
        "fps": 20,
        "split": "train",
        "scored": ["car", "bus"],
    }
    return {
        "categories": CATEGORIES,
        "videos": [video],
        "images": images,
        "annotations": annotations,
    }


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    _write_video(tmp_path / "clip.avi")
    cv2.imwrite(str(tmp_path / "still.png"), _picture(0))
    return _write(tmp_path, _content())


def _write(folder: Path, content: object) -> Path:
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    return path


def test_records_carry_split_classes_and_what_is_scored(labels: Path) -> None:
    clip, still = load_footage(labels)
    assert (clip.name, clip.split, clip.fps, clip.is_still) == ("clip", "train", 20.0, False)
    assert clip.classes == ("person", "vehicle", "cycle")
    assert clip.scored == (1,)
    assert sorted(clip.frames) == [0, 1, 2, 3, 4]
    assert (still.name, still.split, still.is_still, still.scored) == ("still", "val", True, (0,))
    assert still.frames[0][0].ignore
    assert still.size == (WIDTH, HEIGHT)


def test_without_a_scored_list_every_class_that_has_a_category_is_scored(tmp_path: Path) -> None:
    content = _content()
    del content["videos"][0]["scored"]
    assert load_footage(_write(tmp_path, content))[0].scored == (0, 1)


def test_bad_boxes_are_dropped_or_clipped_and_counted(tmp_path: Path) -> None:
    content = _content()
    for box in ([200, 10, 5, 5], [10, 10, 0, 5], [10, 10, math.nan, 5], [90, 60, 20, 20]):
        content["annotations"].append({"image_id": 99, "category_id": 2, "bbox": box})
    still = load_footage(_write(tmp_path, content))[1]
    assert (still.dropped_boxes, still.clipped_boxes) == (3, 1)
    assert still.frames[0][-1].xyxy == (90, 60, WIDTH, HEIGHT)


def test_categories_without_a_class_are_left_out(labels: Path) -> None:
    clip, still = load_footage(labels, {"human": ("person",)})
    assert all(rows == () for rows in clip.frames.values())
    assert clip.scored == ()
    assert still.classes == ("human",)


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        (
            {"annotations": [{"image_id": 5000, "category_id": 1, "bbox": [0, 0, 1, 1]}]},
            LabelError,
            "no such image",
        ),
        (
            {"annotations": [{"image_id": 1, "category_id": 44, "bbox": [0, 0, 1, 1]}]},
            LabelError,
            "no such category",
        ),
        (
            {"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1]}]},
            FormatError,
            "COCO",
        ),
        ({"categories": [{"id": 1, "name": "sheep"}]}, LabelError, "class map"),
        ({"images": [{"id": 1}]}, FormatError, "COCO"),
    ],
)
def test_wrong_annotations_are_refused(
    tmp_path: Path, change: dict[str, Any], error: type[Exception], word: str
) -> None:
    path = _write(tmp_path, {**_content(), **change})
    with pytest.raises(error, match=word):
        load_footage(path)


def test_files_that_are_no_annotations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        load_footage(tmp_path / "missing.json")
    (tmp_path / "annotations.json").write_text("{")
    with pytest.raises(FormatError, match="COCO"):
        load_footage(tmp_path / "annotations.json")


def test_at_a_frame_the_clip_shows_that_frame(labels: Path) -> None:
    clip = open_clip(load_footage(labels)[0], frame_interval_s=0.01, gamma=1.0)
    assert (clip.width, clip.height) == (WIDTH, HEIGHT)
    assert clip.duration_s == pytest.approx(0.04)
    light = clip.light(0.02)
    assert light.dtype == np.float32
    assert np.abs(light * 255 - _picture(2)).mean() < 3


def test_between_frames_the_square_moves_and_does_not_fade(labels: Path) -> None:
    clip = open_clip(load_footage(labels)[0], frame_interval_s=0.01, gamma=1.0)
    middle = clip.light(0.015) * 255
    moved = cv2.warpAffine(
        _picture(1), np.array([[1, 0, STEP_PX / 2], [0, 1, 0]], np.float32), (WIDTH, HEIGHT)
    )
    faded = 0.5 * (_picture(1).astype(float) + _picture(2))
    region = np.s_[18:42, 22:48]
    error = np.abs(middle - moved)[region].mean()
    assert error < 0.5 * np.abs(faded - moved)[region].mean()
    boxes = clip.boxes(0.015)
    np.testing.assert_allclose(boxes.xyxy, [[26, 20, 46, 40]], atol=1e-4)
    assert boxes.track_ids.tolist() == [7]
    assert boxes.speeds_px_s[0] == pytest.approx(STEP_PX / 0.01)


def test_the_frame_interval_sets_the_speed(labels: Path) -> None:
    record = load_footage(labels)[0]
    assert open_clip(record).frame_interval_s == pytest.approx(1 / 20)
    fast = open_clip(record, frame_interval_s=0.001)
    assert fast.boxes(0.0015).speeds_px_s[0] == pytest.approx(STEP_PX / 0.001)


def test_a_box_without_partner_stays_with_its_nearer_frame(tmp_path: Path) -> None:
    content = _content()
    content["annotations"].append(
        {"image_id": 2, "category_id": 1, "track_id": None, "bbox": [60, 10, 10, 20]}
    )
    _write_video(tmp_path / "clip.avi")
    clip = open_clip(load_footage(_write(tmp_path, content))[0], frame_interval_s=0.01)
    found = [0 in clip.boxes(t).class_ids for t in (0.004, 0.006, 0.01, 0.014, 0.016)]
    assert found == [False, True, True, True, False]
    assert math.isnan(clip.boxes(0.01).speeds_px_s[list(clip.boxes(0.01).class_ids).index(0)])


def test_a_clip_refuses_wrong_times_sizes_and_lengths(labels: Path, tmp_path: Path) -> None:
    clip_record, still_record = load_footage(labels)
    clip = open_clip(clip_record, frame_interval_s=0.01)
    with pytest.raises(RangeError, match="lasts"):
        clip.light(0.05)
    with pytest.raises(RangeError, match="frame_interval_s"):
        open_clip(clip_record, frame_interval_s=-1.0)
    with pytest.raises(SourceError, match="open_still"):
        open_clip(still_record)
    with pytest.raises(SourceError, match="open_clip"):
        open_still(clip_record, StillMotion(0.01))
    _write_video(tmp_path / "clip.avi", frames=3)
    with pytest.raises(FormatError, match="frame 4 is labelled"):
        open_clip(clip_record)
    cv2.imwrite(str(tmp_path / "still.png"), np.zeros((10, 10), np.uint8))
    with pytest.raises(FormatError, match="10x10"):
        open_still(still_record, StillMotion(0.01))


def test_unreadable_videos_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.avi").write_bytes(b"no video at all")
    for path in (tmp_path / "bad.avi", tmp_path / "missing.avi"):
        with pytest.raises(SourceError, match="no readable video"):
            open_video_light(path)
    _write_video(tmp_path / "short.avi", frames=1)
    with pytest.raises(SourceError, match="at least 2"):
        open_video_light(tmp_path / "short.avi")


def test_any_video_is_a_source_of_light(labels: Path, tmp_path: Path) -> None:
    clip = open_video_light(tmp_path / "clip.avi", Framing(48, 32, scale=0.5))
    assert clip.duration_s == pytest.approx((FRAMES - 1) / 20)
    assert clip.light(0.12).shape == (32, 48)
    assert len(clip.boxes(0.12).class_ids) == 0


def test_a_folder_of_pictures_is_a_source_of_light(tmp_path: Path) -> None:
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), _picture(k))
    clip = open_video_light(tmp_path, frame_interval_s=0.01, gamma=1.0)
    np.testing.assert_allclose(clip.light(0.01) * 255, _picture(1), atol=1e-3)
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((20, 20), np.uint8))
    with pytest.raises(ShapeError, match="the first is"):
        open_video_light(tmp_path, frame_interval_s=0.01).light(0.005)


def test_video_frames_can_be_read_in_any_order(labels: Path, tmp_path: Path) -> None:
    frames = VideoFrames(tmp_path / "clip.avi")
    forward = [frames[k].copy() for k in range(len(frames))]
    for k in (3, 1, 1, 4, 0):
        np.testing.assert_array_equal(frames[k], forward[k])
    with pytest.raises(RangeError, match="frame 5 of 5"):
        frames[5]


def test_flow_leaves_equal_frames_alone_and_refuses_unequal_ones() -> None:
    picture = _picture(0)
    np.testing.assert_array_equal(
        Between(picture, picture).light(0.3), Between(picture, picture).light(0.9)
    )
    with pytest.raises(ShapeError, match="equal"):
        Between(picture, picture[:32])


def test_flow_is_exact_at_both_ends_and_changes_no_frame() -> None:
    before, after = _picture(0), _picture(1)
    between = Between(before, after, gamma=1.0)
    np.testing.assert_allclose(between.light(0.0) * 255, before, atol=1e-3)
    np.testing.assert_allclose(between.light(1.0) * 255, after, atol=1e-3)
    assert np.abs(between.light(0.01) * 255 - before).mean() < 1.0
    np.testing.assert_array_equal(before, _picture(0))


def _still(labels: Path, motion: StillMotion, framing: Framing | None = None) -> Any:
    record: FootageRecord = load_footage(labels)[1]
    return open_still(record, motion, framing, gamma=1.0)


def test_a_still_that_stands_shows_its_picture(labels: Path) -> None:
    clip = _still(labels, StillMotion(0.01))
    np.testing.assert_allclose(clip.light(0.004) * 255, _picture(0), atol=1e-3)
    np.testing.assert_allclose(clip.boxes(0.004).xyxy, [[10, 12, 18, 28]], atol=1e-5)
    assert clip.boxes(0.004).speeds_px_s[0] == 0
    with pytest.raises(RangeError, match="lasts"):
        clip.light(0.02)


@pytest.mark.parametrize("flip", [False, True])
def test_a_panned_still_moves_light_and_boxes_alike(labels: Path, flip: bool) -> None:
    motion = StillMotion(0.01, MotionPath(0.005, (0, 0), (800.0, 400.0)))
    framing = Framing(WIDTH, HEIGHT, flip=flip)
    clip = _still(labels, motion, framing)
    early, late = clip.boxes(0.0025), clip.boxes(0.0075)
    np.testing.assert_allclose(late.xyxy - early.xyxy, [[4, 2, 4, 2]], atol=1e-4)
    assert early.speeds_px_s[0] == pytest.approx(math.hypot(800, 400), rel=1e-3)
    np.testing.assert_allclose(
        clip.light(0.0075)[12:40, 14:60], clip.light(0.0025)[10:38, 10:56], atol=1e-4
    )


def test_zoom_and_shake_keep_boxes_on_the_object(labels: Path) -> None:
    record = load_footage(labels)[1]
    shake = Shake(3.0, (9.0, 7.0), (0.4, 1.0))
    motion = StillMotion(0.1, shake=shake, zoom_per_s=4.0)
    bright = Framing(WIDTH, HEIGHT)
    marked = np.zeros((HEIGHT, WIDTH), np.uint8)
    marked[12:28, 10:18] = 255
    cv2.imwrite(str(record.path), marked)
    clip = open_still(record, motion, bright, gamma=1.0)
    for time_s in (0.0, 0.03, 0.1):
        rows, columns = np.nonzero(clip.light(time_s) > 0.5)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(clip.boxes(time_s).xyxy[0], seen, atol=0.75)


def test_still_motions_are_drawn_the_same_for_the_same_seed() -> None:
    one, two = (draw_still_motion(0.01, np.random.default_rng(4)) for _ in "ab")
    assert one == two
    with pytest.raises(RangeError, match="duration_s"):
        draw_still_motion(0.0, np.random.default_rng(0))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_framing_moves_light_and_boxes_alike(seed: int) -> None:
    framing = draw_framing((120, 90), (80, 50), np.random.default_rng(seed))
    picture = np.zeros((90, 120), np.float32)
    picture[30:60, 40:80] = 1.0
    shown = framing.show(picture)
    assert shown.shape == (50, 80)
    placed = framing.place_all([BoxRow((40, 30, 80, 60), 0, 0, False, 1.0)])
    rows, columns = np.nonzero(shown > 0.5)
    if not placed or rows.size == 0:
        assert rows.size <= 80
        return
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(placed[0].xyxy, seen, atol=1.0)
    assert placed[0].speed_px_s == pytest.approx(framing.scale)


def test_whole_and_cover_framings() -> None:
    whole, cover = whole_framing((100, 100), (400, 250)), cover_framing((100, 100), (400, 250))
    assert (whole.scale, cover.scale) == (2.5, 4.0)
    assert whole.place((0, 0, 100, 100)) == (75, 0, 325, 250)
    assert cover.place((0, 0, 100, 100)) == (0, -75, 400, 325)
    bars = whole.show(np.ones((100, 100), np.float32))
    assert bars[:, 0].max() == 0
    assert bars[1:-1, 200].min() == pytest.approx(1.0)


def test_boxes_cut_by_the_framing_are_clipped_ignored_or_gone() -> None:
    framing = Framing(100, 100)
    rows = [
        BoxRow(box, 0, k, False, 0.0)
        for k, box in enumerate(
            [(-10.0, 10.0, 10.0, 30.0), (-18.0, 10.0, 2.0, 30.0), (-30.0, 10.0, -10.0, 30.0)]
        )
    ]
    kept = framing.place_all(rows)
    assert [(row.xyxy, row.ignore) for row in kept] == [
        ((0.0, 10.0, 10.0, 30.0), False),
        ((0.0, 10.0, 2.0, 30.0), True),
    ]
    assert rows[0].xyxy[0] == -10.0


def test_impossible_framings_are_refused() -> None:
    with pytest.raises(RangeError, match="scale"):
        Framing(10, 10, scale=0.0)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no footage beside the repository")
def test_the_shared_footage_opens() -> None:
    records = [r for path in sorted(SHARED.glob("*/annotations.json")) for r in load_footage(path)]
    assert len(records) == 29 + 1182
    assert {r.split for r in records} == {"train", "val", "test"}
    highway = next(r for r in records if r.name == "highway")
    clip = open_clip(highway, whole_framing(highway.size, (400, 250)), frame_interval_s=0.01)
    assert highway.scored == (0, 1, 2)
    assert clip.light(1.2345).shape == (250, 400)
    assert 1 in clip.boxes(1.2345).class_ids
