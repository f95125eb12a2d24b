"""The forms of secrets. What was typed as a value is never written back into a page."""

from __future__ import annotations

from typing import Any

from wtforms import StringField, TextAreaField
from wtforms.validators import InputRequired

from web.forms.base import PageForm

REQUIRED = [InputRequired()]


class UnshownField(TextAreaField):  # type: ignore[misc]
    """A text of one or more lines that is empty whenever it is shown."""

    def _value(self) -> str:
        return ""

    @property
    def typed(self) -> str:
        """What was typed, with the line breaks that were typed; one line loses those around it."""
        text = str(self.data or "").replace("\r\n", "\n")
        line = text.strip("\n")
        return text if "\n" in line else line


class SecretForm(PageForm):
    name = StringField("Name", REQUIRED)
    value = UnshownField("Value", REQUIRED)
    description = StringField("What it is for")

    def attach(self, problems: Any) -> None:
        """As in every form; a value that was typed is gone, and is asked for again."""
        super().attach(problems)
        if self.value.data and not self.value.errors:
            self.value.errors = ["Type the value again: it is not kept while something else is wrong."]


class ValueForm(PageForm):
    value = UnshownField("New value", REQUIRED)


class DescriptionForm(PageForm):
    description = StringField("What it is for")
