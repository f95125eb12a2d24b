"""The REST API: JSON for programs that carry a bearer token. Described in docs/api.md."""

from flask import Blueprint

blueprint = Blueprint("api", __name__, url_prefix="/api")

from web.api import audit, definitions, events, outlook, runs, schedules, tasks  # noqa: E402, F401  their views belong to the blueprint
