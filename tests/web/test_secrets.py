"""The page of secrets under Settings: names for everybody, values for nobody."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.secrets import Secret, create_secret, secret_values
from domain.accounts.tenants import Tenant
from tests.factories import NOW, a_published_workflow, an_actor
from tests.statements import counted
from tests.web.cast import Browser

ADDRESS = "/settings/secrets"
VALUE = "hunter2hunter2"


@pytest.fixture
def billing(acme: Tenant, db: Any) -> Secret:
    secret = create_secret(an_actor(acme), "BILLING", VALUE, "For invoices", NOW)
    db.commit()
    return secret


def test_an_admin_keeps_a_secret_and_nobody_sees_it_again(alice: Browser, acme: Tenant, db: Any) -> None:
    typed = {"name": "BILLING", "value": VALUE, "description": "For invoices"}
    answer = alice.post(ADDRESS, typed)

    assert (answer.status_code, answer.location) == (303, ADDRESS)
    page = alice.get(ADDRESS).text
    assert "BILLING" in page and "For invoices" in page and "Alice" in page and "Not used yet" in page
    assert secret_values(acme.id, {"BILLING"}) == {"BILLING": VALUE}
    assert "Not used yet" not in alice.get(ADDRESS).text
    secret = db.scalars(select(Secret)).one()
    for path in ("", "/new", f"/{secret.id}/replace", f"/{secret.id}/describe", f"/{secret.id}/delete"):
        for htmx in (False, True):
            text = alice.get(ADDRESS + path, htmx=htmx).text
            assert VALUE not in text and secret.sealed not in text


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": "billing", "value": VALUE}, "in capitals, digits and underscores"),
        ({"name": "BILLING", "value": "abc"}, "A shorter value cannot be told from other text"),
        ({"name": "BILLING", "value": ""}, "Enter at least 4 characters."),
        ({"name": "BILLING", "value": VALUE, "description": "x" * 501}, "at most 500 characters"),
    ],
)
def test_a_refusal_keeps_what_was_typed_but_the_value(
    alice: Browser, db: Any, typed: dict[str, str], said: str, htmx: bool
) -> None:
    answer = alice.post(ADDRESS, typed, htmx=htmx)

    assert answer.status_code == 422
    assert said in answer.text and f'value="{typed["name"]}"' in answer.text
    assert not typed["value"] or typed["value"] not in answer.text
    assert db.scalars(select(Secret)).all() == []


def test_who_mended_the_name_is_asked_for_the_value_again(alice: Browser, db: Any) -> None:
    assert "Type the value again" in alice.post(ADDRESS, {"name": "billing", "value": VALUE}, htmx=True).text


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("one line\r\n", "one line"), ("-- KEY --\r\nabc\r\n", "-- KEY --\nabc\n"), (" with blanks ", " with blanks ")],
)
def test_line_breaks_are_kept_where_there_is_more_than_one_line(
    alice: Browser, acme: Tenant, db: Any, typed: str, kept: str
) -> None:
    alice.post(ADDRESS, {"name": "KEY", "value": typed})

    assert secret_values(acme.id, {"KEY"}) == {"KEY": kept}


def test_a_value_is_replaced_and_the_old_one_gone(alice: Browser, acme: Tenant, billing: Secret) -> None:
    address = f"{ADDRESS}/{billing.id}/replace"
    refused = alice.post(address, {"value": "new"}, htmx=True)
    assert refused.status_code == 422 and "at least 4 characters" in refused.text

    assert alice.post(address, {"value": "another value"}).status_code == 303
    assert secret_values(acme.id, {"BILLING"}) == {"BILLING": "another value"}


def test_what_a_secret_is_for_can_be_said_later(alice: Browser, billing: Secret) -> None:
    address = f"{ADDRESS}/{billing.id}/describe"
    assert "For invoices" in alice.get(address, htmx=True).text
    refused = alice.post(address, {"description": "x" * 501}, htmx=True)
    assert refused.status_code == 422 and "at most 500" in refused.text

    assert alice.post(address, {"description": "For all bills"}).status_code == 303
    assert "For all bills" in alice.get(ADDRESS).text


def test_deleting_says_first_who_names_it(alice: Browser, acme: Tenant, billing: Secret, db: Any) -> None:
    address = f"{ADDRESS}/{billing.id}/delete"
    assert "No published workflow and no schedule names it" in alice.get(address).text
    step = {"id": "a", "type": "action.call", "config": {"inputMapping": {"key": {"$secret": "BILLING"}}}}
    workflow = a_published_workflow(acme, "Sync <b>", draft_definition={"root": {"steps": [step]}})
    db.commit()

    dialog = alice.get(address, htmx=True).text
    assert "Sync &lt;b&gt;" in dialog and f"/workflows/{workflow.id}" in dialog
    assert alice.post(address).status_code == 303
    assert db.scalars(select(Secret)).all() == []
    assert alice.get(address).status_code == 404


def test_a_viewer_sees_names_and_changes_nothing(bob: Browser, billing: Secret) -> None:
    page = bob.get(ADDRESS).text

    assert "BILLING" in page and f"{ADDRESS}/new" not in page and str(billing.id) not in page
    assert bob.get(f"{ADDRESS}/new").status_code == 403
    for path in ("", f"/{billing.id}/replace", f"/{billing.id}/describe", f"/{billing.id}/delete"):
        assert bob.post(ADDRESS + path, {"name": "X", "value": VALUE}).status_code == 403


def test_another_tenant_finds_nothing(charlie: Browser, billing: Secret) -> None:
    assert "BILLING" not in charlie.get(ADDRESS).text
    for path in ("replace", "describe", "delete"):
        assert charlie.get(f"{ADDRESS}/{billing.id}/{path}").status_code == 404


def test_an_empty_list_says_what_secrets_are(alice: Browser, bob: Browser) -> None:
    assert "instead of writing them into workflows" in alice.get(ADDRESS).text
    assert "An admin can keep passwords" in bob.get(ADDRESS).text


def test_the_list_is_searched_and_goes_on_and_costs_the_same_when_long(
    alice: Browser, acme: Tenant, billing: Secret, db: Any
) -> None:
    with counted() as few:
        alice.get(ADDRESS)
    for number in range(60):
        create_secret(an_actor(acme), f"KEY_{number:03}", VALUE, "", NOW)
    db.commit()

    with counted() as many:
        page = alice.get(ADDRESS).text

    assert len(many) == len(few)
    assert "KEY_048" in page and "KEY_049" not in page and "after=KEY_048" in page
    assert "KEY_059" in alice.get(f"{ADDRESS}?after=KEY_048").text
    found = alice.get(f"{ADDRESS}?q=bill", htmx=True).text
    assert "BILLING" in found and "KEY_001" not in found and "<html" not in found
    assert "No secret matches" in alice.get(f"{ADDRESS}?q=nothing").text
    assert alice.get(f"{ADDRESS}?after=%27%00").status_code == 200
