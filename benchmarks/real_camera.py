"""What weights see on two real recordings: a car close up, and a street without anyone.

There is no labelled recording of a Vidar camera to be had, so these two are looked at by hand. The
car passes so near that the picture holds only its front, cut by two borders; its box was drawn by
eye on the counts of the first and the last window. On the street clip every box is a false alarm.

    python benchmarks/real_camera.py nano --recordings FOLDER
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidar_det import load_detector, open_recording
from vidar_det.detections.boxes import Detections, box_iou
from vidar_det.detector.predictor import Detector, Thresholds
from vidar_det.spikes.stream import SpikeStream

CAR, STREET = "hist_sflow_car.dat", "spikingsim_real_spike.npz"
CAR_FIRST, CAR_LAST = (0.0, 69.0, 303.0, 250.0), (0.0, 67.0, 328.0, 250.0)
"""Boxes by eye, pixels, in windows of 128 planes that start at planes 0 and 72."""
CONF, OVERLAP, STRIDE = 0.25, 0.5, 8
WINDOWS = (64, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--recordings", type=Path, required=True, help="folder of the two clips")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    args = parser.parse_args()
    options = {"layout": "plain", "width": 400, "height": 250}
    car = open_recording(args.recordings / CAR, **options)
    street = open_recording(args.recordings / STREET)
    figures = {}
    for name, planes in itertools.product(args.weights, WINDOWS):
        detector = load_detector(name)
        hits, false = look_at_car(detector, car, planes), alarms(detector, street, planes)
        figures[f"{name}, {planes} planes"] = {"car": hits, "street": false}
        print(
            f"{name}, windows of {planes}: car boxed in {hits['hits']} of {hits['windows']} (IoU "
            f"{hits['overlaps']}), false alarms beside it {hits['others']}; street: "
            f"{false['boxes']} false alarms in {false['windows']} windows"
        )
    if args.out is not None:
        args.out.write_text(json.dumps(figures, indent=1) + "\n")


def look_at_car(detector: Detector, recording: SpikeStream, planes: int) -> dict[str, object]:
    """Compare the best vehicle of each window with the car."""
    vehicle = detector.spec.classes.index("vehicle")
    overlaps, others = [], 0
    for window, found in windows(detector, recording, planes):
        shift = (window + planes / 2 - 64) / 72
        box = (1 - shift) * np.array(CAR_FIRST) + shift * np.array(CAR_LAST)
        iou = overlap_with(found, box)
        right = (iou >= OVERLAP) & (found.class_ids == vehicle)
        overlaps.append(round(float(max(iou[found.class_ids == vehicle], default=0.0)), 2))
        others += int((~right).sum())
    hits = sum(overlap >= OVERLAP for overlap in overlaps)
    return {"windows": len(overlaps), "hits": hits, "overlaps": overlaps, "others": others}


def alarms(detector: Detector, recording: SpikeStream, planes: int) -> dict[str, object]:
    """Count boxes where nothing is."""
    found = [detections for _, detections in windows(detector, recording, planes)]
    return {
        "windows": len(found),
        "boxes": sum(len(detections) for detections in found),
        "highest": round(max((float(s) for d in found for s in d.scores), default=0.0), 2),
    }


def windows(
    detector: Detector, recording: SpikeStream, planes: int
) -> Sequence[tuple[int, Detections]]:
    thresholds = Thresholds(conf=CONF)
    stream = detector.stream(recording, window=planes, stride=STRIDE, thresholds=thresholds)
    return [(window.start, found) for window, found in stream]


def overlap_with(found: Detections, box: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(box_iou(found.xyxy, box[None].astype(np.float32))[:, 0], float)


if __name__ == "__main__":
    main()
