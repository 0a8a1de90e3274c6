"""How the page looks: no barriers, nothing that moves, nothing from elsewhere."""

import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.service.replay.conftest import Serve
from tests.service.viewer.conftest import Open
from tests.service.viewer.page import press, rows, seek

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 720), (390, 844)], ids=["wide", "phone"])
def test_the_page_has_no_barriers_and_fits(
    serve: Serve, visit: Open, scheme: str, size: tuple[int, int], pictures: Path
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    page = visit(f"http://{serve()}/", color_scheme=scheme, viewport=viewport, bypass_csp=True)
    name = f"{scheme}-{size[0]}"
    expect(page.get_by_role("link", name="demo.dat")).to_be_visible()
    check_barriers(page)
    page.screenshot(path=pictures / f"list-{name}.png")
    page.get_by_role("link", name="demo.dat").click()
    expect(rows(page)).to_have_count(1)
    page.get_by_role("combobox", name="Compare").select_option("half")
    seek(page, 140)
    expect(rows(page)).to_have_count(3)
    check_barriers(page)
    page.screenshot(path=pictures / f"replay-{name}.png", full_page=True)
    scrolled = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(scrolled) == 0
    page.keyboard.press("?")
    check_barriers(page)


def check_barriers(page: Page) -> None:
    """Look for what keeps people out, by the rules of axe-core."""
    found = Axe().run(page)
    told = [
        (one["id"], [node["target"] for node in one["nodes"]])
        for one in found.response["violations"]
    ]
    assert told == []


def test_nothing_moves_while_it_plays(page: Page) -> None:
    """The layout does not shift: what stands beside the picture stays where it is."""
    places = """() => ["#stage", ".strip", "#play", "#speed", "#save-png"].map((one) => {
        const { x, y, width, height } = document.querySelector(one).getBoundingClientRect();
        return [x, y, width, height];
    })"""
    before = page.evaluate(places)
    page.get_by_role("slider", name="Speed").fill("60")
    press(page, "Play/Pause")
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert page.evaluate(places) == before


def test_nothing_is_fetched_from_elsewhere(serve: Serve, visit: Open) -> None:
    address = serve()
    page = visit("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://{address}/#clip=demo")
    expect(rows(page)).to_have_count(1)
    elsewhere = [
        url for url in asked if not url.startswith((f"http://{address}/", "data:", "blob:"))
    ]
    assert elsewhere == []
    assert len(asked) > 10
