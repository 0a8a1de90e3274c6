"""What the service does comes in as numbers; Prometheus text goes out."""

from collections.abc import Callable
from typing import Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from vidar_det import __version__

STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
REQUEST_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 600.0)
CLIP_BUCKETS = tuple(float(4**power << 10) for power in range(2, 12))  # 16 KiB to 4 GiB
RATE_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


Quantity = Literal[
    "queue_depth",
    "queue_wait",
    "decode",
    "inference",
    "postprocessing",
    "windows",
    "clip_bytes",
    "firing_rate",
]
"""What an engine tells: seconds, bytes, a rate; or by how much a number grew or shrank."""


class Observer(Protocol):
    """Is told what an engine does."""

    def observe(self, quantity: Quantity, value: float) -> None:
        """Take one value; any thread may call it."""


class Metrics:
    """The service's own registry: two services in one process do not share numbers.

    Example:
        >>> metrics = Metrics()
        >>> metrics.windows.inc(3)
        >>> "vidar_windows_total 3.0" in metrics.text().decode()
        True
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "vidar_requests",
            "Requests by route.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.request_seconds = self._seconds(
            "request", "A whole request.", REQUEST_BUCKETS, "route"
        )
        self.in_flight = self._gauge("requests_in_flight", "Requests under way.")
        self.rejects = Counter(
            "vidar_rejects", "Requests turned down.", ("reason",), registry=self.registry
        )
        self.queue_depth = self._gauge("queue_depth", "Requests that an engine holds.")
        self.queue_wait = self._seconds("queue_wait", "A window waits for a worker.")
        self.decode = self._seconds("decode", "Reading and counting a window.")
        self.inference = self._seconds("inference", "The network, on one window.")
        self.postprocessing = self._seconds("postprocessing", "Boxes of one window.")
        self.windows = Counter("vidar_windows", "Windows looked at.", registry=self.registry)
        self.clip_bytes = self._histogram("clip_bytes", "Size of a clip.", CLIP_BUCKETS)
        self.firing_rate = self._histogram(
            "firing_rate", "Spikes per pixel and plane in a clip's first window.", RATE_BUCKETS
        )
        self.jobs = Counter("vidar_jobs", "Jobs that ended.", ("state",), registry=self.registry)
        self.jobs_queued = self._gauge("jobs_queued", "Jobs that wait for their turn.")
        self.spool_bytes = self._gauge("spool_bytes", "Bytes on the spool.")
        build = Gauge("vidar_build_info", "This version.", ("version",), registry=self.registry)
        build.labels(__version__).set(1)
        self._told: dict[Quantity, Callable[[float], None]] = {
            "queue_depth": self.queue_depth.inc,
            "queue_wait": self.queue_wait.observe,
            "decode": self.decode.observe,
            "inference": self.inference.observe,
            "postprocessing": self.postprocessing.observe,
            "windows": self.windows.inc,
            "clip_bytes": self.clip_bytes.observe,
            "firing_rate": self.firing_rate.observe,
        }

    def observe(self, quantity: Quantity, value: float) -> None:
        """Take what an engine tells."""
        self._told[quantity](value)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Take one finished request or socket; an unknown method counts as ``OTHER``."""
        known = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "SOCKET")
        method = method if method in known else "OTHER"
        self.requests.labels(route, method, str(status)).inc()
        self.request_seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Give everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, words: str) -> Gauge:
        return Gauge(f"vidar_{name}", words, registry=self.registry)

    def _histogram(self, name: str, words: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"vidar_{name}", words, registry=self.registry, buckets=buckets)

    def _seconds(
        self, name: str, words: str, buckets: tuple[float, ...] = STAGE_BUCKETS, *labels: str
    ) -> Histogram:
        return Histogram(
            f"vidar_{name}_seconds", words, labels, registry=self.registry, buckets=buckets
        )
