"""Work that tells how far it has come: it ends as it would without, holds nothing afterwards, and is not without limit."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response
from sqlalchemy import select

from domain.kernel.db import db
from domain.kernel.errors import Conflict, Throttled
from web import progress
from web.progress import AT_ONCE, STREAM, Progress, told

LIMIT = 20
ASKING = {"Accept": STREAM, "HX-Request": "true"}


def streamed(app: Flask, work: Callable[[Progress], Any]) -> Response:
    with app.test_request_context("/workflows/import", method="POST", headers=ASKING) as context:
        context.request.environ["carillon.request_id"] = "number-7"
        answer = told(work)
    assert isinstance(answer, Response)
    return answer


def read(answer: Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.get_data(as_text=True).splitlines() if line]


def counting(progress: Progress) -> str:
    db.session.execute(select(1))
    for at in (1, 2):
        progress(at, 2)
    return "done"


def joined() -> None:
    for thread in threading.enumerate():
        if thread.name == "import":
            thread.join(LIMIT)
            assert not thread.is_alive()


@pytest.fixture
def pool(app: Flask) -> Iterator[Any]:
    with app.app_context():
        found: Any = db.engine.pool
    before = found.checkedout()
    yield found
    joined()
    assert found.checkedout() == before


def test_steps_are_told_and_then_the_answer(app: Flask, pool: Any) -> None:
    steps = [{"done": 1, "total": 2}, {"done": 2, "total": 2}]
    assert read(streamed(app, counting)) == [*steps, {"status": 200, "html": "done"}]


def test_who_asks_for_no_stream_gets_the_answer_alone(app: Flask) -> None:
    with app.test_request_context("/workflows/import", method="POST"):
        assert told(counting) == "done"


def test_an_error_is_answered_in_words_and_logged_with_the_number_of_the_request(
    app: Flask, pool: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_progress: Progress) -> str:
        counting(_progress)
        raise ZeroDivisionError

    *_, last = read(streamed(app, fails))

    assert last["status"] == 500 and 'role="alert"' in last["html"]
    joined()
    assert capsys.readouterr().out.count("request_id=number-7") == 2


def test_a_refusal_of_the_domain_keeps_its_status(app: Flask, pool: Any) -> None:
    def refuses(_progress: Progress) -> str:
        raise Conflict("Somebody was faster.")

    *_, last = read(streamed(app, refuses))

    assert last["status"] == 409 and "Somebody was faster." in last["html"]


def test_when_nobody_reads_any_more_the_work_is_done_and_its_connection_goes_back(app: Flask, pool: Any) -> None:
    is_gone, ended = threading.Event(), []

    def goes_on(progress: Progress) -> str:
        counting(progress)
        assert is_gone.wait(LIMIT)
        db.session.execute(select(1))
        ended.append(True)
        return "done"

    answer = streamed(app, goes_on)
    assert next(iter(answer.response))
    answer.close()
    is_gone.set()
    joined()

    assert ended


def test_work_that_is_silent_sends_empty_lines(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0.01)
    may_end = threading.Event()

    def is_silent(_progress: Progress) -> str:
        assert may_end.wait(LIMIT)
        return "done"

    lines = iter(streamed(app, is_silent).response)
    assert [next(lines), next(lines), next(lines)] == ["\n", "\n", "\n"]
    may_end.set()
    assert any("done" in str(line) for line in lines)


def test_there_are_only_so_many_at_once(app: Flask, pool: Any) -> None:
    may_end = threading.Event()

    def waits(_progress: Progress) -> str:
        assert may_end.wait(LIMIT)
        return "done"

    going = [streamed(app, waits) for _ in range(AT_ONCE)]
    try:
        with pytest.raises(Throttled, match="Wait a minute"):
            streamed(app, waits)
        with app.test_request_context("/workflows/import/plan", method="POST", headers=ASKING):
            assert told(counting, or_untold=True) == "done"
    finally:
        may_end.set()
    assert [read(answer)[-1]["html"] for answer in going] == ["done"] * AT_ONCE
    assert read(streamed(app, counting))[-1]["html"] == "done"
