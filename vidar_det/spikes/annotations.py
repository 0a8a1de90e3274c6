"""COCO annotations of stills and videos come in, one record per picture or clip goes out."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidar_det.errors import FormatError, LabelError, SourceError
from vidar_det.spikes.labels import DEFAULT_CLASS_MAP, BoxRow, ClassMap, class_ids_by_category

UNTRACKED = -1


@dataclass(frozen=True)
class FootageRecord:
    """One labelled clip or still; nothing but the annotations is read yet.

    Attributes:
        path: the video, or the picture of a still.
        name: the file's name without suffix.
        split: ``train``, ``val``, ``test`` or whatever the annotations say; "" if nothing.
        size: width, height that the boxes refer to.
        frames: frame number -> its boxes (speed unknown: NaN); a still has frame 0 alone.
        is_still: True for a single picture.
        fps: nominal frames per second; NaN for a still.
        scene: pictures of one scene belong into one split.
        classes: class names.
        scored: ids of the classes that are completely labelled.
        dropped_boxes: how many boxes had no area inside their picture.
        clipped_boxes: how many boxes reached beyond their picture and were cut.
    """

    path: Path
    name: str
    split: str
    size: tuple[int, int]
    frames: Mapping[int, tuple[BoxRow, ...]]
    is_still: bool
    fps: float
    scene: str
    classes: tuple[str, ...]
    scored: tuple[int, ...]
    dropped_boxes: int = 0
    clipped_boxes: int = 0


def load_footage(
    annotations: Path | str, classes: ClassMap = DEFAULT_CLASS_MAP
) -> list[FootageRecord]:
    """Read a COCO file with stills, videos or both.

    ``images`` need ``id, width, height`` and either ``file_name`` (a still) or ``video_id`` and
    ``frame_id``; ``videos`` need ``id, file_name``; ``annotations`` need ``image_id, category_id,
    bbox``. Optional: ``split``, ``scored`` (of a video or still: names of the categories that are
    completely labelled; without it, all), ``track_id``, ``iscrowd`` and ``ignore``. Paths are
    relative to the file. Boxes of categories that no class names are left out.

    Args:
        annotations: the JSON file.
        classes: class name -> category names.

    Returns:
        Clips first, then stills, each in the file's order.

    Raises:
        SourceError: the file is missing.
        FormatError: it is no COCO file: no JSON, or a key is missing or wrong.
        LabelError: no category belongs to a class, or an annotation names an unknown image or
            category.

    Example:
        >>> load_footage("missing.json")
        Traceback (most recent call last):
        vidar_det.errors.SourceError: missing.json: no such file
    """
    path = Path(annotations)
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    try:
        return _Reader(path, json.loads(path.read_text(encoding="utf-8")), classes).records()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{path}: no COCO annotations ({error!r})") from error


@dataclass
class _Tally:
    """Boxes by frame of one record while it is read."""

    frames: dict[int, list[BoxRow]] = field(default_factory=dict)
    dropped: int = 0
    clipped: int = 0


class _Reader:
    def __init__(self, path: Path, content: Mapping[str, Any], classes: ClassMap) -> None:
        self._path, self._content = path, content
        self._classes = tuple(classes)
        self._names = {int(c["id"]): str(c["name"]) for c in content["categories"]}
        self._ids = class_ids_by_category(classes)
        if not any(name in self._ids for name in self._names.values()):
            raise LabelError(
                f"{path}: categories {sorted(self._names.values())} belong to none of the classes "
                f"{', '.join(classes)}; name a class map such as vehicle=car+bus"
            )
        self._images = {int(image["id"]): image for image in content["images"]}
        self._tallies: dict[tuple[str, int], _Tally] = {}

    def records(self) -> list[FootageRecord]:
        for image in self._images.values():
            tally = self._tallies.setdefault(self._key(image), _Tally())
            tally.frames.setdefault(self._frame(image), [])
        for annotation in self._content["annotations"]:
            self._add(annotation)
        videos = {int(video["id"]): video for video in self._content.get("videos", [])}
        clips = [
            self._record(source=video, image=self._first_image(number), is_still=False)
            for number, video in videos.items()
            if ("video", number) in self._tallies
        ]
        stills = [
            self._record(source=image, image=image, is_still=True)
            for image in self._images.values()
            if image.get("video_id") is None
        ]
        return clips + stills

    def _first_image(self, video_id: int) -> Mapping[str, Any]:
        return next(i for i in self._images.values() if i.get("video_id") == video_id)

    def _key(self, image: Mapping[str, Any]) -> tuple[str, int]:
        video = image.get("video_id")
        return ("still", int(image["id"])) if video is None else ("video", int(video))

    def _frame(self, image: Mapping[str, Any]) -> int:
        return 0 if image.get("video_id") is None else int(image["frame_id"])

    def _add(self, annotation: Mapping[str, Any]) -> None:
        image = self._images.get(int(annotation["image_id"]))
        category = self._names.get(int(annotation["category_id"]))
        if image is None or category is None:
            raise LabelError(
                f"{self._path}: annotation {annotation.get('id')} names image "
                f"{annotation['image_id']} and category {annotation['category_id']}; "
                f"{'no such image' if image is None else 'no such category'}"
            )
        if category not in self._ids:
            return
        tally = self._tallies[self._key(image)]
        x, y, w, h = (float(value) for value in annotation["bbox"])
        width, height = float(image["width"]), float(image["height"])
        box = max(0.0, x), max(0.0, y), min(width, x + w), min(height, y + h)
        if not (math.isfinite(x + y + w + h) and box[2] > box[0] and box[3] > box[1]):
            tally.dropped += 1
            return
        tally.clipped += max(-x, -y, x + w - width, y + h - height) > 0.5
        track = annotation.get("track_id")
        is_ignored = bool(annotation.get("iscrowd") or annotation.get("ignore"))
        row = BoxRow(
            box,
            self._ids[category],
            UNTRACKED if track is None else int(track),
            is_ignored,
            math.nan,
        )
        tally.frames[self._frame(image)].append(row)

    def _record(
        self, source: Mapping[str, Any], image: Mapping[str, Any], *, is_still: bool
    ) -> FootageRecord:
        tally = self._tallies[self._key(image)]
        path = self._path.parent / str(source["file_name"])
        return FootageRecord(
            path=path,
            name=path.stem,
            split=str(source.get("split") or image.get("split") or ""),
            size=(int(image["width"]), int(image["height"])),
            frames={number: tuple(rows) for number, rows in sorted(tally.frames.items())},
            is_still=is_still,
            fps=math.nan if is_still else float(source.get("fps") or 25.0),
            scene=str(source.get("scene") or path.stem),
            classes=self._classes,
            scored=self._scored(source.get("scored", self._names.values())),
            dropped_boxes=tally.dropped,
            clipped_boxes=tally.clipped,
        )

    def _scored(self, categories: Iterable[str]) -> tuple[int, ...]:
        """Classes of which every category that the file knows is completely labelled."""
        complete = set(categories)
        known = {name: self._ids[name] for name in self._names.values() if name in self._ids}
        missing = {class_id for name, class_id in known.items() if name not in complete}
        return tuple(sorted(set(known.values()) - missing))
