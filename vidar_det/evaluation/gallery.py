"""Judged pictures come in; the worst misses and false alarms go out, to look at."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.detections.drawing import draw_detections
from vidar_det.evaluation.bootstrap import scene_numbers
from vidar_det.evaluation.matching import (
    ALARM,
    HIT,
    SHOWN_CONF,
    Judgement,
    ScoredImage,
    overlaps,
)
from vidar_det.evaluation.report import Picture
from vidar_det.spikes.reconstruction import texture_from_playback, to_grey8, white_level
from vidar_det.spikes.stream import SpikeWindow

MARK = (255, 64, 64)
"""RGB of the frame around what went wrong."""
OVERLAP = 0.5
"""Least overlap of a detection with what it finds."""
PER_SCENE = 2
"""Cases of one kind from one scene, at most: a parked car is missed on every picture of a clip."""


@dataclass(frozen=True)
class Case:
    """One thing that went wrong.

    Attributes:
        kind: what it is.
        picture: index of the picture among those judged.
        class_name: of the object that was missed, or of the detection that is none.
        xyxy: its box, pixels.
        score: of the false alarm; of a miss, that of the detection of its class that comes
            nearest, None if none touches it.
        overlap: with the object that comes nearest, whatever its class; of a miss with that
            detection.
        other: class name of that object; None for a miss, or where nothing is near.
    """

    kind: Literal["miss", "false alarm"]
    picture: int
    class_name: str
    xyxy: tuple[float, float, float, float]
    score: float | None
    overlap: float
    other: str | None = None


def find_cases(judgement: Judgement, count: int = 12, conf: float = SHOWN_CONF) -> list[Case]:
    """Find what to look at first.

    Args:
        judgement: the verdicts on all objects.
        count: how many of each kind, at most.
        conf: lowest score that a user is shown: what only weaker ones find counts as missed.

    Returns:
        The surest false alarms, then the largest objects that were missed, at overlap 0.50; of
        each kind no more than two from one scene.

    Example:
        >>> from vidar_det.evaluation.matching import judge
        >>> find_cases(judge([], ["person"]))
        []
    """
    alarms = sorted(_false_alarms(judgement, conf), key=lambda case: -(case.score or 0.0))
    misses = sorted(_misses(judgement, conf), key=lambda case: -_area(case))
    scenes = scene_numbers(judgement.images).tolist()
    return [*_spread(alarms, scenes, count), *_spread(misses, scenes, count)]


def draw_case(
    case: Case, image: ScoredImage, window: SpikeWindow, classes: Sequence[str]
) -> Picture:
    """Show a case: the window's averaged picture (TFP), its objects dashed, detections solid.

    Args:
        case: what to show.
        image: the picture that it is on.
        window: its planes.
        classes: names; a class id is an index into them.

    Returns:
        The picture; what went wrong has a bright red frame. Of a false alarm no other detection
        is drawn, of a miss all that a user is shown.
    """
    light = texture_from_playback(window)
    found = image.detections.select(image.detections.scores >= SHOWN_CONF)
    if case.kind == "false alarm":
        is_case = (found.xyxy == np.array(case.xyxy, np.float32)).all(axis=1)
        found = found.select(is_case & (found.class_ids == classes.index(case.class_name)))
    drawn = draw_detections(
        to_grey8(light, white_level(light)), found, classes, ground_truth=image.truth
    )
    left, top, right, bottom = (round(edge) for edge in case.xyxy)
    cv2.rectangle(drawn, (left - 2, top - 2), (right + 1, bottom + 1), MARK, 2)
    _, png = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    return Picture(png.tobytes(), f"{_place(image, window)}: {describe_case(case)}")


def describe_case(case: Case) -> str:
    """Say a case in words.

    Example:
        >>> describe_case(Case("false alarm", 0, "person", (1, 2, 9, 8), 0.91, 0.3, "vehicle"))
        'false alarm, person 0.91, overlap 0.30 with a vehicle'
        >>> describe_case(Case("miss", 0, "person", (1, 2, 9, 8), None, 0.0))
        'missed person of 8 x 6 pixels, no person found near it'
    """
    if case.kind == "false alarm":
        near = f"overlap {case.overlap:.2f} with a {case.other}" if case.other else "nothing near"
        if case.other == case.class_name and case.overlap >= OVERLAP:
            near += " that was found already"
        return f"false alarm, {case.class_name} {case.score:.2f}, {near}"
    left, top, right, bottom = case.xyxy
    near = f"no {case.class_name} found near it"
    if case.score is not None:
        near = f"nearest {case.class_name} {case.score:.2f} overlaps it by {case.overlap:.2f}"
    size = f"{right - left:.0f} x {bottom - top:.0f}"
    return f"missed {case.class_name} of {size} pixels, {near}"


def case_json(case: Case, image: ScoredImage) -> dict[str, Any]:
    """Give a case and where it is, ready for ``write_json``; boxes are xyxy in pixels."""
    record = image.record
    return {
        "kind": case.kind,
        "recording": record and record.file_name,
        "plane_start": record and record.plane_start,
        "plane_count": record and record.plane_count,
        "class": case.class_name,
        "xyxy": [round(edge, 2) for edge in case.xyxy],
        "score": case.score,
        "overlap": case.overlap,
        "other": case.other,
    }


def _false_alarms(judgement: Judgement, conf: float) -> Iterator[Case]:
    for matches in judgement.matches():
        is_case = (matches.verdicts[0] == ALARM) & (matches.scores >= conf)
        rows = matches.rows[is_case].tolist()
        for picture, row in zip(matches.pictures[is_case].tolist(), rows, strict=True):
            yield _false_alarm(judgement, picture, row)


def _false_alarm(judgement: Judgement, picture: int, row: int) -> Case:
    image = judgement.images[picture]
    found = image.detections.select(slice(row, row + 1))
    overlap = overlaps(found, image.truth)[0]
    best = float(overlap.max(initial=0.0))
    return Case(
        kind="false alarm",
        picture=picture,
        class_name=judgement.classes[found.class_ids[0]],
        xyxy=_corners(found, 0),
        score=float(found.scores[0]),
        overlap=best,
        other=judgement.classes[image.truth.class_ids[overlap.argmax()]] if best else None,
    )


def _misses(judgement: Judgement, conf: float) -> Iterator[Case]:
    found: set[tuple[int, int]] = set()
    for matches in judgement.matches():
        is_hit = (matches.verdicts[0] == HIT) & (matches.scores >= conf)
        rows = matches.found[is_hit].tolist()
        found.update(zip(matches.pictures[is_hit].tolist(), rows, strict=True))
    for picture, image in enumerate(judgement.images):
        for row in np.flatnonzero(~image.truth.ignore).tolist():
            if (picture, row) not in found:
                yield _miss(judgement, picture, row)


def _miss(judgement: Judgement, picture: int, row: int) -> Case:
    truth, detections = judgement.images[picture].truth, judgement.images[picture].detections
    class_id = truth.class_ids[row]
    near = detections.select(detections.class_ids == class_id)
    overlap = overlaps(near, truth)[:, row]
    best = float(overlap.max(initial=0.0))
    return Case(
        kind="miss",
        picture=picture,
        class_name=judgement.classes[class_id],
        xyxy=_corners(truth, row),
        score=float(near.scores[overlap.argmax()]) if best else None,
        overlap=best,
    )


def _spread(cases: Iterable[Case], scenes: Sequence[int], count: int) -> list[Case]:
    """The first of the cases, few of each scene."""
    taken: Counter[int] = Counter()
    chosen: list[Case] = []
    for case in cases:
        taken[scenes[case.picture]] += 1
        if taken[scenes[case.picture]] <= PER_SCENE and len(chosen) < count:
            chosen.append(case)
    return chosen


def _corners(boxes: Detections | GroundTruth, row: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = boxes.xyxy[row].tolist()
    return left, top, right, bottom


def _area(case: Case) -> float:
    left, top, right, bottom = case.xyxy
    return (right - left) * (bottom - top)


def _place(image: ScoredImage, window: SpikeWindow) -> str:
    planes = f"planes {window.start}-{window.start + window.length - 1}"
    return planes if image.record is None else f"{Path(image.record.file_name).name}, {planes}"
