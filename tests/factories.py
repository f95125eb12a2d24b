"""Rows that tests begin with. Plain functions; call them inside an app context."""

from __future__ import annotations

from functools import cache

from domain.accounts.passwords import hash_password
from domain.accounts.permissions import ADMIN
from domain.accounts.tenants import Tenant, create_tenant
from domain.accounts.users import Membership, User
from domain.kernel.db import db

PASSWORD = "seven purple tortoises"


@cache
def password_hash() -> str:
    """One hash for everybody: making it is slow on purpose."""
    return hash_password(PASSWORD)


def a_tenant(slug: str = "acme", timezone: str = "UTC") -> Tenant:
    return create_tenant(slug, slug.capitalize(), timezone)


def a_user(tenant: Tenant, email: str = "alice@acme.test", role: str = ADMIN) -> User:
    """Someone with `PASSWORD` and a role in the tenant."""
    user = User(email=email, name=email.partition("@")[0].capitalize(), password_hash=password_hash())
    db.session.add(user)
    db.session.flush()
    db.session.add(Membership(tenant_id=tenant.id, user_id=user.id, role=role))
    db.session.flush()
    return user
