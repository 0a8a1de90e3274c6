"""An assessment comes in, the sections of a report that tell it go out."""

from collections.abc import Sequence

from vidar_det.evaluation.accuracy import TWELVE
from vidar_det.evaluation.assessment import Assessment, Comparison
from vidar_det.evaluation.bootstrap import Estimate, Figures
from vidar_det.evaluation.confusion import BACKGROUND
from vidar_det.evaluation.figures import (
    confusion_picture,
    f1_picture,
    precision_recall_picture,
    slices_picture,
)
from vidar_det.evaluation.report import Picture, Section, Table

_TWELVE_SAY = (
    *("overlaps 0.50:0.05:0.95", "overlap 0.50", "overlap 0.75"),
    *("objects under 32 x 32 pixels", "from 32 x 32 to 96 x 96", "over 96 x 96"),
    *("recall, best detection of each picture", "recall, ten", "recall, a hundred"),
    *("recall of small objects", "of medium ones", "of large ones"),
)


def accuracy_sections(
    assessment: Assessment, false_alarms: Sequence[Picture] = (), misses: Sequence[Picture] = ()
) -> list[Section]:
    """Tell an assessment.

    Args:
        assessment: what ``assess`` returned.
        false_alarms: pictures of the worst ones.
        misses: pictures of the worst ones.

    Returns:
        Average precision by class, COCO's figures, the comparison (if there is one), slices,
        curves, confusions and the gallery.

    Example:
        >>> from vidar_det.evaluation.assessment import assess
        >>> [section.heading for section in accuracy_sections(assess([], ["person"]))][:2]
        ['Average precision', 'Parts of the data']
    """
    comparison = assessment.comparison
    return [
        _precision(assessment),
        *([] if comparison is None else [_comparison(comparison)]),
        _slices(assessment),
        _slices_by_class(assessment),
        _curves(assessment),
        _confusion(assessment),
        _gallery("Worst false alarms", "The surest detections that found nothing.", false_alarms),
        _gallery("Worst misses", "The largest objects that nothing found.", misses),
        _coco(assessment),
    ]


def _precision(assessment: Assessment) -> Section:
    accuracy, figures = assessment.accuracy, assessment.figures
    text = f"""
        {accuracy.images:,} pictures of {figures.scenes:,} scenes. AP50 is the average precision at
        overlap 0.50, AP the mean over the overlaps 0.50:0.05:0.95 (pycocotools); "all" is the mean
        over the classes that have an object.

        {_explain(figures)} A dash stands where there is no object to find, or one scene alone.
    """
    rows = [
        (name, each.objects, *figures.per_class[name]["AP50"], *figures.per_class[name]["AP"])
        for name, each in accuracy.per_class.items()
    ]
    objects = sum(each.objects for each in accuracy.per_class.values())
    rows.append(("all", objects, *figures.mAP50, *figures.mAP))
    columns = ("class", "objects", "AP50", "from", "to", "AP", "from", "to")
    return Section("Average precision", text, Table(columns, rows))


def _explain(figures: Figures) -> str:
    spec = figures.bootstrap
    return (
        f"From and to bound the {spec.level:.0%} interval of {spec.resamples:,} resamples of the "
        f"scenes (percentile bootstrap, seed {spec.seed}): how far the figure would move had other "
        "scenes been filmed. With fewer than about ten scenes it is too narrow; of training again "
        "with another seed it says nothing."
    )


def _comparison(comparison: Comparison) -> Section:
    difference, other = comparison.difference, comparison.other_figures
    text = f"""
        Less {comparison.other}, on the same resamples of the same scenes: above 0 this detector is
        the better. An interval that holds 0 shows no difference.
    """
    rows = [
        _difference(f"{name}, {figure}", each, other.per_class[name][figure])
        for name, figures in difference.per_class.items()
        for figure, each in figures.items()
    ]
    rows += [
        _difference("all, AP", difference.mAP, other.mAP),
        _difference("all, AP50", difference.mAP50, other.mAP50),
    ]
    columns = ("figure", "this", "other", "difference", "from", "to", "shows a difference")
    return Section(f"Compared with {comparison.other}", text, Table(columns, rows))


def _difference(
    name: str, difference: Estimate, other: Estimate
) -> tuple[str, float, float, float, float, float, str]:
    ours = other.value + difference.value
    is_shown = difference.low > 0 or difference.high < 0
    return (name, ours, other.value, *difference, "yes" if is_shown else "no")


def _slices(assessment: Assessment) -> Section:
    text = """
        By speed (of the object in the picture, pixels per second) and size, objects outside a slice
        are neither hit nor miss; by light, kind and source, pictures are scored apart. Recall is
        the share of objects that a detection of a score of at least 0.25 finds.

        At every speed all false alarms count, so AP50 falls where objects are few. To compare
        speeds take normalised AP50, for which each class is as frequent as over all (Hoiem and
        others, Diagnosing Error in Object Detectors, ECCV 2012), or recall.
    """
    rows = [
        (
            *(fact, name, each.pictures, each.objects, *each.mAP50, each.mAP, each.recall),
            *(each.normalised50 or (None, None, None)),
        )
        for fact, group in assessment.slices.items()
        for name, each in group.items()
    ]
    columns = (
        *("by", "slice", "pictures", "objects", "AP50", "from", "to", "AP", "recall"),
        *("normalised AP50", "from", "to"),
    )
    pictures = [slices_picture(assessment.slices)]
    return Section("Parts of the data", text, Table(columns, rows), pictures)


def _slices_by_class(assessment: Assessment) -> Section:
    classes = assessment.judgement.classes
    rows = [
        (fact, name, *(figure for each in classes for figure in figures.per_class[each]))
        for fact, group in assessment.slices.items()
        for name, figures in group.items()
    ]
    columns = [column for each in classes for column in (f"{each}, AP50", "objects")]
    text = "The same parts, class by class; by speed not normalised."
    return Section("Parts of the data by class", text, Table(("by", "slice", *columns), rows))


def _curves(assessment: Assessment) -> Section:
    curves = assessment.curves
    text = """
        F1 is the harmonic mean of precision and recall. The score at which it is highest weighs a
        miss like a false alarm: take a lower one where misses cost more.
    """
    rows = [
        (name, each.objects, each.best_conf, each.best_f1)
        for name, each in curves.per_class.items()
    ]
    rows.append(("all", sum(row[1] for row in rows), curves.best_conf, curves.best_f1))
    table = Table(("class", "objects", "best score", "F1 there"), rows)
    pictures = [precision_recall_picture(curves), f1_picture(curves)]
    return Section("Precision, recall and F1", text, table, pictures)


def _confusion(assessment: Assessment) -> Section:
    matrix = assessment.confusion
    names = [*matrix.classes, BACKGROUND]
    rows = [(name, *counts) for name, counts in zip(names, matrix.counts.tolist(), strict=True)]
    text = """
        The surest detection of a picture chooses first, whatever its class. Rows say what an object
        is, columns what it was found as.
    """
    table = Table(("is", *names), rows)
    return Section("Confusions", text, table, [confusion_picture(matrix)])


def _gallery(heading: str, text: str, pictures: Sequence[Picture]) -> Section:
    words = f"{text} Objects are dashed, detections solid; what went wrong has a red frame."
    return Section(heading, words if pictures else "None.", pictures=pictures)


def _coco(assessment: Assessment) -> Section:
    rows = [
        (name, getattr(assessment.accuracy, name), meaning)
        for name, meaning in zip(TWELVE, _TWELVE_SAY, strict=True)
    ]
    text = "A mean over the classes that have an object of that size."
    return Section("COCO's twelve figures", text, Table(("figure", "value", "of"), rows))
