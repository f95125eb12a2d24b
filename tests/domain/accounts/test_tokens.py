"""API tokens: what they open, and when they stop."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.permissions import PERMISSIONS, ROLES, Access, permissions_of
from domain.accounts.sessions import hash_of
from domain.accounts.tenants import Tenant, TenantFacts
from domain.accounts.tokens import ApiToken, create_token, revoke_token, token_access, tokens_page, touch_token
from domain.accounts.users import Membership, PersonFacts, User
from domain.kernel.errors import Forbidden, NotFound, Refused, StaleTransition
from tests.factories import NOW, a_tenant, a_token, a_user, an_actor

MINUTE = timedelta(minutes=1)


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant()


@pytest.fixture
def alice(acme: Tenant) -> User:
    return a_user(acme)


def access_of(tenant: Tenant, user: User, role: str = "admin") -> Access:
    return Access(TenantFacts.of(tenant), PersonFacts.of(user), role, permissions_of(role))


def test_a_token_is_known_by_its_secret_alone(acme: Tenant, alice: User) -> None:
    token, secret = create_token(an_actor(acme, alice), access_of(acme, alice), "Export", ["workflow:read"], None, NOW)
    assert secret.startswith("carillon_") and len(secret) == len("carillon_") + 43  # 256 bits
    assert secret.startswith(token.hint) and secret not in str(token.__dict__)
    access = token_access(secret, NOW)
    assert access and (access.tenant.id, access.user, access.token_name) == (acme.id, PersonFacts.of(alice), "Export")
    for wrong in (
        "",
        "carillon_",
        secret[:-1],
        secret + "x",
        token.token_hash,
        f"carillon_{token.token_hash}",
        "car_\ud800",
    ):
        assert token_access(wrong, NOW) is None


def test_a_token_with_the_short_prefix_goes_on_opening(acme: Tenant, alice: User, db: Any) -> None:
    token, _ = a_token(acme, alice)
    token.token_hash = hash_of("car_0123456789")
    db.flush()
    access = token_access("car_0123456789", NOW)
    assert access and access.user.id == alice.id
    assert token_access("carillon_0123456789", NOW) is None


@pytest.mark.parametrize("role", list(ROLES))
def test_a_token_may_what_its_scopes_and_its_owners_role_both_allow(acme: Tenant, role: str, db: Any) -> None:
    user = a_user(acme, f"{role}@acme.test", role)
    _, wide = a_token(acme, user, "wide", PERMISSIONS)
    _, narrow = a_token(acme, user, "narrow", ["workflow:read", "workflow:publish"])
    access, cut = token_access(wide, NOW), token_access(narrow, NOW)
    assert access and access.permissions == ROLES[role]
    assert cut and cut.permissions == ROLES[role] & {"workflow:read", "workflow:publish"}


def test_a_token_loses_what_its_owner_loses(acme: Tenant, alice: User, db: Any) -> None:
    _, secret = a_token(acme, alice)
    membership = db.scalars(select(Membership).where(Membership.user_id == alice.id)).one()
    membership.role = "viewer"
    access = token_access(secret, NOW)
    assert access and not access.can("workflow:manage")
    db.delete(membership)
    db.flush()
    assert token_access(secret, NOW) is None


def test_an_expired_or_revoked_token_opens_nothing(acme: Tenant, alice: User) -> None:
    _, expiring = a_token(acme, alice, "expiring", expires_at=NOW)
    token, revoked = a_token(acme, alice, "revoked")
    assert token_access(expiring, NOW - MINUTE)
    assert token_access(expiring, NOW) is None
    revoke_token(an_actor(acme, alice), token.id, NOW)
    assert token_access(revoked, NOW) is None
    with pytest.raises(StaleTransition):
        revoke_token(an_actor(acme, alice), token.id, NOW)


def test_a_token_cannot_make_tokens(acme: Tenant, alice: User) -> None:
    access = token_access(a_token(acme, alice)[1], NOW)
    assert access and access.can("workflow:admin")
    with pytest.raises(Forbidden):
        create_token(an_actor(acme, alice), access, "Child", ["workflow:read"], None, NOW)


@pytest.mark.parametrize(
    ("scopes", "code"),
    [([], "SCOPES_REQUIRED"), (["workflow:all"], "SCOPE_UNKNOWN"), (["workflow:publish"], "SCOPE_TOO_WIDE")],
)
def test_scopes_that_the_owner_does_not_have_are_refused(
    acme: Tenant, alice: User, scopes: list[str], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        create_token(an_actor(acme, alice), access_of(acme, alice, "operator"), "Export", scopes, None, NOW)
    assert [problem.code for problem in refused.value.problems] == [code]


def test_the_token_of_another_tenant_is_not_there(acme: Tenant, alice: User) -> None:
    other = a_tenant("globex")
    token, _ = a_token(other)
    with pytest.raises(NotFound):
        revoke_token(an_actor(acme, alice), token.id, NOW)
    assert tokens_page(acme.id) == []
    assert [found.id for found in tokens_page(other.id)] == [token.id]


def test_use_is_written_down_once_a_minute(acme: Tenant, alice: User, db: Any) -> None:
    _, secret = a_token(acme, alice)
    first = token_access(secret, NOW)
    assert first and first.is_touch_due
    touch_token(secret, NOW)
    db.expire_all()
    soon, later = token_access(secret, NOW + MINUTE / 2), token_access(secret, NOW + MINUTE)
    assert soon and not soon.is_touch_due
    assert later and later.is_touch_due
    assert db.scalars(select(ApiToken.last_used_at)).one() == NOW
