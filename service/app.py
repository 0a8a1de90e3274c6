"""Settings come in; the application that serves them comes out."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import anyio
from fastapi import Depends, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from service.access import AccessLog
from service.clips import hidden_folders
from service.docs import describe, install_docs
from service.drain import DrainGuard
from service.engines import Engine
from service.guards import SecurityHeaders, SiteGuard, own_names
from service.in_place import PlacedRecording, place_recording
from service.keys import KeyGuard, KeyRing, read_keys
from service.limits import BodyGuard, CallGuard
from service.log import log_failure
from service.parts import Parts, build_parts
from service.problems import install_handlers
from service.queries import check_query
from service.routes import (
    clips,
    detect,
    film,
    geometry,
    health,
    jobs,
    metrics,
    replay,
    sessions,
)
from service.routes.viewer import install_viewer
from service.schemas import PROBLEMS
from service.settings import Settings
from service.threads import in_thread
from vidar_det import __version__

ROUTERS = tuple(
    module.router
    for module in (detect, jobs, clips, geometry, film, replay, sessions, health, metrics)
)
SWEEP_S = 60.0  # from one look for clips that nobody used to the next


def create_app(
    settings: Settings, engine: Engine | None = None, placed: Sequence[PlacedRecording] = ()
) -> FastAPI:
    """Make the service. Nothing outside the application is touched before its lifespan begins.

    Args:
        settings: what it is told.
        engine: where detectors run; by default the one that the settings name.
        placed: recordings to be shown where they lie.

    Returns:
        An ASGI application; several may live in one process, on different ``data_dir``.

    Raises:
        ConfigError: keys that cannot be read.
        CheckpointError: weights that do not exist.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as home:
        ...     create_app(Settings(data_dir=Path(home))).title
        'vidar-det'
    """
    parts, keys = build_parts(settings, engine), read_keys(settings)
    app = FastAPI(
        title="vidar-det",
        version=__version__,
        summary="From a Vidar spike-camera recording to detected objects.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=PROBLEMS,
        dependencies=[Depends(check_query)],
        middleware=_layers(parts, keys),
    )
    app.state.parts, app.state.placed = parts, tuple(placed)
    install_handlers(app, hidden_folders(parts.spool))
    for router in ROUTERS:
        app.include_router(router)
    install_viewer(app)
    install_docs(app)
    describe(app, settings, wants_key=bool(keys))
    return app


def _layers(parts: Parts, keys: KeyRing) -> list[Middleware]:
    """What a request passes on its way in, outermost first."""
    settings = parts.settings
    routes = [route for router in ROUTERS for route in router.routes]
    layers = [
        Middleware(SecurityHeaders),
        Middleware(AccessLog, metrics=parts.metrics, routes=routes),
        Middleware(DrainGuard, drain=parts.drain),
        Middleware(SiteGuard, hosts=own_names(settings), origins=settings.origins),
        Middleware(KeyGuard, keys=keys, passes=parts.passes),
        Middleware(CallGuard, per_minute=settings.calls_per_minute, at_once=settings.calls_at_once),
        Middleware(
            BodyGuard, limit_bytes=settings.max_body_bytes, timeout_s=settings.client_timeout_s
        ),
    ]
    if settings.origins:  # before the keys: a browser asks first, without one
        cors = Middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Location", "ETag", "Retry-After"],
        )
        layers.insert(4, cors)
    return layers


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts = app.state.parts
    assert isinstance(parts, Parts)
    await in_thread(parts.spool.open)
    try:
        await in_thread(parts.clips.open)
        for one in app.state.placed:
            place = functools.partial(place_recording, parts.spool, one, parts.settings.max_pixels)
            parts.clips.offer(await in_thread(place))
        await in_thread(parts.jobs.open)
        try:
            await parts.engine.start()
            async with anyio.create_task_group() as background:
                background.start_soon(_keep_up, parts, functools.partial(_sweep, parts))
                for _ in range(parts.settings.jobs_at_once):
                    background.start_soon(_keep_up, parts, parts.jobs.work)
                yield
                background.cancel_scope.cancel()
        finally:
            await parts.engine.stop()
            await in_thread(parts.jobs.close)
    finally:
        parts.spool.close()


async def _keep_up(parts: Parts, work: Callable[[], Awaitable[None]]) -> None:
    """Do work that ends with the service; where it ends before, so does the service.

    A service that takes jobs and never runs them would be worse than none: whoever keeps the
    process begins it anew.
    """
    try:
        await work()
    except Exception:  # noqa: BLE001 - the log knows; the service says that it stops
        log_failure("background")
    parts.drain.begin()


async def _sweep(parts: Parts) -> None:
    """Delete clips that nobody used and results that lay long, once in a while."""
    while True:
        try:
            for clip in parts.clips.expire():
                await in_thread(functools.partial(parts.clips.erase, clip))
            await in_thread(parts.jobs.expire)
        except Exception:  # noqa: BLE001 - files or the list of jobs are busy: there is a next time
            log_failure("sweep")
        await asyncio.sleep(SWEEP_S)
