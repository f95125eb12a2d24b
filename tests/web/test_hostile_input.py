"""Rubbish in every address and every field of every form: refused with a reason or used as it is, never an error of ours.

The parameters of an address are found by watching what its view asks for; a form that is not in `good_forms` fails.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from domain.accounts.tenants import Tenant
from domain.extensions.installs import current_install
from domain.kernel.db import Base
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.calls import endpoint_of
from tests.factories import a_published_workflow, a_schedule
from tests.web.addresses import address, ask, rules
from tests.web.cast import Browser
from tests.web.hostile import ODD, RUBBISH, UNSTORABLE, good_forms, recorded

# What is used once or only looked at: nothing of it is stored.
UNSTORED = {"request_key", "place", "revision", "payload_start", "check", "next", "csrf_token", "run_at"}
UNSTORED |= {"enabled", "max_lateness_seconds", "password", "current", "new", "again"}
UNSTORED |= {"before", "pick", "rehearsal_key", "rehearse", "rehearse_for", "schedule", "has_body", "like"}
# A field of another kind of target, or one that another choice leaves out.
UNSTORED |= {"extension", "endpoint", "max_attempts", "ends", "until", "seen", "back", "key", "ids"}
UNSTORED |= {"file", "fingerprint", "grant", "confirm", "disable_rest", "version_id"}
# The builder writes the pattern only while another way than Cron is chosen.
UNSTORED |= {"every_drawn", "minute", "at", "weekdays", "day"}
EDITOR_WORDS = ("mode", "drawn", "to", "add", "set", "remove", "redraw")
UNSTORED |= {f"{prefix}-{word}" for prefix in ("payload", "answer") for word in EDITOR_WORDS} | {"tenant"}
IGNORED = {("workflows.start_import", "force"), ("workflows.start_import", "cancel_runs")}
IGNORED |= {("schemas.replace", "ref"), ("events.save_type", "name"), ("schedules.create#call", "workflow")}
LOOKS = {
    "schedules.preview",
    "schedules.when",
    "schedules.payload",
    "schedules.payload_editor",
    "workflows.run_payload",
    "events.payload",
    "accounts.sign_in",
    "tasks.draw_answer",
    "runs.rerun_payload",
    "schedules.consequences",
    "schedules.preview#call",
    "schedules.ask_bulk",
    "schedules.preview_import",
    "workflows.preview_import",
}
# These read the same fields as another form does, or take the time of hashing a password.
FEWER = {
    "schedules.save",
    "schedules.preview",
    "schedules.when",
    "schedules.payload",
    "schedules.payload_editor",
    "settings.set_password",
    "events.payload",
    "schedules.consequences",
    "schedules.preview#call",
}
# How the mapping is shown, and its JSON while it is shown in rows; a switch is on whatever it is sent.
IGNORED |= {("workflows.save", name) for name in ("mapping_mode", "mapping_shown", "mapping", "auto_pause_on_failure")}
LOOKS |= {"workflows.check", "workflows.show_mapping", "workflows.check_mapping"}
FEWER |= {"workflows.check", "workflows.show_mapping", "workflows.check_mapping"}


# The forms are tried in as many tests: one would take longer than a test may on a machine that is busy.
SHARES = 4


def check_sane(answer: TestResponse, what: str) -> None:
    assert answer.status_code < 500, f"{what} answers {answer.status_code}"
    is_plain = answer.mimetype.endswith("json") and answer.headers["X-Content-Type-Options"] == "nosniff"
    assert is_plain or "<img src=x" not in answer.text, f"{what} makes markup of what was typed"
    assert "X-Evil" not in answer.headers, f"{what} makes a header of what was typed"
    if answer.status_code in (301, 302, 303, 307, 308):
        assert answer.location.startswith("/") and answer.location[1:2] not in ("/", "\\"), f"{what} leads elsewhere"


def test_no_address_breaks_on_rubbish_in_its_query(
    app: Flask, ids: dict[str, Any], alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0
    for rule, method in rules(app):
        if method != "GET" or rule.endpoint == "system.healthz":
            continue
        path = address(app, rule, ids)
        with recorded(app, monkeypatch) as asked:
            ask(alice, path, method)
        for name in sorted(asked.names):
            for number, text in enumerate(ODD):
                tried += 1
                check_sane(
                    ask(alice, path, method, query_string={name: text}, htmx=bool(number % 2)),
                    f"GET {path}?{name}={text[:30]!r}",
                )
    assert tried > 200


@pytest.fixture
def posted(app: Flask, ids: dict[str, Any], alice: Browser, acme: Tenant, db: Any) -> Any:
    """Sends a form to an endpoint and undoes whatever it did: `posted(endpoint, fields, look)`."""
    workflow = a_published_workflow(acme, "Nightly export")
    install = current_install(acme.id, ids["extension_id"])
    assert install is not None
    called = str(ids["schedule_id"]), str(ids["extension_id"]), str(endpoint_of(install).id)
    db.commit()
    by_endpoint = {rule.endpoint: (rule, method) for rule, method in rules(app) if method == "POST"}
    with alice.client.session_transaction() as session:
        signed_in = dict(session)

    def post(endpoint: str, fields: dict[str, Any], look: Any = None) -> TestResponse:
        rule, _ = by_endpoint[endpoint.partition("#")[0]]
        undo = db.connection().begin_nested()
        try:
            answer = alice.post(address(app, rule, ids), fields)
            if look:
                look()
        finally:
            undo.rollback()
            db.expire_all()
            # A new password or signing out has changed the cookie, too.
            with alice.client.session_transaction() as session:
                session.clear()
                session.update(signed_in)
        is_leaving = endpoint == "accounts.sign_out"
        assert is_leaving or not (answer.location or "").startswith("/sign-in"), f"{endpoint} was sent by a stranger"
        return answer

    post.forms = good_forms(workflow.name, *called)  # type: ignore[attr-defined]
    return post


def test_every_form_is_known_with_all_its_fields(
    app: Flask, ids: dict[str, Any], posted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rule, method in rules(app):
        if method != "POST" or rule.endpoint.startswith("api."):
            continue
        form = posted.forms.get(rule.endpoint, {})
        with recorded(app, monkeypatch) as asked:
            answer = posted(rule.endpoint, form)
        assert asked.names <= form.keys() | UNSTORED, f"{rule.endpoint}: add its fields to good_forms"
        assert answer.status_code < 500, rule.endpoint


def test_a_form_takes_what_is_good(posted: Any) -> None:
    """Or else the tests below would only see refusals of other fields."""
    refused = {name for name, form in posted.forms.items() if posted(name, form).status_code >= 400}
    # Nobody has this account; the definition, the revision and the schema of the walk's rows are in use; its schedule is
    # active, its run is going, its extension is installed.
    assert refused <= {
        "accounts.sign_in",
        "workflows.save",
        "workflows.publish",
        "workflows.restore",
        "schemas.replace",
        "schedules.resume",
        "schedules.skip",
        "schedules.continue_bulk",
        "schedules.undo_bulk",
        "runs.run_again",
        "extensions.install",
        "extensions.upgrade",
        # Nobody has seen the plan of this file.
        "workflows.start_import",
        "schedules.start_import",
    }, refused


@pytest.mark.parametrize("share", range(SHARES))
def test_no_form_breaks_on_rubbish_in_a_field(posted: Any, share: int) -> None:
    for endpoint, form in list(posted.forms.items())[share::SHARES]:
        for name in form:
            for text in ODD[::3] if endpoint in FEWER else RUBBISH:
                what = f"{endpoint} {name}={text[:30]!r}"
                answer = posted(endpoint, form | {name: text})
                check_sane(answer, what)
                is_stored = not (name in UNSTORED or endpoint in LOOKS or (endpoint, name) in IGNORED)
                if text in UNSTORABLE and is_stored:
                    assert answer.status_code in (409, 422), f"{what} is taken with {answer.status_code}"
                if answer.status_code == 422:
                    assert "field-error" in answer.text or "alert" in answer.text, f"{what} gives no reason"


@pytest.mark.parametrize("raw", [b"%FF%FE", b"a%C0%80b", b"%ED%A0%80", b"\xff"])
def test_a_form_that_is_no_text_is_refused_and_not_mended(alice: Browser, acme: Tenant, db: Any, raw: bytes) -> None:
    plain = alice.post("/workflows", b"name=" + raw, content_type="application/x-www-form-urlencoded")  # type: ignore[arg-type]
    part = b'--cut\r\nContent-Disposition: form-data; name="name"\r\n\r\n' + unquote_to_bytes(raw) + b"\r\n--cut--\r\n"
    parted = alice.post("/workflows", part, content_type="multipart/form-data; boundary=cut")  # type: ignore[arg-type]
    assert [plain.status_code, parted.status_code] == [400, 400]
    assert "UTF-8" in plain.text and "did not come from this site" not in plain.text
    assert db.scalar(select(func.count()).select_from(Workflow)) == 0


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=cut", "application/json", "text/plain", ""])
def test_no_kind_of_body_gets_around_the_token(alice: Browser, acme: Tenant, db: Any, kind: str) -> None:
    raw = b'--cut\r\nContent-Disposition: form-data; name="name"\r\n\r\nSync\r\n--cut--\r\n'
    assert alice.client.post("/workflows", data=raw, content_type=kind).status_code == 400
    assert db.scalar(select(func.count()).select_from(Workflow)) == 0


def test_columns_that_no_form_has_are_never_written(posted: Any, app: Flask, db: Any) -> None:
    """Every column of every table is sent along with every form; the number stands nowhere afterwards."""
    number = "31337731"
    columns = {column.name for table in Base.metadata.tables.values() for column in table.columns}

    def look() -> None:
        for table in Base.metadata.tables.values():
            for row in db.execute(table.select()):
                assert number not in {str(value) for value in row}, f"{endpoint} writes {table.name}"

    for endpoint, form in posted.forms.items():
        answer = posted(endpoint, dict.fromkeys(columns - form.keys() - UNSTORED, number) | form, look)
        assert answer.status_code == posted(endpoint, form).status_code, endpoint


def test_a_toast_says_a_name_as_it_is(alice: Browser, acme: Tenant, db: Any) -> None:
    name = 'Nächtlich "},"evil":{"a":"<img src=x> \u200d😀'
    schedule: Schedule = a_schedule(a_published_workflow(acme), name)
    db.commit()
    answer = alice.post(f"/schedules/{schedule.id}/pause", {"reason": name}, htmx=True)
    header = answer.headers["HX-Trigger"]
    assert header.isascii() and header.isprintable()
    said = json.loads(header)
    assert said["toast"]["message"] == f"{name} is paused." and "evil" not in said
