"""Prometheus comes in; its text goes out."""

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from service.parts import parts_of

router = APIRouter(tags=["health and models"])


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> PlainTextResponse:
    """Give the service's numbers in Prometheus' text format."""
    return PlainTextResponse(parts_of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)
