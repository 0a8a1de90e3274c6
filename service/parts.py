"""Settings come in; the parts of one service, made for each other, come out."""

from dataclasses import dataclass

from fastapi import Request

from service.clips import ClipStore
from service.drain import Drain
from service.engines import Engine, InlineEngine, check_models
from service.jobs import Jobs
from service.limits import Shares
from service.metrics import Metrics
from service.passes import Passes
from service.ray_engine import RayEngine
from service.replay.lookout import Lookout
from service.scores import read_scores
from service.settings import Settings
from service.spool import Spool
from service.threads import Workroom


@dataclass(frozen=True)
class Parts:
    """What the routes work with.

    Attributes:
        settings: what the service was told.
        metrics: what it counts.
        spool: where bytes lie.
        clips: which clips there are.
        engine: where detectors run.
        passes: what pages open sockets with.
        lookout: looks ahead of viewers.
        drain: whether the service is about to stop.
        jobs: what is worked on while nobody waits.
        shares: which caller holds how many places of the engine.
        pictures: places where pictures of clips are drawn.
        films: places where videos of clips are made.
    """

    settings: Settings
    metrics: Metrics
    spool: Spool
    clips: ClipStore
    engine: Engine
    passes: Passes
    lookout: Lookout
    drain: Drain
    jobs: Jobs
    shares: Shares
    pictures: Workroom
    films: Workroom


def build_parts(settings: Settings, engine: Engine | None = None) -> Parts:
    """Make the parts, with the engine that is given or named; nothing is loaded yet.

    Raises:
        CheckpointError: weights that do not exist.
    """
    metrics = Metrics()
    spool = Spool(settings.data_dir.absolute(), settings.spool_bytes)
    metrics.spool_bytes.set_function(lambda: float(spool.used_bytes))
    clips = ClipStore(spool, settings)
    engine = engine or _build_engine(settings, metrics)
    drain = Drain()
    jobs = Jobs(settings, metrics, spool, clips, engine, drain)
    return Parts(
        settings,
        metrics,
        spool,
        clips,
        engine,
        Passes(),
        Lookout(engine, read_scores(settings.models)),
        drain,
        jobs,
        Shares(max(1, settings.engine_places // 2)),
        Workroom("pictures", places=2, waiting=30),
        Workroom("films", places=2, waiting=0),
    )


def _build_engine(settings: Settings, metrics: Metrics) -> Engine:
    check_models(settings)
    if settings.engine == "ray":
        return RayEngine(settings, metrics)
    return InlineEngine(settings, metrics)


def parts_of(request: Request) -> Parts:
    """Find the parts that serve a request."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts
