"""The keyboard alone does everything."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    clock = page.locator("#clock-plane")
    page.keyboard.press("ArrowRight")
    expect(clock).to_have_text("plane 1 of 384")
    page.keyboard.press("Shift+ArrowRight")
    expect(clock).to_have_text("plane 65 of 384")
    page.keyboard.press("End")
    expect(clock).to_have_text("plane 383 of 384")
    page.keyboard.press("Home")
    expect(clock).to_have_text("plane 0 of 384")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play/Pause")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play/Pause")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press(".")
    expect(page.locator("#speed-value")).not_to_have_text("1/333 ×")
    page.keyboard.press("v")
    expect(page.get_by_role("combobox", name="View")).to_have_value("tfi")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    page.keyboard.press("g")
    expect(page.get_by_role("textbox", name="Go to")).to_be_focused()
    page.keyboard.type("42")
    page.keyboard.press("Enter")
    expect(clock).to_have_text("plane 42 of 384")


def test_the_keyboard_reaches_every_control_in_reading_order(page: Page) -> None:
    page.locator("body").evaluate("() => document.activeElement.blur()")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.id"))
    order = ["seek", "play", "speed", "goto", "loop-a", "view", "window", "model", "confidence"]
    places = [reached.index(name) for name in [*order, "save-png"]]
    assert places == sorted(places)
