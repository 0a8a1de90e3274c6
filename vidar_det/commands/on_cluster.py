"""Recordings and weights come in; the processes of a cluster look at them, and results come out.

All machines of the cluster know the recordings, the weights and the folder of the results under the
same paths.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vidar_det.cluster import ClusterSpec, joined, map_on_cluster
from vidar_det.commands.predict import (
    PredictionSummary,
    PredictSettings,
    Report,
    folder_names,
    predict_recording,
)
from vidar_det.commands.scoring import Look, look_here
from vidar_det.datasets.labelled_data import LabelledData
from vidar_det.detections.labels import Labels
from vidar_det.detector.execution import Execution
from vidar_det.detector.predictor import Detector, load_detector
from vidar_det.evaluation.matching import ScoredImage
from vidar_det.outputs import prepare_output_folder
from vidar_det.spikes.selection import open_source
from vidar_det.spikes.sidecar import RecordingOptions


def predict_on_cluster(
    load: Callable[[], Detector],
    sources: Sequence[Path],
    options: RecordingOptions,
    out: Path,
    settings: PredictSettings,
    spec: ClusterSpec,
    report: Report = lambda done, total: None,
) -> list[PredictionSummary]:
    """Predict each recording in one process; see ``predict_sources``.

    Args:
        load: loads the detector, in each process.
        sources: files or folders.
        options: what their files do not say, for all of them.
        out: folder of the results.
        settings: how to look, and what to write.
        spec: the cluster.
        report: told after each recording.

    Raises:
        VidarError: as ``predict_sources``, ``joined`` and ``map_on_cluster`` say.
    """
    places = [out.absolute()]
    if len(sources) > 1:
        folder = prepare_output_folder(out.absolute(), settings.overwrite)
        places = [folder / name for name in folder_names(sources)]
    items = [(each.absolute(), place) for each, place in zip(sources, places, strict=True)]

    def build() -> Callable[[tuple[Path, Path]], PredictionSummary]:
        detector = load()

        def predict(item: tuple[Path, Path]) -> PredictionSummary:
            return predict_recording(detector, open_source(item[0], options), item[1], settings)

        return predict

    summaries = []
    with joined(spec):
        for _, summary in map_on_cluster(items, build, spec):
            summaries.append(summary)
            report(len(summaries), len(items))
    return summaries


@contextlib.contextmanager
def looking_on_cluster(execution: Execution, spec: ClusterSpec) -> Iterator[Look]:
    """Join a cluster, to look at labelled splits there: a recording in one process.

    Args:
        execution: how the weights run.
        spec: the cluster.

    Yields:
        What ``validate`` looks with.

    Raises:
        VidarError: as ``joined`` says.
    """

    def look(
        detector: Detector, dataset: LabelledData, labels: Labels, report: Callable[[int], None]
    ) -> list[ScoredImage]:
        weights = detector.name

        def build() -> Callable[[Labels], list[ScoredImage]]:
            seer = load_detector(weights, execution=execution)
            return lambda part: look_here(seer, dataset, part, lambda done: None)

        found: list[ScoredImage] = []
        for _, images in map_on_cluster(_by_recording(labels), build, spec):
            found.extend(images)
            report(len(found))
        return found

    with joined(spec):
        yield look


def _by_recording(labels: Labels) -> list[Labels]:
    """Cut labels where the next image is of another recording; their order stays."""
    pairs = zip(labels.images, labels.truths, strict=True)
    parts = []
    for _, group in itertools.groupby(pairs, key=lambda pair: pair[0].file_name):
        images, truths = zip(*group, strict=True)
        parts.append(dataclasses.replace(labels, images=images, truths=truths))
    return parts
