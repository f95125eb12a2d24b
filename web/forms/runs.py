"""The forms of runs. They only carry what was typed; the domain judges it."""

from __future__ import annotations

from wtforms import HiddenField, RadioField, StringField
from wtforms.fields.choices import SelectChoice

from domain.kernel.errors import Refused
from web.forms.base import PageForm

SAME, PUBLISHED = "same", "published"


class CancelForm(PageForm):
    reason = StringField("Reason")


class RerunForm(PageForm):
    """`version`: the run's own or the published one. The payload is in its editor."""

    request_key = HiddenField()
    version = RadioField("Version", default=SAME, validate_choice=False)

    def offer_versions(self, same: int, published: int | None) -> None:
        """Only the version of the run when it is still the published one."""
        choices = [SelectChoice(SAME, f"Version {same}, as it ran")]
        if published is not None and published != same:
            choices.append(SelectChoice(PUBLISHED, f"Version {published}, the published one"))
        self.version.choices = choices

    @property
    def use_published(self) -> bool:
        """Which of the offered versions was chosen; raises Refused at its field when it is none of them."""
        if self.version.data not in [choice.value for choice in self.version.choices]:
            raise Refused.at("version", "Choose one of these versions.", "CHOICE_INVALID")
        return bool(self.version.data == PUBLISHED)
