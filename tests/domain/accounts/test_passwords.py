"""Passwords."""

from __future__ import annotations

import threading

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from domain.accounts import passwords
from domain.accounts.passwords import check_password, generate_password, hash_password, is_outdated, is_password
from domain.kernel.errors import Refused, Throttled

GOOD = "nine orange giraffes"


def test_hashes_are_argon2id_with_at_least_what_owasp_asks_for() -> None:
    found = extract_parameters(hash_password(GOOD))
    assert found.type is Type.ID
    assert found.memory_cost >= 19 * 1024 and found.time_cost >= 2


def test_only_the_password_itself_matches() -> None:
    stored = hash_password(GOOD)
    assert is_password(stored, GOOD)
    assert not is_password(stored, GOOD + " ")
    assert not is_password(stored, "")
    assert not is_password("not a hash", GOOD)


def test_a_password_typed_in_another_composition_matches() -> None:
    assert is_password(hash_password("cafe\u0301 au lait"), "caf\u00e9 au lait")


def test_nobody_has_no_password_and_the_answer_still_costs_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    hasher = passwords._hasher

    class Counting:
        hash = hasher.hash

        def verify(self, stored: str, given: str) -> bool:
            verified.append(stored)
            return hasher.verify(stored, given)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    assert not is_password(None, GOOD)
    assert len(verified) == 1


def test_a_hash_with_older_parameters_is_outdated() -> None:
    assert is_outdated(PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(GOOD))
    assert not is_outdated(hash_password(GOOD))


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "PASSWORD_TOO_SHORT"),
        ("ninechars", "PASSWORD_TOO_SHORT"),
        ("password123", "PASSWORD_COMMON"),
        ("QwertyUiop1!", "PASSWORD_COMMON"),
        ("1234567890", "PASSWORD_COMMON"),
        ("carillon2026", "PASSWORD_COMMON"),
        ("ababababababab", "PASSWORD_COMMON"),
        ("alice@acme.test", "PASSWORD_COMMON"),
        ("x" * 200 + "yz" * 40, "PASSWORD_TOO_LONG"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(password: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        check_password(password, about=("alice@acme.test", "Alice"))
    assert [(problem.path, problem.code) for problem in refused.value.problems] == [("password", code)]


@pytest.mark.parametrize("password", [GOOD, "ten chars!", "пароль из слов", "x" * 60 + "abc", "🦒🍊9 tails and more"])
def test_any_other_password_is_accepted(password: str) -> None:
    check_password(password, about=("alice@acme.test", "Alice"))


def test_generated_passwords_are_long_and_never_the_same() -> None:
    made = {generate_password() for _ in range(100)}
    assert len(made) == 100
    for password in made:
        check_password(password)
        assert len(password) == 20


def test_no_more_than_two_hashes_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third waits a moment and is then turned away, instead of taking the cores from everyone else."""
    monkeypatch.setattr(passwords, "PATIENCE_SECONDS", 0.05)
    go_on, inside = threading.Event(), threading.Semaphore(0)

    class Slow:
        def hash(self, _password: str) -> str:
            inside.release()
            go_on.wait(10)
            return ""

    monkeypatch.setattr(passwords, "_hasher", Slow())
    threads = [threading.Thread(target=hash_password, args=(GOOD,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.acquire(timeout=10) and inside.acquire(timeout=10)
    try:
        with pytest.raises(Throttled):
            hash_password(GOOD)
    finally:
        go_on.set()
        for thread in threads:
            thread.join()
    hash_password(GOOD)
