"""Work comes in; the processes of a Ray cluster do it, and its results come out in order.

Recordings are named, never sent: every machine of a cluster finds them under the same path. Needs
the extra ``ray``; nothing is reported to anybody (``RAY_USAGE_STATS_ENABLED=0``).
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vidar_det.detector.threads import available_cpus
from vidar_det.errors import ConfigError, VidarError

OBJECT_STORE_BYTES = 128 << 20
"""Of a cluster that is started here: what passes through it is small."""

APPLICATION = "vidar-det"
RETRIES = 2  # of work whose process or machine went

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ClusterSpec:
    """Which cluster, and what a worker takes of it.

    Attributes:
        address: of a cluster that runs and that this machine is part of: ``auto``, or
            ``head:6379``; empty starts one on this machine, which ends with the work.
        cpus: processors of one worker.
    """

    address: str = ""
    cpus: int = 1


@contextlib.contextmanager
def joined(spec: ClusterSpec) -> Iterator[None]:
    """Join a cluster, or start one here.

    Raises:
        ConfigError: Ray is not installed, or the cluster cannot be reached.
    """
    ray = _load_ray()
    own = {
        "num_cpus": available_cpus(),
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    try:
        ray.init(
            address=spec.address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            **({} if spec.address else own),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"cluster {spec.address!r}: cannot be reached ({reason})") from error
    take_signals_back()
    try:
        yield
    finally:
        ray.shutdown()


def take_signals_back() -> None:
    """Give this process its own way to end again, after Ray took it: its own is to abort.

    Only the main thread may; elsewhere nothing happens.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)


def map_on_cluster(
    items: Iterable[Item], build: Callable[[], Callable[[Item], Result]], spec: ClusterSpec
) -> Iterator[tuple[Item, Result]]:
    """Work on items side by side in processes of the cluster that was joined.

    Args:
        items: what is worked on; small: names, not contents.
        build: called once in each worker; makes what is called with its items.
        spec: what a worker takes.

    Yields:
        Each item with its result, in order.

    Raises:
        VidarError: what the work raised.
        ConfigError: no machine of the cluster has room for a worker.

    Example:
        >>> with joined(ClusterSpec()):  # doctest: +SKIP
        ...     list(map_on_cluster([1, 2], lambda: abs, ClusterSpec()))
        [(1, 1), (2, 2)]
    """
    ray = _load_ray()
    from ray.util import ActorPool

    listed = list(items)
    room = int(ray.cluster_resources().get("CPU", 0)) // spec.cpus
    if room < 1:
        raise ConfigError(f"cluster: found no room for a worker of {spec.cpus} processors")
    kind = ray.remote(num_cpus=spec.cpus, max_restarts=RETRIES, max_task_retries=RETRIES)(_Worker)
    pool = ActorPool([kind.remote(build) for _ in range(min(room, len(listed)))])
    done = pool.map(lambda worker, item: worker.run.remote(item), listed)
    for item, (result, error) in zip(listed, done, strict=True):
        if error is not None:
            raise error
        yield item, result


def hold_on_cluster(
    make: Callable[..., Any], arguments: tuple[Any, ...], spec: ClusterSpec, most: int, at_once: int
) -> Any:
    """Hold copies of an object in the cluster that was joined (Ray Serve, without its HTTP).

    Args:
        make: class of the object.
        arguments: of the class.
        spec: what a copy takes.
        most: copies at the busiest; one at least is held.
        at_once: calls that one copy is meant to answer side by side.

    Returns:
        A ``ray.serve.handle.DeploymentHandle``.

    Raises:
        ConfigError: the object cannot be made there, or there is no room for it.
    """
    _load_ray()
    from ray import serve

    serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR"})
    deployment: Any = serve.deployment(
        make,
        name=make.__name__,
        ray_actor_options={"num_cpus": spec.cpus},
        max_ongoing_requests=2 * at_once,
        autoscaling_config={
            "min_replicas": 1,
            "max_replicas": most,
            "target_ongoing_requests": at_once,
        },
    )
    try:
        return serve.run(deployment.bind(*arguments), name=APPLICATION, route_prefix=None)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ConfigError(f"cluster: cannot hold {make.__name__} ({reason})") from error


def release_from_cluster() -> None:
    """Let go of what ``hold_on_cluster`` holds."""
    _load_ray()
    from ray import serve

    serve.delete(APPLICATION)


def is_held() -> bool:
    """Whether a copy of what ``hold_on_cluster`` holds runs now; blocking, for a moment.

    A cluster that cannot be asked holds none.
    """
    _load_ray()
    from ray import serve

    try:
        held = serve.status().applications[APPLICATION].deployments.values()
    except Exception:  # noqa: BLE001 - whatever it is, nobody could be asked to look either
        return False
    return bool(held) and all("RUNNING" in one.replica_states for one in held)


def is_loss(error: Exception) -> bool:
    """Whether a call failed because a process, a machine or the whole cluster went.

    A failure of what was called is none.
    """
    _load_ray()
    from ray.exceptions import RayError, RayTaskError
    from ray.serve.exceptions import RayServeException

    is_of_ray = isinstance(error, (RayError, RayServeException))
    return is_of_ray and not isinstance(error, RayTaskError)


class _Worker(Generic[Item, Result]):
    """Does the work in one process; failures go back as values, as they are."""

    def __init__(self, build: Callable[[], Callable[[Item], Result]]) -> None:
        self._work = build()

    def run(self, item: Item) -> tuple[Result | None, VidarError | None]:
        try:
            return self._work(item), None
        except VidarError as error:
            return None, error


def _load_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigError("ray is not installed; pip install 'vidar-det[ray]'") from error
    return ray
