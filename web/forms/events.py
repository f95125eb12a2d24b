"""The forms of events and their catalogue. They only carry what was typed; the domain judges it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wtforms import HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from domain.kernel.errors import Problem
from web.forms.base import PageForm

REQUIRED = [InputRequired()]


class SendForm(PageForm):
    request_key = HiddenField(id="event-request-key")
    name = SelectField("Event", REQUIRED, validate_choice=False, id="event-name")
    correlation_key = StringField("Correlation key", id="event-correlation")

    def offer_events(self, names: Sequence[str]) -> None:
        """The choices of `name`; one that was typed and is gone stays visible."""
        self.name.choices = _choices(names, self.name.data)

    def attach(self, problems: Iterable[Problem]) -> None:
        """Problems of the domain at the fields of the form."""
        named = {"correlationKey": "correlation_key"}
        super().attach(Problem(named.get(p.path, p.path), p.message, p.code) for p in problems)


class EventTypeForm(PageForm):
    name = StringField("Name", REQUIRED, id="event-type-name")
    description = TextAreaField("Description", id="event-type-description")
    payload_schema_ref = SelectField("Payload schema", REQUIRED, validate_choice=False, id="event-type-schema")

    def offer_schemas(self, refs: Sequence[str]) -> None:
        """The choices of `payload_schema_ref`; one that was typed and is gone stays visible."""
        self.payload_schema_ref.choices = _choices(refs, self.payload_schema_ref.data)


def _choices(known: Sequence[str], chosen: str | None) -> list[SelectChoice]:
    shown = known if not chosen or chosen in known else [*known, chosen]
    return [SelectChoice(value, value) for value in shown]
