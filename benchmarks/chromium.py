"""Debian's Chromium, asked over its debugging socket for nothing but answers.

A driver for tests listens to the network as well, and so each message of a page's sockets passes a
second time, as base64 in JSON, through the browser and its own process. For the viewer, that is
more work than drawing the pictures.
"""

import itertools
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable
from typing import Any

from websockets.sync.client import connect

PROGRAM = "/usr/bin/chromium"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-port=0",
)
NO_PAGES = "on_device_model"  # a service of 15 MB that Chromium begins after some minutes
SIZE = (1280, 720)
PATIENCE_S, LOOK_S = 60.0, 0.02


class Chromium:
    """A browser of its own; a context manager that ends it."""

    def __enter__(self) -> "Chromium":
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [PROGRAM, *FLAGS, f"--user-data-dir={self._home.name}", "about:blank"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - the distribution's
        assert self._process.stderr is not None
        said = "DevTools listening on "
        words = next(line for line in self._process.stderr if said in line)
        threading.Thread(target=self._process.stderr.read, daemon=True).start()
        self._socket = connect(words.split(said)[1].strip(), max_size=None)
        self._numbers = itertools.count(1)
        return self

    def __exit__(self, *_: object) -> None:
        self.call("Browser.close")
        self._socket.close()
        self._process.wait(60)
        self._home.cleanup()

    def call(self, method: str, session: str | None = None, **given: Any) -> Any:
        """Have a command of the DevTools protocol done."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": given}
        self._socket.send(json.dumps(command | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._socket.recv(PATIENCE_S))
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def open(self, url: str, scripts: Iterable[str] = ()) -> "Tab":
        """Open a page; the scripts run before its own."""
        tab = Tab(self, self.call("Target.createTarget", url="about:blank")["targetId"])
        for script in scripts:
            tab.call("Page.addScriptToEvaluateOnNewDocument", source=script)
        tab.call("Page.navigate", url=url)
        return tab

    def processes(self) -> list[int]:
        """The numbers of all processes but those that begin by themselves and serve no page."""
        known = self.call("SystemInfo.getProcessInfo")["processInfo"]
        return [int(one["id"]) for one in known if not one["type"].startswith(NO_PAGES)]


class Tab:
    """One page of a browser."""

    def __init__(self, browser: Chromium, target: str) -> None:
        self._browser, self._target = browser, target
        given = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str = given["sessionId"]
        width, height = SIZE
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        self.call("Page.enable")

    def call(self, method: str, **given: Any) -> Any:
        """Have a command of the DevTools protocol done for this page."""
        return self._browser.call(method, self._session, **given)

    def evaluate(self, expression: str) -> Any:
        """Give the value of an expression, or of what it promises."""
        given = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", **given)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE_S
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < end, expression
            time.sleep(LOOK_S)

    def fill(self, element: str, value: str) -> None:
        """Give a control another value, as a person would."""
        script = """(name, value) => {
            const control = document.getElementById(name);
            control.value = value;
            for (const kind of ["input", "change"]) {
              control.dispatchEvent(new Event(kind, { bubbles: true }));
            }
        }"""
        self.evaluate(f"({script})({json.dumps(element)}, {json.dumps(value)})")

    def press(self, element: str) -> None:
        """Press a button."""
        self.evaluate(f"document.getElementById({json.dumps(element)}).click()")

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)
