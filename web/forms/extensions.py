"""The forms of extensions and installs. They only carry what was typed; the domain judges it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from werkzeug.datastructures import FileStorage
from wtforms import FileField, HiddenField, SelectMultipleField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired
from wtforms.widgets import CheckboxInput, ListWidget

from domain.extensions.capabilities import KNOWN
from domain.kernel.errors import Problem
from web.forms.base import PageForm
from web.forms.secrets import UnshownField
from web.forms.workflows import typed_json

REQUIRED = [InputRequired()]


class ManifestForm(PageForm):
    """A file, or the text of one. What a chosen file held stays in the text, since a browser does not send it twice."""

    file = FileField("Manifest file")
    manifest = TextAreaField("Manifest text")

    def take_file(self, file: FileStorage | None) -> None:
        """The text of a chosen file comes before a typed one."""
        if file is not None and file.filename:
            self.manifest.data = file.read().decode("utf-8-sig", "replace")

    def attach(self, problems: Iterable[Problem]) -> None:
        """What is wrong inside the manifest is said at its text, with the place."""
        for problem in problems:
            inside = problem.path.startswith("/") or not problem.path
            super().attach([Problem("manifest" + problem.path, problem.message)] if inside else [problem])


class GrantForm(PageForm):
    """`offer` names what can be granted; the page shows what each of them means."""

    revision = HiddenField()
    capabilities = SelectMultipleField(
        "It may",
        validate_choice=False,
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )

    def offer(self, capabilities: Iterable[str]) -> None:
        self.capabilities.choices = [SelectChoice(name, KNOWN.get(name, name)) for name in capabilities]


class ConfigForm(PageForm):
    revision = HiddenField()
    config = TextAreaField("Configuration")

    @property
    def typed_config(self) -> Any:
        """Raises Refused at `config`. Nothing typed is an empty configuration."""
        return typed_json(self.config.data, "config") if (self.config.data or "").strip() else {}


class InstallForm(GrantForm, ConfigForm):
    version_id = HiddenField()


class InstallSecretForm(PageForm):
    name = StringField("Name", REQUIRED)
    value = UnshownField("Value", REQUIRED)

    def attach(self, problems: Iterable[Problem]) -> None:
        """As in every form; a value that was typed is gone, and is asked for again."""
        super().attach(problems)
        if self.value.data and not self.value.errors:
            self.value.errors = ["Type the value again: it is not kept while something else is wrong."]
