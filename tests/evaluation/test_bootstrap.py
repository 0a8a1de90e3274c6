import dataclasses
import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.detections.labels import Origin
from vidar_det.errors import ConfigError, ShapeError
from vidar_det.evaluation.accuracy import summarize
from vidar_det.evaluation.bootstrap import (
    BootstrapSpec,
    Estimate,
    compare,
    draw_scenes,
    estimate,
    scene_numbers,
)
from vidar_det.evaluation.matching import ScoredImage, judge

CLASSES = ["person", "vehicle", "cycle"]
Images = Callable[..., list[ScoredImage]]
QUICK = BootstrapSpec(resamples=200)


def noisier(images: list[ScoredImage]) -> list[ScoredImage]:
    """The same pictures, with every second detection gone."""
    return [
        dataclasses.replace(i, detections=i.detections.select(slice(0, None, 2))) for i in images
    ]


def test_pictures_of_one_scene_are_drawn_together(random_images: Images) -> None:
    images = random_images(2)
    assert scene_numbers(images).tolist() == [index // 2 for index in range(12)]
    draws = draw_scenes(images, QUICK)
    assert draws.shape == (201, 12)
    assert (draws[0] == 1).all()
    np.testing.assert_array_equal(draws[:, ::2], draws[:, 1::2])
    assert (draws.sum(axis=1) == 12).all()


def test_without_a_scene_the_recording_counts_and_without_a_record_the_picture(
    random_images: Images,
) -> None:
    first, second, *_ = random_images(2)
    assert first.record is not None
    bare = dataclasses.replace(first, record=dataclasses.replace(first.record, origin=Origin()))
    unknown = dataclasses.replace(second, record=None)
    assert scene_numbers([bare, unknown, bare]).tolist() == [0, 1, 0]


def test_the_figures_are_those_of_pycocotools_and_lie_in_their_intervals(
    random_images: Images,
) -> None:
    judgement = judge(random_images(3, 40), CLASSES)
    report, figures = summarize(judgement), estimate(judgement, QUICK)
    assert (figures.mAP.value, figures.mAP50.value) == pytest.approx((report.mAP, report.mAP50))
    for name, accuracy in report.per_class.items():
        assert figures.per_class[name]["AP"].value == pytest.approx(accuracy.AP)
        assert figures.per_class[name]["AP50"].value == pytest.approx(accuracy.AP50)
    assert figures.mAP50.low < figures.mAP50.value < figures.mAP50.high
    assert figures.scenes == 20


def test_the_seed_decides_the_interval(random_images: Images) -> None:
    judgement = judge(random_images(3), CLASSES)
    first, second, other = (
        estimate(judgement, BootstrapSpec(50, seed)).mAP50 for seed in (7, 7, 8)
    )
    assert first == second
    assert (first.low, first.high) != (other.low, other.high)


def test_an_interval_holds_the_share_of_means_that_it_says() -> None:
    # one object a picture, found or not: AP50 of a draw is about the share that was found
    box, zero = np.array([[0, 0, 40, 40]], np.float32), np.zeros(1, np.int64)
    truth = GroundTruth(box, zero, np.zeros(1, np.bool_))
    found = Detections(box, np.ones(1, np.float32), zero)
    images = [ScoredImage(truth, found if n % 2 else Detections.empty()) for n in range(100)]
    interval = estimate(judge(images, ["person"]), BootstrapSpec(2000)).mAP50
    # binomial: 0.5 -+ 1.96 sqrt(0.25 / 100)
    assert (interval.low, interval.high) == pytest.approx((0.402, 0.598), abs=0.025)


def test_a_set_compared_with_itself_differs_by_nothing(random_images: Images) -> None:
    judgement = judge(random_images(5), CLASSES)
    same = compare(judgement, judgement, QUICK)
    assert same.mAP == same.mAP50 == Estimate(0.0, 0.0, 0.0)


def test_a_comparison_is_paired_and_turns_its_sign(random_images: Images) -> None:
    images = random_images(6, 40)
    better, worse = judge(images, CLASSES), judge(noisier(images), CLASSES)
    gain, loss = compare(better, worse, QUICK), compare(worse, better, QUICK)
    assert gain.mAP50.value == pytest.approx(summarize(better).mAP50 - summarize(worse).mAP50)
    assert gain.mAP50.low > 0
    assert (loss.mAP50.low, loss.mAP50.high) == pytest.approx((-gain.mAP50.high, -gain.mAP50.low))
    width = gain.mAP50.high - gain.mAP50.low
    apart = [estimate(side, QUICK).mAP50 for side in (better, worse)]
    assert width < sum(side.high - side.low for side in apart)


def test_other_pictures_cannot_be_compared(random_images: Images) -> None:
    judgement = judge(random_images(5), CLASSES)
    with pytest.raises(ShapeError, match="comparison: found other pictures"):
        compare(judgement, judge(random_images(6), CLASSES))
    with pytest.raises(ShapeError, match="comparison: found other pictures"):
        compare(judgement, judge(random_images(5), CLASSES[::-1]))


def test_one_scene_has_no_interval_and_no_object_no_figure(random_images: Images) -> None:
    one_scene = estimate(judge(random_images(11, 2), CLASSES), QUICK).mAP50
    assert one_scene.value >= 0
    assert math.isnan(one_scene.low)
    nothing = estimate(judge([], CLASSES), QUICK)
    assert nothing.mAP50.to_json() == {"value": None, "low": None, "high": None}
    assert nothing.scenes == 0


def test_figures_become_plain_json(random_images: Images) -> None:
    plain = estimate(judge(random_images(5), CLASSES), QUICK).to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert (plain["resamples"], plain["seed"], plain["level"]) == (200, 0, 0.95)


@pytest.mark.parametrize("wrong", [{"resamples": 0}, {"seed": -1}, {"level": 1.0}])
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="bootstrap"):
        BootstrapSpec(**wrong)  # type: ignore[arg-type]
