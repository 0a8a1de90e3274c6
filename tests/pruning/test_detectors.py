"""A detector that learned is cut, and finds the boxes that its masked self finds."""

from typing import cast

import numpy as np
import torch

from vidar_det.detections.boxes import Detections
from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.decoding import decode
from vidar_det.detector.encoding import encode
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.weights_file import find_weights
from vidar_det.pruning.costs import count_params
from vidar_det.pruning.detectors import cut_detector, detector_groups
from vidar_det.pruning.importance import spine_sizes
from vidar_det.pruning.plan import Target, make_plan
from vidar_det.pruning.surgery import mask
from vidar_det.spikes.demo import RECORDING_FILE, find_demo
from vidar_det.spikes.recording import open_recording


def test_weights_that_learned_find_the_same_boxes_masked_and_cut() -> None:
    network = load_network(find_weights("nano")).eval()
    groups = detector_groups(network)
    sizes, costs = spine_sizes(network, groups), count_params(network, groups)
    kept = make_plan(groups, sizes, costs, Target("params", 0.95)).kept
    masked = cast(SpikingDetector, mask(network, groups, kept))
    narrow = cut_detector(network, groups, kept)
    boxes = 0
    for window in range(3):
        one, other = find(masked, window), find(narrow, window)
        for name in ("xyxy", "scores", "class_ids"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        boxes += len(one)
    assert boxes


@torch.no_grad()
def find(network: SpikingDetector, window: int) -> Detections:
    """Look at a window of the demo recording, so precisely that the order of sums flips nothing."""
    spec = network.spec.encoding
    recording = open_recording(find_demo() / RECORDING_FILE)
    planes, sensor = spec.window, recording.sensor
    counts = recording.counts(window * planes, (window + 1) * planes, spec.bins)
    x = encode(counts, spec).double()
    scores, distances = (part[0].float().numpy() for part in network.double().eval()(x))
    return decode(scores, distances, (sensor.height, sensor.width), tuple(x.shape[-2:]))
