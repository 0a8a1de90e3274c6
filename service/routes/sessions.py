"""A key comes in with a request; a pass for sockets and event streams goes out."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from service.parts import parts_of
from service.passes import COOKIE, COOKIE_S, TICKET_S

router = APIRouter(tags=["passes"])


class Ticket(BaseModel):
    """A pass for one connection."""

    ticket: str = Field(description="Put it into the query: `?ticket=…`.")
    seconds: int = Field(description="How long it is good for.")


@router.post("/v1/session", status_code=204)
async def begin_session(request: Request, response: Response) -> None:
    """Give the browser of whoever holds a key a cookie that its own pages send along."""
    response.set_cookie(
        COOKIE,
        parts_of(request).passes.issue(request.state.caller, COOKIE_S),
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
async def make_ticket(request: Request) -> Ticket:
    """Give a ticket for `/v1/replay` or a job's events, where no header can be set."""
    given = parts_of(request).passes.issue(request.state.caller, TICKET_S)
    return Ticket(ticket=given, seconds=TICKET_S)
