"""Clips of doubtful geometry come in; ways to read them go out, and one is settled on."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from service.geometry import HEAD_BYTES, GeometryPreview, preview_geometries
from service.parts import parts_of
from service.schemas import ClipAnswer, RecordingQuery, clip_body
from service.threads import in_thread
from service.uploads import MULTIPART, RAW, body_kind, receive_clip
from vidar_det.spikes.sidecar import Layout

router = APIRouter(tags=["clips"])


class HeadQuery(RecordingQuery):
    """What is known about a clip of which the first bytes are sent."""

    size_bytes: int | None = Field(None, ge=1, description="Of the whole clip.")


class GeometryAnswer(BaseModel):
    """A way to read a clip."""

    layout: Layout
    width: int
    height: int
    flip: str
    planes: int
    trailing_bytes: int
    likeness: float = Field(description="How much neighbouring rows correlate, -1 to 1.")
    picture: str = Field(description="What it would look like: a `data:` address.")


class GeometryList(BaseModel):
    """Ways to read a clip, the likeliest first."""

    geometries: list[GeometryAnswer]


@router.post("/v1/geometries", openapi_extra=clip_body(with_reference=False))
async def guess_geometry(request: Request, query: Annotated[HeadQuery, Query()]) -> GeometryList:
    """Look at a clip's first bytes (at most 4 MiB), before it is sent, and show how to read it."""
    parts = parts_of(request)
    body_kind(request, RAW, MULTIPART)
    head = await receive_clip(request, parts, HEAD_BYTES)
    try:
        found = await in_thread(
            lambda: preview_geometries(
                head.path, query.options(), parts.settings.max_pixels, query.size_bytes
            )
        )
    finally:
        await in_thread(head.draft.discard)
    return _answer(found)


@router.get("/v1/clips/{clip_id}/geometries")
async def list_geometries(
    request: Request,
    clip_id: Annotated[str, Path(description="As POST /v1/clips named it.")],
    query: Annotated[RecordingQuery, Query()],
) -> GeometryList:
    """Show the likely ways to read a clip."""
    parts = parts_of(request)
    with parts.clips.lease(clip_id) as clip:
        found = await in_thread(
            lambda: preview_geometries(clip.path, query.options(), parts.settings.max_pixels)
        )
    return _answer(found)


@router.patch("/v1/clips/{clip_id}")
async def settle_geometry(
    request: Request,
    clip_id: Annotated[str, Path(description="As POST /v1/clips named it.")],
    query: Annotated[RecordingQuery, Query()],
) -> ClipAnswer:
    """Read a clip in another way from now on."""
    clips = parts_of(request).clips
    with clips.lease(clip_id) as clip:
        changed = await in_thread(lambda: clips.reshape(clip, query.options()))
        clips.replace(changed)
    return ClipAnswer.model_validate(changed.note, from_attributes=True)


def _answer(found: list[GeometryPreview]) -> GeometryList:
    answers = [
        GeometryAnswer(
            layout=one.geometry.layout,
            width=one.geometry.width,
            height=one.geometry.height,
            flip=one.flip,
            planes=one.geometry.planes,
            trailing_bytes=one.geometry.trailing_bytes,
            likeness=one.geometry.likeness,
            picture=one.picture,
        )
        for one in found
    ]
    return GeometryList(geometries=answers)
