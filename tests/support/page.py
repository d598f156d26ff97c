"""The console page as a person meets it: what stands on it, what is done with it, what the browser complains of."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from support.server import until

T = TypeVar("T")

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1200,900",
)


@dataclass
class Page:
    """One browser on one console."""

    browser: Chrome
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self) -> "Page":
        self.browser.get(self.url)
        return self

    def one(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """As it is seen; empty where there is no such thing or it is being replaced."""
        return _unless_stale(lambda: " ".join(element.text for element in self.all(selector)), "")

    def script(self, body: str, *arguments: Any) -> Any:
        return self.browser.execute_script(body, *arguments)

    @property
    def status(self) -> str:
        return self.text("#status")

    def cards(self) -> list[str]:
        """The ids of the images on the page, as they stand."""
        found: list[str] = self.script("return [...document.querySelectorAll('#images > li')].map(e => e.dataset.id)")
        return found

    def card(self, identity: str) -> WebElement:
        return self.one(f"#images > li[data-id='{identity}'] button")

    def card_text(self, identity: str) -> str:
        return self.text(f"#images > li[data-id='{identity}']")

    def until_cards(self, *identities: str) -> None:
        until(lambda: set(self.cards()) == set(identities), f"the cards of {identities}")

    def until_card_says(self, identity: str, wanted: str) -> None:
        until(lambda: wanted in self.card_text(identity), f"{identity} to say {wanted!r}")

    def until_pictures_show(self, count: int) -> None:
        """Until so many cards show a picture that was really loaded."""
        shown = (
            "return [...document.querySelectorAll('#images img')].filter(i => !i.hidden && i.naturalWidth > 0).length"
        )
        until(lambda: self.script(shown) == count, f"{count} pictures")

    def choose(self, *files: Path) -> None:
        self.one("#files").send_keys("\n".join(str(file) for file in files))

    def press(self, *keys: str) -> None:
        self.browser.switch_to.active_element.send_keys(*keys)

    def open_detail(self, identity: str) -> None:
        """By the keyboard alone."""
        self.script("arguments[0].focus()", self.card(identity))
        self.press(Keys.ENTER)
        until(lambda: self.detail_is_open(), "the dialog")

    def detail_is_open(self) -> bool:
        return bool(self.script("return document.getElementById('detail').open"))

    def until_detail_is_closed(self) -> None:
        until(lambda: not self.detail_is_open(), "the dialog to close")

    def overflow(self) -> int:
        """CSS pixels by which the page is wider than the window."""
        wide: int = self.script("return document.documentElement.scrollWidth - window.innerWidth")
        return wide

    def contrast(self, selector: str) -> float:
        """Of an element's text against the nearest ground painted behind it (WCAG 2.2)."""
        ratio: float = self.script(_CONTRAST, self.one(selector))
        return ratio

    def emulate(self, *, width: int | None = None, dark: bool = False) -> None:
        if width is not None:
            # Not as a mobile device: that one zooms out until what is too wide fits, and nothing would be seen of it.
            metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
            self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def refused_loads(self) -> list[str]:
        """What the network refused since the last look. What the page itself did wrong is kept in `complaints`."""
        refused = []
        for entry in self.browser.get_log("browser"):  # type: ignore[no-untyped-call]
            told = f"{entry['source']}: {entry['message']}"
            if entry["source"] == "network":
                refused.append(re.sub(r"^\S+ - ", "", entry["message"]))
            elif entry["level"] in ("SEVERE", "WARNING"):
                self.complaints.append(told)
        return refused


def _unless_stale(look: Callable[[], T], otherwise: T) -> T:
    try:
        return look()
    except StaleElementReferenceException:
        return otherwise


_CONTRAST = """
const channels = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
  .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
let ground = [255, 255, 255], opacity = 1;
for (let e = arguments[0]; e; e = e.parentElement) {
  const own = channels(getComputedStyle(e).backgroundColor);
  opacity *= Number(getComputedStyle(e).opacity);
  if (own.length === 3) { ground = own; break; }
}
const ink = channels(getComputedStyle(arguments[0]).color).slice(0, 3)
  .map((c, i) => c * opacity + ground[i] * (1 - opacity));
const [low, high] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
return (high + 0.05) / (low + 0.05);
"""
