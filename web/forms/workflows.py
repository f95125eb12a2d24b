"""The forms of workflows and payload schemas. They only carry what was typed; the domain judges it."""

from __future__ import annotations

from typing import Any

from wtforms import HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from domain.kernel import strict_json
from domain.kernel.errors import Refused
from domain.workflows.definitions import readable
from domain.workflows.workflows import Workflow
from web.forms.base import PageForm

MODES = [SelectChoice("pinned", "Pinned"), SelectChoice("inferred", "Inferred")]
REQUIRED = [InputRequired()]


class NewWorkflowForm(PageForm):
    name = StringField("Name", REQUIRED)
    key = StringField("Key")
    description = TextAreaField("Description")


class DraftForm(PageForm):
    """Its ids are its own: the drawer may open the form of a schedule, which has a name too, on the same page."""

    revision = HiddenField(id="draft-revision")
    name = StringField("Name", REQUIRED, id="draft-name")
    key = StringField("Key", REQUIRED, id="draft-key")
    description = TextAreaField("Description", id="draft-description")
    concurrency_limit = StringField("Runs at the same time", id="draft-limit")
    schema_ref = SelectField("Payload schema", validate_choice=False, id="draft-schema-ref")
    schema_mode = SelectField("Schema mode", choices=MODES, validate_choice=False, id="draft-schema-mode")
    definition = TextAreaField("Definition", REQUIRED, id="draft-definition")

    def offer_schemas(self, refs: list[str]) -> None:
        """The choices of `schema_ref`; one that was typed and is gone stays visible."""
        chosen = self.schema_ref.data
        known = refs if not chosen or chosen in refs else [*refs, chosen]
        self.schema_ref.choices = [SelectChoice(ref, ref) for ref in known]

    @property
    def limit(self) -> int | None:
        """The limit as a number, None when empty; raises Refused at its field."""
        text = (self.concurrency_limit.data or "").strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 6):
            message = "Enter a whole number from 1, or leave it empty for no limit."
            raise Refused.at("concurrency_limit", message, "LIMIT_INVALID")
        return int(text)

    @property
    def seen_revision(self) -> int:
        """The revision that was opened; 0, which never exists, when the field was tampered with."""
        text = self.revision.data or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0


class PublishForm(PageForm):
    revision = HiddenField()

    seen_revision = DraftForm.seen_revision


class RunForm(PageForm):
    request_key = HiddenField()
    payload = TextAreaField("Payload", REQUIRED)


class ReasonForm(PageForm):
    reason = StringField("Reason")


class SchemaForm(PageForm):
    ref = StringField("Ref", REQUIRED)
    schema = TextAreaField("JSON Schema", REQUIRED)


def draft_form(workflow: Workflow) -> DraftForm:
    """The form of a draft as it is stored."""
    limit = workflow.concurrency_limit
    return DraftForm(
        data={
            "revision": workflow.revision,
            "name": workflow.name,
            "key": workflow.key,
            "description": workflow.description,
            "concurrency_limit": "" if limit is None else str(limit),
            "schema_ref": workflow.draft_schema_ref or "",
            "schema_mode": workflow.draft_schema_mode,
            "definition": strict_json.pretty(readable(workflow.draft_definition)),
        }
    )


def typed_json(text: str | None, path: str) -> Any:
    """The JSON value in a field; raises Refused at `path`."""
    return strict_json.loads(text or "", path=path)
