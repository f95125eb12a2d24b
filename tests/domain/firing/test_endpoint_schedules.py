"""Schedules that call an endpoint of an extension: what they may be, and what becomes of them in people's hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from domain.accounts.audit import AuditEntry
from domain.firing.lifecycle import create_schedule, delete_schedule, edit_schedule, pause_schedule, resume_schedule
from domain.kernel.errors import Held, Refused
from domain.kernel.secret_values import SEALED
from domain.kernel.vault import unseal
from domain.schedules.copies import copy_name
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.previews import problems_beside_target, timing_preview
from domain.schedules.schedules import ACTIVE, PAUSED, Schedule, snapshot
from tests.domain.firing.calls import DEVICE, HEALTH, REMOVE, SYNC, Installed
from tests.domain.firing.ledger import NOON, a_live_schedule, a_target, cursor, minute
from tests.factories import a_tenant, an_install

pytestmark = pytest.mark.usefixtures("db")
IMPORT = "POST /api/import"


def refusals(acme: Installed, draft: ScheduleDraft) -> dict[str, str]:
    with pytest.raises(Refused) as refused:
        create_schedule(acme.actor, draft, NOON)
    return {problem.path: problem.code for problem in refused.value.problems}


def edited(acme: Installed, schedule: Schedule, called: str = SYNC, **changes: Any) -> Schedule:
    values = {"name": schedule.name if schedule.is_named else "", "enabled": schedule.enabled, "cron": schedule.cron}
    draft = acme.draft(called, **values | {"endpoint_id": schedule.endpoint_id} | changes)
    return edit_schedule(acme.actor, schedule.id, schedule.revision, draft, minute(1))


def test_it_has_the_defaults_of_its_kind(acme: Installed) -> None:
    schedule = acme.schedule()
    assert (schedule.target_kind, schedule.install_id, schedule.workflow_id) == ("endpoint", acme.install.id, None)
    assert (schedule.overlap, schedule.catch_up, schedule.max_attempts) == ("skip", "latest", 3)
    assert (schedule.name, schedule.is_named, schedule.status) == (SYNC, False, ACTIVE)
    assert cursor(schedule).next_fire_at == minute(5)


def test_no_payload_is_the_null_of_json(acme: Installed, db: Any) -> None:
    schedule = acme.schedule()
    stored = text("SELECT payload_json = 'null'::jsonb FROM schedules WHERE id = :id")
    assert db.scalar(stored, {"id": schedule.id}) is True


def test_a_workflow_still_has_the_defaults_of_its_own(acme: Installed) -> None:
    schedule = a_live_schedule(a_target(acme.tenant))
    assert (schedule.overlap, schedule.payload_json, schedule.is_named, schedule.install_id) == (
        "queue",
        {},
        True,
        None,
    )


def test_an_endpoint_has_to_be_chosen(acme: Installed) -> None:
    draft = ScheduleDraft(install_id=acme.install.id, cron="0 * * * *")
    assert refusals(acme, draft) == {"endpointId": "ENDPOINT_REQUIRED"}


def test_it_runs_a_workflow_or_calls_an_endpoint_but_not_both(acme: Installed) -> None:
    assert refusals(acme, acme.draft(workflow_id=a_target(acme.tenant).id)) == {"endpointId": "TARGET_AMBIGUOUS"}


@pytest.mark.parametrize("called", [DEVICE, REMOVE])
def test_an_endpoint_that_cannot_be_scheduled_is_refused(acme: Installed, called: str) -> None:
    assert refusals(acme, acme.draft(called)) == {"endpointId": "ENDPOINT_NOT_SCHEDULABLE"}


def test_an_endpoint_that_nobody_has_is_unknown(acme: Installed) -> None:
    assert refusals(acme, acme.draft(endpoint_id=uuid4())) == {"endpointId": "ENDPOINT_UNKNOWN"}


def test_an_endpoint_of_charlies_install_is_unknown_to_alice(acme: Installed) -> None:
    charlies = Installed(a_tenant("other"))
    assert refusals(acme, charlies.draft()) == {"endpointId": "ENDPOINT_UNKNOWN"}
    assert refusals(acme, acme.draft(install_id=charlies.install.id)) == {"endpointId": "ENDPOINT_UNKNOWN"}


def test_an_endpoint_of_another_of_her_installs_is_not_one_of_this(acme: Installed) -> None:
    other = Installed(acme.tenant, "com.acme.other")
    assert refusals(acme, acme.draft(install_id=other.install.id)) == {"endpointId": "ENDPOINT_UNKNOWN"}


def test_an_endpoint_of_what_was_uninstalled_is_unknown(acme: Installed) -> None:
    acme.install.deleted_at = NOON
    assert refusals(acme, acme.draft()) == {"endpointId": "ENDPOINT_UNKNOWN"}


def test_an_endpoint_of_another_version_than_the_installed_one_is_refused(acme: Installed) -> None:
    newer = acme.publish("2.0.0")
    draft = acme.draft()
    acme.install_version(newer)
    assert refusals(acme, draft) == {"endpointId": "ENDPOINT_STALE"}


def test_nothing_is_created_for_a_disabled_extension(acme: Installed) -> None:
    acme.disable("The vendor is down.")
    with pytest.raises(Refused, match=r"com\.acme\.rmm-sync is disabled: The vendor is down\. Enable it first\.") as no:
        acme.schedule()
    assert no.value.problems[0].code == "INSTALL_DISABLED"


@pytest.mark.parametrize(
    "payload", [None, "", "  ", "null", {}, [], {"full": False}, [1, {"a": None}], '{"a": 1}', "[]"]
)
def test_a_body_is_an_object_a_list_or_nothing(acme: Installed, payload: Any) -> None:
    assert acme.schedule(payload=payload).payload_json in (None, {}, [], {"full": False}, [1, {"a": None}], {"a": 1})


@pytest.mark.parametrize(
    ("called", "payload", "problem"),
    [
        (SYNC, "1", ("payload", "PAYLOAD_NOT_OBJECT_OR_LIST")),
        (SYNC, '"text"', ("payload", "PAYLOAD_NOT_OBJECT_OR_LIST")),
        (SYNC, True, ("payload", "PAYLOAD_NOT_OBJECT_OR_LIST")),
        (SYNC, "{", ("payload", "JSON_INVALID")),
        (SYNC, {"a": "x" * 100_001}, ("payload", "JSON_TOO_LARGE")),
        (SYNC, {"a": {"$secret": "TOKEN"}}, ("payload/a", "SECRET_NOT_ALLOWED")),
        (HEALTH, {}, ("payload", "PAYLOAD_NOT_ALLOWED")),
        (HEALTH, [], ("payload", "PAYLOAD_NOT_ALLOWED")),
        (IMPORT, None, ("payload", "PAYLOAD_REQUIRED")),
        (IMPORT, {}, ("payload/region", "REQUIRED")),
        (IMPORT, [], ("payload", "TYPE")),
    ],
)
def test_a_body_that_the_endpoint_does_not_take_is_refused(
    acme: Installed, called: str, payload: Any, problem: tuple[str, str]
) -> None:
    assert refusals(acme, acme.draft(called, payload=payload)) == dict([problem])


def test_a_payload_of_exactly_the_size_that_is_allowed_is_taken(acme: Installed) -> None:
    limit = 100_000
    assert acme.schedule(payload={"a": "x" * (limit - len('{"a":""}'))})
    assert refusals(acme, acme.draft(payload={"a": "x" * (limit - len('{"a":""}') + 1)})) == {
        "payload": "JSON_TOO_LARGE"
    }


def test_what_the_schema_marks_as_secret_is_sealed_and_kept_on_editing(acme: Installed) -> None:
    schedule = acme.schedule(IMPORT, payload={"region": "eu", "token": "correct horse battery"})
    sealed = schedule.payload_json["token"]
    assert unseal(acme.tenant.id, sealed[SEALED]) == "correct horse battery"
    edited(acme, schedule, IMPORT, payload={"region": "us", "token": {"$kept": True}})
    assert schedule.payload_json == {"region": "us", "token": sealed}


@pytest.mark.parametrize(
    "cron", ["* * * * *", "0-59 * * * *", "0,1,2 * * * *", "* 1 * * *", "*/2 0-23 * * *", "0,56 * * * *"]
)
def test_instants_closer_than_five_minutes_are_refused_however_they_are_written(acme: Installed, cron: str) -> None:
    assert refusals(acme, acme.draft(cron=cron)) == {"cron": "CRON_TOO_FREQUENT"}


@pytest.mark.parametrize("cron", ["*/5 * * * *", "*/10 * * * *", "0,5 * * * *", "0 * * * *", "0 0 1 1 *", "55 * * * *"])
def test_five_minutes_apart_is_enough(acme: Installed, cron: str) -> None:
    assert acme.schedule(cron=cron).cron == cron


def test_the_smallest_gap_is_configured(acme: Installed, configure: Callable[..., None]) -> None:
    configure(endpoint_min_interval_seconds=3_600)
    assert refusals(acme, acme.draft(cron="*/30 * * * *")) == {"cron": "CRON_TOO_FREQUENT"}
    assert timing_preview(acme.draft(cron="*/30 * * * *"), NOON).problems[0].code == "CRON_TOO_FREQUENT"
    assert a_live_schedule(a_target(acme.tenant), cron="* * * * *")


def test_while_no_endpoint_is_chosen_the_rest_is_checked_by_the_rules_of_its_kind(acme: Installed) -> None:
    draft = ScheduleDraft(install_id=acme.install.id, cron="* * * * *", payload="1", max_attempts=11)
    found = {problem.path: problem.code for problem in problems_beside_target(draft, NOON)}
    assert found == {
        "cron": "CRON_TOO_FREQUENT",
        "payload": "PAYLOAD_NOT_OBJECT_OR_LIST",
        "maxAttempts": "NUMBER_INVALID",
    }


@pytest.mark.parametrize("attempts", [0, 11, "many", True, -1])
def test_calls_are_tried_between_once_and_ten_times(acme: Installed, attempts: Any) -> None:
    assert refusals(acme, acme.draft(max_attempts=attempts)) == {"maxAttempts": "NUMBER_INVALID"}


@pytest.mark.parametrize(("attempts", "stored"), [("1", 1), (10, 10), ("", 3), (None, 3)])
def test_how_often_it_is_tried_is_stored(acme: Installed, attempts: Any, stored: int) -> None:
    assert acme.schedule(max_attempts=attempts).max_attempts == stored


def test_a_name_is_unique_within_an_extension_and_no_further(acme: Installed) -> None:
    acme.schedule(name="Nightly")
    Installed(acme.tenant, "com.acme.other").schedule(name="Nightly")
    a_live_schedule(a_target(acme.tenant), "Nightly")
    assert refusals(acme, acme.draft(HEALTH, name="Nightly")) == {"name": "NAME_TAKEN"}


def test_as_many_as_want_go_without_a_name(acme: Installed) -> None:
    assert [acme.schedule(name=name).name for name in ("", None, "   ")] == [SYNC] * 3


def test_a_name_has_128_characters_at_most(acme: Installed) -> None:
    assert acme.schedule(name="n" * 128).is_named
    assert refusals(acme, acme.draft(name="n" * 129)) == {"name": "NAME_TOO_LONG"}


def test_taking_the_name_away_shows_what_is_called(acme: Installed) -> None:
    schedule = acme.schedule(name="Nightly")
    edited(acme, schedule, name="")
    assert (schedule.name, schedule.is_named) == (SYNC, False)


def test_one_without_a_name_is_called_after_the_endpoint_it_is_moved_to(acme: Installed) -> None:
    schedule = acme.schedule()
    edited(acme, schedule, endpoint_id=acme.endpoint(HEALTH).id)
    assert (schedule.name, schedule.endpoint_id) == (HEALTH, acme.endpoint(HEALTH).id)


def test_a_copy_of_one_without_a_name_has_none(acme: Installed) -> None:
    assert copy_name(acme.schedule()) == ""
    named = acme.schedule(name="Nightly")
    assert copy_name(named) == "Nightly (copy)"
    acme.schedule(name="Nightly (copy)")
    assert copy_name(named) == "Nightly (copy 2)"


def test_the_audit_says_what_is_called(acme: Installed, db: Any) -> None:
    schedule = acme.schedule(name="Nightly")
    (entry,) = db.scalars(select(AuditEntry).where(AuditEntry.subject_id == schedule.id))
    told = {key: entry.after[key] for key in ("name", "installId", "endpointId", "maxAttempts", "isNamed")}
    assert told == {
        "name": "Nightly",
        "installId": str(acme.install.id),
        "endpointId": str(acme.endpoint().id),
        "maxAttempts": 3,
        "isNamed": True,
    }
    assert "workflowId" not in snapshot(schedule)


def test_a_schedule_stays_of_its_kind(acme: Installed) -> None:
    call, workflow = acme.schedule(), a_target(acme.tenant)
    run = a_live_schedule(workflow, cron="0 * * * *")
    for schedule, draft, path in (
        (call, ScheduleDraft(workflow_id=workflow.id, name="Moved", cron="0 * * * *"), "endpointId"),
        (run, acme.draft(), "workflowId"),
    ):
        with pytest.raises(Refused) as refused:
            edit_schedule(acme.actor, schedule.id, schedule.revision, draft, minute(1))
        assert [(one.path, one.code) for one in refused.value.problems] == [(path, "TARGET_KIND_FIXED")]


def test_a_schedule_stays_with_its_extension(acme: Installed) -> None:
    schedule, other = acme.schedule(), Installed(acme.tenant, "com.acme.other")
    with pytest.raises(Refused) as refused:
        edited(acme, schedule, endpoint_id=other.endpoint().id)
    assert refused.value.problems[0].code == "INSTALL_FIXED"


def test_what_an_extension_has_can_be_edited_while_it_is_disabled_but_not_switched_on(acme: Installed) -> None:
    running, paused = acme.schedule(name="Runs"), acme.schedule(name="Rests", enabled=False)
    acme.disable()
    assert edited(acme, running, name="Runs on").enabled
    assert edited(acme, paused, name="Rests on").status == PAUSED
    with pytest.raises(Refused) as refused:
        edited(acme, paused, enabled=True)
    assert [(one.path, one.code) for one in refused.value.problems] == [("enabled", "INSTALL_DISABLED")]


def test_it_is_not_resumed_while_its_extension_is_disabled(acme: Installed) -> None:
    schedule = acme.schedule()
    pause_schedule(acme.actor, schedule.id, "", minute(1))
    acme.disable()
    with pytest.raises(Held, match="is disabled: The vendor is down") as held:
        resume_schedule(acme.actor, schedule.id, minute(2))
    assert held.value.code == "INSTALL_DISABLED"
    acme.install.disabled_at = acme.install.disable_reason = None
    assert resume_schedule(acme.actor, schedule.id, minute(2)).status == ACTIVE


def test_it_is_not_resumed_after_its_extension_was_removed(acme: Installed) -> None:
    schedule = acme.schedule(enabled=False)
    acme.install.deleted_at = NOON
    with pytest.raises(Held) as held:
        resume_schedule(acme.actor, schedule.id, minute(2))
    assert held.value.code == "NOT_INSTALLED"


@pytest.fixture
def left_behind(acme: Installed) -> Schedule:
    """Paused, and what it calls is not in the installed version."""
    schedule = acme.schedule(name="Left behind", enabled=False)
    newer = acme.publish("2.0.0", HEALTH, "POST /api/v2/sync")
    acme.install_version(newer)
    return schedule


def test_one_left_behind_is_not_resumed(acme: Installed, left_behind: Schedule) -> None:
    with pytest.raises(Held, match=r"The installed version of com\.acme\.rmm-sync has no POST /api/sync") as held:
        resume_schedule(acme.actor, left_behind.id, minute(2))
    assert held.value.code == "ENDPOINT_STALE"


def test_one_left_behind_is_not_switched_on_by_an_edit(acme: Installed, left_behind: Schedule) -> None:
    with pytest.raises(Refused) as refused:
        edited(acme, left_behind, enabled=True)
    assert [(one.path, one.code) for one in refused.value.problems] == [("endpointId", "ENDPOINT_STALE")]


def test_one_left_behind_can_be_renamed_and_deleted(acme: Installed, left_behind: Schedule) -> None:
    assert edited(acme, left_behind, name="Kept for later").status == PAUSED
    delete_schedule(acme.actor, left_behind.id, minute(3))
    assert left_behind.deleted_at == minute(3)


def test_one_left_behind_goes_on_with_an_endpoint_of_the_installed_version(
    acme: Installed, left_behind: Schedule
) -> None:
    acme.version = acme.publish("3.0.0", "POST /api/v2/sync")
    acme.install_version(acme.version)
    edited(acme, left_behind, endpoint_id=acme.endpoint("POST /api/v2/sync").id, enabled=True)
    assert left_behind.status == ACTIVE
    assert cursor(left_behind).wake_at == minute(5)


@pytest.mark.parametrize("enabled", [True, False])
def test_an_edit_that_began_before_an_upgrade_follows_it(acme: Installed, db: Any, enabled: bool) -> None:
    """The dialog still names the endpoint of the version before."""
    schedule = acme.schedule(name="Nightly", enabled=enabled)
    before = acme.endpoint().id
    acme.version = acme.publish("2.0.0")
    acme.install_version(acme.version)
    schedule.endpoint_id = acme.endpoint().id
    db.flush()
    edited(acme, schedule, endpoint_id=before, name="Hourly")
    assert (schedule.name, schedule.endpoint_id) == ("Hourly", acme.endpoint().id)
    assert before != acme.endpoint().id


def test_a_payload_that_the_endpoint_no_longer_takes_keeps_it_from_being_resumed(acme: Installed, db: Any) -> None:
    schedule = acme.schedule(IMPORT, payload={"region": "eu"}, enabled=False)
    schedule.payload_json = {"region": "mars"}
    db.flush()
    with pytest.raises(Refused) as refused:
        resume_schedule(acme.actor, schedule.id, minute(2))
    assert [problem.path for problem in refused.value.problems] == ["payload/region"]


def test_an_extension_has_so_many_schedules_and_no_more(acme: Installed, configure: Callable[..., None]) -> None:
    configure(endpoint_schedules_per_install=2)
    first, _second = acme.schedule(), acme.schedule()
    assert refusals(acme, acme.draft()) == {"endpointId": "SCHEDULE_LIMIT"}
    assert Installed(acme.tenant, "com.acme.other").schedule()
    delete_schedule(acme.actor, first.id, minute(1))
    assert acme.schedule()


def test_the_extensions_of_a_tenant_have_so_many_together(acme: Installed, configure: Callable[..., None]) -> None:
    configure(endpoint_schedules_per_tenant=2)
    other = Installed(acme.tenant, "com.acme.other")
    acme.schedule(), other.schedule()
    assert refusals(acme, acme.draft()) == {"endpointId": "SCHEDULE_LIMIT"}
    assert refusals(other, other.draft()) == {"endpointId": "SCHEDULE_LIMIT"}
    assert Installed(a_tenant("elsewhere")).schedule()
    assert a_live_schedule(a_target(acme.tenant))


def test_editing_needs_no_room(acme: Installed, configure: Callable[..., None]) -> None:
    schedule = acme.schedule()
    configure(endpoint_schedules_per_install=1)
    assert edited(acme, schedule, name="Renamed").name == "Renamed"


def test_an_instance_wide_extension_is_scheduled_by_whoever_installed_it(acme: Installed) -> None:
    acme.extension.tenant_id = None
    charlies = a_tenant("other")
    install = an_install(charlies, acme.version)
    shared = acme.endpoint()
    draft = ScheduleDraft(endpoint_id=shared.id, cron="0 * * * *")
    assert create_schedule(acme.actor, draft, NOON).install_id == acme.install.id
    theirs = type(acme.actor)(charlies.id)
    assert create_schedule(theirs, draft, NOON).install_id == install.id
