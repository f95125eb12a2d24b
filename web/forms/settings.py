"""The forms of the settings. They only carry what was typed; the domain judges it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from wtforms import (
    DateField,
    EmailField,
    HiddenField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired
from wtforms.widgets import CheckboxInput, ListWidget

from domain.accounts.permissions import ROLES, Access
from domain.accounts.tenants import TenantFacts
from domain.kernel.errors import Refused
from domain.timing.zones import zone
from web.forms.base import PageForm

REQUIRED = [InputRequired()]
LAST_YEAR = 9990
SCOPE_SENTENCES = {
    "workflow:read": "See schedules, workflows, runs and payload schemas.",
    "workflow:manage": "Create, edit, pause and run schedules; cancel runs.",
    "workflow:publish": "Edit and publish workflows and payload schemas.",
    "workflow:admin": "Manage the tenant and its members.",
    "extension:read": "See extensions and their endpoints.",
    "extension:write": "Install and change extensions.",
}
ROLE_CHOICES = [SelectChoice(role, role.capitalize()) for role in ROLES]


class TenantForm(PageForm):
    name = StringField("Name", REQUIRED)
    timezone = StringField("Time zone", REQUIRED)
    retention_days = StringField("Keep finished runs and events for, in days")


class MemberForm(PageForm):
    request_key = HiddenField()
    email = EmailField("E-mail address", REQUIRED)
    name = StringField("Name")
    role = SelectField("Role", choices=ROLE_CHOICES, validate_choice=False)
    password = PasswordField("First password")


class RoleForm(PageForm):
    role = SelectField("Role", choices=ROLE_CHOICES, validate_choice=False)


class TokenForm(PageForm):
    request_key = HiddenField()
    name = StringField("Name", REQUIRED)
    scopes = SelectMultipleField(
        "It may, as long as your role allows it",
        validate_choice=False,
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    expires_on = DateField("Expires after")

    def offer_scopes(self, access: Access) -> None:
        self.scopes.choices = [SelectChoice(permission, permission) for permission in sorted(access.permissions)]

    def expires_at(self, tenant: TenantFacts) -> datetime | None:
        """The end of the chosen day where the tenant is; None for no end. Raises Refused for what is not a day."""
        if not (self.expires_on.raw_data and self.expires_on.raw_data[0].strip()):
            return None
        self.expires_on.validate(self)
        if self.expires_on.data is None or not 1970 <= self.expires_on.data.year <= LAST_YEAR:
            raise Refused.at("expires_on", "Enter a day such as 2030-01-31, or leave it empty.", "DATE_INVALID")
        midnight = datetime.combine(self.expires_on.data + timedelta(days=1), time(), zone(tenant.timezone))
        return midnight.astimezone(UTC)


class PasswordForm(PageForm):
    current = PasswordField("Your password now", REQUIRED)
    new = PasswordField("New password", REQUIRED)
    again = PasswordField("New password again", REQUIRED)
