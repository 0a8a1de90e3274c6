"""A real browser on a real service; tests skip where there is no Chromium."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.replay.conftest import Serve, engine, serve

playwright = pytest.importorskip("playwright.sync_api", reason="pip install -e '.[dev]'")

__all__ = ["engine", "serve"]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
PATIENCE_MS = 60_000

Open = Callable[..., Any]

playwright.expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: sudo apt-get install chromium")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots are kept: what ``VIDAR_SCREENSHOTS`` names, or the test's own folder."""
    folder = Path(os.environ.get("VIDAR_SCREENSHOTS", tmp_path / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """Opens a page; it fails the test if the page writes an error to its console."""
    with contextlib.ExitStack() as stack:

        def begin(url: str, expected: tuple[str, ...] = (), **options: Any) -> Any:
            settings = {"viewport": {"width": 1280, "height": 720}, "reduced_motion": "reduce"}
            context = browser.new_context(**(settings | options))
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on(
                "console",
                lambda said: (
                    errors.append(said.text) if said.type in ("error", "warning") else None
                ),
            )
            stack.callback(lambda: _check(errors, expected))
            page.goto(url)
            return page

        yield begin


@pytest.fixture
def page(serve: Serve, visit: Open) -> Any:
    """The viewer on the recording that comes along, its first picture and boxes shown."""
    opened = visit(f"http://{serve()}/#clip=demo")
    playwright.expect(opened.locator("#found tbody tr")).to_have_count(1)
    playwright.expect(opened.get_by_role("status")).to_contain_text("At plane 0")
    return opened


def _check(errors: list[str], expected: tuple[str, ...]) -> None:
    unexpected = [error for error in errors if not any(word in error for word in expected)]
    assert unexpected == []
