import json
import math

import numpy as np
import pytest

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.errors import LabelError
from vidar_det.evaluation.accuracy import AccuracyReport, evaluate
from vidar_det.evaluation.matching import ScoredImage

BOX, ELSEWHERE = (10.0, 10.0, 50.0, 50.0), (200.0, 100.0, 260.0, 160.0)
Row = tuple[tuple[float, float, float, float], int]


def truth_of(*rows: Row, ignore: tuple[Row, ...] = ()) -> GroundTruth:
    boxes = [*rows, *ignore]
    return GroundTruth(
        np.array([box for box, _ in boxes], np.float32).reshape(-1, 4),
        np.array([class_id for _, class_id in boxes], np.int64),
        np.arange(len(boxes)) >= len(rows),
    )


def found_of(*rows: tuple[tuple[float, float, float, float], int, float]) -> Detections:
    return Detections(
        np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, _, score in rows], np.float32),
        np.array([class_id for _, class_id, _ in rows], np.int64),
    )


def one_class(truth: GroundTruth, found: Detections) -> AccuracyReport:
    return evaluate([ScoredImage(truth, found)], ["person"])


def test_perfect_detections_score_one() -> None:
    report = evaluate(
        [
            ScoredImage(
                truth_of((BOX, 0), (ELSEWHERE, 1)), found_of((BOX, 0, 0.9), (ELSEWHERE, 1, 0.3))
            ),
            ScoredImage(truth_of((BOX, 1)), found_of((BOX, 1, 0.8))),
        ],
        ["person", "vehicle"],
    )
    assert (report.mAP, report.mAP50, report.mAP75, report.AR100) == pytest.approx(
        (1.0, 1.0, 1.0, 1.0)
    )
    assert (report.mAP_medium, report.AR_medium) == pytest.approx((1.0, 1.0))
    assert list(report.per_class) == ["person", "vehicle"]
    assert [figures.objects for figures in report.per_class.values()] == [1, 2]
    assert [figures.AP for figures in report.per_class.values()] == pytest.approx([1.0, 1.0])
    assert report.images == 2


def test_a_miss_in_two_scores_half() -> None:
    # precision is 1 at the 51 recall points 0.00..0.50 and 0 at the other 50
    report = one_class(truth_of((BOX, 0), (ELSEWHERE, 0)), found_of((BOX, 0, 0.9)))
    assert report.mAP == pytest.approx(51 / 101)
    assert report.AR100 == 0.5


def test_a_false_alarm_ranked_first_halves_the_precision() -> None:
    found = found_of((ELSEWHERE, 0, 0.9), (BOX, 0, 0.8))
    assert one_class(truth_of((BOX, 0)), found).mAP == pytest.approx(0.5)


def test_a_false_alarm_ranked_last_costs_nothing() -> None:
    found = found_of((ELSEWHERE, 0, 0.7), (BOX, 0, 0.8))
    assert one_class(truth_of((BOX, 0)), found).mAP == pytest.approx(1.0)


def test_a_loose_box_counts_up_to_its_overlap() -> None:
    # 40 x 31 of 40 x 40 pixels: overlap 0.775 passes 0.50, 0.55 ... 0.75, six of ten
    report = one_class(truth_of((BOX, 0)), found_of(((10.0, 10.0, 50.0, 41.0), 0, 0.9)))
    assert (report.mAP50, report.mAP75) == pytest.approx((1.0, 1.0))
    assert report.mAP == pytest.approx(0.6)


def test_an_ignored_box_is_neither_hit_nor_miss() -> None:
    crowd = (100.0, 100.0, 300.0, 200.0)
    truth = truth_of((BOX, 0), ignore=((crowd, 0),))
    inside = [((x, 110.0, x + 30, 170.0), 0, 0.99) for x in (110.0, 150.0, 200.0)]
    absorbed = one_class(truth, found_of(*inside, (BOX, 0, 0.5)))
    assert (absorbed.mAP, absorbed.per_class["person"].objects) == pytest.approx((1.0, 1))
    assert one_class(truth, found_of((BOX, 0, 0.5))).mAP == pytest.approx(1.0)
    alarms = one_class(truth_of((BOX, 0)), found_of(*inside, (BOX, 0, 0.5)))
    assert alarms.mAP == pytest.approx(0.25)


def test_nothing_found_scores_zero() -> None:
    report = one_class(truth_of((BOX, 0)), Detections.empty())
    assert (report.mAP, report.mAP50, report.AR100) == (0.0, 0.0, 0.0)
    assert report.per_class["person"].AP == 0.0


def test_nothing_to_find_is_not_a_number() -> None:
    for images in ([], [ScoredImage(GroundTruth.empty(), found_of((BOX, 0, 0.9)))]):
        report = evaluate(images, ["person"])
        assert math.isnan(report.mAP)
        assert math.isnan(report.per_class["person"].AP50)
        assert report.per_class["person"].objects == 0


def test_a_class_without_objects_stays_out_of_the_mean() -> None:
    found = found_of((BOX, 0, 0.9), (BOX, 1, 0.9))
    report = evaluate([ScoredImage(truth_of((BOX, 0)), found)], ["person", "vehicle"])
    assert report.mAP == pytest.approx(1.0)
    assert math.isnan(report.per_class["vehicle"].AP)


def test_a_class_that_is_not_scored_gives_no_false_alarms_there() -> None:
    first = truth_of((BOX, 0), (BOX, 1)), found_of((BOX, 0, 0.9), (BOX, 1, 0.5))
    second = truth_of((BOX, 0), (ELSEWHERE, 1)), found_of((BOX, 0, 0.9), (BOX, 1, 0.99))
    names = ["person", "vehicle"]
    everywhere = evaluate([ScoredImage(*first), ScoredImage(*second)], names)
    precision = everywhere.per_class["vehicle"].AP
    assert precision == pytest.approx(0.5 * 51 / 101)
    partly = evaluate([ScoredImage(*first), ScoredImage(*second, scored=(0,))], names)
    assert (partly.mAP, partly.per_class["vehicle"].objects) == pytest.approx((1.0, 1))
    unscored = evaluate([ScoredImage(*first), ScoredImage(*second, scored=())], names)
    assert (unscored.mAP, unscored.per_class["person"].objects) == pytest.approx((1.0, 1))


def test_an_unscored_class_counts_as_if_the_picture_were_not_there() -> None:
    generator = np.random.default_rng(5)
    names, images = ["person", "vehicle", "cycle"], []
    for _ in range(30):
        corners = generator.uniform(0, 150, (5, 2))
        xyxy = np.concatenate([corners, corners + 40], axis=1).astype(np.float32)
        class_ids = generator.integers(0, 3, 5)
        shifted = xyxy + generator.normal(0, 6, (5, 1)).astype(np.float32)
        found = Detections(shifted, generator.random(5, np.float32), class_ids)
        scored = tuple(np.flatnonzero(generator.random(3) < 0.6).tolist())
        truth = GroundTruth(xyxy, class_ids, generator.random(5) < 0.2)
        images.append(ScoredImage(truth, found, scored))
    report = evaluate(images, names)
    for class_id, name in enumerate(names):
        listed = [
            ScoredImage(image.truth, image.detections)
            for image in images
            if image.scored is not None and class_id in image.scored
        ]
        assert 0 < len(listed) < len(images)
        assert 0.0 < report.per_class[name].AP < 1.0
        assert evaluate(listed, names).per_class[name] == report.per_class[name]


def test_sizes_are_told_apart() -> None:
    small, large = (0.0, 0.0, 20.0, 20.0), (100.0, 100.0, 240.0, 240.0)
    report = one_class(truth_of((small, 0), (large, 0)), found_of((small, 0, 0.9)))
    assert (report.mAP_small, report.mAP_large) == pytest.approx((1.0, 0.0))
    assert math.isnan(report.mAP_medium)


def test_the_report_becomes_json_with_null_for_nan() -> None:
    plain = evaluate([], ["person"]).to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["mAP"] is None
    assert plain["per_class"] == {"person": {"AP": None, "AP50": None, "objects": 0}}


def test_scoring_prints_nothing_and_leaves_its_arguments_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    truth, found = truth_of((BOX, 0)), found_of((BOX, 0, 0.9), (ELSEWHERE, 0, 0.4))
    evaluate([ScoredImage(truth, found, scored=())], ["person"])
    assert capsys.readouterr().out == ""
    assert truth.xyxy.tolist() == [list(BOX)]
    assert found.xyxy.tolist() == [list(BOX), list(ELSEWHERE)]


@pytest.mark.parametrize(
    "image",
    [
        ScoredImage(truth_of((BOX, 1)), Detections.empty()),
        ScoredImage(truth_of(), found_of((BOX, 2, 0.9))),
        ScoredImage(truth_of(), Detections.empty(), scored=(0, 1)),
    ],
)
def test_a_class_id_without_a_name_is_refused(image: ScoredImage) -> None:
    with pytest.raises(LabelError, match=r"found class ids .*, wanted 0\.\.0"):
        evaluate([image], ["person"])
