"""The list of extensions, publishing by manifest, versions: who sees what, and who may."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.accounts.tenants import Tenant
from domain.extensions.extensions import Extension, ExtensionVersion
from tests.factories import a_manifest, an_extension, an_extension_version, an_install
from tests.statements import counted
from tests.web.cast import Browser

ADDRESS = "/settings/extensions"


@pytest.fixture
def version(acme: Tenant, db: Any) -> ExtensionVersion:
    version = an_extension_version(an_extension(acme))
    db.commit()
    return version


def file_of(manifest: Any) -> dict[str, Any]:
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    return {"file": (io.BytesIO(content), "manifest.json"), "manifest": ""}


def published(db: Any) -> list[str]:
    return list(db.scalars(select(ExtensionVersion.version).order_by(ExtensionVersion.id)))


def test_a_tenant_without_extensions_is_told_what_they_are(alice: Browser, bob: Browser) -> None:
    assert "No extensions yet" in alice.get(ADDRESS).text and "Publish version" in alice.get(ADDRESS).text
    assert "No extensions yet" in bob.get(ADDRESS).text and "Publish version" not in bob.get(ADDRESS).text
    assert 'href="/settings/extensions"' in bob.get("/settings").text


def test_the_list_says_what_is_installed_and_what_is_out(alice: Browser, acme: Tenant, db: Any) -> None:
    version = an_extension_version(an_extension(acme))
    an_install(acme, version)
    an_extension_version(db.get_one(Extension, version.extension_id), "1.1.0")
    an_extension_version(an_extension(None, "com.shared.sync", "Shared"), "2.0.0")
    db.commit()

    page = alice.get(ADDRESS).text
    assert "com.acme.rmm-sync" in page and "Enabled" in page and "1.1.0 is out" in page
    assert "com.shared.sync" in page and "Not installed" in page and "for every tenant" in page
    narrowed = alice.get(ADDRESS + "?state=installed", htmx=True).text
    assert "com.acme.rmm-sync" in narrowed and "com.shared.sync" not in narrowed and "<html" not in narrowed
    assert "No extension matches" in alice.get(ADDRESS + "?q=nothing").text


def test_others_do_not_see_what_a_tenant_published(charlie: Browser, version: ExtensionVersion) -> None:
    assert "com.acme.rmm-sync" not in charlie.get(ADDRESS).text
    for path in ("", f"/versions/{version.id}", "/install", "/configuration"):
        assert charlie.get(f"{ADDRESS}/{version.extension_id}{path}").status_code == 404
    assert charlie.post(f"{ADDRESS}/{version.extension_id}/install").status_code == 404


def test_the_list_takes_as_many_statements_for_one_as_for_many(alice: Browser, acme: Tenant, db: Any) -> None:
    def statements() -> int:
        with counted() as found:
            assert alice.get(ADDRESS).status_code == 200
        return len(found)

    an_install(acme, an_extension_version(an_extension(acme, "com.acme.first")))
    db.commit()
    few = statements()
    for at in range(8):
        an_install(acme, an_extension_version(an_extension(acme, f"com.acme.more{at}")))
    db.commit()

    assert statements() == few


@pytest.mark.parametrize("htmx", [False, True])
def test_a_version_is_published_from_a_file(alice: Browser, db: Any, htmx: bool) -> None:
    answer = alice.post(ADDRESS, file_of(a_manifest("1.4.0")), htmx=htmx, content_type="multipart/form-data")

    address = f"{ADDRESS}/{db.scalar(select(Extension.id))}"
    assert (answer.headers["HX-Redirect"] if htmx else answer.location) == address
    page = alice.get(address).text
    assert "Version 1.4.0 is published." in page
    assert "POST /api/sync" in page and "Can be scheduled" in page
    assert "GET /api/devices/:id" in page and "a part to be filled in (:id)" in page
    assert "Not installed" in page and "Install…" in page


def test_the_dialog_sends_files_with_and_without_scripts(alice: Browser) -> None:
    for htmx in (False, True):
        dialog = alice.get(ADDRESS + "/new", htmx=htmx).text
        assert 'enctype="multipart/form-data" hx-encoding="multipart/form-data"' in dialog


def test_a_version_is_published_from_a_text(alice: Browser, db: Any) -> None:
    assert alice.post(ADDRESS, {"manifest": json.dumps(a_manifest())}).status_code == 303
    assert published(db) == ["1.0.0"]


@pytest.mark.parametrize("htmx", [False, True])
def test_a_refused_file_stays_as_text_with_what_is_wrong(alice: Browser, db: Any, htmx: bool) -> None:
    broken = a_manifest(endpoints=["FETCH /api/sync"])
    answer = alice.post(ADDRESS, file_of(broken), htmx=htmx, content_type="multipart/form-data")

    assert answer.status_code == 422
    assert "/api/endpoints/0/method: The method is one of GET" in answer.text
    assert "FETCH" in answer.text.partition("<textarea")[2] and published(db) == []


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "A manifest is a JSON object"),
        (b'{"name": "a", "name": "b"}', "appears twice"),
    ],
)
def test_what_is_no_manifest_is_refused_in_words(alice: Browser, db: Any, manifest: bytes, said: str) -> None:
    answer = alice.post(ADDRESS, file_of(manifest), content_type="multipart/form-data")

    assert answer.status_code == 422 and said in answer.text
    assert published(db) == []


def test_a_published_version_never_changes(alice: Browser, version: ExtensionVersion, db: Any) -> None:
    again = alice.post(ADDRESS, {"manifest": json.dumps(a_manifest())})
    other = alice.post(ADDRESS, {"manifest": json.dumps(a_manifest(endpoints=["GET /other"]))}, htmx=True)

    assert again.status_code == 303
    assert other.status_code == 409 and "Give the changed manifest another version number." in other.text
    assert "/other" in other.text.partition("<textarea")[2]
    assert db.scalar(select(func.count()).select_from(ExtensionVersion)) == 1


def test_a_version_shows_its_manifest_and_its_hash(bob: Browser, version: ExtensionVersion) -> None:
    page = bob.get(f"{ADDRESS}/{version.extension_id}/versions/{version.id}").text

    assert version.content_hash in page and "dist/main" in page and "Delete" not in page


def test_a_version_that_nobody_uses_can_be_taken_back(alice: Browser, version: ExtensionVersion, db: Any) -> None:
    address = f"{ADDRESS}/{version.extension_id}/versions/{version.id}"
    assert address + "/delete" in alice.get(address).text
    dialog = alice.get(address + "/delete", htmx=True).text
    assert "Delete com.acme.rmm-sync 1.0.0?" in dialog and "Nothing refers to it" in dialog

    answer = alice.post(address + "/delete")

    assert (answer.status_code, answer.location) == (303, ADDRESS)
    assert "com.acme.rmm-sync" not in alice.get(ADDRESS).text.partition("<table")[2]
    assert published(db) == []
    assert alice.get(f"{ADDRESS}/{version.extension_id}").status_code == 200


def test_a_version_in_use_stays(alice: Browser, acme: Tenant, version: ExtensionVersion, db: Any) -> None:
    an_install(acme, version)
    db.commit()
    address = f"{ADDRESS}/{version.extension_id}/versions/{version.id}"

    dialog = alice.get(address + "/delete").text
    assert "it is installed" in dialog and "Delete version" not in dialog
    answer = alice.post(address + "/delete", htmx=True)
    assert answer.status_code == 409 and "it is installed" in answer.text
    assert published(db) == ["1.0.0"]


def test_a_version_for_everybody_is_not_the_tenants_to_delete(alice: Browser, db: Any) -> None:
    shared = an_extension_version(an_extension(name="com.shared.sync"))
    db.commit()
    address = f"{ADDRESS}/{shared.extension_id}/versions/{shared.id}"

    assert "Delete" not in alice.get(address).text
    assert alice.get(address + "/delete").status_code == 403
    assert alice.post(address + "/delete").status_code == 403
    assert published(db) == ["1.0.0"]


def test_a_viewer_looks_and_changes_nothing(bob: Browser, acme: Tenant, version: ExtensionVersion, db: Any) -> None:
    an_install(acme, version)
    db.commit()
    page = f"{ADDRESS}/{version.extension_id}"

    assert bob.get(page).status_code == 200
    for path in (
        ADDRESS + "/new",
        page + "/install",
        page + "/configuration",
        page + "/capabilities",
        page + "/secrets/new",
    ):
        assert bob.get(path).status_code == 403
    for path in (
        ADDRESS,
        page + "/install",
        page + "/configuration",
        page + "/capabilities",
        page + "/secrets",
        page + "/secrets/A/delete",
        f"{page}/versions/{version.id}/delete",
    ):
        assert bob.post(path, {"manifest": json.dumps(a_manifest("9.9.9"))}).status_code == 403
    assert published(db) == ["1.0.0"]
