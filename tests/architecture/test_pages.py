"""The pages: every link leads somewhere, and every page can be reached from the README."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)")
_HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """The relative links of a page, pictures included; what stands in code is none."""
    found = [str(link) for link in _LINK.findall(_CODE.sub("", prose(page)))]
    # A link's text may be code: the brackets around it stay.
    return [link for link in found if not _ELSEWHERE.match(link)]


def target(page: Path, link: str) -> Path:
    place = link.partition("#")[0]
    return (page.parent / place).resolve() if place else page


def anchors(page: Path) -> set[str]:
    """The fragments that a page's headings answer to."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(page)))
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        place, fragment = target(page, link), link.partition("#")[2]
        found = place.exists() and place.is_relative_to(ROOT)
        if found and fragment and place.suffix == ".md":
            found = fragment in anchors(place)
        if not found:
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [README]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        waiting += [target(page, link) for link in links(page)]
    assert {page.relative_to(ROOT).as_posix() for page in PAGES if page not in reached} == set()


def test_links_are_found_where_they_stand(tmp_path: Path) -> None:
    """What the others rely on."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading: `code`, too\n[a](one.md) ![b](two.svg) [`c`](three.md#x) [d](https://example.org)\n"
        "`[not](code.md)`\n```sh\n[not](fenced.md)\n```\n"
    )
    assert links(page) == ["one.md", "two.svg", "three.md#x"]
    assert anchors(page) == {"a-heading-code-too"}
