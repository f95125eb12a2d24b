"""Markup in every text of an extension, its install, its schedules and its calls. No page makes markup of it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from domain.accounts.tenants import Tenant
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.installs import InstallSecret
from tests.calls import a_call_run, a_call_schedule, an_invocation
from tests.factories import NOW, an_extension, an_extension_version, an_install
from tests.web.addresses import address, rules
from tests.web.cast import Browser
from tests.web.test_markup_in_rows import EVIL, SCHEMA, Elements

PATH = "/api/\"'><img/src=x/onerror=alert(1)></script>{{7*7}}"


@pytest.fixture
def evil(acme: Tenant, alice: Browser, db: Any) -> dict[str, Any]:
    """Ids of rows that hold EVIL wherever a text can stand."""
    extension = an_extension(acme, EVIL, EVIL)
    first = an_extension_version(extension, f"1.0.0{EVIL}", [])
    values = {"config": {EVIL: EVIL, "region": EVIL}, "capabilities": [EVIL], "disable_reason": EVIL}
    install = an_install(acme, first, disabled_at=NOW, disabled_by=alice.user.id, **values)
    alice.user.name = EVIL
    endpoint = ExtensionEndpoint(version_id=first.id, method="POST", path=PATH, handler=EVIL, request_schema=SCHEMA)
    blocked = ExtensionEndpoint(version_id=first.id, method="PUT", path=f"{PATH}/:id", handler=EVIL)
    secret = InstallSecret(tenant_id=acme.id, install_id=install.id, name=EVIL, sealed="x", changed_at=NOW)
    db.add_all([endpoint, blocked, secret])
    db.flush()
    other = an_extension_version(extension, f"2.0.0{EVIL}", ["GET /api/health"], capabilities=["cap:http.fetch"])
    paused = {"status": "paused", "paused_by": alice.user.id, "pause_reason": EVIL}
    schedule = a_call_schedule(install, EVIL, endpoint=endpoint, payload_json={EVIL: EVIL}, **paused)
    told = {"scheduleName": EVIL, "extension": EVIL, "method": EVIL, "path": EVIL, "triggerType": EVIL, "cron": EVIL}
    error = {"code": EVIL, "message": EVIL, "category": EVIL}
    values = {"schedule_id": schedule.id, "trigger_metadata": told, "error": error, "input_json": {EVIL: EVIL}}
    run = a_call_run(install, "failed", called=f"POST {PATH}", **values)
    an_invocation(run, "failed", error_code=EVIL, error=EVIL, response_excerpt=EVIL)
    db.commit()
    ids = {"extension_id": extension.id, "version_id": other.id, "schedule_id": schedule.id, "run_id": run.id}
    return ids | {"secret_name": EVIL}


def test_no_text_of_an_extension_becomes_markup(
    app: Flask, alice: Browser, evil: dict[str, Any], has_runner: None
) -> None:
    paths = ["/settings/extensions", f"/schedules?target=endpoint&q={EVIL}", "/schedules", "/runs", f"/runs?q={EVIL}"]
    paths += [f"/schedules/new?extension={evil['extension_id']}", f"/schedules/new?like={evil['schedule_id']}"]
    paths += [f"/schedules/{evil['schedule_id']}?tab={tab}" for tab in ("history", "settings", "audit", "calls")]
    for rule, method in rules(app):
        if method == "GET" and rule.arguments and rule.arguments <= evil.keys() and not rule.rule.startswith("/api"):
            paths.append(address(app, rule, evil))
    below = f"/settings/extensions/{evil['extension_id']}"
    forms = [
        ("/settings/extensions", {"manifest": f'{{"{PATH[:4]}": 1}} {EVIL}'}),
        (f"{below}/configuration", {"revision": "1", "config": EVIL}),
        (f"{below}/capabilities", {"revision": "1", "capabilities": EVIL}),
        (f"{below}/secrets", {"name": EVIL, "value": "x"}),
        (f"{below}/install", {"version_id": EVIL, "capabilities": EVIL, "config": EVIL}),
        (f"{below}/disable", {"reason": EVIL * 20}),
        (f"{below}/versions/{evil['version_id']}/upgrade", {"fingerprint": EVIL, "choice-" + EVIL: EVIL}),
        (f"{below}/versions/{evil['version_id']}/upgrade", {f"choice-{evil['schedule_id']}": EVIL}),
    ]
    shown = 0
    for path, form in [(path, None) for path in paths] + forms:
        for htmx in (False, True):
            answer = alice.post(path, form, htmx=htmx) if form is not None else alice.get(path, htmx=htmx)
            assert answer.status_code < 500, path
            assert Elements(answer.text).foreign == [], path
            shown += "{{7*7}}" in answer.text
    assert shown > 40
