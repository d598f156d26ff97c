"""What uvicorn says is news, but for what was meant."""

import asyncio
import logging

import pytest

from mayfly.entrypoints.http.ranges import ResponseCut
from mayfly.entrypoints.http.server import _is_news


@pytest.mark.parametrize(
    ("fault", "news"),
    [(None, True), (RuntimeError(), True), (ResponseCut(), False), (asyncio.CancelledError(), False)],
    ids=repr,
)
def test_a_cut_and_a_cancellation_are_no_news(fault: BaseException | None, news: bool) -> None:
    how = None if fault is None else (type(fault), fault, None)
    assert _is_news(logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "words", (), how)) == news
