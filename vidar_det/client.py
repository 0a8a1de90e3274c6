"""A clip on this machine comes in, a service elsewhere looks at it, and what it found comes out.

Only HTTP is needed here, no detector: clips are sent as they lie on the disk, piece by piece.
"""

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from vidar_det.config import build_spec
from vidar_det.detections.boxes import Detections
from vidar_det.detections.coco import detections_of, take
from vidar_det.detections.predictions import (
    ClipRecord,
    ModelRecord,
    Predictions,
    TimingRecord,
    WindowRecord,
)
from vidar_det.errors import ServiceError, SourceError

BUSY = (429, 503)
"""Statuses that ask to come back later."""

RETRY_S = 1.0  # where the service does not say when
LINES = "application/x-ndjson"
Record = TypeVar("Record")


@dataclass(frozen=True)
class RemoteClip:
    """A clip that lies at the service.

    Attributes:
        id: its name there.
        size_bytes: of the clip.
        clip: geometry and the like.
    """

    id: str
    size_bytes: int
    clip: ClipRecord


@dataclass(frozen=True)
class RemoteJob:
    """A job of the service.

    Attributes:
        id: its name there.
        state: ``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``.
        progress: how much is done, 0 to 1.
        problem: why it failed, as a problem document.
    """

    id: str
    state: str
    progress: float
    problem: dict[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("succeeded", "failed", "cancelled")


class Client:
    """Calls one service.

    What is asked about a clip is written as in ``POST /v1/detect``: ``width, height, layout, flip,
    rate_hz, start, planes, window, stride, model, conf, iou, max_det, classes``; several classes
    are a list, or one string with commas.

    Args:
        address: of the service, such as ``http://127.0.0.1:8000``.
        key: where the service wants one.
        patience_s: how long a service that is busy, or starts anew, is asked again.
        timeout_s: longest silence of the service.

    Example:
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     found = client.detect("clip.dat", width=400, height=250, conf=0.4)
        ...     print(found.windows[0].t_start_us, found.detections[0].xyxy)
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        patience_s: float = 60.0,
        timeout_s: float = 300.0,
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout_s)
        self._patience_s = patience_s

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def detect(self, clip: str | Path | RemoteClip, **question: Any) -> Predictions:
        """Find out what is in a clip; for a large one the service makes a job, which is awaited.

        Args:
            clip: a file, or a clip that lies at the service.
            question: see ``Client``.

        Raises:
            ServiceError: the service refuses, or cannot be reached.
            SourceError: the file cannot be read.
        """
        with self._ask("POST", "/v1/detect", clip, question) as answer:
            document = json.loads(answer.read())
            if answer.status_code != 202:
                return _predictions(document)
        return self.wait(_job(document))

    def stream(
        self, clip: str | Path | RemoteClip, **question: Any
    ) -> Iterator[tuple[WindowRecord, Detections]]:
        """Find out what is in a clip, window by window, as it is found.

        Args:
            clip: a file, or a clip that lies at the service.
            question: see ``Client``.

        Yields:
            Each window, and what was found in it.

        Raises:
            ServiceError: the service refuses, cannot be reached, or fails on the way.
            SourceError: the file cannot be read.
        """
        with self._ask("POST", "/v1/detect", clip, question, {"Accept": LINES}) as answer:
            for text in answer.iter_lines():
                line = json.loads(text)
                if line["type"] == "error":
                    raise _refusal(line)
                if line["type"] == "summary":
                    return
                window = _pick(WindowRecord, line)
                found = detections_of(line["detections"])
                yield window, found.get(window.id, Detections.empty())
        raise ServiceError("the service's answer stops before its summary")

    def submit(self, clip: str | Path | RemoteClip, key: str = "", **question: Any) -> RemoteJob:
        """Have a clip looked at while nobody waits.

        Args:
            clip: a file, or a clip that lies at the service.
            key: own name for this request: asked again with it, the service gives the same job.
            question: see ``Client``.

        Raises:
            ServiceError: the service refuses, or cannot be reached.
            SourceError: the file cannot be read.
        """
        headers = {"Prefer": "respond-async"} | ({"Idempotency-Key": key} if key else {})
        with self._ask("POST", "/v1/detect", clip, question, headers) as answer:
            return _job(json.loads(answer.read()))

    def job(self, job_id: str) -> RemoteJob:
        """Ask how far a job is."""
        return _job(self._get(f"/v1/jobs/{job_id}"))

    def cancel(self, job: RemoteJob) -> RemoteJob:
        """Cancel a job; one that has ended stays as it is."""
        with self._ask("DELETE", f"/v1/jobs/{job.id}") as answer:
            return _job(json.loads(answer.read()))

    def wait(
        self, job: RemoteJob, report: Callable[[float], None] = lambda progress: None
    ) -> Predictions:
        """Wait for a job, through restarts of the service, and give what it found.

        Args:
            job: the job.
            report: told how much is done, 0 to 1, whenever that changed.

        Raises:
            ServiceError: the job failed or was cancelled, or the service is gone for too long.
        """
        while not job.has_ended:
            with (
                contextlib.suppress(httpx.TransportError),  # the service went: it is asked again
                self._open("GET", f"/v1/jobs/{job.id}/events") as answer,
            ):
                for text in answer.iter_lines():
                    if text.startswith("data: "):
                        job = _job(json.loads(text.removeprefix("data: ")))
                        report(job.progress)
        return _predictions(self._get(f"/v1/jobs/{job.id}/result"))

    def add_clip(self, path: str | Path, **options: Any) -> RemoteClip:
        """Send a clip to stay.

        Args:
            path: the file.
            options: ``width, height, layout, flip, rate_hz``: what its bytes do not say.

        Raises:
            ServiceError: the service refuses, or cannot be reached.
            SourceError: the file cannot be read.
        """
        with self._ask("POST", "/v1/clips", path, options) as answer:
            return _pick(RemoteClip, json.loads(answer.read()))

    def clip(self, clip_id: str) -> RemoteClip:
        """Describe a clip that lies at the service."""
        return _pick(RemoteClip, self._get(f"/v1/clips/{clip_id}"))

    def clips(self) -> list[RemoteClip]:
        """List the clips that lie at the service."""
        return [_pick(RemoteClip, one) for one in self._get("/v1/clips")["clips"]]

    def delete_clip(self, clip: RemoteClip) -> None:
        """Delete a clip at the service; what uses it ends undisturbed."""
        with self._ask("DELETE", f"/v1/clips/{clip.id}"):
            pass

    def _get(self, path: str) -> dict[str, Any]:
        with self._ask("GET", path) as answer:
            document: dict[str, Any] = json.loads(answer.read())
            return document

    @contextlib.contextmanager
    def _ask(self, *request: Any) -> Iterator[httpx.Response]:
        """Call as ``_open`` does; an answer that breaks off is a service that is lost."""
        try:
            with self._open(*request) as answer:
                yield answer
        except httpx.TransportError as error:
            raise self._lost(error) from error

    @contextlib.contextmanager
    def _open(
        self,
        method: str,
        path: str,
        clip: str | Path | RemoteClip | None = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """Call, again while the service is busy or starts anew; the answer is open, and fine."""
        until = time.monotonic() + self._patience_s
        asked = {name: _joined(value) for name, value in (query or {}).items()}
        while True:
            with contextlib.ExitStack() as stack:
                body = _body(clip, stack)
                call = self._http.stream(method, path, params=asked, headers=headers, **body)
                try:
                    answer = stack.enter_context(call)
                except httpx.TransportError as error:
                    was_sent = not isinstance(error, httpx.ConnectError)
                    if (was_sent and method != "GET") or time.monotonic() > until:
                        raise self._lost(error) from error
                    wait_s = RETRY_S
                else:
                    if answer.is_success:
                        yield answer
                        return
                    wait_s = _wait_s(answer.headers.get("Retry-After", ""))
                    if answer.status_code not in BUSY or time.monotonic() + wait_s > until:
                        raise _refusal(_problem(answer))
            time.sleep(wait_s)

    def _lost(self, error: httpx.TransportError) -> ServiceError:
        kind = type(error).__name__
        return ServiceError(f"{self._http.base_url}: cannot be reached ({kind}: {error})")


def _joined(value: Any) -> Any:
    """Write a list as the service reads it."""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _wait_s(retry_after: str) -> float:
    """Read ``Retry-After``: seconds, or the date by which to come back (RFC 9110, 10.2.3).

    Example:
        >>> _wait_s("3"), _wait_s(""), _wait_s("Wed, 21 Oct 2015 07:28:00 GMT"), _wait_s("soon")
        (3.0, 1.0, 0.0, 1.0)
    """
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return RETRY_S
    return max(0.0, date.timestamp() - time.time())


def _body(clip: str | Path | RemoteClip | None, stack: contextlib.ExitStack) -> dict[str, Any]:
    """Say what is sent, as httpx takes it; a file is open as long as the stack is."""
    if clip is None:
        return {}
    if isinstance(clip, RemoteClip):
        return {"json": {"clip_id": clip.id}}
    try:
        return {"content": stack.enter_context(Path(clip).open("rb"))}
    except OSError as error:
        raise SourceError(f"{clip}: cannot be read: {error.strerror}") from error


def _pick(kind: type[Record], document: dict[str, Any]) -> Record:
    """Take what is known here of an answer; a newer service may say more."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # dataclasses only
    known = {name: value for name, value in document.items() if name in names}
    return build_spec(kind, known, "the service's answer")


def _job(document: dict[str, Any]) -> RemoteJob:
    progress = take(document, "progress", float, "the service's answer")
    return RemoteJob(document["id"], document["state"], progress, document.get("problem"))


def _predictions(envelope: dict[str, Any]) -> Predictions:
    found = detections_of(envelope["detections"])
    windows = tuple(_pick(WindowRecord, image) for image in envelope["images"])
    return Predictions(
        model=_pick(ModelRecord, envelope["model"]),
        clip=_pick(ClipRecord, envelope["clip"]),
        classes=tuple(category["name"] for category in envelope["categories"]),
        windows=windows,
        detections=tuple(found.get(window.id, Detections.empty()) for window in windows),
        timing_ms=_pick(TimingRecord, envelope["timing_ms"]),
        warnings=tuple(envelope["warnings"]),
        request_id=envelope["request_id"],
    )


def _problem(answer: httpx.Response) -> dict[str, Any]:
    text = answer.read()
    with contextlib.suppress(ValueError):
        document = json.loads(text)
        if isinstance(document, dict):
            return document
    return {"status": answer.status_code, "detail": answer.reason_phrase}


def _refusal(problem: dict[str, Any]) -> ServiceError:
    words = f"{problem.get('status')}: {problem.get('detail')}"
    return ServiceError(f"the service says {words}", problem)
