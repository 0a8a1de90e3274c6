from collections.abc import Callable

import cv2
import numpy as np
import pytest

from vidar_det.evaluation.bootstrap import BootstrapSpec
from vidar_det.evaluation.confusion import count_confusions
from vidar_det.evaluation.curves import draw_curves
from vidar_det.evaluation.figures import (
    confusion_picture,
    f1_picture,
    precision_recall_picture,
    slices_picture,
)
from vidar_det.evaluation.matching import Judgement, ScoredImage, judge
from vidar_det.evaluation.report import Picture
from vidar_det.evaluation.slices import measure_slices

PICTURES: list[Callable[[Judgement], Picture]] = [
    lambda judgement: precision_recall_picture(draw_curves(judgement)),
    lambda judgement: f1_picture(draw_curves(judgement)),
    lambda judgement: confusion_picture(count_confusions(judgement.images, judgement.classes)),
    lambda judgement: slices_picture(measure_slices(judgement, BootstrapSpec(resamples=5))),
]


@pytest.mark.parametrize("draw", PICTURES)
@pytest.mark.parametrize("count", [0, 1, 20])
def test_every_figure_is_drawn_for_many_few_and_no_pictures(
    random_images: Callable[..., list[ScoredImage]],
    draw: Callable[[Judgement], Picture],
    count: int,
) -> None:
    picture = draw(judge(random_images(1, count), [f"class {n}" for n in range(9)]))
    drawn = cv2.imdecode(np.frombuffer(picture.png, np.uint8), cv2.IMREAD_COLOR)
    assert min(drawn.shape[:2]) > 200
    assert len(np.unique(drawn)) > 10
    assert picture.caption
