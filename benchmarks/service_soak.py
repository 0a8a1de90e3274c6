"""Mixed load for a while: do memory, open files and the spool stay flat?

python -m benchmarks.service_soak [--minutes 10] [--clients 4]
"""

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

from benchmarks.serving import serving
from vidar_det.spikes.demo import RECORDING_FILE, find_demo

CLIP = {"width": 256, "height": 160, "layout": "plain"}
RAW = {"Content-Type": "application/octet-stream"}


def one_turn(client: httpx.Client, content: bytes, kind: int) -> int:
    """Ask in one of the ways there are; give the status."""
    if kind == 0:
        return client.post("/v1/detect", params=CLIP, content=content, headers=RAW).status_code
    if kind == 1:
        headers = RAW | {"Accept": "application/x-ndjson"}
        return client.post("/v1/detect", params=CLIP, content=content, headers=headers).status_code
    if kind == 2:
        answer = client.post("/v1/clips", params=CLIP, content=content, headers=RAW)
        client.get(f"{answer.headers['Location']}/frame")
        return client.delete(answer.headers["Location"]).status_code
    if kind == 3:
        headers = {"Prefer": "respond-async"}
        answer = client.post("/v1/detect", json={"clip_id": "demo"}, headers=headers)
        client.get(f"{answer.headers['Location']}/events")
        return client.get(f"{answer.headers['Location']}/result").status_code
    return client.post("/v1/detect", content=b"no clip at all", headers=RAW).status_code


def main() -> None:
    """Load the service, and look at it every few seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    content = (find_demo() / RECORDING_FILE).read_bytes()
    seen: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "spool"
        with serving(folder, max_age_s="20") as (client, process):
            until = time.monotonic() + 60 * options.minutes

            def load(seed: int) -> None:
                turns = random.Random(seed)  # noqa: S311 - no secret
                with httpx.Client(base_url=client.base_url, timeout=600) as own:
                    while time.monotonic() < until:
                        seen[one_turn(own, content, turns.randrange(5))] += 1

            threads = [threading.Thread(target=load, args=(n,)) for n in range(options.clients)]
            for thread in threads:
                thread.start()
            rows = []
            while any(thread.is_alive() for thread in threads):
                time.sleep(min(5, 6 * options.minutes))
                status = Path(f"/proc/{process.pid}/status").read_text()
                memory_mb = int(status.split("RssAnon:")[1].split()[0]) / 1024
                handles = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
                held = sum(f.stat().st_size for f in folder.glob("*/**/*") if f.is_file())
                rows.append((memory_mb, handles, held / 1e6))
            halves = np.array_split(np.array(rows), 2)
            print(f"{options.minutes:g} min, {options.clients} clients: {dict(seen)}")
            for name, half in zip(("first half", "second half"), halves, strict=True):
                memory, handles, held = half.max(axis=0)
                print(f"{name}: at most {memory:.0f} MB, {handles:.0f} handles, {held:.1f} MB held")


if __name__ == "__main__":
    main()
