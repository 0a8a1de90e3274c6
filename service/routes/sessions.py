"""A key comes in with a request; a pass for sockets and event streams goes out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from service.keys import key_wanted
from service.parts import parts_of
from service.passes import COOKIE, COOKIE_S, DOOR, TICKET_S
from service.schemas import StrictQuery

router = APIRouter(tags=["passes"])


class TicketQuery(StrictQuery):
    """What a ticket is for."""

    path: str = Field(
        pattern=DOOR,
        description="What it opens: `/v1/replay/{clip}` or `/v1/jobs/{id}/events`.",
        examples=["/v1/replay/demo"],
    )


class Ticket(BaseModel):
    """A pass for one path."""

    ticket: str = Field(description="Put it into the query: `?ticket=…`.")
    seconds: int = Field(description="How long it is good for.")


@router.post("/v1/session", status_code=204)
async def begin_session(request: Request, response: Response) -> None:
    """Give the browser of whoever shows a key a cookie that its own pages send along.

    A cookie does not do: it would be renewed for ever.
    """
    if not request.state.has_key:
        raise key_wanted()
    response.set_cookie(
        COOKIE,
        parts_of(request).passes.issue(request.state.caller, COOKIE, COOKIE_S),
        max_age=COOKIE_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


@router.delete("/v1/session", status_code=204)
async def end_session(response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.post("/v1/tickets", status_code=201)
async def make_ticket(request: Request, query: Annotated[TicketQuery, Query()]) -> Ticket:
    """Give a ticket for one replay or one job's events, where no header can be set."""
    given = parts_of(request).passes.issue(request.state.caller, query.path, TICKET_S)
    return Ticket(ticket=given, seconds=TICKET_S)
