"""A stretch of a clip comes in; a video of it, with boxes, goes out."""

import contextlib
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from service.answers import HoldingResponse, read_document, watched
from service.clips import Clip
from service.engines import ModelNote, Task, WindowFound, choose_model
from service.film import MOST_FRAMES, Cast, FilmSpec, film_windows, write_film
from service.parts import parts_of
from service.replay.protocol import MOST_WINDOW, View
from service.schemas import StrictQuery, binary
from service.threads import in_thread
from vidar_det.detections.boxes import Detections
from vidar_det.detector.clip_prediction import Question
from vidar_det.detector.predictor import Thresholds
from vidar_det.spikes.selection import Selection
from vidar_det.spikes.sidecar import RecordingOptions

router = APIRouter(tags=["clips"])

VIDEO = "video/mp4"
ANSWERS: dict[int | str, dict[str, Any]] = {200: binary("The video.", VIDEO)}


class FilmQuery(StrictQuery):
    """Which video of a clip."""

    start: int = Field(0, ge=0, description="First plane.")
    planes: int = Field(ge=1, description="How many planes it runs through.")
    step: int = Field(8, ge=1, description=f"Planes a frame; {MOST_FRAMES} frames at most.")
    view: View = Field("tfp", description="What a frame shows.")
    window: int = Field(64, ge=1, le=MOST_WINDOW, description="Planes that a frame counts.")
    fps: float = Field(30, ge=1, le=120, allow_inf_nan=False, description="Frames per second.")
    model: str | None = Field(None, description="Whose boxes; else the first of /v2/models.")
    conf: float = Field(0.25, ge=0, le=1, description="Lowest score drawn.")
    classes: str = Field("", description="Names of the classes to draw, by commas; else all.")
    boxes: bool = Field(True, description="Whether boxes are drawn at all.")

    def spec(self) -> FilmSpec:
        """Give the service's own form."""
        return FilmSpec(self.start, self.planes, self.step, self.view, self.window, self.fps)


@router.get("/v1/clips/{clip_id}/film", response_class=Response, responses=ANSWERS)
async def film(
    request: Request,
    clip_id: Annotated[str, Path(description="As POST /v1/clips named it.")],
    query: Annotated[FilmQuery, Query()],
) -> Response:
    """Show a stretch of a clip as a slow-motion video, with the boxes of one model."""
    parts, spec = parts_of(request), query.spec()
    model = choose_model(parts.engine, query.model)
    async with contextlib.AsyncExitStack() as stack:
        clip = stack.enter_context(parts.clips.lease(clip_id))
        draft = await in_thread(parts.spool.draft)
        stack.push_async_callback(in_thread, draft.discard)
        path, most = draft.folder / "film.mp4", parts.settings.max_pixels
        async with parts.films.place(), watched(request) as check:

            def told() -> None:
                check(None)
                written = sum(file.stat().st_size for file in draft.folder.iterdir())
                draft.reserve(max(0, written - draft.reserved_bytes))

            with parts.shares.hold(request.state.caller):
                found = await _detect(request, clip, model, query, check)
            await in_thread(lambda: write_film(clip.path, path, spec, found, most, told))
            await in_thread(told)  # the end of the file is written last
        content = await stack.enter_async_context(contextlib.aclosing(read_document(path)))
        return HoldingResponse(content, stack.pop_all(), VIDEO)


async def _detect(
    request: Request,
    clip: Clip,
    model: ModelNote,
    query: FilmQuery,
    check: Callable[[object], None],
) -> Cast:
    """Look at the windows of the whole clip's grid that the stretch touches."""
    most = parts_of(request).settings.max_pixels
    begin, planes = await in_thread(
        lambda: film_windows(clip.path, query.spec(), model.window, most)
    )
    names = tuple(name.strip() for name in query.classes.split(",") if name.strip())
    found: dict[int, Detections] = {}
    if query.boxes and planes >= model.window:
        selection = Selection(begin, planes, model.window)
        task = Task(
            clip=clip.path,
            sha256=clip.note.clip.sha256 or "",
            options=RecordingOptions(),
            question=Question(selection, Thresholds(conf=query.conf), names),
            model=model.name,
            request_id=request.state.request_id,
        )
        engine = parts_of(request).engine
        async with contextlib.aclosing(engine.detect(task)) as steps:
            async for step in steps:
                check(step)
                if isinstance(step, WindowFound):
                    found[step.window.plane_start] = step.detections
    return Cast(found, model.window, model.classes)
