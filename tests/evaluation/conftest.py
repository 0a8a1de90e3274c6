from collections.abc import Callable

import numpy as np
import pytest

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.detections.labels import ImageRecord, Origin
from vidar_det.evaluation.matching import ScoredImage

LIGHTS, KINDS = ("dark", "bright"), ("video", "still")
SPEEDS_PX_S = (0.0, 90.0, 500.0, 3000.0, np.nan)


@pytest.fixture(scope="session")
def random_images() -> Callable[..., list[ScoredImage]]:
    """Makes pictures with a few objects of three classes, some of them found, and false alarms.

    Scores have many ties, some boxes are ignored, some classes not scored; two neighbouring
    pictures show one scene.
    """

    def make(seed: int, count: int = 12) -> list[ScoredImage]:
        generator = np.random.default_rng(seed)
        return [_random_image(generator, index) for index in range(count)]

    return make


def _random_image(generator: np.random.Generator, index: int) -> ScoredImage:
    count, class_count = int(generator.integers(0, 6)), 3
    corners, sides = generator.uniform(0, 200, (count, 2)), generator.uniform(10, 120, (count, 2))
    xyxy = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    class_ids = generator.integers(0, class_count, count)
    speeds = generator.choice(SPEEDS_PX_S, count).astype(np.float32)
    truth = GroundTruth(xyxy, class_ids, generator.random(count) < 0.2, speeds)
    shifted = xyxy + generator.normal(0, 8, (count, 1)).astype(np.float32)
    alarms = generator.uniform(0, 200, (3, 2)).astype(np.float32)
    boxes = np.concatenate([shifted, np.concatenate([alarms, alarms + 40], axis=1)])
    found_ids = np.concatenate([class_ids, generator.integers(0, class_count, 3)])
    scores = generator.integers(0, 8, len(boxes)).astype(np.float32) / 8
    record = ImageRecord(
        index + 1,
        f"recordings/{index}.dat",
        400,
        250,
        plane_count=128,
        light=LIGHTS[index % 2],
        origin=Origin(KINDS[index % 2], "footage", f"scene {index // 2}"),
    )
    scored = None if index % 3 else tuple(np.flatnonzero(generator.random(class_count) < 0.7))
    return ScoredImage(truth, Detections(boxes, scores, found_ids), scored, record)
