"""A viewer's words come in as checked commands; pictures go out behind a binary header.

Text messages are JSON objects with a ``type``; binary ones are a header and its payload.
"""

import json
import struct
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from service.problems import Problem

VERSION = 1
PICTURE, PLANES = 1, 2
"""Kinds of payload: a JPEG, or planes of one bit per pixel."""

HEADER = struct.Struct("<BBHIQQIHHII")
"""Version, kind, view, sequence, plane shown, plane start, plane count, width, height, window,
payload length: 40 bytes, little-endian."""

View = Literal["tfp", "tfi", "raw", "heat"]
VIEWS: tuple[View, ...] = ("tfp", "tfi", "raw", "heat")

MOST_WINDOW = 65_535
MOST_CREDITS = 8
MOST_PACKED_BYTES = 4 << 20
"""Of planes in one message: more of them are shown as a picture instead."""

Plane = Annotated[int, Field(ge=0, lt=1 << 53)]  # what a page's numbers hold exactly


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Watch(_Command):
    """What the viewer wants to see from now on, whole: nothing is left over from before.

    Attributes:
        generation: counts the viewer's wishes; told back before the first picture that obeys.
        plane: to show first; None stays at the play head.
        playing: run, or stand still.
        speed: of the sensor's time: 1 is life, 1/333 shows each plane for 1/60 s.
        view: what a picture shows.
        window: planes that a picture counts.
        models: whose boxes are wanted.
        loop: first plane and one past the last, played again and again.
        follow: stay at the end of a recording that grows.
        fps: most pictures per second.
        picture: whether one is wanted while standing still; a viewer with planes needs none.
    """

    type: Literal["watch"]
    generation: int = Field(ge=0, lt=1 << 32)
    plane: Plane | None = None
    playing: bool = False
    speed: float = Field(default=1 / 333, ge=1 / 20_000, le=1, allow_inf_nan=False)
    view: View = "tfp"
    window: int = Field(default=64, ge=1, le=MOST_WINDOW)
    models: tuple[str, ...] = Field(default=(), max_length=2)
    loop: tuple[Plane, Plane] | None = None
    follow: bool = False
    fps: float = Field(default=60, ge=1, le=120, allow_inf_nan=False)
    picture: bool = True

    @model_validator(mode="after")
    def _check_loop(self) -> "Watch":
        if self.loop is not None and self.loop[0] >= self.loop[1]:
            raise ValueError(f"loop: found {self.loop}, wanted a start before the end")
        return self


class Credit(_Command):
    """Leave to send so many pictures more."""

    type: Literal["credit"]
    count: int = Field(default=1, ge=1, le=MOST_CREDITS)


class FetchPlanes(_Command):
    """Planes as they are, for stepping."""

    type: Literal["planes"]
    start: Plane
    count: int = Field(ge=1, le=MOST_WINDOW)


Command = Watch | Credit | FetchPlanes
_COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])


@dataclass(frozen=True)
class Shown:
    """What a binary message shows.

    Attributes:
        kind: ``PICTURE`` or ``PLANES``.
        view: of a picture.
        plane: the moment that is shown.
        start: first plane that counts.
        count: how many count.
        size: width and height, pixels.
        window: planes that were asked for.
    """

    kind: int
    view: View
    plane: int
    start: int
    count: int
    size: tuple[int, int]
    window: int


def pack(shown: Shown, sequence: int, payload: bytes) -> bytes:
    """Put the header before a payload.

    Example:
        >>> shown = Shown(PICTURE, "tfp", 32, 0, 64, (400, 250), 64)
        >>> message = pack(shown, 7, b"jpeg")
        >>> len(message), unpack(message) == (shown, 7, b"jpeg")
        (44, True)
    """
    width, height = shown.size
    header = HEADER.pack(
        VERSION,
        shown.kind,
        VIEWS.index(shown.view),
        sequence & 0xFFFFFFFF,
        shown.plane,
        shown.start,
        shown.count,
        width,
        height,
        shown.window,
        len(payload),
    )
    return header + payload


def unpack(message: bytes) -> tuple[Shown, int, bytes]:
    """Take a binary message apart: what it shows, its sequence number, the payload.

    Raises:
        Problem: 400, it is no such message.
    """
    if len(message) < HEADER.size:
        raise Problem(400, "malformed-message", f"found {len(message)} bytes, wanted a header")
    version, kind, view, sequence, plane, start, count, width, height, window, length = (
        HEADER.unpack_from(message)
    )
    payload = message[HEADER.size :]
    if version != VERSION or view >= len(VIEWS) or length != len(payload):
        raise Problem(400, "malformed-message", f"found version {version}, {length} bytes")
    shown = Shown(kind, VIEWS[view], plane, start, count, (width, height), window)
    return shown, sequence, payload


def read_command(text: str) -> Command:
    """Check what a viewer says.

    Raises:
        Problem: 422, it is none of the commands.

    Example:
        >>> read_command('{"type": "credit", "count": 2}')
        Credit(type='credit', count=2)
    """
    try:
        return _COMMANDS.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        detail = f"{where}: {first['msg']}" if where else str(first["msg"])
        raise Problem(422, "unknown-command", detail) from error


def say(kind: str, **members: Any) -> str:
    """Write a text message.

    Example:
        >>> say("grown", planes=3)
        '{"type": "grown", "planes": 3}'
    """
    return json.dumps({"type": kind} | members, allow_nan=False)
