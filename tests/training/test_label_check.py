from dataclasses import replace

import numpy as np
import pytest
import torch

from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import EncodingSpec, size_spec
from vidar_det.errors import LabelError, RangeError
from vidar_det.spikes.labels import BoxRow, stack_boxes
from vidar_det.training.label_check import LabelCheck, check_labels
from vidar_det.training.losses import LossSpec
from vidar_det.training.simulation import Batch, LabelledWindow, collate

CLASSES = ("person", "vehicle", "cycle")
ENCODING = EncodingSpec(steps=1)
PERSON, VEHICLE = (8.0, 8.0, 40.0, 56.0), (50.0, 20.0, 90.0, 60.0)


@pytest.fixture(scope="module")
def network() -> SpikingDetector:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_detector(size_spec("nano", CLASSES, ENCODING))


def window(*rows: BoxRow, rate: int = 4, scored: tuple[bool, ...] = (True,) * 3) -> LabelledWindow:
    counts = np.full((ENCODING.bins, 64, 96), rate, np.uint16)
    return LabelledWindow(counts, stack_boxes(list(rows)), np.array(scored))


def box(
    corners: tuple[float, float, float, float], class_id: int = 0, ignore: bool = False
) -> BoxRow:
    return BoxRow(corners, class_id, 1, ignore, 0.0)


def check(network: SpikingDetector, *windows: LabelledWindow) -> LabelCheck:
    return check_labels([collate(windows)], network, CLASSES, LossSpec())


def test_what_windows_hold_is_counted(network: SpikingDetector) -> None:
    ignored = box((0, 0, 8, 8), class_id=2, ignore=True)
    first = window(box(PERSON), box(VEHICLE, 1), ignored)
    batches = [collate([first, window(ignored)]), collate([window(box(PERSON))])]
    found = check_labels(batches, network, CLASSES, LossSpec())
    assert (found.windows, found.empty, found.silent) == (3, 1, 0)
    assert found.objects == {"person": 2, "vehicle": 1, "cycle": 0}
    assert found.scored == {"person": 3, "vehicle": 3, "cycle": 3}
    assert (found.ignored, found.degenerate, found.outside, found.unassigned) == (2, 0, 0, 0)
    assert found.heights_px[1] == 48
    assert 1 <= found.cells[0] <= found.cells[2] <= LossSpec().topk
    assert found.warnings == ("no window shows a cycle: it cannot be learned",)


@pytest.mark.parametrize(
    ("spoiled", "warning"),
    [
        (window(box((10, 10, 11, 40))), "boxes thinner than two pixels: 1"),
        (window(box((40, 10, 10, 40))), "boxes thinner than two pixels: 1"),
        (window(box((10, 10, float("nan"), 40))), "boxes thinner than two pixels: 1"),
        (window(box((10, 10, 99, 40))), "boxes that reach beyond their picture: 1"),
        (window(box((-5, 10, 30, 40))), "boxes that reach beyond their picture: 1"),
        (window(box(PERSON), rate=0), "in 1 of 1 windows no pixel fires"),
        (window(box((10, 10, 14, 15))), "half of the objects are lower than the finest cell"),
        (
            window(box(PERSON, ignore=True)),
            "1 of 1 windows show no object",
        ),
        (
            window(box(PERSON), scored=(True, True, False)),
            "no window is completely labelled for cycle",
        ),
        (window(*[box((30, 20, 40, 30))] * 12), "no cell stands for"),
    ],
)
def test_what_is_doubtful_is_said(
    network: SpikingDetector, spoiled: LabelledWindow, warning: str
) -> None:
    good = check(network, window(box(PERSON), box(VEHICLE, 1), box((44, 2, 94, 18), 2)))
    assert not [told for told in good.warnings if warning in told]
    assert [told for told in check(network, spoiled).warnings if warning in told]


def test_a_class_without_a_name_is_refused(network: SpikingDetector) -> None:
    with pytest.raises(LabelError, match="found class ids 0 to 3, wanted 0 to 2"):
        check(network, window(box(PERSON), box(VEHICLE, 3)))
    with pytest.raises(RangeError, match="no windows"):
        check_labels([], network, CLASSES, LossSpec())


def test_batches_and_network_stay_as_they_are(network: SpikingDetector) -> None:
    batch = collate([window(box(PERSON))])
    targets = replace(batch.targets, boxes=batch.targets.boxes.clone())
    weights = {name: value.clone() for name, value in network.named_parameters()}
    check_labels([Batch(batch.counts, targets)], network, CLASSES, LossSpec())
    assert torch.equal(targets.boxes, batch.targets.boxes)
    assert all(torch.equal(value, weights[name]) for name, value in network.named_parameters())
