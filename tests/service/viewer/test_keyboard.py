"""The keyboard alone does everything."""

import pytest
from playwright.sync_api import Page, expect

from tests.service.replay.conftest import Serve
from tests.service.viewer.conftest import Open

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


def test_a_key_that_is_held_plays_once(page: Page) -> None:
    play = page.get_by_role("button", name="Play/Pause")
    page.keyboard.down(" ")
    page.keyboard.down(" ")  # which Playwright sends as a repetition
    expect(play).to_have_attribute("aria-pressed", "true")
    page.keyboard.up(" ")
    expect(play).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("key", ["Enter", "Escape"])
def test_after_a_plane_is_typed_the_keys_are_the_play_heads_again(page: Page, key: str) -> None:
    page.keyboard.press("g")
    page.keyboard.type("42")
    page.keyboard.press(key)
    page.keyboard.press("ArrowRight")
    place = 43 if key == "Enter" else 1
    expect(page.locator("#clock-plane")).to_have_text(f"plane {place} of 384")


def test_faster_and_slower_again_is_the_speed_of_before(page: Page) -> None:
    for key in (".", ",", ",", "."):
        page.keyboard.press(key)
    expect(page.locator("#speed-value")).to_have_text("1/333 ×")


def test_the_keys_are_told_on_the_list_too(serve: Serve, visit: Open) -> None:
    page = visit(f"http://{serve()}/")
    expect(page.get_by_role("link", name="demo.dat")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
