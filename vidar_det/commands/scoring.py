"""Labelled windows and a detector come in; what it found, or COCO's average precision, goes out."""

from collections.abc import Callable, Iterable, Iterator

from vidar_det.datasets.labelled_data import LabelledData
from vidar_det.datasets.windows import LabelledWindow, labelled_windows
from vidar_det.detections.labels import Labels
from vidar_det.detector.predictor import Detector, Thresholds
from vidar_det.evaluation.accuracy import AccuracyReport, evaluate
from vidar_det.evaluation.matching import ScoredImage

SCORED_CONF = 0.001
"""Lowest score that takes part: average precision needs the whole curve, weak boxes too."""

Look = Callable[[Detector, LabelledData, Labels, Callable[[int], None]], list[ScoredImage]]
"""Looks at all labelled ranges, wherever; see ``look_here``."""


def score_windows(
    detector: Detector,
    windows: Iterable[LabelledWindow],
    report: Callable[[int], None] = lambda done: None,
) -> AccuracyReport:
    """Score a detector on labelled windows.

    Args:
        detector: the detector.
        windows: windows and their truth; class ids are the detector's.
        report: told how many windows are done.

    Returns:
        COCO's figures, over every detection with a score of at least 0.001.

    Raises:
        LabelError: a class id that the detector does not have.

    Example:
        >>> windows = open_dataset("traffic").labelled_windows("val", 128)  # doctest: +SKIP
        >>> score_windows(detector, windows).mAP50  # doctest: +SKIP
        0.61
    """
    return evaluate(detect_windows(detector, windows, report), detector.spec.classes)


def look_here(
    detector: Detector, dataset: LabelledData, labels: Labels, report: Callable[[int], None]
) -> list[ScoredImage]:
    """Look at all labelled ranges of a dataset in this process.

    Args:
        detector: the detector.
        dataset: the dataset.
        labels: of one of its splits, or a part of them.
        report: told how many windows are done.

    Returns:
        What was found in each, in the order of ``labels``.

    Raises:
        VidarError: as ``labelled_windows`` says.
    """
    windows = labelled_windows(dataset.folder, labels, detector.spec.window, dataset.open)
    return list(detect_windows(detector, windows, report))


def detect_windows(
    detector: Detector,
    windows: Iterable[LabelledWindow],
    report: Callable[[int], None] = lambda done: None,
) -> Iterator[ScoredImage]:
    """Look at labelled windows one by one.

    Args:
        detector: the detector.
        windows: windows and their truth; class ids are the detector's.
        report: told how many windows are done.

    Yields:
        Each window's truth, and every detection with a score of at least 0.001.
    """
    thresholds = Thresholds(conf=SCORED_CONF)
    for done, (image, window, truth, scored) in enumerate(windows, start=1):
        yield ScoredImage(truth, detector.predict(window, thresholds), scored, image)
        report(done)
