"""The vault: JSON values encrypted at rest, each for one tenant.

A token is Fernet (AES-128-CBC with HMAC-SHA256) over the tenant's id and the value, so that a token copied to another
tenant's row cannot be opened there. Its key is derived from the installation's secret key with HKDF (RFC 5869). Several
secret keys may be known at once: the first seals, all open, which is how a key is replaced.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.kernel import strict_json
from domain.kernel.errors import DomainError

_PURPOSE = b"carillon vault 1"
_KEY_BYTES = 32
_TENANT_BYTES = 16


class Unsealable(DomainError):
    """A stored secret cannot be opened with the keys of this installation. Type it again, or bring back the earlier key."""

    code = "SECRET_NOT_READABLE"


class VaultClosed(RuntimeError):
    """This process has no key for secrets: it was started without `configure_vault`."""


@dataclass(frozen=True)
class _Keys:
    first: Fernet
    all: MultiFernet


_keys: _Keys | None = None


def configure_vault(secret_key: str, previous: Sequence[str] = ()) -> None:
    """Give this process its keys: `secret_key` seals, `previous` ones only open what they sealed once."""
    global _keys
    ciphers = [_cipher(key) for key in (secret_key, *previous)]
    _keys = _Keys(ciphers[0], MultiFernet(ciphers))


def seal(tenant_id: UUID, value: Any) -> str:
    """The token of a JSON value, which only the same tenant can open. Raises VaultClosed."""
    return _opened().first.encrypt(tenant_id.bytes + strict_json.dumps(value).encode()).decode()


def unseal(tenant_id: UUID, token: str) -> Any:
    """The value of a token of this tenant. Raises Unsealable, VaultClosed."""
    try:
        plain = _opened().all.decrypt(token)
    except (InvalidToken, ValueError):
        raise Unsealable from None
    if plain[:_TENANT_BYTES] != tenant_id.bytes:
        raise Unsealable
    return strict_json.loads(plain[_TENANT_BYTES:])


def resealed(token: str) -> str:
    """The same value under the first key: `token` itself when it is sealed with that. Raises Unsealable, VaultClosed."""
    keys = _opened()
    try:
        keys.first.decrypt(token)
    except (InvalidToken, ValueError):
        try:
            return keys.all.rotate(token).decode()
        except (InvalidToken, ValueError):
            raise Unsealable from None
    return token


def _opened() -> _Keys:
    if _keys is None:
        raise VaultClosed(VaultClosed.__doc__)
    return _keys


def _cipher(secret_key: str) -> Fernet:
    derived = HKDF(SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE).derive(secret_key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
