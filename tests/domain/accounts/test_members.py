"""Membership, and the admin that every tenant keeps."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.accounts.members import add_member, change_role, members_page, remove_member
from domain.accounts.users import Membership, parse_email
from domain.kernel.db import db as database
from domain.kernel.db import transaction
from domain.kernel.errors import NotFound, Refused
from tests.factories import NOW, a_tenant, a_user, an_actor
from tests.servers import config_for, make_app


def membership_of(user: Any) -> Membership:
    found: Membership = database.session.scalars(select(Membership).where(Membership.user_id == user.id)).one()
    return found


def test_members_are_listed_by_name_and_tenant(db: Any) -> None:
    acme = a_tenant()
    for name in ("dora", "alice", "Carl"):
        a_user(acme, f"{name.lower()}@acme.test")
    a_user(a_tenant("globex"), "bert@globex.test")
    assert [member.user.name for member in members_page(acme.id)] == ["Alice", "Carl", "Dora"]


def test_a_member_of_another_tenant_is_not_there(db: Any) -> None:
    acme = a_tenant()
    stranger = membership_of(a_user(a_tenant("globex"), "charlie@globex.test", "viewer"))
    for command in (
        lambda: change_role(an_actor(acme), stranger.id, "admin"),
        lambda: remove_member(an_actor(acme), stranger.id, NOW),
    ):
        with pytest.raises(NotFound):
            command()


def test_a_given_password_is_not_shown_again(db: Any) -> None:
    _, first = add_member(an_actor(a_tenant()), "dora@acme.test", "Dora", "viewer", "nine orange giraffes")
    assert first is None


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "@b", "a b@c.test", "a@b\nc", "a@b@c", "ä@b.test", "x" * 250 + "@b.test", "a@-", "a@b\x00"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_email(text)


def test_two_admins_who_demote_each_other_leave_one(fresh_database: str, redis_url: str) -> None:
    app = make_app(config_for(fresh_database, redis_url))
    with app.app_context(), transaction():
        acme = a_tenant()
        users = [a_user(acme, f"{name}@acme.test") for name in ("alice", "dora")]
        actors = [an_actor(acme, user) for user in users]
        targets = [membership_of(user).id for user in reversed(users)]
    outcomes: list[str] = []
    together = threading.Barrier(2, timeout=10)

    def demote(number: int) -> None:
        with app.app_context():
            together.wait()
            try:
                with transaction():
                    change_role(actors[number], targets[number], "viewer")
                outcomes.append("demoted")
            except Refused:
                outcomes.append("refused")

    threads = [threading.Thread(target=demote, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["demoted", "refused"]
    with app.app_context():
        admins = select(func.count()).select_from(Membership).where(Membership.role == "admin")
        assert database.session.scalar(admins) == 1
        database.session.remove()
        database.engine.dispose()
