"""Recordings as training data: what is drawn, how it is varied, and what is refused."""

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidar_det.datasets.dataset_writer import dataset_text
from vidar_det.detections.boxes import GroundTruth
from vidar_det.detections.labels import ImageRecord, Labels, labels_document
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import (
    ConfigError,
    FormatError,
    GeometryError,
    LabelError,
    RangeError,
    SourceError,
    VidarError,
)
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.stream import Hole, Sensor, SpikeStream
from vidar_det.training.recipe import (
    ComposedMix,
    ModelSpec,
    PhaseSpec,
    RecipeSpec,
    RecordingMix,
    read_recipe,
)
from vidar_det.training.recorded_source import (
    RecordedSource,
    allowed_shifts,
    load_recordings,
    pooled,
    shrink_side,
)
from vidar_det.training.simulation import LabelledWindow
from vidar_det.training.sources import open_data

WIDTH, HEIGHT, PLANES = 64, 64, 96
SIZE = (WIDTH, HEIGHT)
ENCODING = EncodingSpec(steps=2, bin_planes=16)
CLASSES = ("person", "vehicle", "cycle")
STILL = RecordingMix(("data",), mirror=0.0, drift_px=0.0)


def filmed(speed_px: float = 0.0, planes: int = PLANES) -> NDArray[np.uint8]:
    """A lit square of 20 x 16 pixels at (8, 10) in mid-recording, moving right a little a plane."""
    made = np.zeros((planes, HEIGHT, WIDTH), np.uint8)
    for index, plane in enumerate(made):
        left = 8 + int(np.floor(speed_px * (index - planes // 2)))
        plane[10:26, max(left, 0) : left + 20] = 1
    return made


def write_dataset(
    folder: Path,
    *,
    speed_px_s: float = np.nan,
    boxes: Sequence[Sequence[float]] = ((8, 10, 28, 26),),
    planes: NDArray[np.uint8] | None = None,
    scored: tuple[int, ...] | None = None,
    ignore: bool = False,
    split: str = "train",
) -> Path:
    """A spike dataset of one recording, labelled with vehicles in its middle."""
    planes = filmed() if planes is None else planes
    count, height, width = planes.shape
    (folder / "recordings").mkdir(parents=True)
    (folder / "annotations").mkdir()
    write_recording(folder / "recordings" / "a.dat", planes, Sensor(width, height))
    truth = GroundTruth(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.ones(len(boxes), np.int64),
        np.full(len(boxes), ignore),
        np.full(len(boxes), speed_px_s, np.float32),
    )
    image = ImageRecord(1, "recordings/a.dat", width, height, plane_count=count, scored=scored)
    document = labels_document(Labels(CLASSES, (image,), (truth,)), "a square")
    (folder / "annotations" / f"{split}.json").write_text(json.dumps(document))
    (folder / "dataset.toml").write_text(dataset_text(CLASSES, [split]))
    return folder


def recipe(*mixes: RecordingMix, **phase: Any) -> RecipeSpec:
    spec = PhaseSpec(**({"windows": 4, "batch": 2, "recordings_share": 1.0} | phase))
    model = ModelSpec(encoding=ENCODING)
    return RecipeSpec((spec,), model, recordings=mixes or (STILL,), width=WIDTH, height=HEIGHT)


def draw(root: Path, spec: RecordingMix = STILL, seed: int = 0, shrink: int = 1) -> LabelledWindow:
    recordings = load_recordings(spec, root, recipe(spec), ENCODING.window)
    source = RecordedSource(recordings, spec, len(CLASSES), shrink)
    return source.draw(ENCODING, np.random.default_rng(seed))


def lit_box(counts: NDArray[np.uint16]) -> list[int]:
    rows, columns = np.nonzero(counts.sum(0))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_what_our_own_writers_write_is_what_training_sees(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    planes = (generator.random((PLANES, HEIGHT, WIDTH)) < 0.3).astype(np.uint8)
    write_dataset(tmp_path / "data", planes=planes, scored=(1,))
    window = draw(tmp_path)
    middle = planes[32:64].reshape(ENCODING.bins, 8, HEIGHT, WIDTH)
    assert window.counts.dtype == np.uint16
    assert np.array_equal(window.counts, middle.sum(1))
    assert window.labels.xyxy.tolist() == [[8, 10, 28, 26]]
    assert window.labels.class_ids.tolist() == [1]
    assert window.scored.tolist() == [False, True, False]


def test_left_and_right_change_places_in_pixels_and_boxes(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data")
    straight = draw(tmp_path)
    turned = draw(tmp_path, RecordingMix(("data",), mirror=1.0))
    assert np.array_equal(turned.counts, straight.counts[..., ::-1])
    assert turned.labels.xyxy.tolist() == [lit_box(turned.counts)] == [[36, 10, 56, 26]]
    spec = RecordingMix(("data",), mirror=0.5)
    lefts = {float(draw(tmp_path, spec, seed).labels.xyxy[0, 0]) for seed in range(12)}
    assert lefts == {8.0, 36.0}


def test_a_window_leaves_its_label_by_no_more_than_the_drift(tmp_path: Path) -> None:
    speed_px = 0.125
    planes = filmed(speed_px)
    write_dataset(tmp_path / "data", planes=planes, speed_px_s=speed_px * 20_000)
    spec = RecordingMix(("data",), mirror=0.0, drift_px=2.0)
    starts = set()
    for seed in range(40):
        counts = draw(tmp_path, spec, seed).counts
        matches = [
            start
            for start in range(PLANES - 32 + 1)
            if np.array_equal(planes[start : start + 8].sum(0), counts[0])
            and np.array_equal(planes[start + 24 : start + 32].sum(0), counts[3])
        ]
        assert len(matches) == 1
        starts.add(matches[0])
    assert min(starts) < 32 < max(starts)
    assert {start - 32 for start in starts} <= set(range(-16, 17))


@pytest.mark.parametrize(
    ("speeds", "ignore", "drift_px", "wanted"),
    [
        ([100.0], [False], 1.0, range(-32, 33)),
        ([1000.0], [False], 1.0, range(-20, 21)),
        ([1000.0, 2000.0], [False, False], 1.0, range(-10, 11)),
        ([1000.0, 2000.0], [False, True], 1.0, range(-20, 21)),
        ([0.0], [False], 0.5, range(-32, 33)),
        ([1000.0], [False], 0.0, range(1)),
        ([1000.0, np.nan], [False, False], 1.0, range(1)),
        ([1000.0], [True], 1.0, range(1)),
        ([], [], 1.0, range(1)),
    ],
)
def test_windows_move_in_time_as_far_as_labels_hold(
    speeds: list[float], ignore: list[bool], drift_px: float, wanted: range
) -> None:
    count = len(speeds)
    truth = GroundTruth(
        np.tile(np.float32([1, 1, 9, 9]), (count, 1)).reshape(-1, 4),
        np.zeros(count, np.int64),
        np.array(ignore, np.bool_),
        np.array(speeds, np.float32),
    )
    stream = SpikeStream.from_planes(filmed(), Sensor(*SIZE))
    image = ImageRecord(1, "a.dat", *SIZE, plane_count=PLANES)
    assert allowed_shifts(stream, image, truth, 32, drift_px) == wanted


def test_a_recording_with_lost_planes_keeps_its_windows_in_the_middle() -> None:
    planes = filmed()
    whole = SpikeStream.from_planes(planes, Sensor(*SIZE))
    stream = SpikeStream(whole.store, whole.sensor, holes=(Hole(5, 2),))
    speeds = np.zeros(1, np.float32)
    truth = GroundTruth(np.float32([[1, 1, 9, 9]]), np.array([0]), np.array([False]), speeds)
    image = ImageRecord(1, "a.dat", *SIZE, plane_count=PLANES)
    assert allowed_shifts(stream, image, truth, 32, 1.0) == range(1)


def test_half_the_resolution_averages_four_pixels(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", boxes=[(8, 10, 28, 26), (2, 2, 9, 20)], speed_px_s=100.0)
    window = draw(tmp_path, shrink=2)
    assert window.counts.shape == (4, HEIGHT // 2, WIDTH // 2)
    assert lit_box(window.counts) == window.labels.xyxy[0].tolist() == [4, 5, 14, 13]
    assert window.counts.max() == 8
    assert window.labels.ignore.tolist() == [False, True]  # 3.5 pixels are left of 7
    assert window.labels.speeds_px_s.tolist() == [50.0, 50.0]


def test_rounded_means_are_true_on_average() -> None:
    counts = np.random.default_rng(0).integers(0, 3, (4, 200, 200)).astype(np.uint16)
    assert pooled(counts, 2).mean() == pytest.approx(counts.mean(), abs=0.005)
    assert counts.max() == 2


@pytest.mark.parametrize("scale", [0.75, 0.4, 0.1, 2.0])
def test_a_scale_that_cuts_pixels_is_refused_before_training(tmp_path: Path, scale: float) -> None:
    write_dataset(tmp_path / "data")
    with pytest.raises(ConfigError, match=r"scale = .* wanted 1 / n"):
        open_data(recipe(scale=scale), tmp_path)
    assert shrink_side((400, 250), 1.0) == 1


def test_boxes_are_clipped_to_the_picture(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", boxes=[(-5, 40, 10, 80)])
    assert draw(tmp_path).labels.xyxy.tolist() == [[0, 40, 10, HEIGHT]]


def test_the_same_seed_draws_the_same_window_in_every_process(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", speed_px_s=0.0)
    spec = RecordingMix(("data",))
    room = open_data(recipe(spec), tmp_path)
    windows = room.windows(PhaseSpec(4, recordings_share=1.0), 0)
    first = windows[3]
    copied = pickle.loads(pickle.dumps(windows))  # noqa: S301  # bytes of our own
    assert np.array_equal(copied[3].counts, first.counts)
    assert np.array_equal(copied[3].labels.xyxy, first.labels.xyxy)


def test_a_pku_folder_trains_in_place(tmp_path: Path, write_pku: Callable[..., Path]) -> None:
    keys = [f"train/a/{number}" for number in (1, 2)]
    text = "0.03 36,10,56,26,3 1,1,1,9,3 5,5,9,9,8"
    write_pku(tmp_path / "pku", dict.fromkeys(keys, text), dict.fromkeys(keys, filmed()))
    spec = RecordingMix(("pku",), classes="vehicle=3,none=8", mirror=0.0)
    room = open_data(recipe(spec), tmp_path)
    window = room.windows(recipe(spec).phases[0], 0)[1]
    assert window.labels.xyxy.tolist() == [lit_box(window.counts)]
    assert window.scored.tolist() == [False, True, False]
    told = " ".join(room.warnings)
    assert "pku: 2 boxes have no area and are dropped" in told
    assert "pku: 2 boxes are of classes that are left out" in told
    assert "pku: class 'person' has no boxes" in told


def test_tracking_scenes_train_in_place(
    tmp_path: Path, write_bare: Callable[[Path, NDArray[np.uint8]], None]
) -> None:
    scene = tmp_path / "mot" / "ball"
    write_bare(scene / "spikes.dat", filmed())
    (scene / "spikes_gt.txt").write_text("48,1,8,10,20,16,1,-1,-1,-1\n")
    spec = RecordingMix(
        ("mot",), split="all", classes="vehicle=object", width=WIDTH, height=HEIGHT, mirror=0.0
    )
    window = draw(tmp_path, spec)
    assert window.labels.xyxy.tolist() == [lit_box(window.counts)]


def test_phases_draw_recordings_in_their_share(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", scored=(1,))
    composed = (ComposedMix(procedural_sprites=1, procedural_backgrounds=1),)
    phases = (
        PhaseSpec(8, recordings_share=1.0),
        PhaseSpec(8),
        PhaseSpec(40, recordings_share=0.5),
    )
    spec = RecipeSpec(
        phases,
        composed=composed,
        recordings=(STILL,),
        width=WIDTH,
        height=HEIGHT,
        model=ModelSpec(encoding=ENCODING),
    )
    room = open_data(spec, tmp_path)
    recorded = [
        [not windows[index].scored.all() for index in range(len(windows))]
        for windows in (room.windows(phase, number) for number, phase in enumerate(phases))
    ]
    assert all(recorded[0])
    assert not any(recorded[1])
    assert 10 <= sum(recorded[2]) <= 30


def test_an_entry_may_belong_to_some_phases_only(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data")
    mixes = (STILL, RecordingMix(("data",), phases=(1,)))
    phases = (PhaseSpec(4, recordings_share=1.0), PhaseSpec(4, recordings_share=1.0))
    spec = RecipeSpec(phases, recordings=mixes, width=WIDTH, height=HEIGHT)
    assert (spec.recordings_of(0), spec.recordings_of(1)) == ((0,), (0, 1))
    with pytest.raises(ConfigError, match=r"recordings.* for phase 0"):
        RecipeSpec(phases, recordings=mixes[1:])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[recordings]]\nfolders = ['a']\nspilt = 'train'\n", "did you mean 'split'"),
        ("[[recordings]]\nweight = 1.0\n", "key 'folders' is missing"),
        ("[[recordings]]\nfolders = []\n", "wanted folders"),
        ("[[recordings]]\nfolders = ['a']\nmirror = 1.5\n", r"mirror 1\.5"),
        ("[[recordings]]\nfolders = ['a']\ndrift_px = -1\n", r"drift_px -1"),
        ("[[recordings]]\nfolders = ['a']\nformat = 'pkv'\n", "did you mean 'pku'"),
        ("[[recordings]]\nfolders = ['a']\nlabel_flip = 'up'\n", "'up' is not a choice"),
        ("[[composed]]\n", "wanted .*recordings.* for phase 0"),
    ],
)
def test_a_wrong_entry_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f"[[phases]]\nwindows = 4\nrecordings_share = 1.0\n{text}")
    with pytest.raises(ConfigError, match=words):
        read_recipe(path)


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"recordings_share": 0.7, "footage_share": 0.4}, "shares of 0 to 1"),
        ({"recordings_share": -0.1}, "shares of 0 to 1"),
    ],
)
def test_shares_beyond_the_whole_are_refused(shares: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        PhaseSpec(4, **shares)  # type: ignore[arg-type]  # a test's short cut
    assert PhaseSpec(4, recordings_share=0.9, footage_share=0.1).composed_share == 0


def test_what_is_missing_or_does_not_fit_is_refused_before_training(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")

    def refused(spec: RecordingMix, error: type[VidarError], words: str, **phase: Any) -> None:
        with pytest.raises(error, match=words):
            open_data(recipe(spec, **phase), tmp_path)

    refused(RecordingMix(("nowhere",)), SourceError, "nowhere: found no such folder")
    refused(RecordingMix(("data",), split="tarin"), LabelError, "did you mean 'train'")
    refused(RecordingMix(("data",), classes="lorry=vehicle"), LabelError, "'lorry' is unknown")
    refused(STILL, RangeError, r"range of 96 planes, wanted a window of 112", steps=7)
    (folder / "annotations" / "train.json").write_text(
        '{"images": [], "annotations": [], "categories": []}'
    )
    refused(STILL, LabelError, "found no images, wanted at least one")
    (folder / "annotations" / "train.json").write_text("{")
    refused(STILL, FormatError, "found no JSON")


def test_a_recording_of_another_size_or_none_is_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", planes=filmed()[:, :40])
    with pytest.raises(GeometryError, match=r"found 64x40 pixels, wanted the recipe's 64x64"):
        open_data(recipe(), tmp_path)
    other = write_dataset(tmp_path / "other")
    (other / "recordings" / "a.dat").unlink()
    with pytest.raises(SourceError, match=r"a\.dat: found nothing"):
        open_data(recipe(RecordingMix(("other",))), tmp_path)
    assert folder.is_dir()
