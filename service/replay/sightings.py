"""Detections of windows come in, in any order; what a page is told of each, with tracks, goes out.

A track's number depends on which windows are known, never on the order in which they were asked
for: a stretch of neighbouring windows is tracked from its beginning, and anew where a window closes
the gap between two.
"""

from collections import OrderedDict
from collections.abc import Collection

from service.engines import ModelNote
from service.replay.protocol import say
from service.replay.tracks import Tracker
from vidar_det.detections.boxes import Detections
from vidar_det.detections.coco import results_of

KEPT_BYTES = 32 << 20
WINDOW_BYTES, BOX_BYTES = 500, 150  # about what a window takes here, and each of its boxes
KEPT_TRACKERS = 8  # that wait for their next window, one for each place where somebody watches


class Sightings:
    """What one model found in one clip so far; for one thread at a time.

    Args:
        model: that looked.

    Attributes:
        messages: by first plane of the window; they change where a gap was closed before them.

    Example:
        >>> import numpy as np
        >>> box = Detections(np.ones((1, 4), np.float32), np.ones(1, np.float32), np.zeros(1, int))
        >>> sightings = Sightings(ModelNote("nano", "1", 9, 2, 64, ("person",)))
        >>> sightings.add(64, box)
        >>> sightings.messages[64]
        '{"type": "boxes", "model": "nano", "start": 64, "count": 64, "boxes": [[1.0, ...
    """

    def __init__(self, model: ModelNote) -> None:
        self._model = model
        self._found: OrderedDict[int, Detections] = OrderedDict()
        self._trackers: OrderedDict[int, Tracker] = OrderedDict()  # by the window they wait for
        self._bytes = 0
        self.messages: dict[int, str] = {}

    def add(self, start: int, found: Detections, after_gaps: Collection[int] = ()) -> None:
        """Take what was found in a window.

        Args:
            start: its first plane.
            found: detections.
            after_gaps: first planes after each gap, where all tracks end.
        """
        self._keep(start, found)
        length, at = self._model.window, start
        tracker = self._trackers.pop(start, None) if start not in after_gaps else None
        if tracker is None:
            tracker = Tracker()
            while at not in after_gaps and at - length in self._found:
                at -= length
        while at in self._found:
            self.messages[at] = self._write(at, tracker)
            at += length
            if at in after_gaps:
                break
        self._trackers[at] = tracker
        if len(self._trackers) > KEPT_TRACKERS:
            self._trackers.popitem(last=False)

    def _keep(self, start: int, found: Detections) -> None:
        """Remember; what was found long ago is forgotten."""
        self._found[start] = found
        self._bytes += _size(found)
        while self._bytes > KEPT_BYTES:
            oldest, forgotten = self._found.popitem(last=False)
            self._bytes -= _size(forgotten)
            del self.messages[oldest]

    def _write(self, start: int, tracker: Tracker) -> str:
        found = self._found[start]
        tracks = tracker.update(found).tolist()
        boxes = [
            [*result["bbox"], result["score"], result["category_id"], track]
            for result, track in zip(results_of(found, 0), tracks, strict=True)
        ]
        model = self._model
        return say("boxes", model=model.name, start=start, count=model.window, boxes=boxes)


def _size(found: Detections) -> int:
    return WINDOW_BYTES + BOX_BYTES * len(found)
