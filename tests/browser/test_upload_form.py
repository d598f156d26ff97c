"""The upload guide's script and page, in a real browser, on an origin of the server's own."""

import re
from pathlib import Path

from selenium.webdriver import Chrome

from support.pictures import ENCODED, gradient
from support.server import Server

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
