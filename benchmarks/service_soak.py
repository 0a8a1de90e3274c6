"""Mixed load for a while: do memory, open files and the spool stay flat?

python -m benchmarks.service_soak [--minutes 10] [--clients 4]

What a call came to is counted, exceptions too. The end is not 0 where one was none of the answers
that such a call may have, or where the second half of the time held more than the first.
"""

import argparse
import contextlib
import gzip
import os
import random
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from backports import zstd
from numpy.typing import NDArray
from websockets.sync.client import connect

from benchmarks.serving import crowd, leave, serving, told
from vidar_det.spikes.demo import RECORDING_FILE, find_demo

CLIP: dict[str, Any] = {"width": 256, "height": 160, "layout": "plain"}
RAW = {"Content-Type": "application/octet-stream"}
LINES = {"Accept": "application/x-ndjson"}
ASYNC = {"Prefer": "respond-async"}
CONTENT = (find_demo() / RECORDING_FILE).read_bytes()
BODIES = {
    "identity": CONTENT,
    "gzip": gzip.compress(CONTENT, 1),
    "zstd": zstd.compress(CONTENT),
}
MINE = {"200", "201", "202", "204", "429 with Retry-After", "503 with Retry-After"}
GROWTH = np.array([1.1, 1.1, 1.5])  # of memory, open files and the spool: the load is by chance
SLACK = np.array([20, 10, 10])  # MB, files, MB


def detect(client: httpx.Client, coding: str, headers: dict[str, str]) -> str:
    """Send a clip, read the whole answer."""
    sent = RAW | headers | {"Content-Encoding": coding}
    return told(client.post("/v1/detect", params=CLIP, content=BODIES[coding], headers=sent))


def leave_early(client: httpx.Client) -> str:
    """Go away after the first bytes of an answer."""
    with client.stream("POST", "/v1/detect", json={"clip_id": "demo"}, headers=LINES) as answer:
        next(answer.iter_bytes())
        return str(answer.status_code) if answer.is_success else told(answer)


def keep_clip(client: httpx.Client) -> str:
    """Store a clip, look at it, delete it."""
    answer = client.post("/v1/clips", params=CLIP, content=CONTENT, headers=RAW)
    if answer.status_code != 201:
        return told(answer)
    clip = answer.headers["Location"]
    outcome = told(client.get(f"{clip}/frame"))
    return told(client.delete(clip)) if outcome == "200" else outcome


def run_job(client: httpx.Client, is_cancelled: bool) -> str:
    """Begin a job; wait for its result, or cancel it."""
    answer = client.post("/v1/detect", json={"clip_id": "demo"}, headers=ASYNC)
    if answer.status_code != 202:
        return told(answer)
    job = answer.headers["Location"]
    if is_cancelled:
        return told(client.delete(job))
    client.get(f"{job}/events")
    return told(client.get(f"{job}/result"))


def watch(client: httpx.Client) -> str:
    """Open a replay, hear its first words, leave."""
    address = str(client.base_url).replace("http", "ws", 1)
    with connect(f"{address}/v1/replay/demo", open_timeout=600) as socket:
        socket.recv(timeout=600)
    return "200"


def refused(client: httpx.Client) -> str:
    """Send what is no clip."""
    answer = client.post("/v1/detect", content=b"no clip at all", headers=RAW)
    return "200" if answer.status_code == 422 else told(answer)


TURNS: tuple[Callable[[httpx.Client], str], ...] = (
    *(lambda client, coding=coding: detect(client, coding, {}) for coding in BODIES),
    lambda client: detect(client, "identity", LINES),
    leave_early,
    keep_clip,
    lambda client: run_job(client, is_cancelled=False),
    lambda client: run_job(client, is_cancelled=True),
    watch,
    refused,
)


def look_at(pid: int, folder: Path) -> tuple[float, float, float]:
    """Anonymous memory in MB, open files, and MB in the spool."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory_mb = int(status.split("RssAnon:")[1].split()[0]) / 1024
    handles = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    held = 0
    for place, _, names in os.walk(folder):  # passes over folders that vanish meanwhile
        for name in names if Path(place) != folder else ():  # the jobs' database is no clip
            with contextlib.suppress(FileNotFoundError):
                held += (Path(place) / name).stat().st_size
    return memory_mb, handles, held / 1e6


def main() -> None:
    """Load the service, and look at it every few seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    rows: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory() as home:
        folder, done = Path(home) / "spool", threading.Event()
        with serving(folder, max_age_s="20") as (client, process):

            def look() -> None:
                while not done.wait(min(5, 6 * options.minutes)):
                    rows.append(look_at(process.pid, folder))

            def ask(number: int, turn: int) -> str:
                choice = random.Random(f"{number} {turn}").choice(TURNS)  # noqa: S311 - no secret
                return choice(client)

            looker = threading.Thread(target=look)
            looker.start()
            seen, _ = crowd(options.clients, 60 * options.minutes, ask)
            done.set()
            looker.join()
    print(f"{options.minutes:g} min, {options.clients} clients: {dict(seen)}")
    missed = [f"{count} times {what}" for what, count in seen.items() if what not in MINE]
    looks = 60 * options.minutes / min(5, 6 * options.minutes)
    if len(rows) < 0.8 * looks:
        missed.append(f"only {len(rows)} looks of about {looks:.0f}")
    first, second = (half.max(axis=0) for half in np.array_split(np.array(rows), 2))
    for name, half in (("first half", first), ("second half", second)):
        print(f"{name}: at most {half[0]:.0f} MB, {half[1]:.0f} handles, {half[2]:.1f} MB held")
    if not is_flat(first, second):
        missed.append("memory, handles or the spool grew")
    leave(missed)


def is_flat(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Whether the second half of the time held about what the first one did."""
    return bool((second <= first * GROWTH + SLACK).all())


if __name__ == "__main__":
    main()
