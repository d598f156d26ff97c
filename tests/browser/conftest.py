"""Headless Chromium on a real server's console page."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from support.page import FLAGS, Page
from support.pictures import ENCODED, gradient
from support.server import MakeServer, Server

NEEDED = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""Programs and the packages (of Debian) that bring them."""


@pytest.fixture(scope="session")
def programs() -> dict[str, str]:
    """Where the programs stand. Without them nothing here can be shown; the judgement on a commit never skips."""
    found = {name: shutil.which(name) for name in NEEDED}
    missing = [NEEDED[name] for name, place in found.items() if place is None]
    if missing:
        told = f"the console page is not tried: install {' and '.join(missing)} (make test does, where it may)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(told)
    return {name: place for name, place in found.items() if place is not None}


@pytest.fixture(scope="session")
def browser(programs: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One browser for all, since it takes seconds to start. Nothing is downloaded for it: both programs are named."""
    options = ChromeOptions()
    options.binary_location = programs["chromium"]
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with pytest.MonkeyPatch.context() as environment:
        # The driver is on this machine; no proxy stands between.
        environment.setenv("NO_PROXY", "localhost,127.0.0.1")
        environment.setenv("no_proxy", "localhost,127.0.0.1")
        environment.setenv("SE_OFFLINE", "true")
        chrome = Chrome(options, ChromeService(programs["chromedriver"]))
        yield chrome
        chrome.quit()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    made: list[Server] = []

    def make(*, moved: float | None = None, options: tuple[str, ...] = ()) -> Server:
        """`moved` gives it a clock file, and is what that says, in seconds, from the start."""
        server = Server(tmp_path, None if moved is None else tmp_path / "clock", options=("--workers", "1", *options))
        if moved is not None:
            server.move_clock(moved)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.close()


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    return make_server()


OpenPage = Callable[[Server], Page]


@pytest.fixture
def open_page(browser: Chrome) -> Iterator[OpenPage]:
    """Opens a server's console. In the end the page must have had nothing to complain of."""
    opened: list[Page] = []

    def open_one(server: Server) -> Page:
        opened.append(Page(browser, server.url).open())
        return opened[-1]

    yield open_one
    browser.get("about:blank")
    for page in opened:
        page.refused_loads()
        assert page.complaints == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.fixture
def page(server: Server, open_page: OpenPage) -> Page:
    return open_page(server)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `one.jpg`, `two.png`, and `letter.jpg`, which is no image."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "one.jpg").write_bytes(ENCODED["image/jpeg"](gradient(640, 480)))
    (folder / "two.png").write_bytes(ENCODED["image/png"](gradient(300, 400)))
    (folder / "letter.jpg").write_text("Dear all,\n" * 100, encoding="utf-8")
    return folder
