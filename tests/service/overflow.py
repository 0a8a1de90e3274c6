"""Sends bodies that unpack to too much, prints what they cost: ``overflow.py FOLDER``.

A process of its own, because the most memory it ever used is what is asked for.
"""

import asyncio
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import torch  # noqa: F401 - loaded before the measurement begins, as it would be in a service
from backports import zstd
from starlette.types import Message

from service.app import create_app
from service.settings import Settings
from tests.service.conftest import ScriptedEngine, files_in

BLOCK = bytes(1 << 20)
BODY_BLOCKS, LIMIT_BLOCKS = 512, 128
HEADER_BLOCKS = 120
HEADER = b"\x93NUMPY\x02\x00" + (HEADER_BLOCKS * len(BLOCK)).to_bytes(4, "little")
BODIES = {
    "zeros": [BLOCK] * BODY_BLOCKS,  # half a gigabyte
    "header": [HEADER, *[b" " * len(BLOCK)] * HEADER_BLOCKS],  # of an npy file, all of it
}


def packed(body: str, coding: str) -> Iterator[bytes]:
    """A body, as sent."""
    if coding == "identity":
        yield from BODIES[body]
        return
    packer = zlib.compressobj(wbits=31) if coding == "gzip" else zstd.ZstdCompressor()
    for block in BODIES[body]:
        if sent := packer.compress(block):
            yield sent
    yield packer.flush()


def memory_kb(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise AssertionError(name)


async def send_one(body: str, coding: str, folder: Path) -> list[object]:
    settings = Settings(data_dir=folder, max_decoded_bytes=LIMIT_BLOCKS * len(BLOCK))
    app = create_app(settings, ScriptedEngine())
    blocks = packed(body, coding) if coding == "identity" else iter([*packed(body, coding)])
    sent: list[Message] = []

    async def receive() -> Message:
        block = next(blocks, b"")
        return {"type": "http.request", "body": block, "more_body": bool(block)}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-encoding", coding.encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/detect", "query_string": b""}
    async with app.router.lifespan_context(app):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = memory_kb("VmRSS")
        await app(scope | {"headers": headers}, receive, send)
        growth = memory_kb("VmHWM") - before
    document = json.loads(sent[1]["body"])
    return [sent[0]["status"], document.get("limit_bytes"), growth, files_in(folder)]


def main(folder: Path) -> None:
    sent = [("zeros", "identity"), ("zeros", "gzip"), ("zeros", "zstd"), ("header", "gzip")]
    costs = {" ".join(one): asyncio.run(send_one(*one, folder)) for one in sent}
    print(json.dumps(costs))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main(Path(sys.argv[1]))
