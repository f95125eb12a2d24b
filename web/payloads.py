"""What every dialog with a payload needs to know beside the payload's schema."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.accounts.secrets import secret_names
from domain.kernel import strict_json

_MARK = '"x-secret":true'


def offered_secrets(tenant_id: UUID, schema: Any) -> tuple[str, ...]:
    """The named secrets that a payload of this schema may refer to; none where it marks no field as secret."""
    return tuple(secret_names(tenant_id)) if _MARK in strict_json.dumps(schema) else ()
