"""A task that names a clip comes in; a copy of the detectors on a Ray cluster looks at it.

Each copy is an ``InlineEngine``: results are equal because the code is the same. What passes
between the processes is a path and, window by window, what was found; every machine of the cluster
finds the spool under the same path.
"""

import contextlib
import math
import time
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.to_thread

from service.engines import InlineEngine, ModelNote, Step, Task
from service.log import log_failure
from service.metrics import Metrics, Quantity
from service.problems import Problem, busy
from service.settings import Settings
from vidar_det.cluster import (
    ClusterSpec,
    hold_on_cluster,
    is_held,
    is_loss,
    joined,
    release_from_cluster,
    take_signals_back,
)
from vidar_det.errors import VidarError

Told = list[tuple[Quantity, float]]

PROBE_S = 5.0  # from one question to the cluster to the next, and longest wait for its answer


class RayEngine:
    """Runs detectors on a Ray cluster, as many copies as are busy.

    Args:
        settings: models, the cluster, workers of one copy, queue.
        metrics: told what happens, here and in the copies.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._spec = ClusterSpec(settings.ray_address, settings.threads or 1)
        self._cluster = contextlib.ExitStack()
        self._models: tuple[ModelNote, ...] = ()
        self._handle: Any = None
        self._held = 0
        self._is_well, self._probed = True, -math.inf

    @property
    def models(self) -> tuple[ModelNote, ...]:
        """See ``Engine``."""
        return self._models

    async def start(self) -> None:
        """See ``Engine``.

        Raises:
            ConfigError: Ray is not installed, or the cluster cannot be reached.
            CheckpointError: weights that do not fit.
        """
        self._handle = await anyio.to_thread.run_sync(self._hold)
        take_signals_back()
        self._models = await self._handle.models.remote()

    async def stop(self) -> None:
        """See ``Engine``."""
        await anyio.to_thread.run_sync(self._cluster.close)

    def check_room(self) -> None:
        """See ``Engine``."""
        if self._held >= self._settings.engine_places:
            raise busy(503, "engine-busy", f"{self._held} requests wait for a worker already")

    async def check_health(self) -> None:
        """See ``Engine``; the cluster is asked every ``PROBE_S`` at most, whoever probes us."""
        now = time.monotonic()
        if now > self._probed + PROBE_S:
            self._probed, is_well = now, False
            with anyio.move_on_after(PROBE_S):
                is_well = await anyio.to_thread.run_sync(is_held, abandon_on_cancel=True)
            self._is_well = is_well
        if not self._is_well:
            raise _lost()

    async def detect(self, task: Task) -> AsyncGenerator[Step, None]:
        """See ``Engine``."""
        self.check_room()
        self._held += 1
        self._metrics.observe("queue_depth", 1)
        steps = self._handle.options(stream=True).detect.remote(task)
        try:
            async for step, told in steps:
                for quantity, value in told:
                    self._metrics.observe(quantity, value)
                if isinstance(step, VidarError):
                    raise step  # noqa: TRY301 - no loss: it passes below as it is
                yield step
        except Exception as error:
            if not is_loss(error):
                raise
            log_failure(task.request_id)
            raise _lost() from error
        finally:
            steps.cancel()
            self._held -= 1
            self._metrics.observe("queue_depth", -1)

    def _hold(self) -> Any:
        """Start the copies; blocking, for seconds."""
        settings = self._settings
        self._cluster.enter_context(joined(self._spec))
        self._cluster.callback(release_from_cluster)
        # what a copy is told: its own queue is the cluster's matter
        own = settings.model_copy(update={"threads": self._spec.cpus, "queue": 1 << 30})
        return hold_on_cluster(
            DetectorCopy, (own,), self._spec, settings.ray_replicas, settings.workers
        )


def _lost() -> Problem:
    return busy(503, "engine-lost", "no copy of the detectors can be reached", retry_after_s=5)


class DetectorCopy:
    """One copy of the detectors, in a process of its own.

    Args:
        settings: as the engine's.
    """

    def __init__(self, settings: Settings) -> None:
        self._told = _Notes()
        self._engine = InlineEngine(settings, self._told)
        self._is_ready, self._starting = False, anyio.Lock()

    async def models(self) -> tuple[ModelNote, ...]:
        """Say what is served."""
        await self._started()
        return self._engine.models

    async def detect(self, task: Task) -> AsyncGenerator[tuple[Step | VidarError, Told], None]:
        """Look; a failure of the task is the last value, as it is."""
        await self._started()
        try:
            async with contextlib.aclosing(self._engine.detect(task)) as steps:
                async for step in steps:
                    yield step, self._told.take()
        except VidarError as error:
            yield error, self._told.take()

    async def check_health(self) -> None:
        """Load what is not loaded yet; Ray Serve asks before it sends tasks, and again."""
        await self._started()

    async def _started(self) -> None:
        async with self._starting:
            if not self._is_ready:
                await self._engine.start()
                self._is_ready = True


class _Notes:
    """Keeps what the engine of a copy tells until it is sent along."""

    def __init__(self) -> None:
        self._notes: Told = []

    def observe(self, quantity: Quantity, value: float) -> None:
        """Keep one value, but for the depth of the queue, which the service counts itself."""
        if quantity != "queue_depth":
            self._notes.append((quantity, value))

    def take(self) -> Told:
        """Give what was kept."""
        notes, self._notes = self._notes, []
        return notes
