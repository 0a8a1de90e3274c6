"""Labelled clips and stills come in, labelled windows at random paces and exposures go out."""

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidar_det.datasets.moving_light import Dimmed, Light, MovingLight
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import SourceError
from vidar_det.spikes.annotations import FootageRecord
from vidar_det.spikes.footage import FootageClip, load_footage, open_still
from vidar_det.spikes.frames import Frames, VideoFrames, read_all
from vidar_det.spikes.framing import Framing, draw_framing
from vidar_det.spikes.labels import SceneBoxes
from vidar_det.spikes.motion import draw_log_uniform
from vidar_det.spikes.sidecar import DEFAULT_RATE_HZ
from vidar_det.spikes.stills import draw_still_motion
from vidar_det.training.recipe import FootageMix
from vidar_det.training.simulation import AnyProfile, LabelledWindow, expose_window

CLIPS_KEPT = 800
"""Frame pairs whose optical flow stays in memory, about 2 MB each."""


@dataclass(frozen=True)
class Paced:
    """Two neighbouring frames of a clip, cut out and shown at a chosen pace.

    Attributes:
        clip: with a frame interval of one second and its own size.
        framing: from the clip to the sensor.
        interval_s: sensor time that the frame interval takes.
    """

    clip: FootageClip
    framing: Framing
    interval_s: float

    @property
    def width(self) -> int:
        """Pixels."""
        return self.framing.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.framing.height

    def light(self, time_s: float) -> Light:
        """``(H, W) float32`` in 0..1."""
        return self.framing.show(self.clip.light(time_s / self.interval_s))

    def boxes(self, time_s: float) -> SceneBoxes:
        """Labelled objects."""
        seen = self.framing.place_boxes(self.clip.boxes(time_s / self.interval_s))
        return seen._replace(speeds_px_s=seen.speeds_px_s / np.float32(self.interval_s))


class FootageSource:
    """Draws windows from labelled footage.

    A window of a clip lies between two neighbouring frames, so its motion is one flow field.

    Args:
        records: clips and stills with labels.
        spec: exposure, pace and zoom.
        size: width and height of the sensor, pixels.
        profiles: noise profiles, drawn equally often.
    """

    def __init__(
        self,
        records: Sequence[FootageRecord],
        spec: FootageMix,
        size: tuple[int, int],
        profiles: Sequence[AnyProfile],
    ) -> None:
        self.clips = [record for record in records if not record.is_still]
        self.stills = [record for record in records if record.is_still]
        if not self.clips and not self.stills:
            raise SourceError(f"footage {spec.folders}: nothing in split {spec.split!r}")
        self.spec, self.size, self.profiles = spec, size, profiles
        self._frames: dict[Path, Frames] = {}
        self._moments: OrderedDict[tuple[Path, int], FootageClip] = OrderedDict()

    def draw(self, encoding: EncodingSpec, generator: np.random.Generator) -> LabelledWindow:
        """Choose a still or a moment of a clip, a framing, an exposure; expose and label."""
        window_s = encoding.window / DEFAULT_RATE_HZ
        is_still = not self.clips or (
            bool(self.stills) and generator.random() < self.spec.still_share
        )
        if is_still:
            record = self.stills[int(generator.integers(len(self.stills)))]
        else:
            record = self.clips[int(generator.integers(len(self.clips)))]
        framing = draw_framing(record.size, self.size, generator, self.spec.zoom)
        light: MovingLight
        if is_still:
            motion = draw_still_motion(2 * window_s, generator)
            light, middle_s = open_still(record, motion, framing), window_s
        else:
            light, middle_s = self._draw_moment(record, framing, window_s, generator)
        exposed = Dimmed(light, draw_log_uniform(self.spec.light_at_white, generator))
        profile = self.profiles[int(generator.integers(len(self.profiles)))]
        counts = expose_window(exposed, middle_s, encoding, profile, generator)
        scored = np.zeros(len(record.classes), np.bool_)
        scored[list(record.scored)] = True
        return LabelledWindow(counts, exposed.boxes(middle_s), scored, str(record.path))

    def _draw_moment(
        self,
        record: FootageRecord,
        framing: Framing,
        window_s: float,
        generator: np.random.Generator,
    ) -> tuple[Paced, float]:
        frames = sorted(record.frames)
        pairs = [a for a, b in itertools.pairwise(frames) if b == a + 1]
        kept = pairs[:: self.spec.every]
        clip = self._moment(record, kept[int(generator.integers(len(kept)))])
        interval_s = max(draw_log_uniform(self.spec.interval_s, generator), window_s * 1.001)
        slack = interval_s - window_s
        return Paced(clip, framing, interval_s), window_s / 2 + slack * float(generator.random())

    def _moment(self, record: FootageRecord, frame: int) -> FootageClip:
        key = (record.path, frame)
        if key not in self._moments:
            if record.path not in self._frames:
                self._frames[record.path] = read_all(VideoFrames(record.path))
            labels = {number: record.frames[number] for number in (frame, frame + 1)}
            pair = replace(record, frames=labels)
            framing = Framing(*record.size)
            self._moments[key] = FootageClip(self._frames[record.path], framing, 1.0, pair)
            if len(self._moments) > CLIPS_KEPT:
                self._moments.popitem(last=False)
        self._moments.move_to_end(key)
        return self._moments[key]


def load_records(spec: FootageMix, root: Path) -> list[FootageRecord]:
    """Read the records of a recipe's footage that belong to its split and have labels.

    Raises:
        SourceError: a folder has no ``annotations.json``.
    """
    records = [
        record
        for folder in spec.folders
        for record in load_footage(root / folder / "annotations.json")
    ]
    return [record for record in records if record.split == spec.split and record.frames]
