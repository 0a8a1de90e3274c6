"""What somebody asked for comes in, where it is goes out: a job, as it is kept and shown."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from vidar_det.detector.clip_prediction import Question
from vidar_det.spikes.sidecar import RecordingOptions

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: tuple[JobState, ...] = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class JobOrder:
    """What a job shall do; paths are not part of it, because folders may be moved.

    Attributes:
        sha256: of the clip.
        planes: how many of them are looked at.
        options: what the client and the clip's sidecar said about it.
        question: which windows, and which boxes are kept.
        model: name of the weights.
        request_id: of the request that asked.
        clip_id: the clip that came along with us; None where the job holds its own.
    """

    sha256: str
    planes: int
    options: RecordingOptions
    question: Question
    model: str
    request_id: str
    clip_id: str | None = None

    def is_like(self, other: "JobOrder") -> bool:
        """Whether both ask the same."""
        return self == dataclasses.replace(other, request_id=self.request_id)


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        id: its name, made here.
        state: where it is.
        created: when it was asked for, in seconds since the epoch; so are the others.
        started: when it began, the last time.
        finished: when it ended.
        attempts: how often it began: more than once where the process ended in between.
        order: what it shall do.
        problem: why it failed, as a problem document.
    """

    id: str
    state: JobState
    created: float
    started: float | None
    finished: float | None
    attempts: int
    order: JobOrder
    problem: dict[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ENDED
