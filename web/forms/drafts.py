"""The form of a workflow's draft: its settings, its trigger and its definition. The domain judges what was typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wtforms import BooleanField, Field, HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from domain.expressions.mappings import EXPR
from domain.kernel.errors import Problem, Refused
from domain.workflows.draft_fields import INFERRED, PINNED, DraftFields, fields_of
from domain.workflows.triggers import EVENT
from domain.workflows.workflows import Workflow
from web.forms.base import PageForm
from web.forms.mappings import FIELDS, JSON, is_in_fields, mapping_in, mapping_of, mapping_text

__all__ = ["EVENT", "INFERRED", "NO_TRIGGER", "PINNED", "DraftForm", "draft_form", "typed_draft"]

NO_TRIGGER = "none"
TRIGGERS = [SelectChoice(NO_TRIGGER, "No trigger"), SelectChoice(EVENT, "Event")]
MODES = [SelectChoice(PINNED, "Pinned"), SelectChoice(INFERRED, "Inferred")]
MAPPING_MODES = [SelectChoice(FIELDS, "Fields"), SelectChoice(JSON, "JSON")]
REQUIRED = [InputRequired()]
LONGEST_NUMBER = 6

Json = dict[str, Any]


class TextsField(Field):  # type: ignore[misc]
    """All texts that the form sends under one name, in their order."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = list(valuelist)


class DraftForm(PageForm):
    """Its ids are its own: the drawer may open the form of a schedule, which has a name too, on the same page."""

    revision = HiddenField(id="draft-revision")
    name = StringField("Name", REQUIRED, id="draft-name")
    key = StringField("Key", REQUIRED, id="draft-key")
    description = TextAreaField("Description", id="draft-description")
    trigger_type = RadioField(
        "Trigger", choices=TRIGGERS, default=NO_TRIGGER, validate_choice=False, id="draft-trigger"
    )
    event_name = StringField("Event", REQUIRED, id="draft-event")
    source_schema_ref = SelectField("Schema of the event", validate_choice=False, id="draft-source-schema")
    mapping_mode = RadioField(
        "Mapping", choices=MAPPING_MODES, default=FIELDS, validate_choice=False, id="mapping-mode"
    )
    mapping_shown = HiddenField(default=FIELDS, id="mapping-shown")
    mapping_target = TextsField()
    mapping_expression = TextsField()
    mapping = TextAreaField("Payload from the event", id="draft-mapping")
    schema_mode = RadioField(
        "Payload schema", choices=MODES, default=PINNED, validate_choice=False, id="draft-schema-mode"
    )
    schema_ref = SelectField("Pinned to", validate_choice=False, id="draft-schema-ref")
    concurrency_limit = StringField("Runs at the same time", id="draft-limit")
    auto_pause_on_failure = BooleanField("Pause when too many runs fail", id="draft-auto-pause")
    failure_rate_threshold = StringField("Share of failed runs, in %", id="draft-threshold")
    failure_rate_min_runs = StringField("Of how many runs", id="draft-min-runs")
    retention_days = StringField("Keep runs for, in days", id="draft-retention")
    definition = TextAreaField("Definition", REQUIRED, id="draft-definition")

    def offer_schemas(self, refs: list[str]) -> None:
        """The choices of both schema fields; one that was typed and is gone stays visible."""
        for field, none in ((self.schema_ref, "Choose one"), (self.source_schema_ref, "As the catalogue says")):
            chosen = field.data
            known = refs if not chosen or chosen in refs else [*refs, chosen]
            field.choices = [SelectChoice("", none), *(SelectChoice(ref, ref) for ref in known)]

    @property
    def seen_revision(self) -> int:
        """The revision that was opened; 0, which never exists, when the field was tampered with."""
        text = self.revision.data or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0

    @property
    def is_on_event(self) -> bool:
        return bool(self.trigger_type.data == EVENT)

    def show_mapping(self) -> None:
        """Have the mode that was chosen shown, with what was typed in the other one, as far as it can show it."""
        if self.mapping_mode.data == self.mapping_shown.data:
            return
        mapping = self.typed_mapping
        if self.mapping_mode.data == JSON:
            self.mapping.data = mapping_text(mapping)
        elif is_in_fields(mapping):
            self.mapping_target.data = list(mapping)
            self.mapping_expression.data = [value[EXPR] for value in mapping.values()]
        else:
            message = "Not every value is an expression. Such a mapping is edited as JSON."
            raise Refused.at("mapping", message, "MAPPING_IN_JSON")
        self.mapping_shown.data = self.mapping_mode.data

    @property
    def typed_mapping(self) -> Json:
        """The mapping, from the controls that were on the page; raises Refused at `mapping`."""
        if self.mapping_shown.data == JSON:
            return mapping_in(self.mapping.data or "")
        return mapping_of(self.mapping_pairs)

    @property
    def mapping_pairs(self) -> list[tuple[str, str]]:
        """The rows as they are typed: target and expression."""
        return list(zip(self.mapping_target.data or [], self.mapping_expression.data or [], strict=False))

    @property
    def trigger(self) -> Json | None:
        """The trigger as it is stored, None for no trigger; raises Refused at `trigger_type` or `mapping`."""
        if self.trigger_type.data == NO_TRIGGER:
            return None
        if not self.is_on_event:
            raise Refused.at("trigger_type", "Choose no trigger or an event.", "TRIGGER_INVALID")
        trigger: Json = {"type": EVENT, "eventName": (self.event_name.data or "").strip()}
        if self.source_schema_ref.data:
            trigger["sourcePayloadSchemaRef"] = self.source_schema_ref.data
        if mapping := self.typed_mapping:
            trigger["payloadMapping"] = mapping
        return trigger

    def fields(self) -> DraftFields:
        """What was typed, for the domain. Raises Refused at each field that cannot even be read."""
        read = _Reading()
        days = read.whole(
            self.retention_days, "retention_days", "leave it empty to keep them as long as the tenant does"
        )
        fields = DraftFields(
            name=self.name.data or "",
            key=self.key.data or "",
            definition_text=self.definition.data or "",
            description=self.description.data or "",
            trigger=read.take(lambda: self.trigger),
            schema_mode=self.schema_mode.data or "",
            schema_ref=self.schema_ref.data or None,
            concurrency_limit=read.whole(self.concurrency_limit, "concurrency_limit", "leave it empty for no limit"),
            auto_pause_on_failure=bool(self.auto_pause_on_failure.data),
            failure_rate_threshold=read.take(lambda: _fraction(self.failure_rate_threshold.data)),
            failure_rate_min_runs=read.whole(self.failure_rate_min_runs, "failure_rate_min_runs", "leave it empty"),
            retention_policy_override=None if days is None else {"days": days},
        )
        if read.problems:
            raise Refused(read.problems)
        return fields

    def has_errors_in(self, names: list[str]) -> bool:
        return any(self[name].errors for name in names)


class _Reading:
    """Collects what cannot be read, so that all of it is told at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def take(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Refused as refusal:
            self.problems += refusal.problems
            return None

    def whole(self, field: Field, name: str, otherwise: str) -> int | None:
        """A whole number, None when empty."""
        text = (field.data or "").strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
            message = f"Enter a whole number from 1, or {otherwise}."
            self.problems.append(Problem(name, message, "NUMBER_INVALID"))
            return None
        return int(text)


def _fraction(typed: str | None) -> float | None:
    """A percentage as a fraction, None when empty."""
    text = (typed or "").strip().removesuffix("%").strip().replace(",", ".")
    if not text:
        return None
    whole, _, part = text.partition(".")
    digits = whole + part
    if not (digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_NUMBER):
        raise Refused.at("failure_rate_threshold", "Enter a percentage above 0, up to 100.", "THRESHOLD_INVALID")
    return float(f"{whole or 0}.{part or 0}") / 100


def draft_form(workflow: Workflow) -> DraftForm:
    """The form of a draft as it is stored."""
    return DraftForm(data=typed_draft(workflow))


def typed_draft(workflow: Workflow) -> Json:
    """A stored draft as someone would have typed it, by name of the field."""
    stored = fields_of(workflow)
    return {
        "revision": str(workflow.revision),
        "name": stored.name,
        "key": stored.key,
        "description": stored.description,
        "schema_mode": stored.schema_mode,
        "schema_ref": stored.schema_ref or "",
        "concurrency_limit": _number(stored.concurrency_limit),
        "auto_pause_on_failure": stored.auto_pause_on_failure,
        "failure_rate_threshold": _percent(stored.failure_rate_threshold),
        "failure_rate_min_runs": _number(stored.failure_rate_min_runs),
        "retention_days": _number((stored.retention_policy_override or {}).get("days")),
        "definition": stored.definition_text,
    } | typed_trigger(stored.trigger)


def typed_trigger(trigger: Json | None) -> Json:
    """The fields of a trigger as it is stored."""
    if not trigger:
        return {"trigger_type": NO_TRIGGER, "mapping_mode": FIELDS, "mapping_shown": FIELDS}
    mapping = trigger.get("payloadMapping") or {}
    mode = FIELDS if is_in_fields(mapping) else JSON
    return {
        "trigger_type": EVENT,
        "event_name": trigger.get("eventName", ""),
        "source_schema_ref": trigger.get("sourcePayloadSchemaRef") or "",
        "mapping": mapping_text(mapping),
        "mapping_target": list(mapping) if mode == FIELDS else [],
        "mapping_expression": [value[EXPR] for value in mapping.values()] if mode == FIELDS else [],
        "mapping_mode": mode,
        "mapping_shown": mode,
    }


def percent_text(fraction: float) -> str:
    """A fraction as a percentage without its sign, such as `12.5`."""
    return f"{round(fraction * 100, 4):g}"


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else percent_text(fraction)
