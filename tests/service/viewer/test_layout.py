"""How the page looks: no barriers, nothing that moves, nothing from elsewhere."""

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
    assert page.evaluate(scrolled) <= 0  # less where room is kept for a scroll bar
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


SHIFTS = """(() => {
    window.shifts = [];
    const name = ({ node }) => node?.id || node?.className || node?.nodeName;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shifts.push(entry.sources.map(name));
    }).observe({ type: "layout-shift", buffered: true });
})()"""


@pytest.mark.parametrize("size", [(1280, 720), (390, 844)], ids=["wide", "phone"])
def test_nothing_moves(serve: Serve, visit: Open, size: tuple[int, int]) -> None:
    """The layout does not shift, from the first paint on, whatever is chosen or played."""
    viewport = {"width": size[0], "height": size[1]}
    page = visit("about:blank", viewport=viewport)
    page.add_init_script(SHIFTS)
    page.goto(f"http://{serve()}/#clip=demo")
    expect(rows(page)).to_have_count(1)
    for view in ("heat", "tfi", "raw", "tfp"):
        page.get_by_role("combobox", name="View").select_option(view)
        expect(page.locator("#canvas-a")).to_have_attribute("data-view", view)
    page.get_by_role("slider", name="Window").fill("384")
    expect(page.locator("#window-value")).to_have_text("384 = 19.20 ms")
    for model in ("half", "", "nano"):
        page.get_by_role("combobox", name="Model").select_option(model)
        expect(rows(page)).to_have_count(1 if model else 0)
    if size[0] > 900:  # on a phone a second picture stands below the first
        page.get_by_role("combobox", name="Compare").select_option("half")
        expect(rows(page)).to_have_count(2)
    page.get_by_role("slider", name="Speed").fill("60")
    press(page, "Play/Pause")
    expect(page.get_by_role("status")).to_contain_text("At the end, plane 383")
    seek(page, 0)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert page.evaluate("window.shifts") == []


def test_no_words_are_cut_off(page: Page) -> None:
    page.get_by_role("slider", name="Window").fill("384")
    page.get_by_role("slider", name="Speed").fill("30")
    page.get_by_role("combobox", name="View").select_option("heat")
    script = """() => ["#window-value", "#speed-value", "#confidence-value", "#legend-top",
        "#clock-plane", "#clock-time", "#selection", "#classes", "#status", "#facts"]
        .filter((one) => {
            const { scrollWidth, clientWidth } = document.querySelector(one);
            return scrollWidth > clientWidth;
        })"""
    assert page.evaluate(script) == []


def test_the_theme_is_changed_and_kept(serve: Serve, visit: Open) -> None:
    page = visit(f"http://{serve()}/", color_scheme="dark")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    press(page, "Change theme")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light
    press(page, "Change theme")
    assert page.evaluate(ground) == dark


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
