"""docs/reference/http.md describes the routes there are, as they are."""

import json
import re
from pathlib import Path

from fastapi.routing import APIRoute

from mayfly.entrypoints.http.app import ROUTERS
from mayfly.entrypoints.http.shapes import (
    DeadLettersOut,
    ImageOut,
    LimitsOut,
    PageOut,
    RedriveOut,
    RenditionOut,
    SweepRunOut,
)
from mayfly.intake.redrive import Result

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
ASSETS = {"/console.css", "/console.js"}
"""Parts of the page at `/`."""


def sections() -> dict[str, str]:
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def routes() -> list[APIRoute]:
    return [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def test_every_route_has_its_section_and_every_section_its_route() -> None:
    there = {f"{method} {route.path}" for route in routes() for method in route.methods or () if method != "HEAD"}
    assert sections().keys() == there - {f"GET {asset}" for asset in ASSETS} | {"GET /openapi.json"}
    assert all(f"`{asset}`" in sections()["GET /"] for asset in ASSETS)


def test_every_section_shows_a_call_of_its_route_and_an_answer() -> None:
    for heading, text in sections().items():
        method, path = heading.split(" ")
        calls = re.findall(r"^curl .*$", text, re.MULTILINE)
        assert calls, heading
        example = path.replace("{image_id}", "$ID").replace("{name}", "thumb").replace("{slug}", "gone")
        for call in calls:
            assert re.search(rf'\$URL{re.escape(example)}["?]', call), call
            sends = "-X DELETE" if method == "DELETE" else r"-X POST|--data-binary|-F " if method == "POST" else "^curl"
            assert re.search(sends, call), call
        assert re.search(r"```(json)?\n[^`]+```", text), f"{heading} shows no answer"


def test_the_answers_shown_have_the_fields_there_are() -> None:
    def shown(heading: str) -> dict[str, object]:
        answer: dict[str, object] = json.loads(re.findall(r"```json\n(.*?)```", sections()[heading], re.DOTALL)[0])
        return answer

    image = ImageOut.model_validate(shown("GET /v1/images/{image_id}"))
    assert shown("GET /v1/images/{image_id}").keys() == ImageOut.model_fields.keys()
    assert image.renditions == [RenditionOut.model_validate(image.renditions[0].model_dump())]
    assert shown("GET /v1/images").keys() == PageOut.model_fields.keys()
    assert shown("GET /v1/limits").keys() == LimitsOut.model_fields.keys()
    assert shown("POST /v1/sweeps").keys() == SweepRunOut.model_fields.keys()
    for heading, shape in (("GET /v1/deadletters", DeadLettersOut), ("POST /v1/deadletters/redrive", RedriveOut)):
        assert shape.model_validate(shown(heading)).model_dump() == shown(heading)


def test_every_result_of_a_redrive_has_its_row() -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \|", sections()["POST /v1/deadletters/redrive"].partition("```json")[2], re.MULTILINE
    )
    assert rows == [result.value for result in Result]


def test_every_parameter_of_a_route_is_named() -> None:
    for route in routes():
        for parameter in route.dependant.query_params:
            assert f"`{parameter.alias}`" in sections()[f"GET {route.path}"], parameter.alias
