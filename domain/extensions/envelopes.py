"""Envelopes: an install's secrets on their way to the runner, which only it can open, for one install and not for long.

The field names are the runner's contract (docs/runner.md). `ciphertext_b64` is a nonce of 96 bits followed by AES-256-GCM
(NIST SP 800-38D) over a JSON object of texts; its key is derived with HKDF (RFC 5869) from what both sides know. Whom it is
for and when it expires are authenticated with it, so that it opens for nobody else and never later.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.kernel import strict_json
from domain.kernel.errors import Refused

ALGORITHM = "aes-256-gcm:v1"
_PURPOSE = b"carillon secret envelope 1"
_KEY_BYTES, _NONCE_BYTES = 32, 12


class EnvelopeRefused(Exception):
    """The envelope cannot be opened. Its message says why and holds nothing of what is inside."""


@dataclass(frozen=True)
class Audience:
    """Whose secrets they are: ids as they are written in the request. Whatever differs keeps the envelope closed."""

    tenant_id: str
    extension_id: str
    install_id: str
    version_id: str


def seal_envelope(values: Mapping[str, str], key: str, audience: Audience, expires_at: datetime) -> dict[str, str]:
    """The envelope of secrets by name. `key`: what the runner knows too. `expires_at`: aware."""
    nonce, until = os.urandom(_NONCE_BYTES), expires_at.isoformat(timespec="seconds")
    plain = strict_json.dumps(dict(values)).encode()
    closed = AESGCM(_derived(key)).encrypt(nonce, plain, _bound(audience, until))
    return {
        "algorithm": ALGORITHM,
        "ciphertext_b64": base64.b64encode(nonce + closed).decode(),
        "expires_at": until,
        "version": audience.version_id,
    }


def open_envelope(envelope: Mapping[str, Any], key: str, audience: Audience, now: datetime) -> dict[str, str]:
    """The secrets by name. Raises EnvelopeRefused for another algorithm, key, audience or form, or when it has expired."""
    if envelope.get("algorithm") != ALGORITHM:
        raise EnvelopeRefused(f"only {ALGORITHM} is opened")
    try:
        until = str(envelope["expires_at"])
        expires_at = datetime.fromisoformat(until)
        closed = base64.b64decode(envelope["ciphertext_b64"], validate=True)
        nonce, rest = closed[:_NONCE_BYTES], closed[_NONCE_BYTES:]
        plain = AESGCM(_derived(key)).decrypt(nonce, rest, _bound(audience, until))
        values = strict_json.loads(plain)
    except (KeyError, TypeError, ValueError, binascii.Error, InvalidTag, Refused):
        raise EnvelopeRefused("it was not sealed with this key for this install") from None
    if expires_at.tzinfo is None or expires_at <= now:
        raise EnvelopeRefused("it has expired")
    return {str(name): str(value) for name, value in values.items()}


def _bound(audience: Audience, until: str) -> bytes:
    return strict_json.dumps([*astuple(audience), until]).encode()


def _derived(key: str) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE).derive(key.encode())
