import dataclasses
import json
from collections.abc import Callable

import pytest

from vidar_det.detections.boxes import Detections
from vidar_det.errors import ShapeError
from vidar_det.evaluation.accuracy import evaluate
from vidar_det.evaluation.accuracy_report import accuracy_sections
from vidar_det.evaluation.assessment import assess
from vidar_det.evaluation.bootstrap import BootstrapSpec
from vidar_det.evaluation.matching import ScoredImage
from vidar_det.evaluation.report import Picture

CLASSES = ["person", "vehicle", "cycle"]
Images = Callable[..., list[ScoredImage]]
QUICK = BootstrapSpec(resamples=20)


def blind(images: list[ScoredImage]) -> list[ScoredImage]:
    return [dataclasses.replace(image, detections=Detections.empty()) for image in images]


def found_in(images: list[ScoredImage]) -> list[Detections]:
    return [image.detections for image in images]


def test_an_assessment_holds_the_figures_of_its_parts(random_images: Images) -> None:
    images = random_images(1, 20)
    plain = assess(images, CLASSES, bootstrap=QUICK).to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    report = evaluate(images, CLASSES).to_json()
    assert {key: plain[key] for key in report} == report
    assert plain["intervals"]["mAP50"]["value"] == pytest.approx(report["mAP50"])
    assert set(plain["slices"]) == {"speed_px_s", "light", "kind", "source", "size"}
    assert plain["gallery"][0]["kind"] == "false alarm"
    assert "comparison" not in plain


def test_a_rival_is_compared_with(random_images: Images) -> None:
    images = random_images(1, 20)
    assessment = assess(images, CLASSES, ("blind", found_in(blind(images))), QUICK)
    plain = assessment.to_json()["comparison"]
    assert (plain["other"], plain["other_figures"]["mAP50"]["value"]) == ("blind", 0.0)
    assert plain["mAP50"]["value"] == pytest.approx(assessment.accuracy.mAP50)
    section = next(s for s in accuracy_sections(assessment) if s.heading == "Compared with blind")
    assert section.table is not None
    assert {row[-1] for row in section.table.rows} == {"yes"}
    same = assess(images, CLASSES, ("itself", found_in(images)), QUICK)
    section = next(s for s in accuracy_sections(same) if s.heading == "Compared with itself")
    assert section.table is not None
    assert {row[-1] for row in section.table.rows} == {"no"}
    with pytest.raises(ShapeError, match="blind: found 19 pictures, wanted 20"):
        assess(images, CLASSES, ("blind", found_in(images)[1:]), QUICK)


def test_the_sections_tell_the_figures(random_images: Images) -> None:
    assessment = assess(random_images(1, 20), CLASSES, bootstrap=QUICK)
    picture = Picture(b"png", "a wall")
    sections = {s.heading: s for s in accuracy_sections(assessment, [picture], [])}
    assert sections["Worst false alarms"].pictures == [picture]
    assert sections["Worst misses"].text == "None."
    rows = sections["Average precision"].table
    assert rows is not None
    assert [row[0] for row in rows.rows] == [*CLASSES, "all"]
    assert rows.rows[-1][2:5] == tuple(assessment.figures.mAP50)
    parts = sections["Parts of the data"].table
    assert parts is not None
    lights = [row for row in parts.rows if row[0] == "light"]
    assert [row[1] for row in lights] == ["dark", "bright"]
    assert sum(row[2] for row in lights) == 20
    by_class = sections["Parts of the data by class"].table
    assert by_class is not None
    for row, total in zip(by_class.rows, parts.rows, strict=True):
        assert row[:2] == total[:2]
        assert sum(row[3::2]) == total[3]


def test_nothing_found_and_nothing_to_find_are_told_too(random_images: Images) -> None:
    for images in ([], blind(random_images(1))):
        assessment = assess(images, CLASSES, bootstrap=QUICK)
        json.dumps(assessment.to_json(), allow_nan=False)
        assert len(accuracy_sections(assessment)) == 8
    assert assessment.accuracy.mAP == 0.0
