"""Serve in a process of its own: what do uploads cost in memory, and what does HTTP cost in speed?

    python -m benchmarks.service [uploads speed crowd] [--gigabytes 1.07] [--clients 64]

Memory is the anonymous resident set of the serving process, sampled every 5 ms; the bombs unpack to
more than the service's limit of 4 GiB, one to nearly as much, all of it an array's header. Speed is
that of one second of a simulated street of 400x250 pixels, and, told but not judged, of the small
demo recording: walked in this process and over HTTP by turns, from a clip that lies there and from
one that is sent along. The end is not 0 where a target was missed: memory, refusals, speed, the
first line, what a crowd is told, a clean spool.
"""

import argparse
import contextlib
import itertools
import tempfile
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from backports import zstd

from benchmarks.serving import crowd, leave, serving, told
from benchmarks.street import make_street
from vidar_det import load_detector, open_recording
from vidar_det.spikes.demo import RECORDING_FILE, find_demo

BLOCK_BYTES, SECOND_PLANES, ROUNDS = 1_000_000, 20_000, 4
BOMB_BLOCKS, HEADER_BLOCKS = 4400, 4200  # of BLOCK_BYTES: beyond 4 GiB, and below
HEADER = b"\x93NUMPY\x02\x00" + (HEADER_BLOCKS * BLOCK_BYTES).to_bytes(4, "little")
PARTS = ("uploads", "speed", "crowd")
CODINGS = ("identity", "gzip", "zstd")
MOST_MB, LEAST_RATIO, MOST_FIRST_S = 60, 0.9, 0.3
"""The targets: memory that a body costs, speed beside this process, seconds from a clip that lies
there, or whose last byte was sent, to the first line."""

RAW = {"Content-Type": "application/octet-stream"}
LINES = {"Accept": "application/x-ndjson"}
CAMERA: dict[str, Any] = {"width": 400, "height": 250, "layout": "plain"}
DEMO: dict[str, Any] = {"width": 256, "height": 160, "layout": "plain"}


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


def measure_uploads(client: httpx.Client, number: int, gigabytes: float) -> list[str]:
    """Send one large clip and one bomb in each coding, and an array that is all header."""
    noise = np.random.default_rng(0).integers(0, 256, BLOCK_BYTES, np.uint8).tobytes()
    blocks = round(1e3 * gigabytes)
    clips = [(coding, b"", noise, blocks, 201) for coding in CODINGS]
    bombs = [(coding, b"", bytes(BLOCK_BYTES), BOMB_BLOCKS, 413) for coding in CODINGS[1:]]
    header = ("gzip", HEADER, b" " * BLOCK_BYTES, HEADER_BLOCKS, 422)
    missed = []
    for coding, start, block, count, wanted in [*clips, *bombs, header]:
        body: Iterable[bytes] = (piece for piece in packed(coding, start, block, count) if piece)
        begin = time.perf_counter()
        headers = {"Content-Encoding": coding} | RAW
        known = {} if start else CAMERA  # an array's geometry stands in its header
        with watched(number) as growth:
            answer = client.post("/v1/clips", params=known, content=body, headers=headers)
        took = time.perf_counter() - begin
        name = "header, " * bool(start) + f"{count * BLOCK_BYTES / 1e9:.2f} GB {coding}"
        print(f"{name:24} {answer.status_code}  {took:6.1f} s  memory +{growth[0]:.1f} MB")
        if answer.status_code == 201:
            client.delete(answer.headers["Location"])
        if answer.status_code != wanted or growth[0] > MOST_MB:
            missed.append(f"{name}: {answer.status_code}, +{growth[0]:.1f} MB")
    return missed


def measure_speed(client: httpx.Client, folder: Path) -> list[str]:
    """Walk one second of recording in this process and over HTTP, stored and sent, by turns."""
    demo = (find_demo() / RECORDING_FILE).read_bytes()
    plane_bytes = DEMO["width"] * DEMO["height"] // 8
    small = (demo * (SECOND_PLANES * plane_bytes // len(demo) + 1))[: SECOND_PLANES * plane_bytes]
    (folder / "demo.dat").write_bytes(small)
    make_street(folder / "street.dat", SECOND_PLANES * CAMERA["width"] * CAMERA["height"] // 8)
    missed = compare(client, folder / "street.dat", CAMERA, LEAST_RATIO)
    return missed + compare(client, folder / "demo.dat", DEMO, None)


def compare(
    client: httpx.Client, path: Path, geometry: dict[str, Any], least: float | None
) -> list[str]:
    """Walk one recording both ways; without a least ratio, the speed is told and not judged."""
    size, content = f"{geometry['width']}x{geometry['height']}", path.read_bytes()
    recording = open_recording(path, **geometry)
    clip = client.post("/v1/clips", params=geometry, content=content).json()["id"]
    detector = load_detector("nano")
    ratios, firsts, upload_s = [], [], 0.0

    def pieces() -> Iterator[bytes]:
        nonlocal upload_s
        begin = time.perf_counter()
        for start in range(0, len(content), BLOCK_BYTES):
            yield content[start : start + BLOCK_BYTES]
        upload_s = time.perf_counter() - begin

    for lap in range(1 + ROUNDS):
        begin = time.perf_counter()
        windows = sum(1 for _ in detector.stream(recording))
        inside = windows / (time.perf_counter() - begin)
        first, last = lines_of(client, {"json": {"clip_id": clip}})
        sent_first, sent_last = lines_of(client, {"params": geometry, "content": pieces()})
        if lap == 0:  # cold
            continue
        ratios.append(windows / last / inside)
        firsts.append((first, sent_first - upload_s))
        print(
            f"{size}: in process {inside:.0f} windows/s; "
            f"stored: {windows / last:.0f} ({ratios[-1]:.2f}), "
            f"first line after {1e3 * first:.0f} ms; "
            f"sent along: {windows / sent_last:.0f}, first line after {1e3 * sent_first:.0f} ms, "
            f"{1e3 * firsts[-1][1]:.0f} of them once sent"
        )
    ratio, (first_s, sent_s) = float(np.median(ratios)), np.median(firsts, axis=0)
    print(f"{size}: {ratio:.2f} of the speed in process (median)")
    missed = [f"{ratio:.2f} of the speed in process"] if least and ratio < least else []
    if max(first_s, sent_s) > MOST_FIRST_S:
        missed.append(
            f"first line after {1e3 * first_s:.0f} ms, {1e3 * sent_s:.0f} where sent along"
        )
    return missed


def lines_of(client: httpx.Client, asked: dict[str, Any]) -> tuple[float, float]:
    """Ask for lines; give the seconds to the first and to the last one."""
    begin = time.perf_counter()
    with client.stream("POST", "/v1/detect", headers=LINES, **asked) as answer:
        moments = [time.perf_counter() - begin for _ in answer.raise_for_status().iter_lines()]
    return moments[0], moments[-1]


def measure_crowd(client: httpx.Client, clients: int, seconds: float) -> list[str]:
    """Send 400-plane clips from many clients at once; who is turned away comes back as told."""
    plane_bytes = DEMO["width"] * DEMO["height"] // 8
    content = bytes(400 * plane_bytes)
    answered: list[float] = []

    def ask(_: int, __: int) -> str:
        begin = time.perf_counter()
        answer = client.post("/v1/detect", params=DEMO, content=content)
        if answer.status_code == 200:
            answered.append(time.perf_counter() - begin)
        return told(answer)

    seen, _ = crowd(clients, seconds, ask)
    p50, p99 = np.percentile(answered or [np.nan], [50, 99])
    print(f"{clients} clients, {seconds:g} s: {dict(seen)}; p50 {p50:.2f} s, p99 {p99:.2f} s")
    wrong = set(seen) - {"200", "429 with Retry-After", "503 with Retry-After"}
    return [f"a crowd came to {sorted(wrong)}"] if wrong or not answered else []


def main() -> None:
    """Measure what was asked for, or all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help="uploads, speed, crowd; else all")
    parser.add_argument("--gigabytes", type=float, default=1.07)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "spool"
        with serving(folder) as (client, process):
            client.post("/v1/detect", json={"clip_id": "demo"})
            if "uploads" in options.parts:
                missed += measure_uploads(client, process.pid, options.gigabytes)
            if "speed" in options.parts:
                missed += measure_speed(client, Path(home))
            if "crowd" in options.parts:
                missed += measure_crowd(client, options.clients, options.seconds)
            time.sleep(2)  # drafts are removed after the last byte of their answer
            left = [path.name for path in (folder / "incoming").iterdir()]
            print(f"left in the spool: {left}")
    leave(missed + [f"left in the spool: {name}" for name in left])


if __name__ == "__main__":
    main()
