"""Errors as problem documents: each has a place in the table, each type is documented, nothing inside leaks."""

import json
import re
from pathlib import Path

import pytest
from fastapi import APIRouter

from mayfly.entrypoints.http import app as app_module
from mayfly.entrypoints.http.app import create_app
from mayfly.entrypoints.http.errors import ALL_PROBLEMS, INTERNAL, TABLE, problem_of, respond
from mayfly.model import errors
from mayfly.model.errors import MayflyError
from support.asgi import ask

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "problems.md"
SECRET = "/srv/mayfly/objects/20261123T0229Z"


def family(root: type[MayflyError]) -> list[type[MayflyError]]:
    return [root, *(member for child in root.__subclasses__() for member in family(child))]


OURS = {errors.Unopenable, errors.Rejected, errors.AttemptFailed}
"""What no caller can help: should one come to the edge, it is a fault on our side."""


@pytest.mark.parametrize("kind", family(MayflyError))
def test_every_error_has_a_problem_by_its_ancestry(kind: type[MayflyError]) -> None:
    ancestor = next(each for each in kind.__mro__ if each in TABLE)
    assert problem_of(kind("words")) is TABLE[ancestor]
    on_our_side = kind is MayflyError or any(issubclass(kind, each) for each in OURS)
    assert (problem_of(kind("words")) is INTERNAL) == on_our_side, "give it a place in TABLE, or in OURS here"


def test_an_error_that_is_made_later_takes_its_parents_place() -> None:
    class TornInTransit(errors.BodyCut):
        pass

    assert problem_of(TornInTransit("words")).slug == "body-cut"


@pytest.mark.parametrize("problem", ALL_PROBLEMS, ids=lambda problem: problem.slug)
def test_a_problem_is_one_status_one_slug_and_says_when_to_come_back(problem: object) -> None:
    assert problem in ALL_PROBLEMS
    found = [each for each in ALL_PROBLEMS if each.slug == getattr(problem, "slug", None)]
    assert len(found) == 1
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", found[0].slug)
    assert 400 <= found[0].status < 600
    if found[0].status == 503:
        assert found[0].retry_after, "a 503 tells when to come back"


def test_the_page_describes_every_problem_and_no_other() -> None:
    page = PAGE.read_text(encoding="utf-8")
    described = re.findall(r"^## ([a-z-]+)\n\n(\d{3})\. ([^\n]+)\.\n", page, re.MULTILINE)
    assert sorted(described) == sorted((each.slug, str(each.status), each.title) for each in ALL_PROBLEMS)
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        assert "What to do:" in section, section.splitlines()[0]


def test_what_is_wrong_on_our_side_is_not_told() -> None:
    for fault in (errors.Unopenable(SECRET), MayflyError(SECRET), errors.AttemptFailed(SECRET)):
        response = respond(fault)
        assert response.status_code == 500
        assert SECRET not in bytes(response.body).decode()


def told(capsys: pytest.CaptureFixture[str], fault: Exception) -> tuple[int, str, str]:
    """Status and text of the answer, and what the log says."""
    router = APIRouter()

    @router.get("/broken")
    def broken() -> None:
        raise fault

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_module, "ROUTERS", (*app_module.ROUTERS, router))
        response = ask(create_app(None), "GET", "/broken")  # type: ignore[arg-type]
    return response.status_code, response.text, "".join(capsys.readouterr())


@pytest.mark.parametrize("fault", [errors.Unopenable(SECRET), RuntimeError(SECRET)], ids=repr)
def test_what_the_answer_keeps_to_itself_stands_in_the_log(
    capsys: pytest.CaptureFixture[str], fault: Exception
) -> None:
    status, answer, log = told(capsys, fault)
    assert (status, SECRET in answer) == (500, False)
    assert f"{type(fault).__name__}: {SECRET}" in log


@pytest.mark.parametrize(
    "fault", [errors.NotFound("no such image"), errors.Misconfigured("the clock's file")], ids=repr
)
def test_what_the_answer_says_is_not_logged_as_a_fault(capsys: pytest.CaptureFixture[str], fault: Exception) -> None:
    status, answer, log = told(capsys, fault)
    assert status in (404, 503)
    assert str(fault) in answer
    assert "internal" not in log


def test_what_nobody_foresaw_is_answered_without_a_word_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    router = APIRouter()

    @router.get("/broken")
    def broken() -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(app_module, "ROUTERS", (*app_module.ROUTERS, router))
    app = create_app(None)  # type: ignore[arg-type]
    response = ask(app, "GET", "/broken")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    document = json.loads(response.text)
    assert document["type"] == "/problems/internal"
    assert SECRET not in response.text
    assert "RuntimeError" not in response.text
    assert "Traceback" not in response.text
