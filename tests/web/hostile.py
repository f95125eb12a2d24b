"""What an attacker would type, the parameters that each address reads, and forms that would be accepted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from werkzeug.datastructures import ImmutableMultiDict

from tests.factories import PASSWORD

MARKUP = "\"'><img src=x onerror=alert(1)></script>{{7*7}}"
UNSTORABLE = ["a\x00b"]
ODD = ["a\x00b", "%\\_", "-1", "9" * 30, "0" * 12 + "99999999999", "9999-12-31T23:59:59Z|x", MARKUP]
RUBBISH = ["a\x00b", "0" * 12 + "99999999999", "a\r\nX-Evil: 1", "\u202eevil", "x" * 5_000, MARKUP]


class Recorder:
    """`names`: what views asked of a query or a form."""

    def __init__(self) -> None:
        self.names: set[str] = set()


@contextmanager
def recorded(app: Flask, patch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """While open, every name that a view asks for in a query or a form is kept."""
    recorder = Recorder()

    class Asked(ImmutableMultiDict[str, Any]):
        def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
            recorder.names.add(key)
            return super().get(key, *args, **kwargs)

        def getlist(self, key: str, *args: Any, **kwargs: Any) -> Any:
            recorder.names.add(key)
            return super().getlist(key, *args, **kwargs)

        def __contains__(self, key: object) -> bool:
            recorder.names.add(str(key))
            return super().__contains__(key)

        def __getitem__(self, key: str) -> Any:
            recorder.names.add(key)
            return super().__getitem__(key)

    kind = type("RecordingRequest", (app.request_class,), {"parameter_storage_class": Asked})
    with patch.context() as during:
        during.setattr(app, "request_class", kind)
        yield recorder


def good_forms(workflow: str) -> dict[str, dict[str, str]]:
    """By endpoint: every field of its form with a value that is accepted. Addresses without fields are not named."""
    schedule = {
        "workflow": workflow,
        "name": "Nightly",
        "trigger_type": "recurring",
        "cron": "0 3 * * *",
        "timezone": "UTC",
        "payload": "{}",
        "overlap": "queue",
        "catch_up": "latest",
        "dst_gap": "after",
        "dst_repeat": "first",
        "starts_at": "",
        "ends_at": "",
        "max_lateness_seconds": "60",
        "spread_seconds": "0",
        "run_at": "",
        "enabled": "y",
        "payload_start": "",
        "revision": "1",
        "place": "",
    }
    password = {"current": PASSWORD, "new": "a wholly other pass phrase", "again": "a wholly other pass phrase"}
    draft = {"revision": "1", "name": "Sync", "key": "sync", "description": "Daily.", "concurrency_limit": "1"}
    draft |= {"schema_ref": "payload.Empty.v1", "schema_mode": "pinned", "definition": '{"steps": []}'}
    key = {"request_key": "one click"}
    return {
        "accounts.sign_in": {"email": "nobody@acme.test", "password": PASSWORD, "next": "/runs"},
        "settings.edit": {"name": "Acme", "timezone": "UTC"},
        "settings.set_password": password,
        "members.add": {"email": "dora@acme.test", "name": "Dora", "role": "viewer", "password": PASSWORD} | key,
        "members.set_role": {"role": "operator"},
        "tokens.create": {"name": "Export", "scopes": "workflow:read", "expires_on": "2099-01-31"} | key,
        "schemas.register": {"ref": "payload.New.v1", "schema": '{"type": "object"}'},
        "schemas.replace": {"schema": '{"type": "object"}', "ref": ""},
        "workflows.create": {"name": "Sync", "key": "sync", "description": "Daily."},
        "workflows.save": draft,
        "workflows.publish": {"revision": "1"},
        "workflows.run": {"payload": "{}"} | key,
        "workflows.pause": {"reason": "Maintenance."},
        "schedules.create": schedule,
        "schedules.save": schedule,
        "schedules.preview": schedule,
        "schedules.when": schedule | {"preset": "0 * * * *"},
        "schedules.payload": schedule,
        "schedules.pause": {"reason": "Maintenance."},
        "schedules.run_now": key,
        "runs.run_again": key,
    }
