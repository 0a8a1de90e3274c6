"""What does the cluster engine cost, and what does it give? Both engines by turns on one machine.

python -m benchmarks.service_ray [--seconds 20] [--clients 4]
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np

from benchmarks.serving import serving

DEMO = {"clip_id": "demo"}
REQUESTS = 50


def memory_mb(pid: int) -> float:
    """Anonymous memory of a process and all that it began."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        total += sum(memory_mb(int(child)) for child in task.read_text().split())
    status = Path(f"/proc/{pid}/status").read_text()
    return total + (
        int(status.split("RssAnon:")[1].split()[0]) / 1024 if "RssAnon" in status else 0
    )


def windows_per_s(address: httpx.URL, clients: int, seconds: float) -> float:
    """Keep so many clients busy."""
    counted: list[int] = []
    begin = time.perf_counter()

    def load() -> None:
        with httpx.Client(base_url=address, timeout=600) as client:
            while time.perf_counter() - begin < seconds:
                answer = client.post("/v1/detect", params={"stride": 16}, json=DEMO)
                counted.append(len(answer.raise_for_status().json()["images"]))

    threads = [threading.Thread(target=load) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counted) / (time.perf_counter() - begin)


def main() -> None:
    """Measure both engines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    for engine in ("inline", "ray"):
        with tempfile.TemporaryDirectory() as home:
            begin = time.perf_counter()
            with serving(Path(home) / "spool", engine=engine) as (client, process):
                start_s = time.perf_counter() - begin
                client.post("/v1/detect", json=DEMO)
                took = []
                for _ in range(REQUESTS):
                    begin = time.perf_counter()
                    client.post("/v1/detect", params={"planes": 128}, json=DEMO).raise_for_status()
                    took.append(1e3 * (time.perf_counter() - begin))
                rate = windows_per_s(client.base_url, options.clients, options.seconds)
                memory = memory_mb(process.pid)
                begin = time.perf_counter()
            stop_s = time.perf_counter() - begin
            said = f"ready after {start_s:.1f} s, ended after {stop_s:.1f} s, {memory:.0f} MB"
            print(f"{engine}: {said}, one window p50 {np.median(took):.1f} ms")
            print(f"{engine}: {options.clients} clients {rate:.0f} windows/s", flush=True)


if __name__ == "__main__":
    main()
