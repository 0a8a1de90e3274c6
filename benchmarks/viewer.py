"""The viewer in Debian's Chromium: pictures a second, seeking, the first picture, memory in a loop.

    python benchmarks/viewer.py [--gigabytes 1.0] [--minutes 10] [--recording clip.dat]

Without a recording, a simulated street of 400x250 pixels is repeated to the size. A picture counts
as shown when the page draws it on its canvas; the browser paints it with its next frame. Memory is
the anonymous resident set: of the serving process, and of all of Chromium's processes together.
"""

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WATCHED_S, SEEKS, OPENINGS, SAMPLE_S = 3.0, 100, 5, 10.0
FAR_PLANES = 1000  # a seek goes at least so far: nearer planes may be here already
STREET_PLANES, PLANE_BYTES = 4000, 12_500

COUNTING = """(() => {
  const drawn = { pictures: 0, first: 0, waiting: null };
  window.drawn = drawn;
  const drawImage = CanvasRenderingContext2D.prototype.drawImage;
  let last = null;
  CanvasRenderingContext2D.prototype.drawImage = function (source, ...rest) {
    drawImage.call(this, source, ...rest);
    if (!this.canvas.isConnected || source === last) return;
    last = source instanceof ImageBitmap ? source : null;
    drawn.pictures += 1;
    drawn.first ||= performance.now();
    if (drawn.waiting) drawn.waiting(performance.now());
  };
})()"""

SEEK = """(plane) => new Promise((resolve) => {
  const bar = document.getElementById("seek");
  const begin = performance.now();
  window.drawn.waiting = (now) => { window.drawn.waiting = null; resolve(now - begin); };
  bar.value = plane;
  bar.dispatchEvent(new Event("input"));
})"""


def make_recording(path: Path, size_bytes: int) -> None:
    """Simulate a street, and repeat it."""
    street = path.with_name("street.dat")
    command = [sys.executable, "-m", "vidar_det", "simulate", "street", "-o", str(street)]
    command += ["--planes", str(STREET_PLANES)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own command
    block = street.read_bytes()
    with path.open("wb") as file:
        while file.tell() < size_bytes:
            file.write(block)
    path.with_suffix(".toml").write_bytes(street.with_suffix(".toml").read_bytes())


@contextlib.contextmanager
def viewing(recording: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Start the command; give the page's address and the process's number."""
    environment = os.environ | {"VIDAR_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "vidar_det", "view", str(recording), "--no-browser"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--weights", "nano"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def anonymous_mb(*numbers: int) -> float:
    """Anonymous resident memory of processes."""
    total = 0
    for number in numbers:
        with contextlib.suppress(FileNotFoundError, IndexError):
            status = Path(f"/proc/{number}/status").read_text(encoding="utf-8")
            total += int(status.split("RssAnon:")[1].split()[0])
    return total / 1024


def open_page(browser: Any, url: str) -> Page:
    """Open the recording on a fresh page, and wait for boxes."""
    page: Page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.add_init_script(COUNTING)
    page.goto(url)
    page.wait_for_selector("#found tbody tr, #status:not(:empty)")
    while not page.evaluate("window.drawn.first"):
        time.sleep(0.02)
    return page


def measure_opening(browser: Any, url: str) -> None:
    """From the address to the first picture, on pages of their own."""
    firsts = []
    for _ in range(OPENINGS):
        page = open_page(browser, url)
        firsts.append(page.evaluate("window.drawn.first"))
        page.close()
    print(f"first picture: {np.median(firsts):.0f} ms, {max(firsts):.0f} ms at most of {OPENINGS}")


def cpu_s(*numbers: int) -> float:
    """Processor time that processes have taken, all threads together."""
    ticks = 0
    for number in numbers:
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2]
            ticks += sum(map(int, fields.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def chromium_processes(browser: Any) -> list[int]:
    """The numbers of all of Chromium's processes."""
    found = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return [int(one["id"]) for one in found]


def measure_rate(page: Page, browser: Any, server: int, speed: str) -> None:
    """Pictures a second while playing, with detections on, and what each takes."""
    page.get_by_role("slider", name="Speed").fill(speed)
    page.get_by_role("slider", name="Seek").fill("0")
    words = page.locator("#speed-value").inner_text()
    page.get_by_role("button", name="Play/Pause").click()
    page.wait_for_timeout(300)
    sides = ([server], chromium_processes(browser))
    before = [cpu_s(*side) for side in sides]
    begin, shown = time.monotonic(), page.evaluate("window.drawn.pictures")
    page.wait_for_timeout(1000 * WATCHED_S)
    shown = page.evaluate("window.drawn.pictures") - shown
    rate = shown / (time.monotonic() - begin)
    service, pages = (
        1e3 * (cpu_s(*side) - start) / shown for side, start in zip(sides, before, strict=True)
    )
    page.get_by_role("button", name="Play/Pause").click()
    print(f"pictures a second at {words}: {rate:.1f}", end="; ")
    print(f"CPU a picture: service {service:.1f} ms, browser {pages:.1f} ms")


def measure_seeks(page: Page, planes: int) -> None:
    """From moving the slider to the picture, all over the recording."""
    generator = random.Random(0)  # noqa: S311 - places, not secrets
    took, plane = [], 0
    while len(took) < SEEKS:
        place = generator.randrange(planes)
        if abs(place - plane) >= FAR_PLANES:
            plane = place
            took.append(page.evaluate(SEEK, plane))
            page.wait_for_timeout(150)
    median, late = np.percentile(took, [50, 95])
    print(f"seek to picture: {median:.1f} ms, p95 {late:.1f} ms, {max(took):.1f} ms at most")


def measure_memory(page: Page, browser: Any, server: int, minutes: float) -> None:
    """Memory of both sides while two seconds of film run in a loop."""
    page.get_by_role("slider", name="Speed").fill("50")
    page.get_by_role("slider", name="Seek").fill("2000")
    page.get_by_role("button", name="Loop up to here").click()
    page.get_by_role("button", name="Play/Pause").click()
    begin = time.monotonic()
    samples = []
    while time.monotonic() < begin + 60 * minutes:
        page.wait_for_timeout(1000 * SAMPLE_S)
        pages = anonymous_mb(*chromium_processes(browser))
        samples.append((time.monotonic() - begin, anonymous_mb(server), pages))
    for seconds, service, pages in (samples[0], samples[len(samples) // 2], samples[-1]):
        print(
            f"after {seconds:4.0f} s of looping: service {service:.0f} MB, browser {pages:.0f} MB"
        )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--recording", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as driver:
        recording = given.recording or Path(home) / "long.dat"
        if given.recording is None:
            make_recording(recording, int(given.gigabytes * 1e9))
        planes = recording.stat().st_size // PLANE_BYTES
        print(f"recording: {recording.stat().st_size / 1e9:.2f} GB, {planes} planes")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with viewing(recording, Path(home) / "data") as (url, server):
            measure_opening(browser, url)
            page = open_page(browser, url)
            for speed in ("6.6", "60", "100"):
                measure_rate(page, browser, server, speed)
            measure_seeks(page, planes)
            measure_memory(page, browser, server, given.minutes)
        browser.close()


if __name__ == "__main__":
    main()
