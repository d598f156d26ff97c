"""The console page, as a person uses it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from support.page import Page
from support.pictures import ENCODED, gradient
from support.server import WEEK_SECONDS, MakeServer, Server, until

OpenPage = Callable[[Server], Page]

PAGE_SIZE = 60
AS_IT_STANDS = 4.5
"""The contrast that WCAG 2.2 asks of text (level AA)."""


@pytest.fixture
def jpeg() -> bytes:
    return ENCODED["image/jpeg"](gradient(320, 240))


def look(page: Page, name: str) -> None:
    """Keep a picture of the page where one was asked for, to look at."""
    if folder := os.environ.get("MAYFLY_TEST_SCREENSHOTS"):
        page.browser.save_screenshot(str(Path(folder, f"{name}.png")))


def test_of_three_files_the_refused_one_says_why_and_the_others_go_on(page: Page, server: Server, files: Path) -> None:
    until(lambda: page.status == "0 living", "the first list")
    assert "No image lives here" in page.text("#empty")
    page.choose(files / "one.jpg", files / "letter.jpg", files / "two.png")

    until(lambda: len(page.cards()) == 2, "two cards")
    until(lambda: "bytes" in page.text("#notes .problem"), "the reason")
    assert page.text("#notes li").startswith("letter.jpg")
    assert page.text("#empty") == ""
    page.until_pictures_show(2)
    for identity in page.cards():
        page.until_card_says(identity, "processed")
        page.until_card_says(identity, "gone in 6 d 23 h")
    look(page, "uploaded")
    page.one("#notes button").click()
    assert page.all("#notes li") == []
    assert [refused for refused in page.refused_loads() if "415" not in refused] == []
    names = {server.image(identity)["file_name"] for identity in page.cards()}
    assert names == {"one.jpg", "two.png"}


def test_the_retention_chosen_is_the_one_asked_for(page: Page, server: Server, files: Path) -> None:
    page.one("#retain option[value=PT1H]").click()
    page.choose(files / "one.jpg")
    until(lambda: len(page.cards()) == 1, "a card")
    page.until_card_says(page.cards()[0], "gone in 59 m")


def test_the_newest_stands_first(page: Page, server: Server, jpeg: bytes) -> None:
    older, newer = server.upload(jpeg)["id"], server.upload(jpeg)["id"]
    until(lambda: page.cards() == [newer, older], "both in order")


def test_the_dialog_opens_by_keyboard_shows_facts_and_links_and_closes_with_escape(
    page: Page, server: Server, files: Path
) -> None:
    page.choose(files / "one.jpg")
    until(lambda: len(page.cards()) == 1, "a card")
    identity = page.cards()[0]
    page.until_card_says(identity, "processed")
    page.open_detail(identity)

    assert page.text("#detail-title") == "one.jpg"
    facts = page.text("#detail-facts")
    for told in (identity, "processed", "image/jpeg", "640", "480"):
        assert told in facts
    until(lambda: page.script("return document.getElementById('detail-picture').naturalWidth") > 0, "the picture")
    for link in page.all("#detail-links a"):
        assert server.get(str(link.get_dom_attribute("href"))).status_code == 200
    assert [link.text.split()[0] for link in page.all("#detail-links a")] == ["thumb", "preview", "large", "original"]
    look(page, "detail")

    page.press(Keys.ESCAPE)
    page.until_detail_is_closed()
    assert page.script("return document.activeElement === arguments[0]", page.card(identity))
    page.open_detail(identity)
    page.one("#detail form button").click()
    page.until_detail_is_closed()
    assert page.refused_loads() == []


def test_a_file_name_with_html_in_it_is_text(page: Page, tmp_path: Path, jpeg: bytes) -> None:
    name = "<img src=x onerror=document.title='broken in'> & it's (naïve).jpg"
    (tmp_path / name).write_bytes(jpeg)
    page.choose(tmp_path / name)
    until(lambda: len(page.cards()) == 1, "a card")
    page.open_detail(page.cards()[0])
    assert page.text("#detail-title") == name
    (tmp_path / f"no {name}").write_text("no image")
    page.press(Keys.ESCAPE)
    page.choose(tmp_path / f"no {name}")
    until(lambda: page.all("#notes .problem"), "the refusal")
    assert page.text("#notes li").startswith(f"no {name}")
    assert page.browser.title == "Mayfly"


def test_erasing_asks_first_and_removes_the_card(page: Page, server: Server, jpeg: bytes) -> None:
    kept, erased = server.upload(jpeg)["id"], server.upload(jpeg)["id"]
    page.until_cards(kept, erased)
    page.open_detail(erased)
    page.one("#erase").click()
    page.browser.switch_to.alert.dismiss()
    assert page.detail_is_open()
    assert server.get(f"/v1/images/{erased}").status_code == 200
    page.one("#erase").click()
    page.browser.switch_to.alert.accept()
    page.until_cards(kept)
    page.until_detail_is_closed()
    assert server.get(f"/v1/images/{erased}").status_code == 410


def test_what_was_erased_elsewhere_disappears(page: Page, server: Server, jpeg: bytes) -> None:
    kept, erased = server.upload(jpeg)["id"], server.upload(jpeg)["id"]
    page.until_cards(kept, erased)
    page.open_detail(erased)
    assert server.request("DELETE", f"/v1/images/{erased}").status_code == 204
    page.until_cards(kept)
    page.until_detail_is_closed()


def test_a_rejected_image_says_why(page: Page, server: Server) -> None:
    cut = ENCODED["image/jpeg"](gradient(2_000, 1_500))
    identity = server.upload(cut[: len(cut) // 2])["id"]
    page.until_cards(identity)
    page.until_card_says(identity, "rejected: truncated")
    look(page, "rejected")
    page.open_detail(identity)
    assert "original" not in page.text("#detail-links")


def test_an_image_that_reaches_its_second_vanishes(make_server: MakeServer, open_page: OpenPage, jpeg: bytes) -> None:
    server = make_server(moved=0)
    dying, living = server.upload(jpeg, retain="PT1H")["id"], server.upload(jpeg)["id"]
    page = open_page(server)
    page.until_cards(dying, living)
    server.until_state(dying, "processed")
    server.move_clock(3_600 - 40)
    # Forty seconds are left, and some of them have passed.
    until(lambda: page.all(".expiry.soon"), "the warning")
    assert " s" in page.card_text(dying)
    page.open_detail(dying)
    server.move_clock(3_600)
    page.until_cards(living)
    page.until_detail_is_closed()
    assert server.get(f"/v1/images/{dying}").status_code == 410


def test_the_page_counts_by_the_servers_clock(make_server: MakeServer, open_page: OpenPage, jpeg: bytes) -> None:
    server = make_server(moved=30 * 86_400)
    identity = server.upload(jpeg)["id"]
    page = open_page(server)
    page.until_cards(identity)
    page.until_card_says(identity, "gone in 6 d 23 h")
    server.move_clock(30 * 86_400 + WEEK_SECONDS - 7_200)
    page.until_card_says(identity, "gone in 1 h 59 m")


def test_older_ones_come_a_page_at_a_time(page: Page, server: Server) -> None:
    tiny = ENCODED["image/png"](gradient(8, 8))
    ids = [server.upload(tiny)["id"] for _ in range(PAGE_SIZE + 5)]
    page.open()
    until(lambda: len(page.cards()) == PAGE_SIZE, "the first page")
    until(lambda: page.status == f"{PAGE_SIZE} and more living", "the count")
    page.one("#more").click()
    until(lambda: page.cards() == ids[::-1], "all of them, newest first")
    until(lambda: page.status == f"{len(ids)} living", "the count of all")
    assert not page.one("#more").is_displayed()


def test_a_server_that_stops_is_told_and_its_return_too(
    make_server: MakeServer, open_page: OpenPage, jpeg: bytes
) -> None:
    server = make_server()
    identity = server.upload(jpeg)["id"]
    page = open_page(server)
    until(lambda: page.status == "1 living", "the list")
    port = server.url.rpartition(":")[2]
    server.stop()
    until(lambda: page.status == "The server does not answer", "the alarm")
    assert page.all("#status.alarm")
    assert page.cards() == [identity]
    look(page, "stopped")
    server.options = (*server.options, "--port", port)
    server.start()
    until(lambda: page.status == "1 living", "the recovery")
    assert not page.all("#status.alarm")
    assert all("ERR_" in refused for refused in page.refused_loads())


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_telephone_and_can_be_read(page: Page, server: Server, files: Path, dark: bool) -> None:
    page.emulate(width=380, dark=dark)
    page.open()
    page.choose(files / "one.jpg", files / "letter.jpg", files / "two.png")
    page.until_pictures_show(2)
    until(lambda: page.all("#notes .problem"), "the refusal")
    cut = ENCODED["image/jpeg"](gradient(2_000, 1_500))
    identity = server.upload(cut[: len(cut) // 2])["id"]
    page.until_card_says(identity, "rejected")
    assert page.overflow() <= 0
    look(page, f"telephone-{'dark' if dark else 'light'}")
    for seen in ("h1", "#status", "#door label", "#notes .problem", ".state.rejected", ".size", ".expiry"):
        assert page.contrast(seen) >= AS_IT_STANDS, seen

    page.open_detail(page.cards()[-1])
    until(lambda: page.script("return document.getElementById('detail-picture').naturalWidth") > 0, "the picture")
    assert page.overflow() <= 0
    assert page.script("const d = document.getElementById('detail'); return d.scrollWidth <= d.clientWidth")
    for seen in ("h2", "dt", "dd", "#detail-links a", "#erase"):
        assert page.contrast(seen) >= AS_IT_STANDS, seen
    look(page, f"telephone-detail-{'dark' if dark else 'light'}")


def test_the_page_makes_every_request_to_its_own_server(page: Page, server: Server, files: Path) -> None:
    page.choose(files / "one.jpg")
    page.until_pictures_show(1)
    asked = page.script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert asked
    assert all(address.startswith(server.url) for address in asked)
    assert page.script("return Object.keys(localStorage).length + document.cookie.length") == 0


def test_a_fault_of_the_page_would_be_seen(page: Page) -> None:
    """What the other journeys rely on: neither a script's error nor a breach of the policy goes unnoticed."""
    page.script("setTimeout(() => { throw new Error('planted'); })")
    page.script("document.body.append(Object.assign(document.createElement('script'), { textContent: '1' }))")

    def noticed() -> bool:
        page.refused_loads()
        return len(page.complaints) >= 2

    until(noticed, "both complaints")
    told = " ".join(page.complaints)
    assert "planted" in told
    assert "Content Security Policy" in told
    page.complaints.clear()


def test_a_list_asked_for_before_neither_hides_a_new_image_nor_brings_an_erased_one_back(
    page: Page, server: Server, files: Path, jpeg: bytes
) -> None:
    doomed = server.upload(jpeg)["id"]
    page.until_cards(doomed)
    # The next list is held back until told: what it says is old by then.
    page.script(
        "const real = window.fetch; window.fetch = async (path, options) => {"
        "  const response = await real(path, options);"
        "  if (path.startsWith('/v1/images?') && !window.released) {"
        "    window.holding = true;"
        "    await new Promise((resolve) => { window.release = () => { window.released = true; resolve(); }; });"
        "  }"
        "  return response; };"
    )
    until(lambda: page.script("return window.holding"), "a list under way")
    page.choose(files / "one.jpg")
    until(lambda: len(page.cards()) == 2, "the new card")
    page.open_detail(doomed)
    page.one("#erase").click()
    page.browser.switch_to.alert.accept()
    until(lambda: doomed not in page.cards(), "the card to go")
    new = page.cards()
    page.script(
        "window.seen = []; new MutationObserver(() => window.seen.push("
        "[...document.querySelectorAll('#images > li')].map((e) => e.dataset.id).join()))"
        ".observe(document.getElementById('images'), { childList: true }); window.release();"
    )
    began = time.monotonic()
    page.until_pictures_show(1)
    assert page.script("return window.seen") == [], f"after {time.monotonic() - began:.1f} s"
    assert page.cards() == new
