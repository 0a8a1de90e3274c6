"""Detections of one window after the other come in; the same objects' numbers come out."""

import numpy as np
from numpy.typing import NDArray

from vidar_det.detections.boxes import Detections

SURE, NEW, OVERLAP = 0.25, 0.3, 0.1
"""Scores that are matched first and that begin a track; least overlap with where it should be."""

PATIENCE_WINDOWS = 8
UNTRACKED, FIRST_ID = -1, 1


class Tracker:
    """Follows objects from window to window, as ByteTrack does.

    Zhang et al., "ByteTrack: Multi-object tracking by associating every detection box", ECCV 2022;
    the implementation is that of the ``trackers`` library.

    Example:
        >>> box = np.array([[0, 0, 9, 9]], np.float32)
        >>> seen = Detections(box, np.array([0.9], np.float32), np.array([0]))
        >>> tracker = Tracker()
        >>> [tracker.update(seen).tolist() for _ in range(3)]
        [[-1], [1], [1]]
    """

    def __init__(self) -> None:
        # Two seconds of imports (supervision), which only those pay who look at a replay.
        from trackers import ByteTrackTracker

        self._tracker = ByteTrackTracker(
            lost_track_buffer=PATIENCE_WINDOWS,
            track_activation_threshold=NEW,
            high_conf_det_threshold=SURE,
            minimum_iou_threshold=OVERLAP,
        )

    def update(self, found: Detections) -> NDArray[np.int64]:
        """Take the next window's detections.

        Returns:
            ``(N,) int64``, the track of each; ``UNTRACKED`` where it has none (yet).
        """
        import supervision

        seen = supervision.Detections(
            xyxy=found.xyxy.copy(),
            confidence=found.scores.copy(),
            class_id=found.class_ids.copy(),
            data={"index": np.arange(len(found))},
        )
        tracked = self._tracker.update(seen)
        ids = np.full(len(found), UNTRACKED, np.int64)
        if len(tracked):
            known = np.asarray(tracked.tracker_id, np.int64)
            numbers = np.where(known < 0, UNTRACKED, known + FIRST_ID)
            ids[np.asarray(tracked.data["index"], np.int64)] = numbers
        return ids
