"""Simulated recordings and datasets: what they show, and what is refused."""

import dataclasses
import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vidar_det.datasets import capture as capture_module
from vidar_det.datasets.capture import (
    CaptureSpec,
    Shot,
    label_windows,
    write_scene_recording,
)
from vidar_det.datasets.class_map import parse_class_map
from vidar_det.datasets.dataset import open_dataset
from vidar_det.datasets.moving_light import (
    BLOCK_PLANES,
    LIGHT_ERROR,
    Dimmed,
    Light,
    name_light,
    sample_light,
)
from vidar_det.datasets.simulate import (
    NAMED_SCENES,
    FootageSpec,
    NamedShot,
    SceneSet,
    VideoSpec,
    simulate_annotations,
    simulate_named_scene,
    simulate_scenes,
    simulate_video,
)
from vidar_det.datasets.windows import labelled_windows
from vidar_det.detections.label_reader import read_labels
from vidar_det.detections.labels import Origin
from vidar_det.errors import ConfigError, LabelError, OutputError, RangeError, SourceError
from vidar_det.spikes.labels import BoxRow, SceneBoxes, stack_boxes
from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.scenes import SceneSpec, compose_scene

SHARED = Path(__file__).parents[3] / "shared" / "data" / "footage"
WIDTH, HEIGHT, PLANES = 64, 48, 64
RATE_HZ = 20_000.0


@dataclasses.dataclass(frozen=True)
class Square:
    """A bright square that moves to the right over a dark ground, one second long."""

    speed_px_s: float = 1000.0
    width: int = WIDTH
    height: int = HEIGHT
    duration_s: float = 1.0

    def box(self, time_s: float) -> tuple[float, float, float, float]:
        left = 10.0 + self.speed_px_s * time_s
        return left, 6.0, left + 12.0, 18.0

    def light(self, time_s: float) -> Light:
        if not 0 <= time_s <= self.duration_s:
            raise RangeError(f"time {time_s}")
        columns = np.arange(self.width, dtype=np.float32)
        left, top, right, bottom = self.box(time_s)
        share = np.clip(np.minimum(columns + 1 - left, right - columns), 0, 1)
        light = np.full((self.height, self.width), 0.05, np.float32)
        light[int(top) : int(bottom)] += np.float32(0.6) * share.astype(np.float32)
        return light

    def boxes(self, time_s: float) -> SceneBoxes:
        return stack_boxes([BoxRow(self.box(time_s), 1, 7, False, self.speed_px_s)])


@pytest.fixture(scope="module")
def scene_set() -> SceneSet:
    generator = np.random.default_rng(3)
    return SceneSet(
        procedural_sprites(generator, 2),
        procedural_backgrounds(generator, 2, 64, 64),
        count=3,
        scene=SceneSpec(width=WIDTH, height=HEIGHT, height_px=(10.0, 40.0), objects=(1, 4)),
        planes=PLANES,
        split="val",
    )


def generator_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# ---- light and planes


@given(speed=st.floats(0, 4000), planes=st.integers(1, 200))
@example(speed=2973.0, planes=169)  # the square leaves the frame
@settings(max_examples=30, deadline=None)
def test_sampled_light_is_the_light_of_each_readout(speed: float, planes: int) -> None:
    square = Square(speed)
    found = list(sample_light(square, 0.01, planes, RATE_HZ))
    true = [square.light(0.01 + (plane + 0.5) / RATE_HZ) for plane in range(planes)]
    assert len(found) == planes
    for plane, light in enumerate(found):
        # an object that comes or goes between two renderings bends the light once: at most
        # twice the tolerance, of the brightest light in the readouts between them
        near = true[max(0, plane - BLOCK_PLANES) : plane + BLOCK_PLANES]
        assert light.dtype == np.float32
        assert np.abs(light - true[plane]).max() <= 2 * LIGHT_ERROR * np.max(near)


def test_light_that_stands_still_is_rendered_rarely() -> None:
    rendered: list[float] = []

    class Counted(Square):
        def light(self, time_s: float) -> Light:
            rendered.append(time_s)
            return super().light(time_s)

    assert len(list(sample_light(Counted(0.0), 0.0, 256, RATE_HZ))) == 256
    assert len(rendered) < 12


def test_a_dim_object_is_not_crossfaded_beside_a_bright_one() -> None:
    class DimAndBright(Square):
        def light(self, time_s: float) -> Light:
            light = super().light(time_s) * np.float32(0.03)
            light[30:] = 2.0
            return light

    scene = DimAndBright(2000.0)
    for plane, light in enumerate(sample_light(scene, 0.0, 128, RATE_HZ)):
        true = scene.light((plane + 0.5) / RATE_HZ)
        assert np.abs(light - true)[:29].max() < 0.003


def test_a_decoded_recording_shows_the_object_inside_its_box_and_upright(tmp_path: Path) -> None:
    shot = Shot(Square(), planes=PLANES, start_s=0.004)
    write_scene_recording(tmp_path / "square.dat", shot, CaptureSpec(), generator_of())
    recording = open_recording(tmp_path / "square.dat")
    (labelled,) = label_windows(shot, RATE_HZ, "square.dat")
    left, top, right, bottom = labelled.truth.xyxy[0].round().astype(int)
    middle = recording.counts(PLANES // 2 - 8, PLANES // 2 + 8, 1)[0]
    inside = middle[top + 1 : bottom - 1, left + 1 : right - 1]
    outside = np.delete(middle, np.s_[top - 2 : bottom + 2], axis=0)
    assert (recording.layout, recording.flip, len(recording)) == ("plain", "ud", PLANES)
    assert inside.min() >= 8 > 3 >= np.median(outside)


def test_windows_are_labelled_in_their_middle_and_a_rest_is_left_unlabelled() -> None:
    shot = Shot(Square(), planes=70, start_s=0.01, window=32, scored=(1,))
    first, second = label_windows(shot, RATE_HZ, "a.dat", first_id=5)
    assert (first.record.id, second.record.id) == (5, 6)
    assert (second.record.plane_start, second.record.plane_count) == (32, 32)
    assert second.record.scored == (1,)
    assert second.record.speed_px_s == 1000.0
    np.testing.assert_allclose(second.truth.xyxy[0], Square().box(0.01 + 48 / RATE_HZ), atol=1e-4)


def test_ignored_and_unknown_speeds_do_not_count() -> None:
    rows = [BoxRow((1, 1, 9, 9), 0, 1, True, 90.0), BoxRow((1, 1, 9, 9), 0, 2, False, float("nan"))]
    assert capture_module.fastest_px_s(stack_boxes(rows)) is None
    assert capture_module.fastest_px_s(stack_boxes([*rows, rows[0]._replace(ignore=False)])) == 90.0


@pytest.mark.parametrize(
    ("mean", "name"), [(0.0, "dark"), (0.03, "dim"), (0.19, "daylight"), (9.0, "bright")]
)
def test_light_is_named_by_its_mean(mean: float, name: str) -> None:
    assert name_light(np.full((2, 2), mean, np.float32)) == name


def test_a_filter_changes_the_light_and_not_the_boxes() -> None:
    square = Square()
    dimmed = Dimmed(square, 0.5)
    np.testing.assert_allclose(dimmed.light(0.01), 0.5 * square.light(0.01))
    np.testing.assert_array_equal(dimmed.boxes(0.01).xyxy, square.boxes(0.01).xyxy)
    assert (dimmed.width, dimmed.height) == (WIDTH, HEIGHT)


def test_progress_counts_planes(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write_scene_recording(
        tmp_path / "a.dat",
        Shot(Square(), 5),
        CaptureSpec(),
        generator_of(),
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(number, 5) for number in range(1, 6)]


def test_light_that_ends_too_early_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RangeError):
        write_scene_recording(
            tmp_path / "a.dat", Shot(Square(), 64, 0.999), CaptureSpec(), generator_of()
        )
    assert list(tmp_path.iterdir()) == []


# ---- composed scenes


def test_a_dataset_of_scenes_reads_back_with_the_boxes_of_its_scenes(
    tmp_path: Path, scene_set: SceneSet
) -> None:
    dataset = simulate_scenes(tmp_path / "data", scene_set, CaptureSpec(seed=7))
    spec = dataclasses.replace(scene_set.scene, duration_s=PLANES / RATE_HZ)
    found = list(dataset.labelled_windows("val", PLANES))
    assert [item.image.file_name for item in found] == [
        f"recordings/scene_{number:05d}.dat" for number in range(3)
    ]
    for number, item in enumerate(found):
        generator = generator_of((7, number))  # type: ignore[arg-type]  # a seed may be a tuple
        scene = compose_scene(spec, scene_set.sprites, scene_set.backgrounds, generator)
        boxes = scene.boxes(spec.duration_s / 2)
        np.testing.assert_allclose(item.truth.xyxy, boxes.xyxy, atol=2e-3)
        np.testing.assert_array_equal(item.truth.class_ids, boxes.class_ids)
        np.testing.assert_array_equal(item.truth.ignore, boxes.ignore)
        np.testing.assert_allclose(item.truth.speeds_px_s, boxes.speeds_px_s, atol=0.051)
        assert item.scored == (0, 1, 2)
        light = scene.light(spec.duration_s / 2)
        assert np.corrcoef(item.window.counts(1).ravel(), light.ravel())[0, 1] > 0.7


def test_the_seed_decides_every_byte(tmp_path: Path, scene_set: SceneSet) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate_scenes(tmp_path / name, scene_set, CaptureSpec(seed=seed))
    first, second, other = (folder_bytes(tmp_path / name) for name in "abc")
    assert first == second
    assert first["recordings/scene_00000.dat"] != other["recordings/scene_00000.dat"]


def test_a_larger_set_begins_with_the_smaller_one(tmp_path: Path, scene_set: SceneSet) -> None:
    simulate_scenes(tmp_path / "large", scene_set)
    simulate_scenes(tmp_path / "small", dataclasses.replace(scene_set, count=2))
    large, small = folder_bytes(tmp_path / "large"), folder_bytes(tmp_path / "small")
    recordings = [name for name in small if name.startswith("recordings")]
    assert len(recordings) == 4
    assert all(small[name] == large[name] for name in recordings)


def test_windows_of_a_longer_recording_are_labelled_one_by_one(
    tmp_path: Path, scene_set: SceneSet
) -> None:
    scenes = dataclasses.replace(scene_set, count=2, window=32)
    calls: list[tuple[int, int]] = []
    dataset = simulate_scenes(tmp_path / "data", scenes, progress=lambda *call: calls.append(call))
    images = dataset.labels("val").images
    assert [item.id for item in images] == [1, 2, 3, 4]
    assert [item.plane_start for item in images] == [0, 32, 0, 32]
    assert all(item.light for item in images)
    assert calls == [(1, 2), (2, 2)]


def test_a_dataset_is_replaced_only_when_told_to(tmp_path: Path, scene_set: SceneSet) -> None:
    scenes = dataclasses.replace(scene_set, count=1)
    simulate_scenes(tmp_path / "data", scene_set)
    with pytest.raises(OutputError, match="holds a dataset already"):
        simulate_scenes(tmp_path / "data", scenes)
    assert len(simulate_scenes(tmp_path / "data", scenes, overwrite=True).labels("val").images) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_that_is_no_dataset_is_never_replaced(tmp_path: Path, scene_set: SceneSet) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("precious")
    with pytest.raises(OutputError, match="found something else"):
        simulate_scenes(tmp_path / "thesis", scene_set, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "precious"


def test_nothing_half_written_remains(
    tmp_path: Path, scene_set: SceneSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left"):
        simulate_scenes(tmp_path / "data", scene_set)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_keeps_the_old_dataset(
    tmp_path: Path, scene_set: SceneSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate_scenes(tmp_path / "data", scene_set)
    before = folder_bytes(tmp_path / "data")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_scenes(tmp_path / "data", scene_set, overwrite=True, progress=stop)
    assert folder_bytes(tmp_path / "data") == before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: CaptureSpec(profile="daylite"),
        lambda: CaptureSpec(rate_hz=0.0),
        lambda: CaptureSpec(seed=-1),
        lambda: Shot(Square(), planes=0),
        lambda: Shot(Square(), planes=8, window=9),
        lambda: SceneSet([], [], count=0),
        lambda: SceneSet([], [], count=1, split="a/b"),
        lambda: NamedShot("streat"),
        lambda: NamedShot("street", width=32),
        lambda: VideoSpec(speed=0.0),
        lambda: FootageSpec(interval_s=(0.02, 0.01)),
        lambda: FootageSpec(limit=0),
        lambda: FootageSpec(every=0),
        lambda: FootageSpec(fit="stretch"),  # type: ignore[arg-type]  # the test's point
    ],
)
def test_wrong_settings_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        make()


def test_an_unknown_profile_and_scene_name_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'daylight'"):
        CaptureSpec(profile="daylite")
    with pytest.raises(ConfigError, match="did you mean 'street'"):
        NamedShot("streat")


# ---- named scenes


@pytest.mark.parametrize("name", sorted(NAMED_SCENES))
def test_a_named_scene_lies_beside_its_exact_boxes(tmp_path: Path, name: str) -> None:
    shot = NamedShot(name, width=96, height=64, planes=64, window=32)
    scene = simulate_named_scene(shot, tmp_path / "a.dat", CaptureSpec(seed=4))
    labels = read_labels(tmp_path / "a.json")
    first, second = labelled_windows(tmp_path, labels, 32)
    assert (first.window.start, second.window.start) == (0, 32)
    boxes = scene.boxes(48 / RATE_HZ)
    assert len(boxes.xyxy)
    np.testing.assert_allclose(second.truth.xyxy, boxes.xyxy, atol=2e-3)


def test_a_named_scene_that_fails_leaves_no_labels(tmp_path: Path) -> None:
    shot = NamedShot("street", width=96, height=64, planes=32, window=32)
    (tmp_path / "a.dat").write_bytes(b"here before")
    with pytest.raises(OutputError, match="exists already"):
        simulate_named_scene(shot, tmp_path / "a.dat")
    assert [path.name for path in tmp_path.iterdir()] == ["a.dat"]


# ---- labelled footage


def write_footage(folder: Path, *, frames: int = 9, fps: float = 25.0) -> Path:
    """A clip ``street.avi`` (train) of a square that moves 3 px per frame, and two stills (val)."""
    folder.mkdir()
    codec = cv2.VideoWriter.fourcc(*"FFV1")
    video = cv2.VideoWriter(str(folder / "street.avi"), codec, fps, (WIDTH, HEIGHT))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(frames):
        frame = np.full((HEIGHT, WIDTH), 60, np.uint8)
        left = 8 + 3 * number
        frame[10:26, left : left + 12] = 230
        video.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
        identity = number + 1
        images.append({"id": identity, "video_id": 1, "frame_id": number})
        place = {"image_id": identity, "bbox": [left, 10, 12, 16], "track_id": 4}
        annotations.append({"category_id": 2, "ignore": int(number == 5), **place})
    video.release()
    cv2.imwrite(str(folder / "still.png"), frame)
    cv2.imwrite(str(folder / "still.bmp"), frame)
    for identity, name in ((101, "still.png"), (102, "still.bmp")):
        still = {"id": identity, "file_name": name, "split": "val", "scored": ["person", "car"]}
        images.append(still)
        annotations.append({"category_id": 1, "image_id": identity, "bbox": [32, 10, 12, 16]})
        annotations.append({"category_id": 3, "image_id": identity, "bbox": [2, 2, 0, 9]})
    document = {
        "videos": [{"id": 1, "file_name": "street.avi", "fps": fps, "split": "train"}],
        "images": [{"width": WIDTH, "height": HEIGHT, **entry} for entry in images],
        "annotations": [{"id": k + 1, **entry} for k, entry in enumerate(annotations)],
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(("person", "car"))]
        + [{"id": 3, "name": "bus"}],
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder / "annotations.json"


SMALL = FootageSpec(planes=PLANES, size=(WIDTH, HEIGHT))


def test_footage_becomes_a_recording_around_each_label(tmp_path: Path) -> None:
    source = write_footage(tmp_path / "footage")
    report = simulate_annotations(source, tmp_path / "data", SMALL)
    assert (report.recordings, report.left_out, report.dropped_boxes) == (9, 2, 2)
    assert sorted(report.dataset.splits) == ["train", "val"]
    found = list(report.dataset.labelled_windows("train", 16))
    assert len(found) == 7
    for number, item in enumerate(found, start=1):
        left = 8 + 3 * number
        assert item.image.file_name == f"recordings/street_{number:06d}.dat"
        np.testing.assert_allclose(item.truth.xyxy, [[left, 10, left + 12, 26]], atol=1e-3)
        assert item.truth.class_ids.tolist() == [1]
        middle = item.window.counts(1)[0].astype(float)
        inside = middle[12:24, left + 2 : left + 10].mean()
        assert inside > 3 * middle[30:].mean()


def test_labels_of_a_frame_keep_what_they_say_of_it_alone(tmp_path: Path) -> None:
    source = write_footage(tmp_path / "footage")
    dataset = simulate_annotations(source, tmp_path / "data", SMALL).dataset
    ignored = [bool(truth.ignore[0]) for truth in dataset.labels("train").truths]
    assert ignored == [False, False, False, False, True, False, False]


def test_speeds_are_those_at_the_sensor(tmp_path: Path) -> None:
    source = write_footage(tmp_path / "footage")
    footage = dataclasses.replace(SMALL, interval_s=(0.01, 0.01), size=(2 * WIDTH, 2 * HEIGHT))
    dataset = simulate_annotations(source, tmp_path / "data", footage).dataset
    speeds = [image.speed_px_s for image in dataset.labels("train").images]
    assert speeds.pop(4) is None  # its only box is ignored
    np.testing.assert_allclose(speeds, 2 * 3 / 0.01, rtol=1e-3)  # type: ignore[arg-type]
    of_boxes = [truth.speeds_px_s for truth in dataset.labels("train").truths]
    np.testing.assert_allclose(of_boxes, 2 * 3 / 0.01, rtol=1e-3)


def test_recordings_say_what_was_shown_and_from_where(tmp_path: Path, scene_set: SceneSet) -> None:
    source = write_footage(tmp_path / "footage")
    footage = simulate_annotations(source, tmp_path / "data", SMALL).dataset
    clip, still = (footage.labels(split).images[0].origin for split in ("train", "val"))
    assert clip == Origin("video", "footage", "footage/street")
    assert still == Origin("still", "footage", "footage/still")
    scenes = simulate_scenes(tmp_path / "scenes", scene_set).labels("val")
    assert scenes.images[1].origin == Origin("composed", scene="scene_00001")


def test_a_merged_class_of_footage_is_scored_only_if_all_its_categories_are(tmp_path: Path) -> None:
    source = write_footage(tmp_path / "footage")
    dataset = simulate_annotations(source, tmp_path / "data", SMALL).dataset
    assert {image.scored for image in dataset.labels("val").images} == {(0,)}
    assert {image.scored for image in dataset.labels("train").images} == {(0, 1)}
    footage = dataclasses.replace(SMALL, classes=parse_class_map("car,person"))
    dataset = simulate_annotations(source, tmp_path / "apart", footage).dataset
    assert {image.scored for image in dataset.labels("val").images} == {(0, 1)}
    assert dataset.classes == ("car", "person")


def test_only_some_frames_splits_and_recordings_are_taken_if_told(tmp_path: Path) -> None:
    source = write_footage(tmp_path / "footage")

    def names(**changes: Any) -> list[str]:
        footage = dataclasses.replace(SMALL, **changes)
        report = simulate_annotations(source, tmp_path / "data", footage, overwrite=True)
        assert report.recordings == len(list((tmp_path / "data" / "recordings").glob("*.dat")))
        return sorted(path.stem for path in (tmp_path / "data" / "recordings").glob("*.dat"))

    assert names(every=3) == ["still", "street_000001", "street_000004", "street_000007"]
    assert names(splits=("val",)) == ["still", "still-2"]
    assert names(limit=1) == ["still", "street_000001"]


def test_a_recording_of_footage_depends_on_the_seed_and_its_frame_alone(tmp_path: Path) -> None:
    source = write_footage(tmp_path / "footage")
    simulate_annotations(source, tmp_path / "all", SMALL)
    some = dataclasses.replace(SMALL, every=3)
    simulate_annotations(source, tmp_path / "some", some)
    simulate_annotations(source, tmp_path / "other", some, CaptureSpec(seed=1))
    file = "recordings/street_000004.dat"
    whole, some_of, other = (folder_bytes(tmp_path / name) for name in ("all", "some", "other"))
    assert whole[file] == some_of[file] != other[file]


def test_several_annotation_files_make_one_dataset(tmp_path: Path) -> None:
    sources = [write_footage(tmp_path / name) for name in ("here", "there")]
    footage = dataclasses.replace(SMALL, limit=9, splits=("val",))
    calls: list[tuple[int, int]] = []
    report = simulate_annotations(
        sources, tmp_path / "data", footage, progress=lambda *call: calls.append(call)
    )
    names = [Path(image.file_name).stem for image in report.dataset.labels("val").images]
    assert names == ["here_still", "here_still-2", "there_still", "there_still-2"]
    assert calls == [(number, 4) for number in range(1, 5)]


def test_the_whole_picture_is_shown_or_the_frame_filled(tmp_path: Path) -> None:
    source = write_footage(tmp_path / "footage")
    wide = dataclasses.replace(SMALL, size=(96, 48), splits=("val",), still_speed_px_s=(1e-6, 1e-6))
    whole = simulate_annotations(source, tmp_path / "whole", wide).dataset.labels("val")
    cover = dataclasses.replace(wide, fit="cover")
    cut = simulate_annotations(source, tmp_path / "cut", cover).dataset.labels("val")
    np.testing.assert_allclose(whole.truths[0].xyxy, [[48, 10, 60, 26]], atol=6)
    np.testing.assert_allclose(cut.truths[0].xyxy, [[48, 3, 66, 27]], atol=6)


def test_footage_too_short_for_its_recordings_is_refused(tmp_path: Path) -> None:
    source = write_footage(tmp_path / "footage")
    footage = dataclasses.replace(SMALL, planes=20_000, splits=("train",))
    with pytest.raises(LabelError, match="found no label with light for 20000 planes"):
        simulate_annotations(source, tmp_path / "data", footage)
    assert not (tmp_path / "data").exists()


def test_an_unknown_split_or_category_of_footage_is_refused(tmp_path: Path) -> None:
    source = write_footage(tmp_path / "footage")
    with pytest.raises(LabelError, match="no split 'vla'; did you mean 'val'"):
        simulate_annotations(source, tmp_path / "data", dataclasses.replace(SMALL, splits=("vla",)))
    classes = parse_class_map("dog,cat")
    with pytest.raises(LabelError, match="belong to none of the classes"):
        simulate_annotations(source, tmp_path / "data", dataclasses.replace(SMALL, classes=classes))
    with pytest.raises(SourceError, match="missing"):
        simulate_annotations(tmp_path / "missing.json", tmp_path / "data", SMALL)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no labelled footage at {SHARED}")
def test_a_few_items_of_shared_footage_become_recordings(tmp_path: Path) -> None:
    sources = [SHARED / name / "annotations.json" for name in ("cdnet", "penn_fudan")]
    footage = FootageSpec(planes=64, size=(96, 60), splits=("val",), every=18, limit=6)
    report = simulate_annotations(sources, tmp_path / "data", footage)
    found = list(report.dataset.labelled_windows("val", 64))
    assert len(found) == 6
    assert sum(len(item.truth) for item in found) > 0
    assert all(item.window.counts(1).any() for item in found)


# ---- video without labels


def test_a_video_becomes_a_recording_at_the_speed_that_is_asked_for(tmp_path: Path) -> None:
    write_footage(tmp_path / "footage", frames=3, fps=50.0)
    video = VideoSpec(speed=8.0)
    simulate_video(tmp_path / "footage" / "street.avi", tmp_path / "a.dat", video)
    recording = open_recording(tmp_path / "a.dat")
    assert recording.shape == (100, HEIGHT, WIDTH)
    left = [
        int((recording.counts(start, start + 20, 1)[0, 12:24].sum(axis=0) > 40).argmax())
        for start in (0, 80)
    ]
    assert left[1] - left[0] in (4, 5, 6)


def test_a_folder_of_pictures_is_a_video_of_any_size(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        picture = np.full((HEIGHT, WIDTH), 200, np.uint8)
        cv2.imwrite(str(tmp_path / "pictures" / f"{number}.png"), picture)
    video = VideoSpec(planes=8, size=(100, 48))
    simulate_video(tmp_path / "pictures", tmp_path / "a.dat", video)
    counts = open_recording(tmp_path / "a.dat").counts(0, 8, 1)[0]
    assert counts.shape == (48, 100)
    assert counts[:, 20:80].mean() > 2 > counts[:, :16].mean()


def test_a_video_shorter_than_the_planes_is_refused(tmp_path: Path) -> None:
    write_footage(tmp_path / "footage", frames=3, fps=50.0)
    with pytest.raises(ConfigError, match="found light for 800 planes at 20000 Hz"):
        simulate_video(
            tmp_path / "footage" / "street.avi", tmp_path / "a.dat", VideoSpec(planes=801)
        )
    assert not (tmp_path / "a.dat").exists()


def test_a_missing_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        simulate_video(tmp_path / "no.mp4", tmp_path / "a.dat")


def test_datasets_of_scenes_open_with_a_detectors_classes(
    tmp_path: Path, scene_set: SceneSet
) -> None:
    simulate_scenes(tmp_path / "data", scene_set)
    dataset = open_dataset(tmp_path / "data", ["cycle", "person", "vehicle"])
    assert dataset.classes == ("cycle", "person", "vehicle")
    own = open_dataset(tmp_path / "data").labels("val").truths
    for mine, theirs in zip(dataset.labels("val").truths, own, strict=True):
        np.testing.assert_array_equal(mine.class_ids, (theirs.class_ids + 1) % 3)
