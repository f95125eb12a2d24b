"""Notifications: who is told, how often, and where a notification may lead."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.accounts.notifications import (
    BODY_MAX_CHARACTERS,
    TITLE_MAX_CHARACTERS,
    Notification,
    is_local_link,
    members_in,
    members_with,
    notify,
    prune_notifications,
)
from domain.accounts.tenants import Tenant
from domain.accounts.users import User
from domain.kernel import clock
from tests.factories import NOW, a_tenant, a_user


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Tenant) -> User:
    return a_user(acme, "alice@acme.test")


@pytest.fixture
def bob(acme: Tenant) -> User:
    return a_user(acme, "bob@acme.test", "viewer")


@pytest.fixture
def charlie(db: Any) -> User:
    return a_user(a_tenant("globex"), "charlie@globex.test")


def told(db: Any, user: User) -> list[str]:
    return list(db.scalars(select(Notification.title).where(Notification.user_id == user.id)))


def test_each_person_gets_a_line_of_their_own(acme: Tenant, alice: User, bob: User, db: Any) -> None:
    written = notify(acme.id, [alice.id, bob.id, alice.id], "Paused", "It failed", "warning", NOW, "/workflows/1")
    rows = list(db.scalars(select(Notification)))
    assert {row.id for row in rows} == set(written)
    assert {row.user_id for row in rows} == {alice.id, bob.id} and len(rows) == 2
    assert {(row.title, row.body, row.severity, row.link, row.created_at, row.read_at) for row in rows} == {
        ("Paused", "It failed", "warning", "/workflows/1", NOW, None)
    }


def test_nobody_outside_the_tenant_is_told(acme: Tenant, alice: User, charlie: User, db: Any) -> None:
    assert len(notify(acme.id, [charlie.id, alice.id], "Paused", "", "info", NOW)) == 1
    assert told(db, charlie) == [] and told(db, alice) == ["Paused"]
    assert notify(acme.id, [], "Nobody", "", "info", NOW) == []


def test_a_key_is_told_once_to_each_person(acme: Tenant, alice: User, bob: User, db: Any) -> None:
    assert len(notify(acme.id, [alice.id], "First", "", "info", NOW, dedupe_key="task 1")) == 1
    assert len(notify(acme.id, [alice.id, bob.id], "Second", "", "info", NOW, dedupe_key="task 1")) == 1
    assert told(db, alice) == ["First"] and told(db, bob) == ["Second"]
    for _ in range(2):
        assert len(notify(acme.id, [alice.id], "No key", "", "info", NOW)) == 1


def test_a_key_of_one_tenant_says_nothing_to_another(acme: Tenant, alice: User, charlie: User, db: Any) -> None:
    notify(acme.id, [alice.id], "Ours", "", "info", NOW, dedupe_key="same")
    theirs = select(Tenant.id).where(Tenant.slug == "globex")
    assert len(notify(db.scalars(theirs).one(), [charlie.id], "Theirs", "", "info", NOW, dedupe_key="same")) == 1


def test_what_is_too_long_is_cut(acme: Tenant, alice: User, db: Any) -> None:
    notify(acme.id, [alice.id], "t" * 5_000, "b\x00" * 5_000, "error", NOW)
    row = db.scalars(select(Notification)).one()
    assert (len(row.title), len(row.body)) == (TITLE_MAX_CHARACTERS, BODY_MAX_CHARACTERS)
    assert row.title.endswith("…") and "\x00" not in row.body


@pytest.mark.parametrize("link", ["/", "/runs/1?step=a#b", "/schedules?q=%20x"])
def test_a_link_stays_on_this_site(link: str) -> None:
    assert is_local_link(link)


@pytest.mark.parametrize(
    "link",
    ["", "runs", "//evil.test", "/\\evil.test", "https://evil.test", "/a b", "/a\n", "/\t/evil.test", "/" + "a" * 500],
)
def test_a_link_to_elsewhere_is_refused(acme: Tenant, alice: User, db: Any, link: str) -> None:
    assert not is_local_link(link)
    with pytest.raises(ValueError, match="path of this site"):
        notify(acme.id, [alice.id], "Look", "", "info", NOW, link=link)
    assert db.scalar(select(func.count()).select_from(Notification)) == 0


def test_members_are_found_by_what_their_role_allows(acme: Tenant, alice: User, bob: User, charlie: User) -> None:
    olga = a_user(acme, "olga@acme.test", "operator")
    assert members_with(acme.id, "workflow:manage") == sorted([alice.id, olga.id])
    assert members_with(acme.id, "workflow:admin") == [alice.id]
    assert members_with(acme.id, "workflow:read") == sorted([alice.id, olga.id, bob.id])
    assert members_in(acme.id, ["viewer", "operator"]) == sorted([bob.id, olga.id])


def test_what_people_were_told_long_ago_is_forgotten_a_batch_at_a_time(acme: Tenant, alice: User, db: Any) -> None:
    now = clock.database_now()
    for number in range(3):
        notify(acme.id, [alice.id], f"Told {number}", "", "info", now)
    assert prune_notifications(now + timedelta(days=89)) == 0
    assert prune_notifications(now + timedelta(days=91), limit=2) == 2
    assert told(db, alice) == ["Told 2"]
