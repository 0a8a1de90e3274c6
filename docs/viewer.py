"""Make the pictures of the viewer that the README shows: docs/viewer.png and docs/viewer.gif.

    python docs/viewer.py

They show the recording that comes along and what the default net finds in it, unretouched. It
takes Chromium, and the packages of the extra ``dev``.
"""

import os
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
CHROMIUM, FLAGS = "/usr/bin/chromium", ["--no-sandbox", "--disable-gpu"]
FIRST_PLANE, STEP_PLANES, FRAMES, FRAME_MS = 64, 12, 21, 100
GIF_SIZE, COLOURS = (640, 360), 48


def show(page: Page, plane: int) -> Image.Image:
    """Go to a plane, and picture the page once boxes and picture are there."""
    page.get_by_role("slider", name="Seek").fill(str(plane))
    page.get_by_role("status").get_by_text(f"At plane {plane},").wait_for()
    page.get_by_role("slider", name="Seek").blur()
    page.wait_for_timeout(300)
    return Image.open(BytesIO(page.screenshot())).convert("RGB")


def main() -> None:
    """Write both files."""
    command = [sys.executable, "-m", "vidar_det", "view", "--no-browser", "--weights", "nano"]
    with tempfile.TemporaryDirectory() as home, sync_playwright() as driver:
        environment = os.environ | {"VIDAR_DATA_DIR": home}
        service = subprocess.Popen(  # noqa: S603 - our own command
            command, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert service.stdout is not None
        try:
            address = service.stdout.readline().strip()
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(
                viewport={"width": 1280, "height": 720},
                color_scheme="dark",
                reduced_motion="reduce",
            )
            page.goto(f"{address}#clip=demo")
            page.locator("#found tbody tr").first.wait_for()
            page.mouse.move(640, 300)
            planes = range(FIRST_PLANE, FIRST_PLANE + FRAMES * STEP_PLANES, STEP_PLANES)
            frames = [show(page, plane) for plane in planes]
            browser.close()
        finally:
            service.terminate()
            service.wait(60)
    frames[-1].save(HERE / "viewer.png", optimize=True)
    small = [
        frame.resize(GIF_SIZE, Image.Resampling.LANCZOS).quantize(COLOURS, dither=Image.Dither.NONE)
        for frame in frames
    ]
    small[0].save(
        HERE / "viewer.gif", save_all=True, append_images=small[1:], duration=FRAME_MS, loop=0
    )


if __name__ == "__main__":
    main()
