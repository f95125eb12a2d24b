"""Passwords: Argon2id (RFC 9106), which ones are accepted, and how many are hashed at once."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from domain.accounts.common_passwords import COMMON_PASSWORDS
from domain.kernel.errors import Refused, Throttled

MIN_CHARACTERS, MAX_CHARACTERS = 10, 256
GENERATED_BYTES = 15
# A hash takes some 40 ms of a core: more at once would leave none for the pages of everyone else.
CONCURRENT_HASHES = 2
PATIENCE_SECONDS = 2.0

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_room = threading.BoundedSemaphore(CONCURRENT_HASHES)


def hash_password(password: str) -> str:
    """The Argon2id hash to store. Raises Throttled when too many are being computed."""
    with _a_place():
        return _hasher.hash(_normal(password))


def is_password(stored_hash: str | None, password: str) -> bool:
    """Whether `password` is the one behind the hash. No hash (an unknown person) takes as long and is always False."""
    # What is longer was never accepted, and hashing it would only cost time.
    given = _normal(password[:MAX_CHARACTERS])
    with _a_place():
        try:
            matches = _hasher.verify(stored_hash or _hash_of_nobody(), given)
        except (VerificationError, InvalidHashError):
            return False
    return matches and stored_hash is not None and len(password) <= MAX_CHARACTERS


def is_outdated(stored_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's, and should be made anew at the next sign-in."""
    return _hasher.check_needs_rehash(stored_hash)


def generate_password() -> str:
    """A first password to hand over: 120 random bits in 20 characters."""
    return secrets.token_urlsafe(GENERATED_BYTES)


def check_password(password: str, *, path: str = "password", about: tuple[str, ...] = ()) -> None:
    """Raise Refused at `path` for a password that is too short, too long or easy to guess (NIST SP 800-63B §3.1.1.2).

    `about` are words that say who it belongs to, such as the e-mail address.
    """
    given = _normal(password)
    folded = given.casefold()
    if len(given) < MIN_CHARACTERS:
        raise Refused.at(path, f"Use at least {MIN_CHARACTERS} characters.", "PASSWORD_TOO_SHORT")
    if len(password) > MAX_CHARACTERS:
        raise Refused.at(path, f"Use at most {MAX_CHARACTERS} characters.", "PASSWORD_TOO_LONG")
    if folded in COMMON_PASSWORDS or len(set(folded)) < 4:
        raise Refused.at(path, "This is among the first that anyone would try. Choose another.", "PASSWORD_COMMON")
    if folded in {word.casefold() for whole in about for word in (whole, whole.partition("@")[0])}:
        raise Refused.at(path, "This is your name or e-mail address. Choose another.", "PASSWORD_COMMON")


def _normal(password: str) -> str:
    # The same password typed on two keyboards may arrive in two compositions.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()


@contextmanager
def _a_place() -> Iterator[None]:
    if not _room.acquire(timeout=PATIENCE_SECONDS):
        raise Throttled("Too many people are signing in right now. Wait a moment and try again.")
    try:
        yield
    finally:
        _room.release()


@cache
def _hash_of_nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(GENERATED_BYTES))
