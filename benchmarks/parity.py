"""Does every precision find what PyTorch finds, and what does a difference cost?

    python -m benchmarks.parity nano small --data demo runs/sets/street-val --out runs/parity

DATA is ``demo``, the recording that comes along, or a labelled dataset (``--split``, val). For each
net and precision of OpenVINO, beside PyTorch in f32 on the same windows:

- *boxes*: windows whose boxes after NMS differ by more than rounding, and how many of PyTorch's
  boxes are not found again, and new ones found;
- *spikes*: in the first ``--spikes`` windows, how many windows have no flipped spike, how many of
  those have the same boxes, and the share of spike counts that differ, layer by layer;
- *mAP, mAP50*: the difference too, with its 95 % interval over scenes.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.flips import Flips, count_flips
from vidar_det import load_detector, open_recording
from vidar_det.commands.demo import LABELS_FILE
from vidar_det.commands.scoring import SCORED_CONF
from vidar_det.datasets.labelled_data import open_labelled_data
from vidar_det.datasets.reading import ReadingSpec
from vidar_det.datasets.windows import LabelledWindow, labelled_windows
from vidar_det.detections.boxes import Detections, box_iou
from vidar_det.detections.label_reader import read_labels
from vidar_det.detector.execution import Execution
from vidar_det.detector.openvino_runtime import OpenVinoRuntime, Precision
from vidar_det.detector.predictor import Detector, Thresholds
from vidar_det.detector.spec import DetectorSpec
from vidar_det.evaluation.bootstrap import compare, estimate
from vidar_det.evaluation.machine import describe_machine
from vidar_det.evaluation.matching import SHOWN_CONF, ScoredImage, judge
from vidar_det.outputs import prepare_output_folder, write_json
from vidar_det.spikes.demo import RECORDING_FILE, find_demo
from vidar_det.spikes.stream import SpikeWindow

PRECISIONS: tuple[Precision, ...] = ("f32", "bf16", "int8")
DEMO_STRIDE = 16
ROUNDING_PX, ROUNDING_SCORE = 0.01, 1e-3
SAME_BOX_IOU = 0.5


@dataclass
class Boxes:
    """What became of PyTorch's boxes.

    Attributes:
        windows: windows that were looked at.
        differing: those whose boxes differ by more than rounding.
        wanted: boxes that PyTorch finds.
        lost: those without one of the same class in the same place.
        added: boxes that PyTorch finds none for.
    """

    windows: int = 0
    differing: int = 0
    wanted: int = 0
    lost: int = 0
    added: int = 0

    def add(self, ours: Detections, theirs: Detections) -> None:
        """Compare one window's boxes."""
        self.windows += 1
        self.differing += not same_boxes(ours, theirs)
        self.wanted += len(ours)
        self.lost += missing(ours, theirs)
        self.added += missing(theirs, ours)


def same_boxes(one: Detections, other: Detections) -> bool:
    """Whether boxes are equal to within rounding."""
    return (
        np.array_equal(one.class_ids, other.class_ids)
        and np.allclose(one.xyxy, other.xyxy, rtol=0, atol=ROUNDING_PX)
        and np.allclose(one.scores, other.scores, rtol=0, atol=ROUNDING_SCORE)
    )


def missing(wanted: Detections, found: Detections) -> int:
    """How many boxes have none of the same class in the same place."""
    is_same_class = wanted.class_ids[:, None] == found.class_ids
    matches = (box_iou(wanted.xyxy, found.xyxy) >= SAME_BOX_IOU) & is_same_class
    return int((~matches.any(axis=1)).sum())


def shown(found: Detections) -> Detections:
    """What a user sees; NMS keeps the best first, so weaker boxes change none of these."""
    return found.select(found.scores >= SHOWN_CONF)


def open_set(
    data: str, split: str, spec: DetectorSpec
) -> tuple[Iterator[LabelledWindow], Iterator[SpikeWindow]]:
    """Labelled windows; and windows without labels, which the demo has more of."""
    if data == "demo":
        folder = find_demo()
        labels = read_labels(folder / LABELS_FILE, spec.classes)
        recording = open_recording(folder / RECORDING_FILE)
        labelled = labelled_windows(folder, labels, spec.window)
        return labelled, recording.windows(spec.window, DEMO_STRIDE)
    dataset = open_labelled_data(Path(data), ReadingSpec(window=spec.window), spec.classes)
    labels = dataset.labels(split)
    return labelled_windows(dataset.folder, labels, spec.window, dataset.open), iter(())


@dataclass(frozen=True)
class ParitySpec:
    """What is compared.

    Attributes:
        precisions: of OpenVINO.
        split: of datasets.
        spikes: windows in which spikes are compared.
        threads: that compute; 0 = as many as there are.
    """

    precisions: tuple[Precision, ...] = PRECISIONS
    split: str = "val"
    spikes: int = 8
    threads: int = 0


def measure(weights: str, data: str, spec: ParitySpec) -> list[dict[str, Any]]:
    """Look at every window of a set with PyTorch and in each precision."""
    ours = load_detector(weights, execution=Execution("torch", threads=spec.threads))
    ways = [Execution("openvino", each, spec.threads, streams=1) for each in spec.precisions]
    seers = [load_detector(weights, execution=way) for way in ways]
    look, bins = Thresholds(conf=SCORED_CONF), ours.spec.encoding.bins
    images: list[list[ScoredImage]] = [[] for _ in (ours, *seers)]
    boxes: list[Boxes] = [Boxes() for _ in seers]
    first: list[tuple[NDArray[np.uint16], list[Detections]]] = []

    def see(window: SpikeWindow) -> list[Detections]:
        found = [seer.predict(window, look) for seer in (ours, *seers)]
        for tally, theirs in zip(boxes, found[1:], strict=True):
            tally.add(shown(found[0]), shown(theirs))
        if len(first) < spec.spikes:
            first.append((window.counts(bins), found))
        return found

    labelled, others = open_set(data, spec.split, ours.spec)
    for image, window, truth, scored in labelled:
        for seen, found in zip(images, see(window), strict=True):
            seen.append(ScoredImage(truth, found, scored, image))
    for window in others:
        see(window)
    rows = []
    scores = compare_scores(images, ours.spec.classes)
    for number, (seer, tally, score) in enumerate(zip(seers, boxes, scores, strict=True), start=1):
        pairs = [same_boxes(shown(found[0]), shown(found[number])) for _, found in first]
        flips = flips_of(ours, seer, [counts for counts, _ in first])
        rows.append(
            {
                "weights": weights,
                "data": data,
                "runtime": asdict(seer.runtime.describe()),
                "warnings": list(seer.runtime.warnings),
                "boxes": asdict(tally),
                "spikes": asdict(flips) | {"same_boxes": sum(pairs[i] for i in flips.unflipped)},
                **score,
            }
        )
    return rows


def flips_of(ours: Detector, seer: Detector, windows: Sequence[NDArray[np.uint16]]) -> Flips:
    assert isinstance(seer.runtime, OpenVinoRuntime)
    return count_flips(ours.runtime.source.network, seer.runtime, windows)


def compare_scores(
    images: Sequence[Sequence[ScoredImage]], classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Average precision of PyTorch, whose pictures are the first, beside that of each other."""
    ours, *others = (judge(seen, classes) for seen in images)
    for theirs in others:
        sides = {"torch": estimate(ours), "own": estimate(theirs), "change": compare(theirs, ours)}
        yield {
            name: {side: getattr(figures, name).to_json() for side, figures in sides.items()}
            for name in ("mAP", "mAP50")
        }


def tell(row: dict[str, Any]) -> str:
    """Say one precision's figures in a few lines."""
    boxes, spikes = row["boxes"], row["spikes"]
    unflipped = len(spikes["unflipped"])
    return "\n".join(
        [
            f"{row['weights']}, {row['runtime']['precision']}, {row['data']}: boxes differ in "
            f"{boxes['differing']} of {boxes['windows']} windows; of {boxes['wanted']} boxes "
            f"{boxes['lost']} are lost, {boxes['added']} new",
            f"  no flipped spike in {unflipped} of {spikes['windows']} windows, the same boxes in "
            f"{spikes['same_boxes']} of those {unflipped} "
            f"(watched graph like the runtime: {spikes['same_logits']})",
            *(f"  {name} {tell_score(row[name])}" for name in ("mAP", "mAP50")),
        ]
    )


def tell_score(score: dict[str, dict[str, float | None]]) -> str:
    own, change = score["own"]["value"], score["change"]
    if own is None or change["value"] is None:
        return "unknown: there is nothing to find"
    told = f"{own:.4f}, {change['value']:+.4f} beside PyTorch"
    if change["low"] is None or change["high"] is None:
        return f"{told} (one scene: no interval)"
    return f"{told} ({change['low']:+.4f} to {change['high']:+.4f})"


def tell_layers(rows: Sequence[dict[str, Any]]) -> str:
    """The share of flipped spikes in each layer, a column a precision."""
    lines = ["  ".join(["flipped spikes, %".ljust(40), *(r["runtime"]["precision"] for r in rows)])]
    for name in rows[0]["spikes"]["values"]:
        shares = [100 * r["spikes"]["differing"][name] / r["spikes"]["values"][name] for r in rows]
        cells = (
            f"{share:.2g}".rjust(len(row["runtime"]["precision"]))
            for share, row in zip(shares, rows, strict=True)
        )
        lines.append("  ".join([name.ljust(40), *cells]))
    return "\n".join(lines)


def main() -> None:
    """Compare each net on each set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--data", nargs="+", default=["demo"])
    parser.add_argument("--split", default="val")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--spikes", type=int, default=8, help="windows whose spikes are compared")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder of parity.json")
    args = parser.parse_args()
    spec = ParitySpec(tuple(args.precision), args.split, args.spikes, args.threads)
    if args.out is not None:
        prepare_output_folder(args.out, overwrite=True)
    rows: list[dict[str, Any]] = []
    for name in args.weights:
        for data in args.data:
            measured = measure(name, data, spec)
            print("\n".join([*map(tell, measured), tell_layers(measured), ""]), flush=True)
            rows += measured
            if args.out is not None:  # what is done stays, whatever ends the rest
                document = {"machine": describe_machine(), "spec": asdict(spec), "rows": rows}
                write_json(args.out / "parity.json", document, overwrite=True)


if __name__ == "__main__":
    main()
