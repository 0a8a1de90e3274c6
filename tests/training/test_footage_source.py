import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import ConfigError, SourceError
from vidar_det.spikes.camera import PROFILES
from vidar_det.training.footage_source import FootageSource, load_records
from vidar_det.training.recipe import ComposedMix, FootageMix, PhaseSpec, RecipeSpec
from vidar_det.training.simulation import LabelledWindow
from vidar_det.training.sources import find_profiles, open_data

WIDTH, HEIGHT, FRAMES = 96, 64, 6
SIZE = (WIDTH, HEIGHT)
STEP_PX = 4
ENCODING = EncodingSpec(steps=2, bin_planes=32)
IDEAL = [PROFILES["ideal"]]


def picture(frame: int) -> np.ndarray:
    """A bright square on dark ground that moves 4 pixels a frame."""
    grey = np.full((HEIGHT, WIDTH), 60, np.uint8)
    grey[20:44, 20 + STEP_PX * frame : 44 + STEP_PX * frame] = 230
    return grey


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("footage")
    folder = home / "street"
    folder.mkdir()
    codec = cv2.VideoWriter.fourcc(*"FFV1")
    video = cv2.VideoWriter(str(folder / "walk.avi"), codec, 25.0, SIZE)
    for frame in range(FRAMES):
        video.write(cv2.cvtColor(picture(frame), cv2.COLOR_GRAY2BGR))
    video.release()
    cv2.imwrite(str(folder / "still.png"), picture(2))
    size = {"width": WIDTH, "height": HEIGHT}
    images = [{"id": n, "video_id": 1, "frame_id": n, **size} for n in range(FRAMES)]
    images.append({"id": 9, "file_name": "still.png", "split": "train", "scored": ["car"], **size})
    frames = [*((n, n) for n in range(FRAMES)), (9, 2)]
    document = {
        "videos": [{"id": 1, "file_name": "walk.avi", "split": "train", "fps": 25, "scored": []}],
        "images": images,
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}],
        "annotations": [
            {
                "id": index,
                "image_id": image,
                "category_id": 2,
                "track_id": 5,
                "bbox": [20 + STEP_PX * frame, 20, 24, 24],
            }
            for index, (image, frame) in enumerate(frames)
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    return home


def mix(**changes: object) -> FootageMix:
    settings = {
        "folders": ("street",),
        "zoom": (1.0, 1.0),
        "light_at_white": (0.8, 0.8),
        "every": 1,
    }
    return FootageMix(**(settings | changes))  # type: ignore[arg-type]  # a test's short cut


def draw(root: Path, spec: FootageMix, seed: int) -> LabelledWindow:
    source = FootageSource(load_records(spec, root), spec, SIZE, IDEAL)
    return source.draw(ENCODING, np.random.default_rng(seed))


@pytest.mark.parametrize("still_share", [0.0, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_the_bright_object_lies_in_its_box(root: Path, still_share: float, seed: int) -> None:
    window = draw(root, mix(still_share=still_share), seed)
    assert window.counts.shape == (4, HEIGHT, WIDTH)
    (box,) = window.labels.xyxy
    assert window.labels.class_ids.tolist() == [1]
    light = window.counts.sum(0).astype(float)
    bright = np.argwhere(light > 0.5 * light.max())
    low, high = bright.min(0)[::-1], bright.max(0)[::-1] + 1
    smear = 4.0  # the camera or the object moves during the window
    assert np.abs(np.concatenate((low, high)) - box).max() <= smear


def test_a_clip_that_labels_one_target_scores_no_class_and_a_still_scores_its_own(
    root: Path,
) -> None:
    assert draw(root, mix(still_share=0.0), 0).scored.tolist() == [False, False, False]
    assert draw(root, mix(still_share=1.0), 0).scored.tolist() == [False, True, False]


def test_a_shorter_interval_is_faster_motion(root: Path) -> None:
    speeds = []
    for interval_s in (0.01, 0.04):
        spec = mix(still_share=0.0, interval_s=(interval_s, interval_s))
        speeds.append(float(draw(root, spec, 1).labels.speeds_px_s[0]))
    assert speeds == pytest.approx([STEP_PX / 0.01, STEP_PX / 0.04], rel=0.05)


def test_less_light_gives_fewer_spikes(root: Path) -> None:
    counts = [
        int(draw(root, mix(still_share=0.0, light_at_white=(white, white)), 0).counts.sum())
        for white in (0.8, 0.2)
    ]
    assert counts[0] == pytest.approx(4 * counts[1], rel=0.05)


def test_the_same_seed_draws_the_same_window(root: Path) -> None:
    first, again = draw(root, mix(), 7), draw(root, mix(), 7)
    assert (first.counts == again.counts).all()


def test_a_split_without_footage_is_refused(root: Path) -> None:
    with pytest.raises(SourceError, match="'test'"):
        draw(root, mix(split="test"), 0)


def test_a_phase_draws_footage_in_its_share(root: Path) -> None:
    phases = (PhaseSpec(8, footage_share=1.0), PhaseSpec(8))
    composed = (ComposedMix(procedural_sprites=1, procedural_backgrounds=1),)
    recipe = RecipeSpec(phases, composed=composed, footage=(mix(),), width=WIDTH, height=HEIGHT)
    room = open_data(recipe, root)
    footage, drawn = (room.windows(phase, number) for number, phase in enumerate(phases))
    assert all(not footage[index].scored.all() for index in range(6))
    assert all(drawn[index].scored.all() for index in range(6))


def test_a_source_may_belong_to_some_phases_only() -> None:
    mixes = (
        ComposedMix(procedural_sprites=1, procedural_backgrounds=1, phases=(0,)),
        ComposedMix(procedural_sprites=1, procedural_backgrounds=1),
    )
    phases = (PhaseSpec(4), PhaseSpec(4))
    room = open_data(RecipeSpec(phases, composed=mixes, width=64, height=64), Path())
    assert len(room.windows(phases[0], 0).sources) == 2
    assert len(room.windows(phases[1], 1).sources) == 1


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ({"windows": 8, "footage_share": 0.5}, "wanted .*footage"),
        ({"windows": 0}, "positive"),
        ({"windows": 8, "footage_share": 1.5}, "0 to 1"),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused(phase: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RecipeSpec((PhaseSpec(**phase),), composed=(ComposedMix(),))  # type: ignore[arg-type]


def test_an_unknown_profile_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'daylight'"):
        find_profiles(["daylite"])
