"""The vault: encrypted for one tenant, opened with any known key, and never without one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from domain.kernel import vault
from domain.kernel.vault import Unsealable, VaultClosed, configure_vault, resealed, seal, unseal

ACME, UMBRELLA = UUID(int=1), UUID(int=2)
KEY, NEXT_KEY = "a first key of at least 32 characters", "the next key of at least 32 characters"


@pytest.fixture(autouse=True)
def own_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "_keys", None)
    configure_vault(KEY)


@pytest.mark.parametrize("value", ["hunter2hunter2", 4815162342, {"user": "ö", "list": [1.5, None, True]}, ""])
def test_what_was_sealed_is_opened_by_its_tenant(value: Any) -> None:
    assert unseal(ACME, seal(ACME, value)) == value


def test_a_token_holds_neither_the_value_nor_the_same_text_twice() -> None:
    first, second = seal(ACME, "hunter2hunter2"), seal(ACME, "hunter2hunter2")

    assert "hunter2" not in first
    assert first != second


def test_another_tenant_cannot_open_it() -> None:
    with pytest.raises(Unsealable):
        unseal(UMBRELLA, seal(ACME, "hunter2hunter2"))


@pytest.mark.parametrize("token", ["", "nonsense", "gAAAAA", "ü", "\x00"])
def test_what_is_no_token_is_not_opened(token: str) -> None:
    with pytest.raises(Unsealable):
        unseal(ACME, token)
    with pytest.raises(Unsealable):
        resealed(token)


def test_a_changed_token_is_not_opened() -> None:
    token = seal(ACME, "hunter2hunter2")
    changed = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]

    with pytest.raises(Unsealable):
        unseal(ACME, changed)


def test_after_a_change_of_keys_old_tokens_open_and_new_ones_need_only_the_new_key() -> None:
    old = seal(ACME, "hunter2hunter2")
    configure_vault(NEXT_KEY, [KEY])
    moved, new = resealed(old), seal(ACME, "other value")
    assert unseal(ACME, old) == "hunter2hunter2"
    assert moved != old and resealed(new) == new

    configure_vault(NEXT_KEY)

    assert unseal(ACME, moved) == "hunter2hunter2" and unseal(ACME, new) == "other value"
    with pytest.raises(Unsealable, match="earlier key"):
        unseal(ACME, old)


def test_a_process_without_keys_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    token = seal(ACME, "hunter2hunter2")
    monkeypatch.setattr(vault, "_keys", None)

    for command in (lambda: seal(ACME, 1), lambda: unseal(ACME, token), lambda: resealed(token)):
        with pytest.raises(VaultClosed, match="configure_vault"):
            command()
