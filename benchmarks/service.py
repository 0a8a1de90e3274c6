"""Serve in a process of its own: what do uploads cost in memory, and what does HTTP cost in speed?

    python -m benchmarks.service [uploads speed crowd] [--gigabytes 1.07] [--clients 64]

Memory is the anonymous resident set of the serving process, sampled every 5 ms; the bombs unpack to
more than the service's limit of 4 GiB, one to nearly as much, all of it an array's header. Speed is
that of the demo recording, repeated to one second, walked in this process and over HTTP by turns.
"""

import argparse
import contextlib
import itertools
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import numpy as np
from backports import zstd

from benchmarks.serving import serving
from vidar_det import load_detector, open_recording
from vidar_det.spikes.demo import RECORDING_FILE, find_demo

BLOCK_BYTES, SECOND_PLANES, ROUNDS = 1_000_000, 20_000, 4
BOMB_BLOCKS, HEADER_BLOCKS = 4400, 4200  # of BLOCK_BYTES: beyond 4 GiB, and below
HEADER = b"\x93NUMPY\x02\x00" + (HEADER_BLOCKS * BLOCK_BYTES).to_bytes(4, "little")
PARTS = ("uploads", "speed", "crowd")
LINES = {"Accept": "application/x-ndjson"}
CAMERA = {"width": 400, "height": 250, "layout": "plain"}
DEMO = {"width": 256, "height": 160, "layout": "plain"}


def anonymous_mb(number: int) -> float:
    """Anonymous resident memory of a process."""
    status = Path(f"/proc/{number}/status").read_text(encoding="utf-8")
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


@contextlib.contextmanager
def watched(number: int) -> Iterator[list[float]]:
    """Keep the highest memory of a process, above what it had at first."""
    first, stop = anonymous_mb(number), threading.Event()
    growth = [0.0]

    def sample() -> None:
        while not stop.wait(0.005):
            growth[0] = max(growth[0], anonymous_mb(number) - first)

    sampler = threading.Thread(target=sample)
    sampler.start()
    yield growth
    stop.set()
    sampler.join()


def packed(coding: str, start: bytes, block: bytes, count: int) -> Iterator[bytes]:
    """A body of ``count`` blocks, as sent."""
    blocks = itertools.chain([start], itertools.repeat(block, count))
    if coding == "identity":
        yield from blocks
        return
    packer = zlib.compressobj(1, wbits=31) if coding == "gzip" else zstd.ZstdCompressor(1)
    for one in blocks:
        yield packer.compress(one)
    yield packer.flush()


def measure_uploads(client: httpx.Client, number: int, gigabytes: float) -> None:
    """Send one large clip and one bomb in each coding, and an array that is all header."""
    noise = np.random.default_rng(0).integers(0, 256, BLOCK_BYTES, np.uint8).tobytes()
    blocks = round(1e3 * gigabytes)
    clips = [(coding, b"", noise, blocks) for coding in ("identity", "gzip", "zstd")]
    bombs = [(coding, b"", bytes(BLOCK_BYTES), BOMB_BLOCKS) for coding in ("gzip", "zstd")]
    header = ("gzip", HEADER, b" " * BLOCK_BYTES, HEADER_BLOCKS)
    for coding, start, block, count in [*clips, *bombs, header]:
        body: Iterable[bytes] = (piece for piece in packed(coding, start, block, count) if piece)
        begin = time.perf_counter()
        headers = {"Content-Encoding": coding, "Content-Type": "application/octet-stream"}
        known = {} if start else CAMERA  # an array's geometry stands in its header
        with watched(number) as growth:
            answer = client.post("/v1/clips", params=known, content=body, headers=headers)
        took = time.perf_counter() - begin
        name = "header, " * bool(start) + f"{count * BLOCK_BYTES / 1e9:.2f} GB {coding}"
        print(f"{name:24} {answer.status_code}  {took:6.1f} s  memory +{growth[0]:.1f} MB")
        if answer.status_code == 201:
            client.delete(answer.headers["Location"])


def measure_speed(client: httpx.Client, folder: Path) -> None:
    """Walk one second of recording in this process and over HTTP, by turns."""
    demo = (find_demo() / RECORDING_FILE).read_bytes()
    plane_bytes = DEMO["width"] * DEMO["height"] // 8  # type: ignore[operator]
    content = (demo * (SECOND_PLANES * plane_bytes // len(demo) + 1))[: SECOND_PLANES * plane_bytes]
    (folder / "second.dat").write_bytes(content)
    recording = open_recording(folder / "second.dat", width=256, height=160, layout="plain")
    clip = client.post("/v1/clips", params=DEMO, content=content).json()["id"]
    detector = load_detector("nano")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        windows = sum(1 for _ in detector.stream(recording))
        inside = windows / (time.perf_counter() - begin)
        begin = time.perf_counter()
        moments = []
        asked = {"json": {"clip_id": clip}, "headers": LINES}
        with client.stream("POST", "/v1/detect", **asked) as answer:  # type: ignore[arg-type]
            moments = [time.perf_counter() - begin for _ in answer.iter_lines()]
        outside = windows / moments[-1]
        print(
            f"in process {inside:.0f} windows/s, over HTTP {outside:.0f} ({outside / inside:.2f}), "
            f"first line after {1e3 * moments[0]:.0f} ms"
        )


def measure_crowd(client: httpx.Client, clients: int, seconds: float) -> None:
    """Send 400-plane clips from many clients at once; who is turned away comes back as told."""
    plane_bytes = DEMO["width"] * DEMO["height"] // 8  # type: ignore[operator]
    content = bytes(400 * plane_bytes)
    seen: Counter[str] = Counter()
    took: list[float] = []
    until = time.perf_counter() + seconds

    def call() -> None:
        with httpx.Client(base_url=client.base_url, timeout=600) as own:
            while (begin := time.perf_counter()) < until:
                answer = own.post("/v1/detect", params=DEMO, content=content)
                wait = answer.headers.get("Retry-After")
                seen[f"{answer.status_code}{'' if wait is None else ' with Retry-After'}"] += 1
                if answer.status_code == 200:
                    took.append(time.perf_counter() - begin)
                time.sleep(float(wait or 0))

    threads = [threading.Thread(target=call) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p99 = np.percentile(took, [50, 99])
    print(f"{clients} clients, {seconds:g} s: {dict(seen)}; p50 {p50:.2f} s, p99 {p99:.2f} s")


def main() -> None:
    """Measure what was asked for, or all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help="uploads, speed, crowd; else all")
    parser.add_argument("--gigabytes", type=float, default=1.07)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "spool"
        with serving(folder) as (client, process):
            client.post("/v1/detect", json={"clip_id": "demo"})
            if "uploads" in options.parts:
                measure_uploads(client, process.pid, options.gigabytes)
            if "speed" in options.parts:
                measure_speed(client, Path(home))
            if "crowd" in options.parts:
                measure_crowd(client, options.clients, options.seconds)
            time.sleep(2)  # drafts are removed after the last byte of their answer
            left = [path.name for path in (folder / "incoming").iterdir()]
            print(f"left in the spool: {left}")


if __name__ == "__main__":
    main()
