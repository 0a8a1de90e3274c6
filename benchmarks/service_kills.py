"""Kill the service at random moments of a job: does each job end once, with what it should find?

python -m benchmarks.service_kills [--kills 20] [--seed 0]

By turns the job's clip comes along with us, is sent along, or was sent before and is deleted as
soon as the job is asked for. The end is not 0 where a job did not end once, or found other things.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.serving import leave, serving
from vidar_det.spikes.demo import RECORDING_FILE, find_demo

QUERY = {"stride": 2}  # 129 windows
GEOMETRY: dict[str, Any] = {"width": 256, "height": 160, "layout": "plain"}
RAW = {"Content-Type": "application/octet-stream"}
CONTENT = (find_demo() / RECORDING_FILE).read_bytes()


def ask(client: httpx.Client, key: str, **body: Any) -> str:
    """Begin a job, or find it again by its key."""
    headers = {"Prefer": "respond-async", "Idempotency-Key": key} | body.pop("headers", {})
    params = QUERY | body.pop("params", {})
    answer = client.post("/v1/detect", params=params, headers=headers, **body)
    return str(answer.raise_for_status().headers["Location"])


def ask_about_demo(client: httpx.Client, key: str) -> str:
    """Ask about the clip that comes along with us."""
    return ask(client, key, json={"clip_id": "demo"})


def ask_with_clip(client: httpx.Client, key: str) -> str:
    """Send the clip along."""
    return ask(client, key, params=GEOMETRY, content=CONTENT, headers=RAW)


def ask_about_deleted(client: httpx.Client, key: str) -> str:
    """Send the clip, ask about it, and delete it at once."""
    clip = client.post("/v1/clips", params=GEOMETRY, content=CONTENT, headers=RAW).json()["id"]
    location = ask(client, key, json={"clip_id": clip})
    client.delete(f"/v1/clips/{clip}").raise_for_status()
    return location


WAYS: tuple[Callable[[httpx.Client, str], str], ...] = (
    ask_about_demo,
    ask_with_clip,
    ask_about_deleted,
)


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


def kill_once(folder: Path, number: int, moment_s: float) -> Any:
    """Begin a job, kill the service, start it again; give what the job found.

    Raises:
        ValueError: the job did not end well, or another one bears its key.
    """
    way = WAYS[number % len(WAYS)]
    with serving(folder) as (client, process):
        location = way(client, f"k{number}")
        time.sleep(moment_s)
        state = client.get(location).json()["state"]
        process.kill()
        process.wait()
    with serving(folder) as (client, _):
        end = end_of(client, location)
        said = f"{way.__name__}, killed after {moment_s:5.2f} s ({state}): {end['state']}"
        print(f"{said}, begun {end['attempts']} times", flush=True)
        again = way(client, f"k{number}") if way is not ask_about_deleted else location
        if end["state"] != "succeeded" or again != location:
            raise ValueError(f"job {number}: {end['state']}, asked again {again}")
        return found_in(client, location)


def main() -> None:
    """Run the jobs, and kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generator, missed = np.random.default_rng(options.seed), []
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "spool"
        with serving(folder) as (client, _):
            begin = time.perf_counter()
            location = ask_about_demo(client, "undisturbed")
            end_of(client, location)
            usual_s = time.perf_counter() - begin
            wanted = found_in(client, location)
        for number, moment_s in enumerate(generator.uniform(0, usual_s, options.kills)):
            try:
                if kill_once(folder, number, moment_s) != wanted:
                    missed.append(f"job {number} found something else")
            except (ValueError, KeyError, httpx.HTTPError) as error:
                missed.append(f"job {number}: {type(error).__name__}: {error}")
        with serving(folder) as (client, _):
            jobs = client.get("/v1/jobs").json()["jobs"]
        files = sorted(path.name for path in folder.glob("jobs/*/*"))
    print(f"{options.kills} kills, {len(missed)} missed; {len(jobs)} jobs, {len(files)} files")
    if len(jobs) != options.kills + 1 or files != ["answer.json"] * len(jobs):
        missed.append(f"{len(jobs)} jobs and the files {files}")
    leave(missed)


if __name__ == "__main__":
    main()
