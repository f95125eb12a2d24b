"""What the pages that take files in and give them out share: the download, the upload, the plan, and what was done."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

from flask import Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.request_keys import answer_request, claim_request
from domain.bundles.reading import (
    INVALID_BUNDLE,
    MAX_BYTES,
    UNSUPPORTED_FORMAT,
    UNSUPPORTED_FORMAT_VERSION,
    BundleRefused,
)
from domain.bundles.schedule_schema import FORMAT as SCHEDULE_FORMAT
from domain.bundles.schema import FORMAT as WORKFLOW_FORMAT
from domain.kernel.collecting import seldom_collecting
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, Problem, Refused
from domain.kernel.ids import new_id, parse_id
from web.access import actor, is_fragment
from web.asked import content_key
from web.progress import Progress, told

# The text of a file comes back with the confirmation, beside the few fields of its form.
FORM_MAX_BYTES = MAX_BYTES + 100_000
PROBLEMS_SHOWN = 50
LINES_SHOWN = 500
NOUNS = {WORKFLOW_FORMAT: "workflow", SCHEDULE_FORMAT: "schedule"}
# Of what is wrong about the file as a whole the place says nothing.
WHOLE_FILE = (INVALID_BUNDLE, UNSUPPORTED_FORMAT, UNSUPPORTED_FORMAT_VERSION)
CHOOSE = "Choose a {} as it was exported."
_LINE_ENDS = re.compile(r"[\r\n]+")

View = TypeVar("View", bound=Callable[..., Any])
Bundle = TypeVar("Bundle")


@dataclass(frozen=True)
class Line:
    """What becomes of one entry of a file. `action`: a word of `filters.IMPORT_LABELS`. `about`: what is shown beside it.

    `facts`: what else happens. `notes`: what deserves a look. `problems`: what keeps the file from being imported.
    """

    key: str
    name: str
    action: str
    about: str = ""
    href: str | None = None
    facts: Sequence[str] = ()
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

    @cached_property
    def in_order(self) -> list[Line]:
        return sorted(self.lines, key=lambda line: line.rank)

    @property
    def listed(self) -> list[Line]:
        """What needs a person first, and no more than a page holds."""
        return self.in_order[:LINES_SHOWN]

    @property
    def rest(self) -> Outcome:
        """What is counted, and not shown one by one."""
        return Outcome(self.in_order[LINES_SHOWN:])

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


@dataclass(frozen=True)
class Imports(Generic[Bundle]):
    """How files of one kind are taken in. `read` makes a bundle of the text; `plan` says what it would do, with the options
    that make a difference and whether each is chosen; `do` does it, if it is what the plan with `fingerprint` said.

    The last two tell how far they are. All of them raise Refused; `do` raises Conflict when it would be something else by now.
    """

    page: Page
    read: Callable[[bytes], Bundle]
    plan: Callable[[Bundle, Progress], tuple[Outcome, Sequence[tuple[Option, bool]]]]
    do: Callable[[Bundle, str, Progress], Sequence[Line]]

    def preview(self) -> ResponseReturnValue:
        """What the file that was sent would do. Looking changes nothing, so it is never turned down for want of a place."""
        try:
            text = sent_bundle()
        except Refused as refused:
            return refused_page(self.page, refused)
        return told(lambda progress: self._looked_at(text, progress), or_untold=True)

    def start(self) -> ResponseReturnValue:
        """What the plan said; when it would be another by now, that one is shown instead."""
        try:
            text = sent_bundle()
            bundle = self.read(text)
        except Refused as refused:
            return refused_page(self.page, refused)
        return told(lambda progress: self._done(bundle, text, progress))

    @seldom_collecting()
    def _looked_at(self, text: bytes, progress: Progress) -> ResponseReturnValue:
        try:
            return self._planned(self.read(text), text, progress)
        except Refused as refused:
            return refused_page(self.page, refused)

    @seldom_collecting()
    def _done(self, bundle: Bundle, text: bytes, progress: Progress) -> ResponseReturnValue:
        fingerprint = request.form.get("fingerprint", "")
        try:
            try:
                lines = import_once(lambda: self.do(bundle, fingerprint, progress))
            except Conflict as changed:
                return self._planned(bundle, text, progress, 409, changed.message)
        except Refused as refused:
            return refused_page(self.page, refused)
        return import_page(self.page, done=Outcome(lines))

    def _planned(
        self, bundle: Bundle, text: bytes, progress: Progress, status: int = 200, said: str = ""
    ) -> ResponseReturnValue:
        """In a form that imports it. Outside of strings JSON needs no ends of lines, and inside of them it has none: a
        browser would send two characters for each."""
        plan, options = self.plan(bundle, progress)
        held = _LINE_ENDS.sub(" ", text.decode("utf-8-sig"))
        shown = {"plan": plan, "options": options, "said": said, "text": held, "request_key": new_id()}
        return import_page(self.page, status, **shown)


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
    if file is None or not file.filename:
        text = request.form.get("bundle", "")
        if not text.strip():
            raise Refused.at("file", "Choose a file first.", "NOTHING_CHOSEN")
        return text.encode()
    content: bytes = file.read()
    if not content.strip():
        raise Refused.at("file", "This file is empty. Export it again, or choose another one.", "FILE_EMPTY")
    return content


def import_page(page: Page, status: int = 200, **shown: Any) -> ResponseReturnValue:
    """The page as far as one has come: choosing, the plan, or what was done."""
    template = "bundles/_import.html" if is_fragment() else "bundles/import.html"
    values = {"plan": None, "done": None, "refused": (), "elsewhere": None, "options": (), "said": ""} | shown
    return render_template(template, page=page, at=page.addresses, most=MAX_BYTES, **values), status


def refused_page(page: Page, refused: Refused) -> ResponseReturnValue:
    """Choosing again, with what is wrong about the file. One that belongs on another page is led there."""
    other = refused.details.get("receivedFormat") if isinstance(refused, BundleRefused) else None
    noun = NOUNS.get(other) if isinstance(other, str) else None
    return import_page(page, 422, refused=_refusals(page, refused, noun), elsewhere=noun)


def import_once(work: Callable[[], Sequence[Line]]) -> list[Line]:
    """What an import did, in a transaction of its own. Sent again as it was, it is told again, and nothing is done."""
    key = f"bundle.import {content_key()}"
    with transaction():
        earlier = claim_request(actor().tenant_id, key, "bundle.imported")
        if earlier:
            return [Line(**line) for line in earlier.answer or ()]
        lines = list(work())
        answer_request(actor().tenant_id, key, [asdict(line) for line in lines])
    return lines


def _refusals(page: Page, refused: Refused, belongs: str | None) -> list[str]:
    """What is wrong with a file, each with its place; the message alone when no place is known."""
    if isinstance(refused, BundleRefused) and refused.code in WHOLE_FILE:
        if belongs:
            return [f"This file holds {belongs}s, not {page.noun}s."]
        return [
            f"{refused.message} {CHOOSE.format(page.file_name)}" if refused.code == INVALID_BUNDLE else refused.message
        ]
    problems = refused.problems or (Problem("", refused.message),)
    said = [f"{one.path}: {one.message}" if one.path.startswith("/") else one.message for one in problems]
    more = len(said) - PROBLEMS_SHOWN
    if isinstance(refused, BundleRefused) and len(said) > 1 and problems[0].message not in refused.message:
        said.insert(0, refused.message)
    return said[: PROBLEMS_SHOWN + 1] + ([f"and {more:,} more"] if more > 1 else [])
