"""The list of extensions: its own and everybody's, with what of them the tenant has."""

from __future__ import annotations

from typing import Any

from domain.extensions.listing import extensions_page
from tests.factories import NOW, a_tenant, an_extension, an_extension_version, an_install
from tests.statements import counted


def test_a_tenant_sees_its_own_and_what_is_for_everybody(db: Any) -> None:
    acme, bravo = a_tenant("acme"), a_tenant("bravo")
    own = an_extension(acme, "com.acme.own")
    first = an_extension_version(own, "1.9.0")
    an_extension_version(own, "1.10.0")
    an_extension_version(an_extension(None, "com.shared.sync", "Shared"), "2.0.0")
    an_extension_version(an_extension(bravo, "com.bravo.own"))
    an_extension(acme, "com.acme.withdrawn")
    install = an_install(acme, first)
    an_install(bravo, first).disabled_at = NOW

    rows, has_more = extensions_page(acme.id)

    assert not has_more
    assert [(one.name, one.latest, one.installed, one.is_own, one.is_behind) for one in rows] == [
        ("com.acme.own", "1.10.0", "1.9.0", True, True),
        ("com.shared.sync", "2.0.0", None, False, False),
    ]
    assert (rows[0].installed_at, rows[0].disabled_at) == (install.created_at, None)
    install.deleted_at = NOW
    db.flush()
    assert [one.is_installed for one in extensions_page(acme.id)[0]] == [False, False]


def test_the_list_is_narrowed_and_paged_with_two_statements(db: Any) -> None:
    acme = a_tenant("acme")
    for at in range(5):
        version = an_extension_version(an_extension(acme, f"com.acme.n{at}", "Odd" if at % 2 else "Even"))
        if at < 2:
            an_install(acme, version)
    tenant_id = acme.id

    def names(**narrowed: Any) -> list[str]:
        return [one.name[-2:] for one in extensions_page(tenant_id, **narrowed)[0]]

    assert names(q="odd") == ["n1", "n3"]
    assert names(q="N4") == ["n4"]
    assert names(q="%") == []
    assert names(state="installed") == ["n0", "n1"]
    assert names(state="available", q="odd") == ["n3"]
    with counted() as statements:
        first, has_more = extensions_page(tenant_id, limit=3)
    assert has_more and len(statements) == 2
    rest, has_more = extensions_page(tenant_id, after=first[-1].id, limit=3)
    assert [one.name[-2:] for one in first + rest] == ["n0", "n1", "n2", "n3", "n4"] and not has_more


def test_a_page_begins_behind_nothing_that_the_tenant_does_not_see(db: Any) -> None:
    acme, bravo = a_tenant("acme"), a_tenant("bravo")
    an_extension_version(an_extension(acme, "com.acme.own"))
    theirs = an_extension_version(an_extension(bravo, "com.aaa.secret"))

    assert extensions_page(acme.id, after=theirs.extension_id) == ([], False)
