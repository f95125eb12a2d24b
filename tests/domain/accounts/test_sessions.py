"""Sessions and how they end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from domain.accounts.passwords import is_outdated
from domain.accounts.sessions import (
    ABSOLUTE_LIFE,
    IDLE_LIFE,
    Session,
    change_password,
    load_access,
    prune_sessions,
    sign_in,
    sign_out,
    start_session,
    touch_session,
)
from domain.accounts.tenants import Tenant, TenantFacts
from domain.accounts.users import Membership, User
from domain.kernel.errors import Forbidden, Refused
from tests.factories import NOW, PASSWORD, a_tenant, a_user, an_actor

SECOND = timedelta(seconds=1)


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant()


@pytest.fixture
def alice(acme: Tenant) -> User:
    return a_user(acme)


def test_the_token_is_not_stored(alice: User, db: Any) -> None:
    session, token = sign_in("alice@acme.test", PASSWORD, NOW)
    assert len(token) >= 43
    assert token not in str(session.__dict__)
    assert load_access(token, NOW) is not None
    assert load_access(session.token_hash, NOW) is None


def test_every_sign_in_has_a_token_of_its_own(alice: User) -> None:
    assert sign_in(alice.email, PASSWORD, NOW)[1] != sign_in(alice.email, PASSWORD, NOW)[1]


def test_access_is_what_the_role_allows_now(alice: User, acme: Tenant, db: Any) -> None:
    _, token = start_session(alice, acme.id, NOW)
    access = load_access(token, NOW)
    assert access and access.can("workflow:admin") and access.tenant == TenantFacts.of(acme)
    membership = db.scalars(select(Membership)).one()
    membership.role = "viewer"
    db.flush()
    lowered = load_access(token, NOW)
    assert lowered and not lowered.can("workflow:manage")
    db.delete(membership)
    db.flush()
    assert load_access(token, NOW) is None


def test_an_idle_session_ends_and_use_keeps_it(alice: User, acme: Tenant) -> None:
    _, token = start_session(alice, acme.id, NOW)
    assert load_access(token, NOW + IDLE_LIFE - SECOND)
    assert load_access(token, NOW + IDLE_LIFE) is None
    touch_session(token, NOW + IDLE_LIFE - SECOND)
    assert load_access(token, NOW + IDLE_LIFE + IDLE_LIFE - 2 * SECOND)


def test_no_session_lasts_longer_than_its_absolute_life(alice: User, acme: Tenant) -> None:
    _, token = start_session(alice, acme.id, NOW)
    touch_session(token, NOW + ABSOLUTE_LIFE - SECOND)
    assert load_access(token, NOW + ABSOLUTE_LIFE - SECOND)
    assert load_access(token, NOW + ABSOLUTE_LIFE) is None


def test_signing_out_ends_this_session_only(alice: User, acme: Tenant) -> None:
    _, first = start_session(alice, acme.id, NOW)
    _, second = start_session(alice, acme.id, NOW)
    sign_out(first)
    assert load_access(first, NOW) is None
    assert load_access(second, NOW)


def test_someone_without_a_tenant_cannot_sign_in(alice: User, db: Any) -> None:
    db.delete(db.scalars(select(Membership)).one())
    db.flush()
    with pytest.raises(Refused, match="address or password is wrong"):
        sign_in(alice.email, PASSWORD, NOW)


def test_a_hash_with_older_parameters_is_renewed_at_sign_in(alice: User) -> None:
    alice.password_hash = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    sign_in(alice.email, PASSWORD, NOW)
    assert not is_outdated(alice.password_hash)
    assert sign_in(alice.email, PASSWORD, NOW)


def test_a_changed_password_leaves_one_new_session(alice: User, acme: Tenant, db: Any) -> None:
    _, token = start_session(alice, acme.id, NOW)
    start_session(alice, acme.id, NOW)
    access = load_access(token, NOW)
    assert access
    fresh = change_password(an_actor(acme, alice), access, PASSWORD, "nine orange giraffes", NOW)
    assert db.scalar(select(func.count()).select_from(Session)) == 1
    assert load_access(token, NOW) is None
    assert load_access(fresh, NOW)
    with pytest.raises(Refused):
        sign_in(alice.email, PASSWORD, NOW)
    assert sign_in(alice.email, "nine orange giraffes", NOW)


def test_a_token_cannot_change_a_password(alice: User, acme: Tenant) -> None:
    from domain.accounts.tokens import token_access
    from tests.factories import a_token

    access = token_access(a_token(acme, alice)[1], NOW)
    assert access
    with pytest.raises(Forbidden, match="API token cannot"):
        change_password(an_actor(acme, alice), access, PASSWORD, "nine orange giraffes", NOW)


def test_ended_sessions_are_pruned(alice: User, acme: Tenant, db: Any) -> None:
    start_session(alice, acme.id, NOW)
    start_session(alice, acme.id, NOW + IDLE_LIFE)
    assert prune_sessions(NOW + IDLE_LIFE + SECOND) == 1
    assert db.scalar(select(func.count()).select_from(Session)) == 1
