"""Jobs come in and stay, whatever happens to the process: one SQLite file, and its schema.

The write-ahead log is flushed with every change: a job that was promised is found again after a
crash. What changes with every window, its progress, is not written.
"""

import contextlib
import dataclasses
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from service.job import Job, JobOrder, JobState
from service.problems import Problem, busy
from vidar_det.config import build_spec
from vidar_det.errors import OutputError

SCHEMA_VERSION = 1
SCHEMA = f"""
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN {get_args(JobState)}),
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    job_order TEXT NOT NULL,
    problem TEXT,
    caller TEXT NOT NULL,
    idempotency_key TEXT,
    UNIQUE (caller, idempotency_key)
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, created);
"""
PRIMARY_CODE = 0xFF  # of an extended error code
COLUMNS = "id, state, created, started, finished, attempts, job_order, problem"


class JobStore:
    """The jobs of one service; blocking, for any thread.

    Args:
        path: of the file; made as needed.

    Raises:
        OutputError: the file holds something else, or cannot be made.

    Example:
        >>> import tempfile
        >>> from vidar_det.detector.clip_prediction import Question
        >>> from vidar_det.spikes.sidecar import RecordingOptions
        >>> with tempfile.TemporaryDirectory() as home:
        ...     store = JobStore(Path(home) / "jobs.sqlite")
        ...     order = JobOrder("ab", 100, RecordingOptions(), Question(), "nano", "r1")
        ...     added = store.add("j1", order, now=0.0, caller="lab", key="", most_queued=9)
        ...     taken = store.take(now=1.0)
        ...     store.close()
        ...     added.state, taken.state, taken.order == order
        ('queued', 'running', True)
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._db.executescript(
                    f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
                )
        except sqlite3.Error as error:
            raise OutputError(f"{path}: cannot keep jobs: {error}") from error
        if version not in (0, SCHEMA_VERSION):
            raise OutputError(f"{path}: found jobs of version {version}, wanted {SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the file, once nobody uses it."""
        with self._lock:
            self._db.close()

    def check_room(self, most_queued: int, caller: str, key: str) -> None:
        """Check that a job would be queued, or is known; see ``add``.

        Raises:
            Problem: 503, too many are queued.
        """
        with self._change() as db:
            _find_or_check(db, most_queued, caller, key)

    def add(
        self, job_id: str, order: JobOrder, now: float, caller: str, key: str, most_queued: int
    ) -> Job:
        """Queue a job, unless the caller named its key before.

        Args:
            job_id: its name, if it is new.
            order: what it shall do.
            now: seconds since the epoch.
            caller: who asks.
            key: the caller's name for what it asks; empty where it has none.
            most_queued: jobs that may wait.

        Returns:
            The job, or the one that the key named first, whatever it asks for.

        Raises:
            Problem: 503, too many are queued.
        """
        with self._change() as db:
            earlier = _find_or_check(db, most_queued, caller, key)
            if earlier is not None:
                return earlier
            text = json.dumps(dataclasses.asdict(order))
            db.execute(
                "INSERT INTO jobs (id, state, created, job_order, caller, idempotency_key) "
                "VALUES (?, 'queued', ?, ?, ?, ?)",
                (job_id, now, text, caller, key or None),
            )
        return Job(job_id, "queued", now, None, None, 0, order)

    def get(self, job_id: str) -> Job | None:
        """Look a job up."""
        found = self._select("WHERE id = ?", job_id)
        return found[0] if found else None

    def newest(self, most: int) -> list[Job]:
        """List jobs, newest first."""
        return self._select("ORDER BY created DESC, rowid DESC LIMIT ?", most)

    def count(self, state: JobState) -> int:
        """Count the jobs in a state."""
        with self._lock:
            row = self._db.execute("SELECT count(*) FROM jobs WHERE state = ?", (state,)).fetchone()
        return int(row[0])

    def take(self, now: float) -> Job | None:
        """Begin the oldest queued job; None where there is none."""
        with self._change() as db:
            row = db.execute(
                "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1 "  # noqa: S608 - ours
                "WHERE id = (SELECT id FROM jobs WHERE state = 'queued' "
                f"ORDER BY created, rowid LIMIT 1) RETURNING {COLUMNS}",
                (now,),
            ).fetchone()
        return None if row is None else _job(row)

    def end(
        self, job_id: str, state: JobState, now: float, problem: dict[str, Any] | None = None
    ) -> bool:
        """End a running job.

        Returns:
            Whether it was running: one that was cancelled meanwhile stays so.
        """
        text = None if problem is None else json.dumps(problem)
        with self._change() as db:
            done = db.execute(
                "UPDATE jobs SET state = ?, finished = ?, problem = ? "
                "WHERE id = ? AND state = 'running'",
                (state, now, text, job_id),
            )
        return done.rowcount == 1

    def cancel(self, job_id: str, now: float) -> bool:
        """Cancel a job that has not ended.

        Returns:
            Whether it had not.
        """
        with self._change() as db:
            done = db.execute(
                "UPDATE jobs SET state = 'cancelled', finished = ? "
                "WHERE id = ? AND state IN ('queued', 'running')",
                (now, job_id),
            )
        return done.rowcount == 1

    def requeue(self, forgive: bool = False) -> None:
        """Queue the jobs again that were running when the process ended; their turn stays.

        Args:
            forgive: that they began does not count: the process was told to end.
        """
        with self._change() as db:
            db.execute(
                "UPDATE jobs SET state = 'queued', started = NULL, attempts = attempts - ? "
                "WHERE state = 'running'",
                (int(forgive),),
            )

    def worn(self, most_attempts: int) -> list[Job]:
        """List the running jobs that began too often."""
        return self._select("WHERE state = 'running' AND attempts >= ?", most_attempts)

    def expire(self, before: float) -> list[str]:
        """Forget the jobs that ended before a moment.

        Returns:
            Their ids.
        """
        with self._change() as db:
            rows = db.execute("DELETE FROM jobs WHERE finished < ? RETURNING id", (before,))
            return [str(row[0]) for row in rows.fetchall()]

    def _select(self, clause: str, *values: Any) -> list[Job]:
        with self._lock:
            rows = self._db.execute(f"SELECT {COLUMNS} FROM jobs {clause}", values).fetchall()  # noqa: S608 - ours
        return [_job(row) for row in rows]

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Change all or nothing.

        Raises:
            Problem: 503, another process holds the file; 507, the disk is full.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
                if code == sqlite3.SQLITE_FULL:
                    raise Problem(507, "spool-full", "the disk has no room for a job") from error
                if code == sqlite3.SQLITE_BUSY:
                    detail = "another process holds the list of jobs"
                    raise busy(503, "jobs-locked", detail, retry_after_s=5) from error
                raise


def _job(row: tuple[Any, ...]) -> Job:
    job_id, state, created, started, finished, attempts, order, problem = row
    return Job(
        id=job_id,
        state=state,
        created=created,
        started=started,
        finished=finished,
        attempts=attempts,
        order=build_spec(JobOrder, json.loads(order), "job"),
        problem=None if problem is None else json.loads(problem),
    )


def _find_or_check(db: sqlite3.Connection, most_queued: int, caller: str, key: str) -> Job | None:
    """Find the job that the caller's key named; without one there must be room for another."""
    if key:
        where = "caller = ? AND idempotency_key = ?"
        row = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE {where}", (caller, key)).fetchone()  # noqa: S608 - ours
        if row is not None:
            return _job(row)
    queued = db.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()[0]
    if queued >= most_queued:
        raise busy(503, "jobs-full", f"{queued} jobs wait already", retry_after_s=10)
    return None
