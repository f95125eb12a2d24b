"""What an attacker would type, the parameters that each address reads, and forms that would be accepted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from werkzeug.datastructures import ImmutableMultiDict

from tests.domain.bundles.bundle_files import a_file as a_workflow_file
from tests.domain.bundles.schedule_files import a_file as a_schedule_file
from tests.factories import PASSWORD, a_manifest

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


def good_forms(workflow: str, schedule_id: str, extension: str, endpoint: str) -> dict[str, dict[str, str]]:
    """By endpoint: every field of its form with a value that is accepted. Addresses without fields are not named.

    What stands behind a # tells one form of an address from another. `extension` and `endpoint`: ids of what is called.
    """
    schedule = {
        "workflow": workflow,
        "name": "Nightly",
        "trigger_type": "recurring",
        "every": "cron",
        "every_drawn": "weekly",
        "minute": "0",
        "at": "03:00",
        "weekdays": "1",
        "day": "1",
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
        "extension": "",
        "endpoint": "",
        "has_body": "y",
        "max_attempts": "3",
        "like": "",
        "rehearse_for": "",
        "rehearsal_key": "one click",
    }
    call = schedule | {"workflow": "", "name": "Push", "extension": extension, "endpoint": endpoint, "overlap": "skip"}
    pause = {"reason": "Maintenance.", "ends": "open", "until": ""}
    chosen = dict.fromkeys(("all", "q", "status", "target", "trigger", "workflow"), "")
    password = {"current": PASSWORD, "new": "a wholly other pass phrase", "again": "a wholly other pass phrase"}
    draft = {"revision": "1", "name": "Sync", "key": "sync", "description": "Daily.", "concurrency_limit": "1"}
    draft |= {"schema_ref": "payload.Empty.v1", "schema_mode": "pinned", "definition": '{"steps": []}'}
    draft |= {"trigger_type": "event", "event_name": "invoice.paid", "source_schema_ref": "payload.Empty.v1"}
    draft |= {"mapping_mode": "fields", "mapping_shown": "fields", "mapping": "{}"}
    draft |= {"mapping_target": "region", "mapping_expression": "event.payload.region"}
    draft |= {"auto_pause_on_failure": "y", "failure_rate_threshold": "50", "failure_rate_min_runs": "20"}
    draft |= {"retention_days": "30"}
    key = {"request_key": "one click"}
    workflows = {"bundle": a_workflow_file().decode(), "force": "", "cancel_runs": "", "fingerprint": ""}
    schedules = {"bundle": a_schedule_file().decode(), "fingerprint": ""}
    return {
        "accounts.sign_in": {"email": "nobody@acme.test", "password": PASSWORD, "next": "/runs"},
        "settings.edit": {"name": "Acme", "timezone": "UTC", "retention_days": "90"},
        "settings.set_password": password,
        "members.add": {"email": "dora@acme.test", "name": "Dora", "role": "viewer", "password": PASSWORD} | key,
        "members.set_role": {"role": "operator"},
        "tokens.create": {"name": "Export", "scopes": "workflow:read", "expires_on": "2099-01-31"} | key,
        "secrets.create": {"name": "API_KEY", "value": "purple-tortoise", "description": "Of the CRM."},
        "secrets.replace": {"value": "purple-tortoise"},
        "secrets.describe": {"description": "Of the CRM."},
        "extensions.publish": {"manifest": json.dumps(a_manifest("3.0.0"))},
        "extensions.install": {"version_id": "", "capabilities": "cap:http.fetch", "config": "{}", "revision": ""},
        "extensions.configure": {"revision": "1", "config": '{"region": "eu"}'},
        "extensions.grant": {"revision": "1", "capabilities": "cap:http.fetch"},
        "extensions.keep_secret": {"name": "API_KEY", "value": "purple-tortoise"},
        "extensions.disable": {"reason": "Maintenance."},
        "extensions.upgrade": {"fingerprint": "", "grant": "y", "confirm": "y", "disable_rest": "y"},
        "schemas.register": {"ref": "payload.New.v1", "schema": '{"type": "object"}'},
        "schemas.replace": {"schema": '{"type": "object"}', "ref": ""},
        "workflows.preview_import": workflows,
        "workflows.start_import": workflows,
        "schedules.preview_import": schedules,
        "schedules.start_import": schedules,
        "workflows.create": {"name": "Sync", "key": "sync", "description": "Daily."},
        "workflows.save": draft,
        "workflows.check": draft,
        "workflows.show_mapping": draft,
        "workflows.check_mapping": draft,
        "workflows.restore": {"revision": "1"},
        "workflows.publish": {"revision": "1"},
        "workflows.run": {"payload": "{}"} | key,
        "workflows.run_payload": {"payload": "{}"},
        "workflows.pause": {"reason": "Maintenance."},
        "schedules.create": schedule,
        "schedules.save": schedule,
        "schedules.preview": schedule,
        "schedules.when": schedule | {"every": "weekly"},
        "schedules.payload": schedule,
        "schedules.payload_editor": schedule,
        "schedules.consequences": schedule,
        "schedules.create#call": call,
        "schedules.preview#call": call,
        "schedules.pause": pause,
        "schedules.resume": {"catch_up": "skip"},
        "schedules.skip": {"instant": "2026-01-01T00:00:00Z"},
        "schedules.backfill": {"from_at": "2026-01-01T00:00", "until_at": "2026-01-02T00:00"}
        | {"concurrency": "1", "seen": ""},
        "schedules.ask_bulk": chosen | {"action": "pause", "id": schedule_id},
        "schedules.start_bulk": pause | {"action": "pause", "ids": schedule_id, "back": "/schedules"} | key,
        "schedules.continue_bulk": {"key": "one click"},
        "schedules.undo_bulk": {"key": "one click"},
        "schedules.run_now": key,
        "events.send": {"name": "canary-of-acme", "correlation_key": "42", "payload": "{}"} | key,
        "events.payload": {"name": "canary-of-acme", "payload": "{}"},
        "events.add_type": {
            "name": "invoice.paid",
            "description": "Somebody paid.",
            "payload_schema_ref": "payload.Empty.v1",
        },
        "events.save_type": {"name": "", "description": "Somebody paid.", "payload_schema_ref": "payload.Empty.v1"},
        "tasks.answer": {"answer": '{"approved": true}', "answer-mode": "json"} | key,
        "tasks.draw_answer": {"answer": '{"approved": true}', "answer-mode": "json"},
        "runs.cancel": {"reason": "Wrong region."},
        "runs.run_again": {"version": "same", "payload": "{}"} | key,
        "runs.rerun_payload": {"version": "same", "payload": "{}"},
    }
