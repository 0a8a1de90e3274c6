"""What clients may say and what they are told, as OpenAPI shows it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.clips import DEMO_ID
from service.engines import ModelNote
from service.job import JobState
from service.problems import PROBLEM_TYPE
from vidar_det.detections.predictions import ClipRecord, ModelRecord, TimingRecord, WindowRecord
from vidar_det.detector.clip_prediction import Question
from vidar_det.detector.predictor import Thresholds
from vidar_det.spikes.selection import Selection
from vidar_det.spikes.sidecar import RATES_HZ, Flip, Layout, RecordingOptions

MOST_BOXES = 3000  # of one window: as many as a network's cells can mean


class StrictQuery(BaseModel):
    """A query without unknown names. An empty value counts as not given."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, values: Any) -> Any:
        return {key: value for key, value in values.items() if value not in ("", [""])}


class RecordingQuery(StrictQuery):
    """What a clip's bytes do not say."""

    width: int | None = Field(None, ge=1, description="Pixels per row; else guessed.")
    height: int | None = Field(None, ge=1, description="Rows; else guessed.")
    layout: Layout = Field("auto", description="How planes are stored.")
    flip: Flip = Field("auto", description="What makes planes upright.")
    rate_hz: float | None = Field(
        None, ge=RATES_HZ[0], le=RATES_HZ[1], description="Planes per second; else 20,000."
    )

    def options(self) -> RecordingOptions:
        """Give the library's own form."""
        return RecordingOptions(self.width, self.height, self.layout, self.flip, self.rate_hz)


class DetectQuery(RecordingQuery):
    """What is asked about a clip."""

    start: int = Field(0, ge=0, description="First plane to look at.")
    planes: int | None = Field(None, ge=1, description="How many planes to look at; else all.")
    window: int | None = Field(None, ge=1, description="Planes per window; else the net's own.")
    stride: int | None = Field(
        None, ge=1, description="Planes from one window to the next; else gap-free."
    )
    model: str | None = Field(
        None, description="Name of the weights; else the first of /v2/models."
    )
    conf: float = Field(0.25, ge=0, le=1, description="Lowest score kept.")
    iou: float = Field(0.6, ge=0, le=1, description="Overlap above which the weaker box goes.")
    max_det: int = Field(300, ge=1, le=MOST_BOXES, description="Most boxes of one window.")
    classes: str = Field("", description="Names of the classes to keep, by commas; else all.")

    def question(self) -> Question:
        """Give the library's own form."""
        names = tuple(name.strip() for name in self.classes.split(",") if name.strip())
        selection = Selection(self.start, self.planes, self.window, self.stride)
        return Question(selection, Thresholds(self.conf, self.iou, self.max_det), names)


class ClipReference(BaseModel):
    """A clip that was sent before."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"clip_id": DEMO_ID}]}
    )

    clip_id: str


class Category(BaseModel):
    """A class that may be found."""

    id: int
    name: str


class Result(BaseModel):
    """One box, as COCO writes results."""

    image_id: int
    category_id: int
    bbox: Annotated[list[float], Field(min_length=4, max_length=4, description="xywh, pixels")]
    score: float


class Envelope(BaseModel):
    """Everything that was found in a clip; ``detections`` is a COCO results list as it stands."""

    request_id: str
    model: ModelRecord
    clip: ClipRecord
    images: list[WindowRecord]
    categories: list[Category]
    detections: list[Result]
    timing_ms: TimingRecord
    warnings: list[str]


class ClipAnswer(BaseModel):
    """A clip that lies here."""

    id: str
    size_bytes: int
    created: str
    clip: ClipRecord
    warnings: list[str]
    name: str = Field("", description="What people call it.")


class ClipList(BaseModel):
    """The clips that lie here, oldest first."""

    clips: list[ClipAnswer]


class JobAnswer(BaseModel):
    """A job; times are seconds since the epoch."""

    id: str
    state: JobState
    progress: float = Field(description="How much is done, 0 to 1.")
    created: float
    started: float | None
    finished: float | None
    attempts: int = Field(description="How often it began: anew after a crash.")
    request_id: str = Field(description="Of the request that asked.")
    problem: dict[str, Any] | None = Field(description="Why it failed, as a problem document.")


class JobList(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobAnswer]


class ModelList(BaseModel):
    """The weights that are served, the default first."""

    models: list[ModelNote]


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
        "limit_bytes": {"type": "integer", "description": "With 413 and 507."},
    },
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {PROBLEM_TYPE: {"schema": PROBLEM_SCHEMA}}}
    for status, words in (("4XX", "The request cannot be served."), ("5XX", "The service cannot."))
}


def binary(description: str, *types: str) -> dict[str, Any]:
    """Say in OpenAPI that bytes of these types are answered."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types}
    return {"description": description, "content": content}


def clip_body(with_reference: bool) -> dict[str, Any]:
    """Say in OpenAPI how a clip is sent; frameworks that know would read it into memory."""
    raw = {"schema": {"type": "string", "format": "binary"}}
    form = {"type": "object", "required": ["clip"], "properties": {"clip": raw["schema"]}}
    content: dict[str, Any] = {}
    if with_reference:
        content["application/json"] = {
            "schema": ClipReference.model_json_schema(),
            "example": {"clip_id": DEMO_ID},
        }
    content |= {"application/octet-stream": raw, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}
