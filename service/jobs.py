"""A clip and a question come in as a job; its result lies on the disk, once, whatever happens.

A job owns its clip: one that was sent along is moved into the job's folder, one that was sent
before is linked there. So a clip may be deleted while a job waits or works, and the job ends as if
it had not been; the clip's bytes count until the job lets go of them.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from service.answers import DOCUMENT_FILE, write_document
from service.clips import Clip, ClipStore, hidden_folders
from service.drain import Drain
from service.engines import Engine, Step, Task, WindowFound, choose_model
from service.intake import CLIP_FILE, Received
from service.job import Job, JobOrder, JobState
from service.job_store import JobStore
from service.log import log_failure
from service.metrics import Metrics
from service.problems import CLIENT_ERRORS, Problem, internal_error, to_problem
from service.settings import Settings
from service.spool import Spool
from service.threads import Result, in_thread
from vidar_det.errors import VidarError

DATABASE_FILE = "jobs.sqlite"
MOST_ATTEMPTS = 5  # of a job that ends the process every time it begins
BUSY_S = 0.5  # from one look for room in the engine to the next
RETRY_S = 5.0  # until a list of jobs that could not be read or written is tried again


class _Cancelled(Exception):
    """A job that nobody wants any more."""


class Jobs:
    """The jobs of one service.

    Args:
        settings: limits, and how many run at once.
        metrics: where ended jobs are counted.
        spool: where clips and results lie.
        clips: where the clip that comes along is found.
        engine: where detectors run.
        drain: once it is on, no job begins.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        spool: Spool,
        clips: ClipStore,
        engine: Engine,
        drain: Drain,
    ) -> None:
        self._settings, self._metrics, self._spool = settings, metrics, spool
        self._clips, self._engine, self._drain = clips, engine, drain
        self._home = spool.folder / "jobs"
        self._clock: Callable[[], float] = time.time
        self._progress: dict[str, float] = {}
        self._unwanted: set[str] = set()
        self._waiting = asyncio.Semaphore(0)

    def open(self) -> None:
        """Find the jobs of earlier runs; those that ran are queued again. Blocking.

        Raises:
            OutputError: the file of jobs is none, or cannot be made.
        """
        self._home.mkdir(exist_ok=True)
        self._store = store = JobStore(self._spool.folder / DATABASE_FILE)
        for job in store.worn(MOST_ATTEMPTS):
            worn = Problem(500, "job-gave-up", f"began {job.attempts} times and never ended")
            store.end(job.id, "failed", self._clock(), _document(job, worn))
        store.requeue()
        for folder in self._home.iterdir():
            self._tidy(folder, store.get(folder.name))
        self._waiting = asyncio.Semaphore(store.count("queued"))
        self._metrics.jobs_queued.set_function(lambda: float(store.count("queued")))

    def close(self) -> None:
        """Queue again what did not end in time; it is not the jobs' fault. Blocking."""
        self._store.requeue(forgive=True)
        self._metrics.jobs_queued.set_function(lambda: 0.0)
        self._store.close()

    @property
    def running(self) -> int:
        """How many are running."""
        return len(self._progress)

    def progress(self, job: Job) -> float:
        """Say how much of a job is done, 0 to 1."""
        return 1.0 if job.state == "succeeded" else self._progress.get(job.id, 0.0)

    async def check_room(self, caller: str, key: str) -> None:
        """Turn a job away before its clip is sent, unless the caller's key names one already.

        Raises:
            Problem: 503, too many are queued.
        """
        await in_thread(lambda: self._store.check_room(self._settings.jobs_queued, caller, key))

    async def add(self, source: Received | Clip, order: JobOrder, caller: str, key: str) -> Job:
        """Queue a job.

        Args:
            source: its clip, which is moved or linked.
            order: what it shall do.
            caller: who asks.
            key: the caller's name for this request; empty where it has none.

        Returns:
            The job; where the caller used the key before, that job.

        Raises:
            Problem: 422, the key was used for something else; 503, too many are queued; 507, the
                spool is full.
        """
        job = await in_thread(lambda: self._queue(source, order, caller, key))
        if not order.is_like(job.order):
            detail = "this Idempotency-Key named another question or clip before"
            raise Problem(422, "idempotency-key-reused", detail)
        self._waiting.release()
        return job

    async def get(self, job_id: str) -> Job:
        """Look a job up.

        Raises:
            Problem: 404, there is none of that id.
        """
        job = await in_thread(lambda: self._store.get(job_id))
        if job is None:
            raise Problem(404, "no-such-job", f"found no job {job_id[:64]!r}")
        return job

    async def newest(self, most: int) -> list[Job]:
        """List jobs, newest first."""
        return await in_thread(lambda: self._store.newest(most))

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job; one that has ended stays as it is.

        Raises:
            Problem: 404, there is none of that id.
        """
        job = await self.get(job_id)
        if await in_thread(lambda: self._store.cancel(job_id, self._clock())):
            self._metrics.jobs.labels("cancelled").inc()
            if job_id in self._progress:
                self._unwanted.add(job_id)
            else:
                await in_thread(lambda: self._tidy(self._home / job_id, None))
        return await self.get(job.id)

    def result(self, job: Job) -> Path:
        """Find the result of a job that succeeded."""
        return self._home / job.id / DOCUMENT_FILE

    def expire(self) -> None:
        """Forget jobs that ended long ago. Blocking."""
        for job_id in self._store.expire(self._clock() - self._settings.max_age_s):
            self._spool.remove(self._home / job_id)

    async def work(self) -> None:
        """Run one job after another, until the service is about to stop."""
        while True:
            await self._waiting.acquire()
            if self._drain.is_on:
                return
            try:
                job = await in_thread(lambda: self._store.take(self._clock()))
                if job is not None:
                    await self._run(job)
            except Exception:  # noqa: BLE001 - the list of jobs cannot be read or written now
                log_failure("jobs")
                await asyncio.sleep(RETRY_S)
                self._waiting.release()

    def _queue(self, source: Received | Clip, order: JobOrder, caller: str, key: str) -> Job:
        if isinstance(source, Received):
            draft = source.draft
        else:
            draft = self._spool.draft()
            if not source.is_ours:
                (draft.folder / CLIP_FILE).hardlink_to(source.path)
        folder = self._home / draft.name
        draft.keep(folder)
        job, most = None, self._settings.jobs_queued
        try:
            job = self._store.add(draft.name, order, self._clock(), caller, key, most)
        finally:
            if job is None or job.id != draft.name:
                self._spool.remove(folder)
        return job

    async def _run(self, job: Job) -> None:
        """Run a job to its end; if the service ends first, it stays running, and is found so."""
        self._progress[job.id] = 0.0
        try:
            # from here on whoever cancels it tells us; who did so before has told the list only
            found = await _patiently(lambda: self._store.get(job.id))
            is_wanted = found is not None and not found.has_ended
            state, problem = await self._last_outcome(job) if is_wanted else ("cancelled", None)
            await _patiently(lambda: self._end(job, state, problem))
        finally:
            del self._progress[job.id]
            self._unwanted.discard(job.id)

    async def _last_outcome(self, job: Job) -> tuple[JobState, Problem | None]:
        """Work on a job; again where the machine that looked went."""
        for _ in range(MOST_ATTEMPTS):
            state, problem = await self._outcome(job)
            if problem is None or "Retry-After" not in problem.headers:
                break
            await asyncio.sleep(BUSY_S)
        return state, problem

    async def _outcome(self, job: Job) -> tuple[JobState, Problem | None]:
        try:
            await self._answer(job)
        except _Cancelled:
            return "cancelled", None
        except Problem as problem:
            return "failed", problem
        except VidarError as error:
            if not isinstance(error, CLIENT_ERRORS):
                log_failure(job.order.request_id)
            return "failed", to_problem(error, hidden_folders(self._spool))
        except Exception:  # noqa: BLE001 - the job ends with it; the next one shall run
            log_failure(job.order.request_id)
            return "failed", internal_error()
        return "succeeded", None

    async def _answer(self, job: Job) -> None:
        order, start = job.order, job.order.question.selection.start

        def told(found: WindowFound) -> None:
            if job.id in self._unwanted:
                raise _Cancelled
            seen = found.window.plane_start + found.window.plane_count - start
            self._progress[job.id] = min(1.0, seen / order.planes)

        draft = await in_thread(self._spool.draft)
        try:
            steps, first = await self._begin(job)
            try:
                document = await write_document(steps, first, draft, told)
            finally:
                await steps.aclose()
            await in_thread(lambda: draft.hand_over(document, self.result(job)))
        finally:
            await in_thread(draft.discard)

    async def _begin(self, job: Job) -> tuple[AsyncGenerator[Step, None], Step]:
        """Wait for room in the engine, and take the first step."""
        order = job.order
        task = Task(
            clip=self._clip_of(job),
            sha256=order.sha256,
            options=order.options,
            question=order.question,
            model=choose_model(self._engine, order.model).name,
            request_id=order.request_id,
        )
        while job.id not in self._unwanted:
            steps = self._engine.detect(task)
            try:
                return steps, await anext(steps)
            except Problem as problem:
                if "Retry-After" not in problem.headers:
                    raise
            await asyncio.sleep(BUSY_S)
        raise _Cancelled

    def _clip_of(self, job: Job) -> Path:
        if job.order.clip_id is not None:
            return self._clips.get(job.order.clip_id).path
        return self._home / job.id / CLIP_FILE

    def _end(self, job: Job, state: JobState, problem: Problem | None) -> None:
        document = None if problem is None else _document(job, problem)
        if self._store.end(job.id, state, self._clock(), document):
            self._metrics.jobs.labels(state).inc()
        self._tidy(self._home / job.id, self._store.get(job.id))

    def _tidy(self, folder: Path, job: Job | None) -> None:
        """Remove what a job does not need any more: its clip, a result that does not count."""
        if job is not None and job.state == "succeeded":
            self._spool.remove(*(file for file in folder.iterdir() if file.name != DOCUMENT_FILE))
        elif job is None or job.has_ended:
            self._spool.remove(folder)
        elif (folder / DOCUMENT_FILE).exists():
            self._spool.remove(folder / DOCUMENT_FILE)


def sha256_of(source: Received | Clip) -> str:
    """Digest of a clip, wherever it came from; empty where nobody computed it."""
    return source.sha256 if isinstance(source, Received) else source.note.clip.sha256 or ""


async def _patiently(work: Callable[[], Result]) -> Result:
    """Read or write the list of jobs, however long it takes: a job would be running for ever."""
    while True:
        try:
            return await in_thread(work)
        except Exception:  # noqa: BLE001 - the disk is full, the list is locked: not for ever
            log_failure("jobs")
            await asyncio.sleep(RETRY_S)


def _document(job: Job, problem: Problem) -> dict[str, object]:
    return problem.document(f"/v1/jobs/{job.id}", job.order.request_id)
