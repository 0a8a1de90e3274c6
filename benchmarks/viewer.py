"""The viewer in Debian's Chromium: pictures a second, seeking, the first picture, memory in a loop.

    python -m benchmarks.viewer [pictures memory] [--gigabytes 1.0] [--minutes 10] [--out FILE]

Without a recording, a simulated street of 400x250 pixels is repeated to the size. A picture counts
as shown when the page has drawn it on its canvas, and names its plane there; the browser paints it
with its next frame. The browser is asked over its own debugging socket, see ``chromium.py``. Memory
is what cannot be given back: anonymous pages of both sides, mapped files of the serving process,
shared pages of all of Chromium's processes; how fast it grows is the median slope between any two
samples. It is judged after as long a warm-up: a browser keeps what it decoded until it collects
its garbage, and its processes take minutes to settle. Beside all stands how evenly the machine
works by itself, see ``steadiness.py``: what is slow for 0.1 s costs frames. Exit code 1 if a target
is missed.
"""

import argparse
import contextlib
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.chromium import Chromium, Tab
from benchmarks.steadiness import SLOW_S, record_pieces, slowness
from benchmarks.street import make_street
from benchmarks.viewer_targets import Figures, judge, slope

WATCHED_S, SEEKS, OPENINGS, SAMPLES = 10.0, 100, 5, 60
SETTLE_S, LOOKED_S = 0.3, 0.15  # after playing begins; at a picture, before the next leap
WARM_UP = "warming up: "
STEADY_S = 5.0  # of arithmetic alone
FAR_PLANES = 1000  # a seek goes at least so far: nearer planes may be here already
SPEEDS = {"1/333": "6.54", "1/12": "60", "1": "100"}  # places of the slider
MODEL, BESIDE = "nano", "small"
PARTS = ("pictures", "memory")

COUNTING = """(() => {
  const drawn = { pictures: 0, first: 0 };
  window.drawn = drawn;
  const drawImage = CanvasRenderingContext2D.prototype.drawImage;
  let last = null;
  CanvasRenderingContext2D.prototype.drawImage = function (source, ...rest) {
    drawImage.call(this, source, ...rest);
    if (this.canvas.id !== "canvas-a" || source === last) return;
    last = source instanceof ImageBitmap ? source : null;
    drawn.pictures += 1;
    drawn.first ||= performance.now();
  };
})()"""

FRAMES = """(() => {
  const count = () => { window.drawn.frames += 1; requestAnimationFrame(count); };
  window.drawn.frames = 0;
  count();
})()"""

COUNTED = "[performance.now(), window.drawn.pictures, window.drawn.frames]"

SEEK = """(plane) => new Promise((resolve, reject) => {
  const bar = document.getElementById("seek");
  const canvas = document.getElementById("canvas-a");
  const begin = performance.now();
  const watch = new MutationObserver(() => {
    if (canvas.dataset.plane !== String(plane)) return;
    watch.disconnect();
    resolve(performance.now() - begin);
  });
  watch.observe(canvas, { attributeFilter: ["data-plane"] });
  setTimeout(() => reject(new Error(`plane ${plane} never came`)), 10_000);
  bar.value = plane;
  bar.dispatchEvent(new Event("input"));
})"""


@contextlib.contextmanager
def viewing(recording: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Start the command; give the page's address and the process's number."""
    environment = os.environ | {"VIDAR_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "vidar_det", "view", str(recording), "--no-browser"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--weights", MODEL, "--weights", BESIDE],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def resident_mb(numbers: list[int], *kinds: str) -> float:
    """Resident memory of processes: ``RssAnon``, ``RssFile`` or ``RssShmem``."""
    total = 0
    for number, kind in itertools.product(numbers, kinds):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
            status = Path(f"/proc/{number}/status").read_text(encoding="utf-8")
            total += int(status.split(f"{kind}:")[1].split()[0])
    return total / 1024


def open_page(browser: Chromium, url: str) -> Tab:
    """Open the recording on a fresh page, and wait for the first picture."""
    page = browser.open(url, [COUNTING])
    page.wait_for("window.drawn?.first")
    return page


def measure_opening(browser: Chromium, url: str) -> Figures:
    """From the address to the first picture, on pages of their own; the slowest counts."""
    firsts = []
    for _ in range(OPENINGS):
        page = open_page(browser, url)
        firsts.append(page.evaluate("window.drawn.first"))
        page.close()
    return {"first picture, ms": max(firsts)}


def cpu_s(*numbers: int) -> float:
    """Processor time that processes have taken, all threads together."""
    ticks = 0
    for number in numbers:
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2]
            ticks += sum(map(int, fields.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def play(page: Tab, wanted: bool) -> None:
    """Play or pause, whichever it does now: a short recording may have ended."""
    if page.evaluate("document.getElementById('play').ariaPressed === 'true'") != wanted:
        page.press("play")


def measure_rate(
    page: Tab, browser: Chromium, server: int, speed: str, beside: str = ""
) -> Figures:
    """Pictures a second while playing, with detections on, and what each takes.

    Beside them, the frames that the browser has made: no more can be shown.
    """
    page.fill("compare", beside)
    page.fill("speed", SPEEDS[speed])
    loop(page, page.evaluate("document.getElementById('seek').max"))
    play(page, True)
    time.sleep(SETTLE_S)
    sides = ([server], browser.processes())
    before = [cpu_s(*side) for side in sides]
    began, first, before_frames = page.evaluate(COUNTED)
    time.sleep(WATCHED_S)
    ended, last, frames = page.evaluate(COUNTED)
    shown = last - first
    service, pages = (
        1e3 * (cpu_s(*side) - start) / max(1, shown)
        for side, start in zip(sides, before, strict=True)
    )
    play(page, False)
    page.press("loop-off")
    what = f"{speed}, beside {beside}" if beside else speed
    seconds = (ended - began) / 1e3
    return {
        f"pictures a second, {what}": shown / seconds,
        f"frames a second, {what}": (frames - before_frames) / seconds,
        f"CPU of service a picture, ms, {what}": service,
        f"CPU of browser a picture, ms, {what}": pages,
    }


def loop(page: Tab, last: str) -> None:
    """Play from the beginning to this plane, again and again."""
    page.fill("seek", last)
    page.press("loop-b")


def measure_seeks(page: Tab) -> Figures:
    """From moving the slider to the picture of that plane, all over the recording."""
    planes = page.evaluate("Number(document.getElementById('seek').max)") + 1
    generator = random.Random(0)  # noqa: S311 - places, not secrets
    took: list[float] = []
    plane = 0
    while len(took) < SEEKS:
        place = generator.randrange(planes)
        if abs(place - plane) >= min(FAR_PLANES, planes // 3):
            plane = place
            took.append(page.evaluate(f"({SEEK})({plane})"))
            time.sleep(LOOKED_S)
    median, late = np.percentile(took, [50, 95]).tolist()
    return {"seek median, ms": median, "seek p95, ms": late, "seek at most, ms": max(took)}


def measure_memory(
    page: Tab, browser: Chromium, server: int, minutes: float, when: str = "", beside: str = ""
) -> Figures:
    """How fast both sides grow while two seconds of film run in a loop."""
    page.fill("compare", beside)
    page.fill("speed", "50")
    loop(page, "2000")
    play(page, True)
    begin = time.monotonic()
    sides: tuple[list[tuple[float, float]], ...] = ([], [])
    for _ in range(SAMPLES):
        time.sleep(60 * minutes / SAMPLES)
        now = (time.monotonic() - begin) / 60
        sides[0].append((now, resident_mb([server], "RssAnon", "RssFile")))
        sides[1].append((now, resident_mb(browser.processes(), "RssAnon", "RssShmem")))
    play(page, False)
    page.press("loop-off")
    told: Figures = {}
    for name, samples in zip(("service", "browser"), sides, strict=True):
        what = f", beside {beside}" if beside else ""
        told |= {f"{when}{name} grows, MB a minute{what}": slope(samples)}
        told |= {f"{when}{name} at last, MB{what}": samples[-1][1]}
    return told


def measure_pictures(page: Tab, browser: Chromium, server: int) -> Figures:
    """How many pictures a second come at each speed, and how soon one comes after a seek."""
    page.evaluate(FRAMES)
    figures: Figures = {}
    for speed in SPEEDS:
        figures |= measure_rate(page, browser, server, speed)
    figures |= measure_rate(page, browser, server, "1/333", BESIDE)
    return figures | measure_seeks(page)


def measure(given: argparse.Namespace, recording: Path, home: Path) -> Figures:
    """Measure what was asked for on one recording."""
    slow, slowest = slowness(record_pieces(STEADY_S), SLOW_S)
    figures: Figures = {
        "recording, GB": recording.stat().st_size / 1e9,
        f"arithmetic of {1e3 * SLOW_S:g} ms, times that at p99": slow,
        f"arithmetic of {1e3 * SLOW_S:g} ms, times that at most": slowest,
    }
    with viewing(recording, home / "data") as (url, server), Chromium() as browser:
        if "pictures" in given.parts:
            figures |= measure_opening(browser, url)
        page = open_page(browser, url)
        if "pictures" in given.parts:
            figures |= measure_pictures(page, browser, server)
        if "memory" in given.parts:
            for when, beside in ((WARM_UP, ""), ("", ""), ("", BESIDE)):
                figures |= measure_memory(page, browser, server, given.minutes, when, beside)
    return figures


def main() -> None:
    """Measure, judge, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help="pictures, memory; else both")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, default=10.0, help="of looping, for each of three")
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/viewer.json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        recording = given.recording or Path(home) / "long.dat"
        if given.recording is None:
            make_street(recording, int(given.gigabytes * 1e9))
        figures = measure(given, recording, Path(home))
    all_hold = judge(figures, given.out)
    sys.exit(0 if all_hold else 1)


if __name__ == "__main__":
    main()
