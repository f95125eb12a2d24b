"""What the pages that take files in and give them out share: the download, the upload, the plan, and how far it has come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar
from uuid import UUID

from flask import (
    Response,
    copy_current_request_context,
    current_app,
    g,
    make_response,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import InternalServerError

from domain.bundles.reading import MAX_BYTES, BundleRefused
from domain.kernel.errors import Problem, Refused
from domain.kernel.ids import parse_id
from domain.kernel.log import logger
from web.access import LOG_STACK, is_fragment

# The text of a file comes back with the confirmation, beside the few fields of its form.
FORM_MAX_BYTES = MAX_BYTES + 100_000
STREAM = "application/x-ndjson"
PROBLEMS_SHOWN = 50

log = logger(__name__)

Progress = Callable[[int, int], None]
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Line:
    """What becomes of one entry of a file. `action`: a word of `filters.IMPORT_LABELS`. `about`: what is shown beside it."""

    key: str
    name: str
    action: str
    about: str = ""
    href: str | None = None
    notes: Sequence[str] = ()
    problems: Sequence[str] = ()

    @property
    def rank(self) -> int:
        """What needs a person stands first, what changes nothing last."""
        if self.problems or self.action == "conflict":
            return 0
        return 3 if self.action in ("unchanged", "skip") and not self.notes else 1 if self.notes else 2


@dataclass(frozen=True)
class Outcome:
    """What a file would do, or did. `fingerprint`: of the plan, which the confirmation names again."""

    lines: Sequence[Line]
    fingerprint: str = ""

    def count(self, *actions: str) -> int:
        return sum(line.action in actions for line in self.lines)

    @property
    def changes(self) -> int:
        return self.count("create", "replace", "update")

    @property
    def conflicts(self) -> int:
        return self.count("conflict")


@dataclass(frozen=True)
class Option:
    """Something that can be chosen about an import: the name of its field, what it does, and what follows."""

    name: str
    label: str
    hint: str


@dataclass(frozen=True)
class Page:
    """One kind of file: `noun` of what it holds, its usual name, the endpoints of its pages, and what an import does."""

    noun: str
    file_name: str
    endpoint: str
    promise: str
    guide: str

    @property
    def addresses(self) -> dict[str, str]:
        return {
            "list": url_for(f"{self.endpoint}.index"),
            "choose": url_for(f"{self.endpoint}.show_import"),
            "plan": url_for(f"{self.endpoint}.preview_import"),
            "go": url_for(f"{self.endpoint}.start_import"),
        }

    def counted(self, number: int) -> str:
        return f"{number:,} {self.noun}{'' if number == 1 else 's'}"


def takes_files(view: View) -> View:
    """Marks a view to which a whole bundle may be sent."""
    view.body_max_bytes = FORM_MAX_BYTES  # type: ignore[attr-defined]
    return view


def download(content: bytes, name: str) -> Response:
    answer = Response(content, content_type="application/json")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


def asked_ids() -> list[UUID] | None:
    """What the address names as `id`; None when it names nothing. What is no id is nobody's."""
    texts = request.args.getlist("id")
    return [found for text in texts if (found := parse_id(text))] if texts else None


def sent_bundle() -> bytes:
    """The bytes of the file that was chosen, else the text that a plan was made of; raises Refused without either."""
    file = request.files.get("file")
    content = file.read() if file is not None and file.filename else request.form.get("bundle", "").encode()
    if not content.strip():
        raise Refused.at("file", "Choose a file first.", "NOTHING_CHOSEN")
    return content


def import_page(page: Page, status: int = 200, **shown: Any) -> ResponseReturnValue:
    """The page as far as one has come: choosing, the plan, or what was done."""
    template = "bundles/_import.html" if is_fragment() else "bundles/import.html"
    values = {"plan": None, "done": None, "refused": (), "text": "", "options": (), "said": ""} | shown
    return render_template(template, page=page, at=page.addresses, **values), status


def refusals(refused: Refused) -> list[str]:
    """What is wrong with a file, each with its place; the message alone when no place is known."""
    problems = refused.problems or (Problem("", refused.message),)
    said = [f"{one.path}: {one.message}" if one.path.startswith("/") else one.message for one in problems]
    more = len(said) - PROBLEMS_SHOWN
    if isinstance(refused, BundleRefused) and len(said) > 1 and refused.message not in said:
        said.insert(0, refused.message)
    return said[: PROBLEMS_SHOWN + 1] + ([f"and {more:,} more"] if more > 1 else [])


def told(work: Callable[[Progress], ResponseReturnValue]) -> ResponseReturnValue:
    """The answer of `work`. A page that asks for a stream is told meanwhile how far it has come, in lines of JSON:
    `{"done", "total"}` each time, and at the end `{"status", "html"}`."""
    if request.accept_mimetypes.best != STREAM:
        return work(lambda _done, _total: None)
    lines: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    # The log of this request is bound already, and not to be bound by another thread.
    request.environ.pop(LOG_STACK, None)
    Thread(target=_in_thread(work, lines), name="import", daemon=True).start()
    return Response(_texts(lines), content_type=STREAM, headers={"X-Accel-Buffering": "no"})


def _in_thread(
    work: Callable[[Progress], ResponseReturnValue], lines: SimpleQueue[dict[str, Any] | None]
) -> Callable[[], None]:
    """`work` with the context of this request, and with a session of its own."""
    rendered_at = g.get("rendered_at")

    @copy_current_request_context
    def run() -> None:
        try:
            if rendered_at:
                g.rendered_at = rendered_at
            answer = _answered(lambda: work(lambda done, total: lines.put({"done": done, "total": total})))
            lines.put({"status": answer.status_code, "html": answer.get_data(as_text=True)})
        finally:
            lines.put(None)

    return run


def _answered(work: Callable[[], ResponseReturnValue]) -> Response:
    try:
        return make_response(work())
    except Exception as error:
        try:
            return make_response(current_app.handle_user_exception(error))
        except Exception:
            log.exception("An import ended with an error.")
            return make_response(current_app.handle_user_exception(InternalServerError(original_exception=error)))


def _texts(lines: SimpleQueue[dict[str, Any] | None]) -> Iterator[str]:
    while (line := lines.get()) is not None:
        yield json.dumps(line) + "\n"
