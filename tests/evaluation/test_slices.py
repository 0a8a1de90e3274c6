import dataclasses
import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.detections.labels import ImageRecord, Origin
from vidar_det.evaluation.accuracy import summarize
from vidar_det.evaluation.bootstrap import BootstrapSpec
from vidar_det.evaluation.matching import ScoredImage, judge
from vidar_det.evaluation.slices import SPEEDS_PX_S, Slices, measure_slices, object_speeds

CLASSES = ["person", "vehicle", "cycle"]
QUICK = BootstrapSpec(resamples=20)
STILL, FAST, ALARM = (
    (10.0, 10.0, 50.0, 50.0),
    (200.0, 10.0, 260.0, 60.0),
    (10.0, 150.0, 60.0, 200.0),
)


def image_of(
    speeds: list[float],
    found: list[tuple[tuple[float, ...], float]],
    record: ImageRecord | None = None,
) -> ScoredImage:
    """The objects `STILL` and `FAST` with the speeds given."""
    count = len(speeds)
    truth = GroundTruth(
        np.array([STILL, FAST][:count], np.float32),
        np.zeros(count, np.int64),
        np.zeros(count, np.bool_),
        np.array(speeds, np.float32),
    )
    detections = Detections(
        np.array([box for box, _ in found], np.float32).reshape(-1, 4),
        np.array([score for _, score in found], np.float32),
        np.zeros(len(found), np.int64),
    )
    return ScoredImage(truth, detections, record=record)


def slices_of(*images: ScoredImage) -> Slices:
    return measure_slices(judge(images, ["person"]), QUICK)


def test_objects_of_another_speed_are_neither_hit_nor_miss() -> None:
    found = [(FAST, 0.9), (ALARM, 0.8), (STILL, 0.7)]
    by_speed = slices_of(image_of([0.0, 3000.0], found))["speed_px_s"]
    # still: the hit on the fast one is forgotten, the false alarm comes first
    assert by_speed["0"].mAP50.value == pytest.approx(0.5)
    assert by_speed[">1000"].mAP50.value == pytest.approx(1.0)
    assert [figures.objects for figures in by_speed.values()] == [1, 0, 0, 1]
    assert math.isnan(by_speed["<200"].mAP50.value)
    missed = slices_of(image_of([0.0, 3000.0], [(STILL, 0.9)]))["speed_px_s"]
    assert (missed["0"].mAP50.value, missed[">1000"].mAP50.value) == pytest.approx((1.0, 0.0))


def test_each_speed_holds_its_lower_end() -> None:
    ends = [0.0, 9.9, 10.0, 199.0, 200.0, 999.0, 1000.0, 4000.0]
    images = [image_of([speed], []) for speed in ends]
    found = {name: figures.objects for name, figures in slices_of(*images)["speed_px_s"].items()}
    assert found == dict.fromkeys(SPEEDS_PX_S, 2)


def test_a_pictures_speed_stands_for_boxes_that_have_none() -> None:
    record = ImageRecord(1, "a.dat", 400, 250, speed_px_s=300.0)
    assert object_speeds(image_of([math.nan, math.nan], [], record)).tolist() == [300.0, 300.0]
    known = object_speeds(image_of([math.nan, 50.0], [], record))
    np.testing.assert_array_equal(known, [np.nan, 50.0])
    assert np.isnan(object_speeds(image_of([math.nan], []))).all()
    found = slices_of(image_of([math.nan, 50.0], [], record))["speed_px_s"]
    assert (found["unknown"].objects, found["<200"].objects) == (1, 1)


def test_pictures_are_told_apart_by_what_they_say() -> None:
    images = [
        image_of([0.0], [(STILL, 0.9)], ImageRecord(1, "a.dat", 9, 9, light="dim")),
        image_of([0.0], [(ALARM, 0.9)], ImageRecord(2, "b.dat", 9, 9, light="dark")),
        image_of([0.0], [(STILL, 0.9)], ImageRecord(3, "c.dat", 9, 9, origin=Origin("still", "x"))),
    ]
    found = slices_of(*images)
    assert list(found) == ["speed_px_s", "light", "kind", "source", "size"]
    values = {name: figures.mAP50.value for name, figures in found["light"].items()}
    assert values == pytest.approx({"dark": 0.0, "dim": 1.0, "unknown": 1.0})
    assert {name: f.pictures for name, f in found["kind"].items()} == {"still": 1, "unknown": 2}
    assert list(found["source"]) == ["x", "unknown"]
    assert "kind" not in slices_of(*images[:2])


def test_normalised_precision_does_not_fall_because_objects_are_few() -> None:
    # of either speed half of the objects are found, and each hit comes with a false alarm
    found = [(ALARM, 0.9), (STILL, 0.9)]
    still = [image_of([0.0], found), image_of([0.0], [])]
    fast = [image_of([3000.0], found), image_of([3000.0], [])]
    images = [*still, *still, *fast, *still, *still] * 8
    by_speed = slices_of(*images)["speed_px_s"]
    overall = summarize(judge(images, ["person"])).mAP50
    assert by_speed[">1000"].mAP50.value < 0.5 * by_speed["0"].mAP50.value
    for name in ("0", ">1000"):
        normalised = by_speed[name].normalised50
        assert normalised is not None
        assert normalised.value == pytest.approx(overall, rel=0.1)
    assert slices_of(*fast)["size"]["medium"].normalised50 is None


def test_recall_counts_what_a_user_is_shown() -> None:
    weak = image_of([0.0, 0.0], [(STILL, 0.3), (FAST, 0.2)])
    assert slices_of(weak)["speed_px_s"]["0"].recall == 0.5
    assert math.isnan(slices_of(weak)["speed_px_s"][">1000"].recall)


def test_slices_together_hold_every_object(
    random_images: Callable[..., list[ScoredImage]],
) -> None:
    judgement = judge(random_images(8, 30), CLASSES)
    total = sum(figures.objects for figures in summarize(judgement).per_class.values())
    for slices in measure_slices(judgement, QUICK).values():
        assert sum(figures.objects for figures in slices.values()) == total
        for name in CLASSES:
            assert sum(f.per_class[name][1] for f in slices.values()) > 0


def test_a_slice_of_pictures_is_what_its_pictures_alone_score(
    random_images: Callable[..., list[ScoredImage]],
) -> None:
    images = random_images(9, 30)
    found = measure_slices(judge(images, CLASSES), QUICK)
    for light, figures in found["light"].items():
        alone = summarize(judge([i for i in images if i.record.light == light], CLASSES))
        assert (figures.mAP, figures.mAP50.value) == pytest.approx((alone.mAP, alone.mAP50))
        assert figures.mAP50.low <= figures.mAP50.value <= figures.mAP50.high
    report = summarize(judge(images, CLASSES))
    sizes = [found["size"][name].mAP for name in ("small", "medium", "large")]
    assert sizes == pytest.approx([report.mAP_small, report.mAP_medium, report.mAP_large])


def test_slices_become_plain_json(random_images: Callable[..., list[ScoredImage]]) -> None:
    found = measure_slices(judge(random_images(8), CLASSES), QUICK)
    plain = {key: {name: f.to_json() for name, f in group.items()} for key, group in found.items()}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    nothing = dataclasses.replace(found["size"]["small"], mAP=math.nan).to_json()
    assert nothing["mAP"] is None
