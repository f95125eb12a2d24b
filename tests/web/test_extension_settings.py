"""The settings page of an extension: installing it, its configuration, its grants and its secrets."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.tenants import Tenant
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.install_secrets import install_secret_values, set_install_secret
from domain.extensions.installs import Install
from domain.kernel.db import db as database
from tests.factories import NOW, an_actor, an_extension, an_extension_version, an_install
from tests.statements import counted
from tests.web.cast import Browser

ASKED = ["cap:http.fetch", "cap:secrets.get"]
VALUE = "hunter2hunter2"


@pytest.fixture
def version(acme: Tenant, db: Any) -> ExtensionVersion:
    version = an_extension_version(an_extension(acme), capabilities=ASKED)
    db.commit()
    return version


@pytest.fixture
def install(acme: Tenant, version: ExtensionVersion, db: Any) -> Install:
    install = an_install(acme, version, config={"region": "eu"}, capabilities=["cap:http.fetch"])
    db.commit()
    return install


@pytest.fixture
def address(version: ExtensionVersion) -> str:
    return f"/settings/extensions/{version.extension_id}"


def stored() -> Install:
    database.session.expire_all()
    return database.session.scalars(select(Install)).one()


def test_an_admin_installs_with_what_they_grant(alice: Browser, address: str) -> None:
    dialog = alice.get(address + "/install", htmx=True).text
    assert "Send requests to other systems." in dialog and "cap:secrets.get" in dialog
    assert "checked" not in dialog

    typed = {"capabilities": ["cap:http.fetch"], "config": '{"region": "eu"}'}
    answer = alice.post(address + "/install", typed)

    assert (answer.status_code, answer.location) == (303, address)
    assert (stored().capabilities, stored().config) == (["cap:http.fetch"], {"region": "eu"})
    page = alice.get(address).text
    assert "com.acme.rmm-sync is installed." in page and "Enabled" in page
    assert "Asked for, not granted" in page and "region" in page and "eu" in page


def test_another_version_than_the_latest_can_be_installed(
    alice: Browser, address: str, version: ExtensionVersion, db: Any
) -> None:
    shared = an_extension(None, "com.shared.sync")
    older = an_extension_version(shared, "0.9.0")
    an_extension_version(shared, "1.0.0")
    db.commit()
    place = f"/settings/extensions/{older.extension_id}"

    assert "Install com.shared.sync 1.0.0" in alice.get(place + "/install").text
    assert "Install com.shared.sync 0.9.0" in alice.get(f"{place}/install?version={older.id}").text
    assert alice.post(place + "/install", {"version_id": str(older.id)}).status_code == 303
    assert stored().version_id == older.id
    assert alice.get(f"{place}/install?version={version.id}").status_code == 404


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"config": "{"}, "not valid JSON"),
        ({"config": "[]"}, "an object of texts"),
        ({"config": '{"region": 1}'}, "Every value of a configuration is text"),
        ({"capabilities": ["cap:storage.kv"]}, "does not ask for cap:storage.kv"),
        ({"capabilities": ["cap:everything"]}, "no capability"),
    ],
)
def test_a_refused_install_keeps_what_was_typed(
    alice: Browser, address: str, typed: dict[str, Any], said: str, htmx: bool
) -> None:
    answer = alice.post(address + "/install", {"capabilities": ["cap:secrets.get"]} | typed, htmx=htmx)

    assert answer.status_code == 422 and said in answer.text
    assert database.session.scalars(select(Install)).all() == []
    if "config" in typed:
        assert "checked" in answer.text
        assert typed["config"].replace('"', "&#34;") in answer.text


def test_what_is_installed_is_not_installed_again(alice: Browser, address: str, install: Install) -> None:
    assert "Install…" not in alice.get(address).text
    answer = alice.post(address + "/install", {})
    assert answer.status_code == 409 and "is installed already" in answer.text


def test_the_configuration_is_edited(alice: Browser, address: str, install: Install) -> None:
    dialog = alice.get(address + "/configuration", htmx=True).text
    assert "&#34;region&#34;: &#34;eu&#34;" in dialog and 'value="1"' in dialog

    assert alice.post(address + "/configuration", {"revision": "1", "config": '{"region": "us"}'}).status_code == 303
    assert (stored().config, stored().capabilities) == ({"region": "us"}, ["cap:http.fetch"])
    assert alice.post(address + "/configuration", {"revision": "2", "config": " "}).status_code == 303
    assert stored().config == {}


def test_who_comes_second_sees_what_is_stored_and_keeps_what_they_typed(
    alice: Browser, address: str, install: Install
) -> None:
    alice.post(address + "/configuration", {"revision": "1", "config": '{"region": "us"}'})

    answer = alice.post(address + "/configuration", {"revision": "1", "config": '{"region": "ch"}'}, htmx=True)

    assert answer.status_code == 409 and "Stored now" in answer.text
    assert "&#34;us&#34;" in answer.text and "&#34;ch&#34;" in answer.text
    assert stored().config == {"region": "us"}
    assert alice.post(address + "/configuration", {"revision": "2", "config": '{"region": "ch"}'}).status_code == 303


@pytest.mark.parametrize("revision", ["", "x", "-1", "9" * 40])
def test_a_form_without_its_revision_overwrites_nothing(
    alice: Browser, address: str, install: Install, revision: str
) -> None:
    assert alice.post(address + "/configuration", {"revision": revision, "config": "{}"}).status_code == 409
    assert stored().config == {"region": "eu"}


def test_grants_are_given_and_taken(alice: Browser, address: str, install: Install) -> None:
    dialog = alice.get(address + "/capabilities", htmx=True).text
    assert dialog.count("checked") == 1

    both = {"revision": "1", "capabilities": ["cap:secrets.get", "cap:http.fetch"]}
    assert alice.post(address + "/capabilities", both).status_code == 303
    assert stored().capabilities == ["cap:http.fetch", "cap:secrets.get"]
    assert alice.post(address + "/capabilities", {"revision": "2"}).status_code == 303
    assert (stored().capabilities, stored().config) == ([], {"region": "eu"})
    more = alice.post(address + "/capabilities", {"revision": "3", "capabilities": ["cap:storage.kv"]})
    assert more.status_code == 422 and stored().capabilities == []
    assert alice.post(address + "/capabilities", both, htmx=True).status_code == 409


def test_a_secret_is_kept_replaced_and_deleted_and_nobody_sees_it(
    alice: Browser, address: str, install: Install
) -> None:
    assert alice.post(address + "/secrets", {"name": "API_TOKEN", "value": VALUE}).status_code == 303
    assert install_secret_values(stored()) == {"API_TOKEN": VALUE}
    page = alice.get(address).text
    assert "API_TOKEN" in page and "Reading secrets is not granted" in page
    assert 'value="API_TOKEN"' in alice.get(address + "/secrets/new?name=API_TOKEN", htmx=True).text
    for path in ("", "/secrets/new", "/configuration"):
        assert VALUE not in alice.get(address + path).text

    assert alice.post(address + "/secrets", {"name": "API_TOKEN", "value": VALUE + "2"}, htmx=True).status_code == 204
    assert install_secret_values(stored()) == {"API_TOKEN": VALUE + "2"}
    assert alice.post(address + "/secrets/API_TOKEN/delete").status_code == 303
    assert install_secret_values(stored()) == {}
    assert alice.post(address + "/secrets/API_TOKEN/delete").status_code == 404


@pytest.mark.parametrize("htmx", [False, True])
def test_a_refused_secret_keeps_its_name_and_not_its_value(
    alice: Browser, address: str, install: Install, htmx: bool
) -> None:
    answer = alice.post(address + "/secrets", {"name": "1 TOKEN", "value": VALUE}, htmx=htmx)

    assert answer.status_code == 422 and "Begin the name with a letter" in answer.text
    assert 'value="1 TOKEN"' in answer.text and VALUE not in answer.text and "Type the value again" in answer.text


def test_a_disabled_install_says_since_when_and_why(
    bob: Browser, address: str, install: Install, alice: Browser, db: Any
) -> None:
    install.disabled_at, install.disabled_by, install.disable_reason = NOW, alice.user.id, "Vendor is moving"
    db.commit()

    page = bob.get(address).text

    assert "Disabled" in page and "Vendor is moving" in page and "Alice" in page


def test_what_was_removed_can_be_installed_again(alice: Browser, address: str, install: Install, db: Any) -> None:
    install.deleted_at = NOW
    db.commit()

    page = alice.get(address).text
    assert "Not installed" in page and "Configuration" not in page and "Install…" in page
    assert alice.get(address + "/configuration").status_code == 404
    assert alice.post(address + "/install", {}).status_code == 303


def test_the_page_takes_a_fixed_number_of_statements(
    alice: Browser, acme: Tenant, address: str, install: Install, db: Any
) -> None:
    def statements() -> int:
        with counted() as found:
            assert alice.get(address).status_code == 200
        return len(found)

    set_install_secret(an_actor(acme), install.id, "FIRST", VALUE, NOW)
    db.commit()
    few = statements()
    extension = db.get_one(Extension, install.extension_id)
    for at in range(5):
        an_extension_version(extension, f"1.1.{at}")
        set_install_secret(an_actor(acme), install.id, f"MORE{at}", VALUE, NOW)
    db.commit()

    assert statements() == few
