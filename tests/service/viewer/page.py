"""The viewer's page as tests use it."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, WebSocketRoute, expect

from service.replay.protocol import unpack
from tests.service.replay.conftest import PATIENCE_S

RECORDER = """(() => {
    const proto = CanvasRenderingContext2D.prototype;
    window.painted = {};
    for (const name of ["clearRect", "strokeRect", "stroke", "fillText"]) {
        const original = proto[name];
        proto[name] = function (...given) {
            if (name === "clearRect") window.painted[this.canvas.id] = [];
            const plain = given.filter((one) => typeof one !== "object");
            window.painted[this.canvas.id]?.push([name, this.strokeStyle, this.lineWidth, plain]);
            return original.apply(this, given);
        };
    }
})()"""
"""What was painted since a canvas was last emptied; to be run before the page is."""

COLOURS = ("#56b4e9", "#e69f00", "#f0e442")


def painted(page: Page, name: str, canvas: str = "marks-a") -> list[Any]:
    """What one kind of call has painted over the picture that is shown."""
    calls = page.evaluate("canvas => window.painted[canvas] ?? []", canvas)
    return [call[1:] for call in calls if call[0] == name]


def wait(page: Page, is_so: Callable[[], bool]) -> None:
    """Wait until something is so, while the page goes on."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end
        page.wait_for_timeout(50)


def wait_for_painted(page: Page, name: str, count: int) -> list[Any]:
    """Wait until so many calls of one kind paint over the picture that is shown."""
    end = time.monotonic() + PATIENCE_S
    while len(found := painted(page, name)) != count:
        assert time.monotonic() < end, f"found {len(found)} of {name}, wanted {count}"
        page.wait_for_timeout(50)
    return found


def stroked_boxes(
    page: Page, width: int, height: int, canvas: str = "marks-a"
) -> list[tuple[int, list[float]]]:
    """The boxes that are drawn on a canvas: index of the class, and ``xywh`` in the recording."""
    size = page.locator(f"#{canvas}").evaluate("one => [one.width, one.height]")
    scale = min(size[0] / width, size[1] / height)
    return [
        (COLOURS.index(colour), [side / scale for side in rect])
        for colour, _, rect in painted(page, "strokeRect", canvas)
        if colour in COLOURS
    ]


def rows(page: Page) -> Any:
    return page.locator("#found tbody tr")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def seek(page: Page, plane: int) -> None:
    page.get_by_role("slider", name="Seek").fill(str(plane))
    expect(page.get_by_role("timer", name="Clock")).to_contain_text(f"plane {plane} of")


def is_dark(page: Page, canvas: str = "#canvas-a") -> bool:
    """Whether a canvas shows no picture."""
    script = """canvas => {
        const copy = new OffscreenCanvas(64, 40).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0, 64, 40);
        const { data } = copy.getImageData(0, 0, 64, 40);
        let most = 0;
        for (let i = 0; i < data.length; i += 4) most = Math.max(most, data[i]);
        return most < 64;
    }"""
    return bool(page.locator(canvas).evaluate(script))


def shown(page: Page) -> str:
    """What the canvas shows, as a digest."""
    script = """async () => {
        const canvas = document.getElementById("canvas-a");
        const { width, height } = canvas;
        const read = { willReadFrequently: true };
        const copy = new OffscreenCanvas(width, height).getContext("2d", read);
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, width, height);
        const digest = await crypto.subtle.digest("SHA-256", data);
        return [...new Uint8Array(digest)].map((byte) => byte.toString(16)).join("");
    }"""
    return str(page.evaluate(script))


def saved(page: Page, name: str) -> bytes:
    """The file that a button saves."""
    with page.expect_download() as download:
        press(page, name)
    return Path(download.value.path()).read_bytes()


def loop(page: Page, first: int, last: int) -> None:
    seek(page, last)
    press(page, "Loop up to here")
    seek(page, first)
    press(page, "Loop from here")


def smooth_clip(path: Path, width: int = 400, height: int = 250, count: int = 128) -> Path:
    """A recording that shows a picture: brighter to the right, darker below."""
    light = np.linspace(0.1, 0.9, width)[None, :] * np.linspace(1, 0.2, height)[:, None]
    planes = np.random.default_rng(0).random((count, height, width)) < light
    path.write_bytes(np.packbits(planes.reshape(count, -1), axis=1, bitorder="little").tobytes())
    return path


def drop(page: Page, *files: tuple[str, bytes]) -> None:
    """Drop files on the page."""
    script = """(files) => {
        const dataTransfer = new DataTransfer();
        for (const [name, bytes] of files) {
            dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
        }
        for (const kind of ["dragover", "drop"]) {
            document.body.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true }));
        }
    }"""
    page.evaluate(script, [(name, list(content)) for name, content in files])


class SlowService:
    """Stands between a page and its service; holds back what comes, and lets it go in order."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._sent: list[str | bytes] = []
        self._kept: list[str | bytes] = []
        self._held = False
        self._words: str | None = None
        self._credits = 0
        page.route_web_socket(re.compile("replay"), self._connect)

    def hold(self) -> None:
        """Hold back everything from now on."""
        self._held, self._sent = True, []

    def keep_back(self, words: str) -> None:
        """Keep back messages of text that begin so, and let all others pass."""
        self._words = words

    def let_go(self) -> None:
        """Let go what was kept back, and all that comes after."""
        self._words = None
        for one in self._kept:
            self._socket.send(one)

    def has_sent(self, kind: int) -> bool:
        """Whether the service has sent such a message; since it is held back, if it is."""
        return any(_is(one, kind) for one in self._sent)

    def release_until(self, kind: int) -> None:
        """Let go what was held, up to such a message, and wait until the page is done with it."""
        last = next(number for number, one in enumerate(self._sent) if _is(one, kind))
        before = self._credits
        for one in self._sent[: last + 1]:
            self._socket.send(one)
        wait(self._page, lambda: self._credits > before)

    def _connect(self, socket: WebSocketRoute) -> None:
        self._socket, service = socket, socket.connect_to_server()

        def ask(message: str | bytes) -> None:
            self._credits += '"credit"' in str(message)
            service.send(message)

        def answer(message: str | bytes) -> None:
            self._sent.append(message)
            if self._words and isinstance(message, str) and message.startswith(self._words):
                self._kept.append(message)
            elif not self._held:
                socket.send(message)

        socket.on_message(ask)
        service.on_message(answer)


def _is(message: str | bytes, kind: int) -> bool:
    return isinstance(message, bytes) and unpack(message)[0].kind == kind
