"""Services in processes of their own, behind a real socket, that may be killed."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

START_S, END_S = 300, 120


class Process:
    """A service that listens on loopback.

    Args:
        command: what starts it.
        environment: over this process's own.
        log: file that its stderr is added to.
    """

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        known = {name: value for name, value in os.environ.items() if name != "VIDAR_SETTINGS"}
        began = log.stat().st_size if log.exists() else 0
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(  # noqa: S603 - the tests' own commands
                command, env=known | environment, stderr=stderr, stdout=subprocess.DEVNULL
            )
        self.client = httpx.Client(base_url=self._address(log, began), timeout=END_S)

    def _address(self, log: Path, began: int) -> str:
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            text = log.read_bytes()[began:].decode()
            if found := re.search(r"http://127.0.0.1:\d+", text):
                return found[0]
            time.sleep(0.02)
        self.kill()
        raise AssertionError(log.read_bytes()[began:].decode())

    def kill(self) -> None:
        """End it at once: nothing is mended on the way."""
        self.process.kill()
        self.process.wait(END_S)

    def events(self, location: str) -> Iterator[dict[str, Any]]:
        """Follow a job."""
        with self.client.stream("GET", f"{location}/events") as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


@contextlib.contextmanager
def service_process(folder: Path, **settings: str) -> Iterator[Process]:
    """Start ``vidar-det serve`` on a folder; it is killed in the end, if it still runs."""
    environment = {"VIDAR_DATA_DIR": str(folder / "spool"), "VIDAR_PORT": "0"}
    environment |= {f"VIDAR_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "vidar_det", "serve"]
    process = Process(command, environment, folder / "log")
    try:
        yield process
    finally:
        process.client.close()
        process.kill()
