"""Kill the service at random moments of a job: does each job end once, with what it should find?

python -m benchmarks.service_kills [--kills 20] [--seed 0]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.serving import serving

DEMO, QUERY = {"clip_id": "demo"}, {"stride": 2}  # 129 windows


def ask(client: httpx.Client, key: str) -> str:
    """Begin a job, or find it again by its key."""
    headers = {"Prefer": "respond-async", "Idempotency-Key": key}
    answer = client.post("/v1/detect", params=QUERY, json=DEMO, headers=headers)
    return str(answer.raise_for_status().headers["Location"])


def end_of(client: httpx.Client, location: str) -> dict[str, Any]:
    """Wait for a job."""
    with client.stream("GET", f"{location}/events") as answer:
        events = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    end: dict[str, Any] = json.loads(events[-1])
    return end


def found_in(client: httpx.Client, location: str) -> tuple[Any, Any]:
    """Give what a job found."""
    envelope = client.get(f"{location}/result").raise_for_status().json()
    return envelope["images"], envelope["detections"]


def kill_once(folder: Path, key: str, moment_s: float) -> tuple[str, dict[str, Any], Any]:
    """Begin a job, kill the service, start it again; give the job, how it ended, what it found."""
    with serving(folder) as (client, process):
        location = ask(client, key)
        time.sleep(moment_s)
        state = client.get(location).json()["state"]
        process.kill()
        process.wait()
    with serving(folder) as (client, _):
        end = end_of(client, location)
        said = f"killed after {moment_s:5.2f} s ({state}): {end['state']}"
        print(f"{said}, begun {end['attempts']} times", flush=True)
        return ask(client, key), end, found_in(client, location)


def main() -> None:
    """Run the jobs, and kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generator = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "spool"
        with serving(folder) as (client, _):
            begin = time.perf_counter()
            location = ask(client, "undisturbed")
            end_of(client, location)
            usual_s = time.perf_counter() - begin
            wanted = found_in(client, location)
        moments = generator.uniform(0, usual_s, options.kills)
        ends = [kill_once(folder, f"k{n}", moment) for n, moment in enumerate(moments)]
        once = sum(end["state"] == "succeeded" and end["id"] in where for where, end, _ in ends)
        equal = sum(found == wanted for _, _, found in ends)
        with serving(folder) as (client, _):
            jobs = len(client.get("/v1/jobs").json()["jobs"])
        files = len(list(folder.glob("jobs/*/*")))
        print(f"{options.kills} kills: {once} jobs ended once, {equal} results equal")
        print(f"{jobs} jobs and {files} files, with the undisturbed one")


if __name__ == "__main__":
    main()
