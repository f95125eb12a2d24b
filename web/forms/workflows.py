"""The forms of workflows and payload schemas. They only carry what was typed; the domain judges it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired

from domain.kernel import strict_json
from domain.kernel.errors import Problem
from web.forms.base import PageForm
from web.forms.drafts import DraftForm
from web.forms.payloads import PayloadEditor

REQUIRED = [InputRequired()]


class NewWorkflowForm(PageForm):
    name = StringField("Name", REQUIRED)
    key = StringField("Key")
    description = TextAreaField("Description")


class PublishForm(PageForm):
    revision = HiddenField()

    seen_revision = DraftForm.seen_revision


class RestoreForm(PublishForm):
    """Restoring replaces the draft that was seen, as publishing publishes it."""


class RunForm(PageForm):
    request_key = HiddenField()
    editor: PayloadEditor | None = None  # of the payload; set by the view, which knows the schema

    def attach(self, problems: Iterable[Problem]) -> None:
        """Problems of the domain: those inside the payload go to its editor."""
        super().attach(self.editor.attach(problems) if self.editor else problems)


class ReasonForm(PageForm):
    reason = StringField("Reason")


class SchemaForm(PageForm):
    ref = StringField("Ref", REQUIRED)
    schema = TextAreaField("JSON Schema", REQUIRED)


def typed_json(text: str | None, path: str) -> Any:
    """The JSON value in a field; raises Refused at `path`."""
    return strict_json.loads(text or "", path=path)
