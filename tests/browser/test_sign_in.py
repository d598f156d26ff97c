"""Signing in on the console page, where a token is asked for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from support.page import Page
from support.server import MakeServer, Server, until
from support.tokens import made_token, mayfly

OpenPage = Callable[[Server], Page]
AS_IT_STANDS = 4.5
"""The contrast that WCAG 2.2 asks of text (level AA)."""


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    return make_server(options=("--behind-proxy",))


def look(page: Page, name: str) -> None:
    """Keep a picture of the page where one was asked for, to look at."""
    if folder := os.environ.get("MAYFLY_TEST_SCREENSHOTS"):
        page.browser.save_screenshot(str(Path(folder, f"{name}.png")))


def sign_in(page: Page, token: str) -> None:
    until(lambda: page.one("#sign-in").is_displayed(), "the form")
    page.press(token, Keys.ENTER)


def test_a_person_signs_in_sees_uploads_and_signs_out(page: Page, server: Server, files: Path) -> None:
    until(lambda: page.one("#sign-in").is_displayed(), "the form")
    assert not page.one("main").is_displayed()
    assert page.script("return document.activeElement.id") == "token"
    look(page, "sign-in")
    sign_in(page, "mfy_wrong")
    until(lambda: "unknown, expired or revoked" in page.text("#sign-in-problem"), "the reason")

    token = made_token(server, "uploader", "--name", "ann")["token"]
    sign_in(page, token)
    until(lambda: page.status == "0 living", "the list")
    assert page.text("#name") == "ann (uploader)"
    page.choose(files / "one.jpg")
    page.until_pictures_show(1)
    look(page, "signed-in")
    assert token not in page.script("return document.cookie + JSON.stringify({...localStorage, ...sessionStorage})")
    (identity,) = page.cards()
    page.open_detail(identity)
    assert not page.one("#erase").is_displayed()
    page.press(Keys.ESCAPE)

    page.open()
    page.until_cards(identity)
    page.one("#sign-out").click()
    until(lambda: page.one("#sign-in").is_displayed(), "the form")
    assert page.cards() == []
    page.open()
    until(lambda: page.one("#sign-in").is_displayed(), "the form, after a reload, too")


def test_a_revoked_token_ends_the_page_s_session(page: Page, server: Server) -> None:
    made = made_token(server, "analyst")
    sign_in(page, made["token"])
    until(lambda: page.status == "0 living", "the list")
    assert not page.one("#door").is_displayed(), "an analyst uploads nothing"
    mayfly(server, "token", "revoke", made["id"])
    until(lambda: page.one("#sign-in").is_displayed(), "the form")


@pytest.mark.parametrize("dark", [False, True])
def test_the_form_can_be_read_and_fits_a_phone(page: Page, dark: bool) -> None:
    page.emulate(width=320, dark=dark)
    until(lambda: page.one("#sign-in").is_displayed(), "the form")
    sign_in(page, "wrong")
    until(lambda: page.text("#sign-in-problem"), "the reason")
    look(page, f"sign-in-phone-{'dark' if dark else 'light'}")
    assert page.overflow() <= 0
    for selector in ("#sign-in h2", "#sign-in p", "#sign-in button", "#sign-in-problem"):
        assert page.contrast(selector) >= AS_IT_STANDS, selector
