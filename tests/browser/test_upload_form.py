"""The upload guide's script and page, in a real browser: on an origin of the server's own, and on one of a site that
passes the form on and nothing else."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from support.pictures import ENCODED, gradient
from support.server import Server, until
from support.site import FORM_PATH, Site

GUIDE = (Path(__file__).parents[2] / "docs" / "howto" / "direct-upload.md").read_text(encoding="utf-8")


def test_the_guides_script_uploads_a_file(browser: Chrome, server: Server) -> None:
    (script,) = re.findall(r"```js\n(.*?)```", GUIDE, re.DOTALL)
    form = server.post("/v1/uploads", json={"media_type": "image/png"}).json()
    other = server.post("/v1/uploads", json={"media_type": "image/png", "bytes": 1}).json()
    body = list(ENCODED["image/png"](gradient(40, 30)))
    browser.get(server.url)
    run = f"""{script}
      const [form, bytes, done] = arguments;
      upload(form, new File([new Uint8Array(bytes)], "drawn.png")).then(() => done("sent"), (e) => done(e.message));
    """
    assert browser.execute_async_script(run, form, body) == "sent"
    image = server.until_state(form["id"], "processed")
    assert (image["file_name"], image["bytes"]) == ("drawn.png", len(body))
    assert "at most 1 bytes" in browser.execute_async_script(run, other, body)


@pytest.fixture
def html() -> str:
    (block,) = re.findall(r"```html\n(.*?)```", GUIDE, re.DOTALL)
    return str(block)


def filled(html: str, form: dict[str, dict[str, str]], action: str) -> str:
    """The block as the guide says that a site's own server makes it: an input for each of the form's fields."""
    inputs = re.compile(r'  <input type="hidden" name="key".*?-->\n', re.DOTALL)
    assert inputs.search(html)
    assert 'action="URL"' in html
    fields = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in form["fields"].items())
    return inputs.sub(lambda _: fields, html).replace("URL", action)


def post_from(browser: Chrome, site: Site, file: Path) -> None:
    browser.get(site.url)
    browser.find_element(By.NAME, "file").send_keys(str(file))
    browser.find_element(By.TAG_NAME, "button").click()


def test_the_guides_page_uploads_a_file_through_the_sites_own_origin(
    browser: Chrome, server: Server, html: str, files: Path
) -> None:
    form = server.post("/v1/uploads", json={"media_type": "image/jpeg"}).json()
    with Site(server.url) as site:
        site.page = filled(html, form, urlsplit(form["url"]).path)
        post_from(browser, site, files / "one.jpg")
        image = server.until_state(form["id"], "processed")
        until(lambda: site.passed == [("POST", FORM_PATH, 204)], "the answer to pass")
        assert browser.find_element(By.NAME, "file"), "an answer without content leaves the page where it is"
        browser.get(f"{site.url}/v1/images")
        assert form["id"] not in browser.page_source
    assert (image["file_name"], image["bytes"]) == ("one.jpg", (files / "one.jpg").stat().st_size)


def test_from_a_page_of_another_origin_the_form_is_refused(
    browser: Chrome, server: Server, html: str, files: Path
) -> None:
    form = server.post("/v1/uploads", json={"media_type": "image/jpeg"}).json()
    with Site(server.url) as site:
        site.page = filled(html, form, form["url"])
        post_from(browser, site, files / "one.jpg")
        until(lambda: "/problems/denied" in browser.page_source, "the refusal")
        assert site.passed == []
    assert server.image(form["id"])["state"] == "awaited"
