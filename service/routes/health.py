"""Probes come in; answers named as in the Open Inference Protocol go out."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from service.engines import ModelNote
from service.parts import parts_of
from service.problems import Problem
from service.schemas import ModelList
from vidar_det import __version__

router = APIRouter(tags=["health and models"])

ModelName = Annotated[str, Path(description="Name of served weights.", examples=["nano"])]


@router.get("/v2/health/live")
async def live() -> dict[str, bool]:
    """Say that the process answers."""
    return {"live": True}


@router.get("/v2/health/ready")
async def ready(request: Request) -> dict[str, bool]:
    """Say whether clips are welcome: detectors can be reached, and the spool has room.

    Before weights are loaded and tried nothing listens.
    """
    parts = parts_of(request)
    if parts.drain.is_on:
        raise _not_ready("the service is about to stop")
    try:
        await parts.engine.check_health()
    except Problem as problem:
        raise _not_ready(problem.detail) from problem
    if not parts.spool.has_room:
        raise _not_ready("the spool has no room")
    return {"ready": True}


@router.get("/v2")
async def server() -> dict[str, Any]:
    """Name the server."""
    return {"name": "vidar-det", "version": __version__, "extensions": []}


@router.get("/v2/models")
async def models(request: Request) -> ModelList:
    """List the weights that are served, the default first."""
    return ModelList(models=list(parts_of(request).engine.models))


@router.get("/v2/models/{model}")
async def model(request: Request, model: ModelName) -> dict[str, Any]:
    """Say what weights take and give."""
    note = _find(request, model)
    return {
        "name": note.name,
        "versions": [note.version],
        "platform": "vidar-det",
        "inputs": [{"name": "clip", "datatype": "BYTES", "shape": [1]}],
        "outputs": [{"name": "detections", "datatype": "BYTES", "shape": [-1]}],
        "parameters": asdict(note),
    }


@router.get("/v2/models/{model}/ready")
async def model_ready(request: Request, model: ModelName) -> dict[str, Any]:
    """Say that weights are loaded: those that are not do not exist."""
    return {"name": _find(request, model).name, "ready": True}


def _find(request: Request, name: str) -> ModelNote:
    for note in parts_of(request).engine.models:
        if note.name == name:
            return note
    raise Problem(404, "no-such-model", f"model {name[:64]!r} is not served")


def _not_ready(detail: str) -> Problem:
    return Problem(503, "not-ready", detail, {"Retry-After": "5"}, {"ready": False})
