"""Starts ``vidar-det serve`` in a process of its own, for the benchmarks beside this file.

Whatever a call comes to is counted, an exception too: a client that dies of one tells nothing.
"""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx


@contextlib.contextmanager
def serving(
    folder: Path, **settings: str
) -> Iterator[tuple[httpx.Client, "subprocess.Popen[bytes]"]]:
    """Start the service on a folder; give a client and the process. It may be killed meanwhile."""
    told = {f"VIDAR_{name.upper()}": value for name, value in settings.items()}
    environment = os.environ | {"VIDAR_DATA_DIR": str(folder), "VIDAR_PORT": "0"} | told
    log = folder.parent / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "vidar_det", "serve"], env=environment, stderr=file
        )
    try:
        while not (found := re.search(r"http://127\S+:\d+", log.read_text())):
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.02)
        with httpx.Client(base_url=found[0], timeout=600) as client:
            yield client, process
    finally:
        process.terminate()
        process.wait(600)  # beside other work a process may take its time to end


def crowd(
    clients: int, seconds: float, ask: Callable[[int, int], str]
) -> tuple[Counter[str], list[float]]:
    """Have many clients ask for a while, side by side.

    Args:
        clients: how many.
        seconds: for how long each goes on asking.
        ask: called with the number of the client and that of its turn; gives what it came to.

    Returns:
        What the calls came to, and the seconds that each took, without its ``Retry-After``.
    """
    until, lock = time.perf_counter() + seconds, threading.Lock()
    seen: Counter[str] = Counter()
    took: list[float] = []

    def go_on(client: int) -> None:
        turn = 0
        while (begin := time.perf_counter()) < until:
            try:
                outcome = ask(client, turn)
            except Exception as error:  # noqa: BLE001 - it is what the call came to
                outcome = type(error).__name__
            with lock:
                seen[outcome] += 1
                took.append(time.perf_counter() - begin)
            turn += 1

    threads = [threading.Thread(target=go_on, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen, took


def told(answer: httpx.Response) -> str:
    """Name what an answer came to; who is turned away and told when to come back waits."""
    wait = answer.headers.get("Retry-After")
    if answer.status_code not in (429, 503) or wait is None:
        return str(answer.status_code)
    time.sleep(float(wait))
    return f"{answer.status_code} with Retry-After"


def leave(missed: list[str]) -> None:
    """End the benchmark: badly where a target was missed.

    Raises:
        SystemExit: one was.
    """
    if missed:
        raise SystemExit("missed: " + "; ".join(missed))
