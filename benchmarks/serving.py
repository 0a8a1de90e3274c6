"""Starts ``vidar-det serve`` in a process of its own, for the benchmarks beside this file."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
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
