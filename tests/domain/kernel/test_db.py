"""What the database says when it refuses, and where that goes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from domain.accounts.users import User


def test_an_error_of_a_statement_does_not_repeat_what_was_to_be_stored(db: Any) -> None:
    first, second = (User(email="dora@acme.test", name="Dora", password_hash=f"hash number {n}") for n in (1, 2))
    db.add(first)
    db.flush()
    db.add(second)
    with pytest.raises(IntegrityError) as refused:
        db.flush()
    assert "uq_users_email" in str(refused.value)
    assert "hash number" not in str(refused.value)
