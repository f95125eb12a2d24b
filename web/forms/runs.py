"""The forms of runs. They only carry what was typed; the domain judges it."""

from __future__ import annotations

from wtforms import HiddenField, RadioField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from web.forms.base import PageForm


class CancelForm(PageForm):
    reason = StringField("Reason")


class RerunForm(PageForm):
    """`version`: `same`, that of the run, or `published`."""

    request_key = HiddenField()
    version = RadioField("Version", default="same", validate_choice=False)
    payload = TextAreaField("Payload", [InputRequired()])

    def offer_versions(self, same: int, published: int | None) -> None:
        """Only the version of the run when it is still the published one."""
        choices = [SelectChoice("same", f"Version {same}, as it ran")]
        if published is not None and published != same:
            choices.append(SelectChoice("published", f"Version {published}, the published one"))
        self.version.choices = choices
        if self.version.data not in [choice.value for choice in choices]:
            self.version.data = "same"
