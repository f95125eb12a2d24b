"""Settings: the tenant, its members, API tokens, and one's own password."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("settings", __name__, url_prefix="/settings")
