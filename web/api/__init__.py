"""The REST API: JSON for programs that carry a bearer token. Described in docs/api.md."""

from flask import Blueprint

blueprint = Blueprint("api", __name__, url_prefix="/api")

from web.api import (  # noqa: E402  their views belong to the blueprint
    audit,  # noqa: F401
    bundles,  # noqa: F401
    definition_commands,  # noqa: F401
    definitions,  # noqa: F401
    events,  # noqa: F401
    extension_schedules,  # noqa: F401
    extensions,  # noqa: F401
    installs,  # noqa: F401
    ledger,  # noqa: F401
    outlook,  # noqa: F401
    payload_schemas,  # noqa: F401
    runs,  # noqa: F401
    schedules,  # noqa: F401
    tasks,  # noqa: F401
    upgrading,  # noqa: F401
)
from web.api.openapi import pages  # noqa: E402,F401
