"""Clips come in to stay; their descriptions and pictures go out."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from service.answers import choose_media
from service.clips import DEMO_ID, Clip
from service.parts import parts_of
from service.pictures import PICTURE_TYPES, PictureSpec, View, render
from service.schemas import ClipAnswer, ClipList, RecordingQuery, StrictQuery, binary, clip_body
from service.threads import in_thread
from service.uploads import MULTIPART, RAW, body_kind, receive_clip
from vidar_det.spikes.sidecar import RecordingOptions

router = APIRouter(tags=["clips"])

ClipId = Annotated[str, Path(description="As POST /v1/clips named it.", examples=[DEMO_ID])]
PICTURES: dict[int | str, dict[str, Any]] = {200: binary("The picture.", *PICTURE_TYPES)}


class AddQuery(RecordingQuery):
    """What a clip's bytes do not say, and what to call it."""

    name: str = Field("", max_length=200, description="What people call it.")


class FrameQuery(StrictQuery):
    """Which picture of a clip."""

    plane: int = Field(0, ge=0, description="Plane to look at.")
    view: View = Field(
        "tfp", description="Mean spikes, one over the interval, or the plane as it is."
    )
    window: int | None = Field(
        None, ge=1, description="Planes around it that count; else 128 (tfp) or 256 (tfi)."
    )


@router.get("/v1/clips")
async def list_clips(request: Request) -> ClipList:
    """List the clips that lie here, oldest first."""
    notes = parts_of(request).clips.notes()
    return ClipList.model_validate({"clips": notes}, from_attributes=True)


@router.post("/v1/clips", status_code=201, openapi_extra=clip_body(with_reference=False))
async def add_clip(
    request: Request, response: Response, query: Annotated[AddQuery, Query()]
) -> ClipAnswer:
    """Send a clip to stay, to be looked at by its id as often as wanted."""
    parts = parts_of(request)
    body_kind(request, RAW, MULTIPART)
    received = await receive_clip(request, parts)
    try:
        clip = await in_thread(lambda: parts.clips.admit(received, query.options(), query.name))
    except BaseException:
        await in_thread(received.draft.discard)
        raise
    parts.clips.add(clip)
    response.headers["Location"] = f"/v1/clips/{clip.note.id}"
    return _answer(clip, response)


@router.get("/v1/clips/{clip_id}")
async def get_clip(request: Request, response: Response, clip_id: ClipId) -> ClipAnswer:
    """Describe a clip."""
    return _answer(parts_of(request).clips.get(clip_id), response)


@router.delete("/v1/clips/{clip_id}", status_code=204)
async def delete_clip(
    request: Request, clip_id: Annotated[str, Path(description="As POST /v1/clips named it.")]
) -> None:
    """Delete a clip; requests that use it end undisturbed."""
    clips = parts_of(request).clips
    clip = clips.remove(clip_id)
    if clip is not None:
        await in_thread(lambda: clips.erase(clip))


@router.get("/v1/clips/{clip_id}/frame", response_class=Response, responses=PICTURES)
async def frame(
    request: Request, clip_id: ClipId, query: Annotated[FrameQuery, Query()]
) -> Response:
    """Show a clip's light around one plane: PNG, or JPEG where that is preferred."""
    parts = parts_of(request)
    kind = choose_media(request.headers.get("accept", ""), *PICTURE_TYPES)
    spec = PictureSpec(query.plane, query.view, query.window, kind)
    with parts.clips.lease(clip_id) as clip:
        async with parts.pictures.place():
            content = await in_thread(
                lambda: render(clip.path, RecordingOptions(), spec, parts.settings.max_pixels)
            )
    return Response(content, media_type=kind)


def _answer(clip: Clip, response: Response) -> ClipAnswer:
    if clip.note.clip.sha256 is not None:
        response.headers["ETag"] = f'"{clip.note.clip.sha256}"'
    return ClipAnswer.model_validate(clip.note, from_attributes=True)
