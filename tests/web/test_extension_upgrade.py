"""Another version, holding and taking out of an extension on its page: each is looked at first, in a dialog."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import REFUSED, AuditEntry
from domain.extensions.extensions import extension_of
from domain.extensions.installs import Install, current_install
from domain.schedules.schedules import Schedule
from tests.domain.upgrades.scene import HEALTH, NEEDS_REGION, REPORT, SYNC, called_by, declared, endpoint
from tests.domain.upgrades.scene import calling as a_schedule_calling
from tests.domain.upgrades.scene import stored as stored_schedule
from tests.factories import an_extension, an_extension_version, an_install
from tests.web.cast import Browser


@pytest.fixture
def install(acme: Any, db: Any) -> Install:
    """Version 1.0.0: POST /api/sync and GET /api/health."""
    made = an_install(acme, an_extension_version(an_extension(acme), "1.0.0", [SYNC, HEALTH]))
    db.commit()
    return made


def another(install: Install, number: str, endpoints: list[Any], **manifest: Any) -> Any:
    from domain.kernel.db import db

    extension = extension_of(install.tenant_id, install.extension_id)
    version = an_extension_version(extension, number, endpoints, **manifest)
    db.session.commit()
    return version


def calling(install: Install, called: str = SYNC, name: str | None = None, **values: Any) -> Schedule:
    from domain.kernel.db import db

    schedule = a_schedule_calling(install, called, name, **values)
    db.session.commit()
    return schedule


def page(install: Install) -> str:
    return f"/settings/extensions/{install.extension_id}"


def upgrade_page(install: Install, version: Any) -> str:
    return f"{page(install)}/versions/{version.id}/upgrade"


def words(answer: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def fingerprint(answer: Any) -> str:
    found = re.search(r'name="fingerprint"[^>]*value="([0-9a-f]{64})"', answer.text)
    assert found, answer.text
    return found.group(1)


def version_of(install: Install) -> Any:
    from domain.kernel.db import db

    return db.session.scalars(
        select(Install.version_id).where(Install.id == install.id).execution_options(populate_existing=True)
    ).one()


def send(alice: Browser, install: Install, version: Any, **fields: str) -> Any:
    """What somebody sends who has looked at the dialog."""
    seen = fingerprint(alice.get(upgrade_page(install, version), htmx=True))
    return alice.post(upgrade_page(install, version), {"fingerprint": seen} | fields, htmx=True)


def test_the_dialog_tells_what_goes_on_and_one_press_upgrades(alice: Browser, install: Install) -> None:
    sync = calling(install)
    second = another(install, "2.0.0", [SYNC, HEALTH])

    dialog = alice.get(upgrade_page(install, second), htmx=True)
    answer = send(alice, install, second)

    assert "1 finds its endpoint and goes on as before" in words(dialog)
    assert "Upgrade to 2.0.0" in words(dialog)
    assert 'name="confirm"' not in dialog.text
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, page(install))
    assert (version_of(install), called_by(sync)) == (second.id, ("2.0.0", SYNC))
    assert "Version 2.0.0 is installed." in words(alice.get("/settings"))


def test_an_earlier_version_is_called_going_back(alice: Browser, install: Install) -> None:
    earlier = another(install, "0.9.0", [SYNC])

    assert "Go back to 0.9.0" in words(alice.get(upgrade_page(install, earlier), htmx=True))


def test_it_works_as_a_page_of_its_own_without_scripts(alice: Browser, install: Install) -> None:
    second = another(install, "2.0.0", [SYNC])
    shown = alice.get(upgrade_page(install, second))

    answer = alice.post(upgrade_page(install, second), {"fingerprint": fingerprint(shown)})

    assert shown.text.lstrip().startswith("<!doctype html>")
    assert (answer.status_code, answer.headers["Location"]) == (303, page(install))


def test_what_is_missing_is_listed_with_endpoints_to_call_instead(alice: Browser, install: Install) -> None:
    sync = calling(install, name="Nightly")
    second = another(install, "2.0.0", [REPORT, HEALTH, "PUT /api/sync"])

    dialog = alice.get(upgrade_page(install, second), htmx=True)

    said = words(dialog)
    assert "1 schedule calls an endpoint that 2.0.0 does not have" in said
    assert "Nightly" in said
    assert f"calls {SYNC}" in said
    options = re.findall(r'<option value="([^"]*)"', dialog.text)
    assert options[:2] == ["", "disable"]
    assert set(options[2:]) == {str(endpoint(second, one).id) for one in (REPORT, HEALTH)}
    assert f'name="choice-{sync.id}"' in dialog.text
    assert 'name="confirm"' in dialog.text


def test_nothing_changes_until_every_question_is_answered(alice: Browser, install: Install) -> None:
    sync = calling(install, name="Nightly")
    second = another(install, "2.0.0", [HEALTH], capabilities=["cap:http.fetch"])
    before = version_of(install)

    answer = send(alice, install, second)

    said = words(answer)
    assert answer.status_code == 422
    assert "Nightly: Choose what becomes of it." in said
    assert "It cannot be installed without." in said
    assert "Look through the list, then say yes to it." in said
    assert f'id="choice-{sync.id}-error"' in answer.text
    assert (version_of(install), stored_schedule(sync).status) == (before, "active")


def test_each_schedule_is_disabled_or_given_another_endpoint_as_chosen(alice: Browser, install: Install) -> None:
    one, other = calling(install, name="One"), calling(install, name="Other")
    second = another(install, "2.0.0", [REPORT])
    chosen = {f"choice-{one.id}": "disable", f"choice-{other.id}": str(endpoint(second, REPORT).id), "confirm": "y"}

    answer = send(alice, install, second, **chosen)

    assert answer.status_code == 204
    assert (stored_schedule(one).status, stored_schedule(other).status) == ("paused", "active")
    assert (called_by(one), called_by(other)) == (("1.0.0", SYNC), ("2.0.0", REPORT))
    said = words(alice.get("/settings"))
    assert "1 schedule calls another endpoint. 1 schedule was disabled." in said


def test_all_the_others_can_be_disabled_at_once(alice: Browser, install: Install) -> None:
    schedules = [calling(install, name=f"Sync {number}") for number in range(3)]
    second = another(install, "2.0.0", [REPORT])

    send(
        alice,
        install,
        second,
        disable_rest="y",
        confirm="y",
        **{f"choice-{schedules[0].id}": str(endpoint(second, REPORT).id)},
    )

    assert [stored_schedule(one).status for one in schedules] == ["active", "paused", "paused"]


def test_an_endpoint_that_does_not_take_the_payload_is_refused_at_its_row_and_the_choice_stays(
    alice: Browser, install: Install
) -> None:
    sync = calling(install, payload_json={"full": True})
    second = another(install, "2.0.0", [HEALTH])
    chosen = str(endpoint(second, HEALTH).id)

    answer = send(alice, install, second, confirm="y", **{f"choice-{sync.id}": chosen})

    assert answer.status_code == 422
    assert f"{HEALTH} does not take its payload" in words(answer)
    assert f'<option value="{chosen}" selected>' in answer.text
    assert version_of(install) != second.id


def test_a_choice_that_is_none_is_refused_at_its_row(alice: Browser, install: Install) -> None:
    sync = calling(install)
    second = another(install, "2.0.0", [HEALTH])

    answer = send(alice, install, second, confirm="y", **{f"choice-{sync.id}": "whatever"})

    assert answer.status_code == 422
    assert "Choose one of the list." in words(answer)


def test_what_changed_since_the_dialog_was_opened_is_shown_before_anything_happens(
    alice: Browser, install: Install
) -> None:
    second = another(install, "2.0.0", [HEALTH])
    seen = fingerprint(alice.get(upgrade_page(install, second), htmx=True))
    late = calling(install, name="Made meanwhile")

    fields = {"fingerprint": seen, "confirm": "y", "disable_rest": "y"}
    answer = alice.post(upgrade_page(install, second), fields, htmx=True)

    assert answer.status_code == 409
    assert "This changed since you looked at it." in words(answer)
    assert "Made meanwhile" in words(answer)
    assert stored_schedule(late).status == "active"
    again = fields | {"fingerprint": fingerprint(answer)}
    assert alice.post(upgrade_page(install, second), again, htmx=True).status_code == 204


def test_without_a_preview_nothing_is_upgraded(alice: Browser, install: Install) -> None:
    second = another(install, "2.0.0", [SYNC, HEALTH])

    assert alice.post(upgrade_page(install, second), htmx=True).status_code == 409
    assert version_of(install) != second.id


def test_more_capabilities_are_told_in_words_and_granted_with_the_yes(
    alice: Browser, install: Install, db: Any
) -> None:
    second = another(install, "2.0.0", [SYNC], capabilities=["cap:http.fetch"])

    dialog = alice.get(upgrade_page(install, second), htmx=True)
    send(alice, install, second, grant="y")

    assert "Send requests to other systems." in words(dialog)
    granted = select(Install.capabilities).where(Install.id == install.id)
    assert db.scalars(granted).one() == ["cap:http.fetch"]


def test_payloads_that_will_not_fit_are_listed_and_need_a_yes(alice: Browser, install: Install) -> None:
    sync = calling(install, name="Nightly", payload_json={"note": "swordfish"})
    second = another(install, "2.0.0", [declared(SYNC, NEEDS_REGION)])

    dialog = alice.get(upgrade_page(install, second), htmx=True)
    refused = send(alice, install, second)
    answer = send(alice, install, second, confirm="y")

    assert "1 schedule will no longer fit" in words(dialog)
    assert "swordfish" not in dialog.text
    assert (refused.status_code, answer.status_code, stored_schedule(sync).status) == (422, 204, "invalid")


def test_what_was_left_behind_can_be_given_an_endpoint_on_the_way(alice: Browser, install: Install) -> None:
    sync = calling(install, name="Nightly")
    second = another(install, "2.0.0", [HEALTH])
    third = another(install, "3.0.0", [REPORT])
    send(alice, install, second, confirm="y", **{f"choice-{sync.id}": "disable"})

    dialog = alice.get(upgrade_page(install, third), htmx=True)
    send(alice, install, third, **{f"choice-{sync.id}": str(endpoint(third, REPORT).id)})

    assert "Without an endpoint since an earlier change" in words(dialog)
    assert (called_by(sync), stored_schedule(sync).status) == (("3.0.0", REPORT), "paused")


def test_the_installed_version_has_nothing_to_upgrade(alice: Browser, install: Install, db: Any) -> None:
    from domain.extensions.installs import installed_version

    dialog = alice.get(upgrade_page(install, installed_version(install)), htmx=True)

    assert "Version 1.0.0 is installed already." in words(dialog)
    assert "btn-primary" not in dialog.text


def test_disabling_asks_for_the_reason_and_enabling_takes_it_back(alice: Browser, install: Install, db: Any) -> None:
    dialog = alice.get(f"{page(install)}/disable", htmx=True)
    answer = alice.post(f"{page(install)}/disable", {"reason": "costs too much"}, htmx=True)

    assert "goes on record as refused" in words(dialog)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, page(install))
    held = current_install(install.tenant_id, install.extension_id)
    db.refresh(held)
    assert held is not None
    assert (held.enabled, held.disable_reason) == (False, "costs too much")

    assert alice.post(f"{page(install)}/enable", htmx=True).status_code == 204
    db.refresh(held)
    assert held.enabled


def test_a_reason_that_cannot_be_is_told_at_its_field(alice: Browser, install: Install) -> None:
    answer = alice.post(f"{page(install)}/disable", {"reason": "x" * 501}, htmx=True)

    assert answer.status_code == 422
    assert "at most 500 characters" in words(answer)


def test_disabling_twice_is_a_conflict(alice: Browser, install: Install) -> None:
    alice.post(f"{page(install)}/disable", htmx=True)

    assert alice.post(f"{page(install)}/disable", htmx=True).status_code == 409


def test_uninstalling_lists_what_ends_with_it(alice: Browser, install: Install, db: Any) -> None:
    sync = calling(install, name="Nightly")

    dialog = alice.get(f"{page(install)}/uninstall", htmx=True)
    answer = alice.post(f"{page(install)}/uninstall", htmx=True)

    assert "1 schedule ends with it for good" in words(dialog)
    assert "Nightly" in words(dialog)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/settings/extensions")
    assert current_install(install.tenant_id, install.extension_id) is None
    assert stored_schedule(sync).deleted_at is not None
    assert "was uninstalled. 1 schedule ended with it." in words(alice.get("/settings"))
    assert alice.post(f"{page(install)}/uninstall", htmx=True).status_code == 404


ACTS = ["disable", "enable", "uninstall", "versions/{version}/upgrade"]


@pytest.mark.parametrize("act", ACTS)
def test_a_viewer_changes_nothing_and_sees_no_buttons(bob: Browser, install: Install, db: Any, act: str) -> None:
    second = another(install, "2.0.0", [SYNC])

    assert bob.post(f"{page(install)}/{act.format(version=second.id)}").status_code == 403

    shown = bob.get(page(install)).text
    assert not re.search(r"/(upgrade|disable|enable|uninstall)\"", shown)
    assert version_of(install) != second.id
    assert [entry.result for entry in db.scalars(select(AuditEntry))] == [REFUSED]


@pytest.mark.parametrize("act", ACTS)
def test_another_tenant_finds_nothing(charlie: Browser, install: Install, act: str) -> None:
    second = another(install, "2.0.0", [SYNC])

    assert charlie.post(f"{page(install)}/{act.format(version=second.id)}").status_code == 404
    assert version_of(install) != second.id


def test_the_page_offers_each_for_the_state_it_is_in(alice: Browser, install: Install) -> None:
    second = another(install, "2.0.0", [SYNC])

    enabled = alice.get(page(install)).text
    alice.post(f"{page(install)}/disable")
    disabled = alice.get(page(install)).text

    assert f'href="{upgrade_page(install, second)}"' in enabled
    assert f'href="{page(install)}/disable"' in enabled
    assert f'href="{page(install)}/uninstall"' in enabled
    assert f'action="{page(install)}/enable"' in disabled
    assert f'href="{page(install)}/disable"' not in disabled


def test_another_tenants_install_of_the_same_extension_stays(
    app: Flask, alice: Browser, charlie: Browser, db: Any
) -> None:
    shared = an_extension(None)
    first, second = (an_extension_version(shared, number, [SYNC]) for number in ("1.0.0", "2.0.0"))
    mine, theirs = an_install(alice.tenant, first), an_install(charlie.tenant, first)
    db.commit()

    assert send(alice, mine, second).status_code == 204

    assert (version_of(mine), version_of(theirs)) == (second.id, first.id)
