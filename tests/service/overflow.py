"""Sends too large bodies to services and prints what they cost: ``overflow.py FOLDER``.

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


def packed(coding: str) -> Iterator[bytes]:
    """Half a gigabyte of zeros, as sent."""
    if coding == "identity":
        yield from [BLOCK] * BODY_BLOCKS
        return
    packer = zlib.compressobj(wbits=31) if coding == "gzip" else zstd.ZstdCompressor()
    for _ in range(BODY_BLOCKS):
        yield packer.compress(BLOCK)
    yield packer.flush()


def memory_kb(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise AssertionError(name)


async def send_one(coding: str, folder: Path) -> list[object]:
    settings = Settings(data_dir=folder, max_decoded_bytes=LIMIT_BLOCKS * len(BLOCK))
    app = create_app(settings, ScriptedEngine())
    blocks = (
        packed(coding)
        if coding == "identity"
        else iter([block for block in packed(coding) if block])
    )
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
    return [sent[0]["status"], document["limit_bytes"], growth, files_in(folder)]


def main(folder: Path) -> None:
    costs = {}
    for coding in ("identity", "gzip", "zstd"):
        costs[coding] = asyncio.run(send_one(coding, folder))
    print(json.dumps(costs))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main(Path(sys.argv[1]))
