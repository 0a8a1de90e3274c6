"""A viewer opens a socket on a clip; a replay runs on it until one of them leaves."""

from pathlib import Path

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from service.clips import hidden_folders
from service.log import log_failure
from service.parts import Parts
from service.problems import Problem, internal_error, to_problem
from service.replay.link import Link
from service.replay.session import ReplaySession
from service.replay.source import ReplaySource
from vidar_det.errors import VidarError

router = APIRouter()

MOST_VIEWERS = 32
TRY_LATER = 4503
"""Closed for now. Other codes are 4000 and what HTTP would say: coming back will not help."""


@router.websocket("/v1/replay/{clip_id}")
async def replay(socket: WebSocket, clip_id: str) -> None:
    """Play a clip; see ``service.replay.protocol``."""
    parts = socket.app.state.parts
    assert isinstance(parts, Parts)
    await socket.accept()
    link = Link(socket)
    try:
        with parts.lookout.seat(MOST_VIEWERS), parts.clips.lease(clip_id) as clip:
            source = ReplaySource(clip.path, parts.settings.max_pixels)
            await ReplaySession(link, clip, source, parts.lookout).run()
    except WebSocketDisconnect:
        return
    except Exception as error:  # noqa: BLE001 - the viewer is told, the log knows
        problem = _problem(error, hidden_folders(parts.spool))
        await _close(socket, link, problem)


def _problem(error: Exception, hidden: tuple[Path, ...]) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, VidarError):
        return to_problem(error, hidden)
    log_failure("replay")
    return internal_error()


async def _close(socket: WebSocket, link: Link, problem: Problem) -> None:
    """Say what went wrong, then close with a code that says whether to come back."""
    try:
        await link.tell(problem)
        is_final = problem.status < 500
        await socket.close(4000 + problem.status if is_final else TRY_LATER, problem.kind)
    except (WebSocketDisconnect, RuntimeError):
        return
